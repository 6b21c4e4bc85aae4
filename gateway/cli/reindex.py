"""`hearthlog reindex`."""

from __future__ import annotations

import click

from gateway.cli.client import Request, ask


@click.command()
def reindex() -> None:
    """Make the indexes anew from what is stored. Nothing is lost; search answers meanwhile."""
    ask(Request("POST", "/reindex", body={}))
    click.echo("The text index is made anew; the vector index follows by itself.")


COMMAND = reindex
