"""`hearthlog search`."""

from __future__ import annotations

import json

import click

from gateway.cli.client import Request, ask


@click.command(short_help="Find memories, in your own words.")
@click.argument("words", nargs=-1)
@click.option("--from", "from_", default="", help="First day, or instant: 2026-09-24 or 2026-09-24T11:00.")
@click.option("--to", default="", help="Last day, or the instant before which it was.")
@click.option("--device", multiple=True, help="Only this camera, by its id; may be given again.")
@click.option("--kind", multiple=True, type=click.Choice(["image", "audio", "text"]), help="May be given again.")
@click.option("--folded", is_flag=True, help="Also what was folded away as a copy or a still scene.")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 200), help="How many.")
@click.option("--cursor", default="", help="The next page: `next` of the answer before, with --json.")
@click.option("--user", default="", help="Whose memories; the first admin's by default.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def search(words: tuple[str, ...], as_json: bool, user: str, folded: bool, from_: str, **given: object) -> None:
    """Find memories, in your own words: hearthlog search parcel on the porch since monday."""
    query: dict[str, str | list[str]] = {"q": " ".join(words), "folded": str(folded).lower(), "from": from_}
    for name, value in given.items():
        query[name] = [str(each) for each in value] if isinstance(value, tuple) else str(value)
    found = ask(Request("GET", "/search", query={name: each for name, each in query.items() if each}, user=user))
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    for hit in found["items"]:
        memory = hit["memory"]
        says = memory["caption"] or memory["transcript"] or memory["text"] or f"({memory['kind']}, nothing said of it)"
        click.echo(f"{memory['captured_at'][:16].replace('T', ' ')}  {memory['device'] or '-':<12}  {says}")
        click.echo(f"    {memory['id']}  {hit['score']:.2f}")
    click.echo(f"{found['total']} found, {found['looked_at']} looked at", err=True)


COMMAND = search
