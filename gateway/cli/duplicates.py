"""`hearthlog duplicates`: pictures that repeat one another, and what people say of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from gateway.cli.client import Request, ask

if TYPE_CHECKING:
    from gateway.entities import Json

KINDS = ("exact", "reencoded", "edited", "burst", "static")
_kind = click.option("--kind", required=True, type=click.Choice(KINDS), help="In which way they repeat it.")
_user = click.option("--user", default="", help="As whom; the first admin by default.")


@click.group()
def duplicates() -> None:
    """Pictures that repeat one another, and what people say of them."""


@duplicates.command("list")
@click.option("--kind", type=click.Choice(KINDS), default=None, help="The first with something to decide by default.")
@click.option("--all", "everything", is_flag=True, help="Also groups that somebody has been through.")
@click.option("--decided", is_flag=True, help="What people said of pairs, in place of groups.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100), help="How many.")
@click.option("--cursor", default="", help="`next` of the page before.")
@_user
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(
    *, kind: str | None, everything: bool, decided: bool, limit: int, cursor: str, user: str, as_json: bool
) -> None:
    """Show groups of duplicates, or what people said."""
    if decided:
        found = ask(Request("GET", "/duplicates/decisions", query={"limit": str(limit)}, user=user))
    else:
        query = {"undecided": str(not everything).lower(), "limit": str(limit), "kind": kind or "", "cursor": cursor}
        found = ask(
            Request("GET", "/duplicates", query={name: each for name, each in query.items() if each}, user=user)
        )
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    elif decided:
        for said in found["items"]:
            verdict = "the same" if said["verdict"] == "same" else "not the same"
            click.echo(f"{said['memory']['id']}  {said['front']['id']}  {verdict}, {said['person']} {said['at'][:16]}")
    else:
        _show(found)


@duplicates.command(short_help="Keep all of a group, or one picture of it.")
@click.argument("group")
@_kind
@click.option("--only", default="", help="Put every other picture of the group into the bin.")
@_user
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def keep(group: str, kind: str, only: str, user: str, as_json: bool) -> None:
    """Say of a group that it is the same, and keep all of it; with --only, one picture of it."""
    if only:
        done = ask(Request("POST", f"/duplicates/{_id(group)}/keep-one", body={"kind": kind, "keep": only}, user=user))
        left = f" {done['left']} more are left." if done.get("left") else ""
        said = f"{len(done['binned'])} are in the bin, from which they can be brought back.{left}"
    else:
        done = ask(Request("POST", f"/duplicates/{_id(group)}/keep-all", body={"kind": kind}, user=user))
        said = f"{done['pictures']} are the same; all are kept."
    click.echo(json.dumps(done, ensure_ascii=False) if as_json else said)


@duplicates.command(short_help="Say that two pictures are not the same.")
@click.argument("memory")
@click.argument("other")
@_user
def apart(memory: str, other: str, user: str) -> None:
    """Say that two pictures are not the same: neither is folded behind the other again."""
    _say(memory, other, "apart", user)
    click.echo("They are kept apart from now on.")


@duplicates.command(short_help="Say that two pictures are the same.")
@click.argument("memory")
@click.argument("other")
@_user
def same(memory: str, other: str, user: str) -> None:
    """Say that two pictures are the same: they stay so, whatever a model says."""
    _say(memory, other, "same", user)
    click.echo("They are the same from now on.")


@duplicates.command()
@click.argument("memory")
@click.argument("other")
@_user
def undo(memory: str, other: str, user: str) -> None:
    """Take back what was said of two pictures."""
    _say(memory, other, "withdrawn", user)
    click.echo("It was taken back.")


COMMAND = duplicates


def _show(found: Json) -> None:
    for group in found["items"]:
        front = group["front"]
        mine = "" if group["mine"] else "  not all yours"
        click.echo(
            f"{group['id']}  {group['kind']:<9} {front['captured_at'][:16].replace('T', ' ')}"
            f"  {front['device'] or '-':<12} {group['count']:>4} more, {group['undecided']} undecided{mine}"
        )
        for member in group["members"]:
            said = "  said to be the same" if member["same"] else ""
            click.echo(f"    {member['memory']['id']}  {member['memory']['captured_at'][:19].replace('T', ' ')}{said}")
    counts = ", ".join(f"{kind} {n}" for kind, n in found["counts"].items())
    click.echo(f"Groups to look through: {counts}", err=True)
    if found["next"]:
        click.echo(f"More: --kind {found['kind']} --cursor {found['next']}", err=True)


def _say(memory: str, other: str, verdict: str, user: str) -> None:
    body = {"memory": memory, "other": other, "verdict": verdict}
    ask(Request("POST", "/duplicates/decisions", body=body, user=user))


def _id(uid: str) -> str:
    """As part of a path; what is no id is nobody's."""
    return uid if uid.isascii() and uid.isalnum() else "0"
