"""`hearthlog devices`: the cameras of this home."""

from __future__ import annotations

import json

import click

from gateway.cli.client import Request, ask


@click.group()
def devices() -> None:
    """The cameras of this home."""


@devices.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """Show every camera, how it is, and where it publishes."""
    found = ask(Request("GET", "/devices"))
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    for each in found["items"]:
        look = f"  {each['look']}" if each["look"] else ""
        click.echo(f"{each['id']:<16} {each['state']:<7} {each['frames_today']:>6} today  {each['name']}{look}")
    if not found["items"]:
        click.echo("No camera yet. One that publishes to hearthlog/v1/NAME/up/jpeg appears here by itself.")


@devices.command()
@click.argument("device")
@click.option("--name", default=None, help="What people call it.")
@click.option("--room", default=None, help="Where it is.")
@click.option("--privacy", type=click.Choice(["private", "circle", "public"]), default=None, help="Who may see it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def add(device: str, name: str | None, room: str | None, privacy: str | None, as_json: bool) -> None:
    """Name a camera by the id in its topic: a-z, 0-9 and -."""
    given = {"id": device, "name": name, "room": room, "privacy": privacy}
    made = ask(Request("POST", "/devices", body={key: value for key, value in given.items() if value is not None}))
    click.echo(json.dumps(made, ensure_ascii=False) if as_json else f"{made['name']} publishes to {made['topic']}")


COMMAND = devices
