"""`hearthlog user`: the people of this home."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from gateway.cli.client import Request, accounts_alone, read_password, through

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.entities import Json


@click.group()
def user() -> None:
    """The people of this home."""


@user.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["admin", "member", "guest"]),
    default="member",
    show_default=True,
    help="An admin changes the house, a member sees what is shared, a guest what is public. The first admin also takes"
    " over what cameras sent before.",
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def add(name: str, role: str, password_stdin: bool, as_json: bool) -> None:
    """Add somebody who may sign in."""
    password = read_password(from_stdin=password_stdin)

    async def alone(settings: Settings) -> Json:
        from gateway.entities import Role

        async with accounts_alone(settings) as accounts:
            made = await accounts.add(None, name, Role(role), password)
        return {"id": made.user, "name": made.name, "role": made.role.value}

    body = {"name": name, "role": role, "password": password}
    made = through(Request("POST", "/people", body=body), alone)
    click.echo(json.dumps(made) if as_json else f"{made['name']} can sign in now.")


@user.command()
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the new password from standard input.")
def password(name: str, password_stdin: bool) -> None:
    """Set somebody's password, when it is forgotten. They are signed out everywhere."""
    new = read_password(from_stdin=password_stdin)

    async def alone(settings: Settings) -> Json:
        async with accounts_alone(settings) as accounts:
            return {"name": (await accounts.reset_password(name, new)).name}

    made = through(Request("POST", "/people/password", body={"name": name, "password": new}), alone)
    click.echo(f"{made['name']} signs in with the new password from now on.")


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """Show who may sign in."""

    async def alone(settings: Settings) -> Json:
        async with accounts_alone(settings) as accounts:
            found = await accounts.people(await accounts.owner())
        return {"items": [{"id": each.id, "name": each.name, "role": each.role.value} for each in found]}

    found = through(Request("GET", "/people"), alone)
    if as_json:
        click.echo(json.dumps(found))
        return
    for person in found["items"]:
        click.echo(f"{person['role']:<8} {person['name']}")


COMMAND = user
