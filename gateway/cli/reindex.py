"""`hearthlog reindex`."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from gateway.cli.client import Request, ask


@click.command()
@click.option("--status", is_flag=True, help="Make nothing anew; tell which model answers, and how far a new one is.")
@click.option("--json", "as_json", is_flag=True, help="The status as JSON; nothing is made anew.")
def reindex(status: bool, as_json: bool) -> None:
    """Make the indexes anew from what is stored. Nothing is lost; search answers meanwhile."""
    if status or as_json:
        _status(as_json)
        return
    ask(Request("POST", "/reindex", body={}))
    click.echo("The text index is made anew; the vector index follows by itself.")


def _status(as_json: bool) -> None:
    from gateway.config import load
    from gateway.store import spaces

    found = spaces.look(load().home / "hearthlog.db")
    if as_json:
        click.echo(json.dumps({"items": [asdict(each) for each in found]}))
        return
    for each in found:
        click.echo(f"{each.step:<8} {each.sentence}")
    if not found:
        click.echo("Nothing has vectors yet.")


COMMAND = reindex
