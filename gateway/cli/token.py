"""`hearthlog token`: how programs come in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from gateway.cli.client import Request, accounts_alone, through

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.entities import Json


@click.group()
def token() -> None:
    """Tokens, by which programs use the API."""


@token.command()
@click.option("--user", required=True, help="Whose token it is: it may see what this person may.")
@click.option("--scope", default="read", show_default=True, help="What it may do: read, write, or read,write.")
@click.option("--name", default="", help="What it is for; the list shows it.")
@click.option("--days", type=click.IntRange(1, 3_650), help="How many days it works; without, until it is ended.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(user: str, scope: str, name: str, days: int | None, as_json: bool) -> None:
    """Make a token. It is shown this once."""
    scopes = [part.strip() for part in scope.split(",") if part.strip()]

    async def alone(settings: Settings) -> Json:
        import time

        until_us = None if days is None else time.time_ns() // 1_000 + days * 86_400 * 1_000_000
        async with accounts_alone(settings) as accounts:
            viewer = await accounts.named(user)
            token_id, secret = await accounts.create_token(viewer, scopes, name=name, expires_at_us=until_us)
        return {"id": token_id, "token": secret}

    if not scopes or set(scopes) - {"read", "write"}:
        raise click.UsageError("--scope takes read, write, or read,write")
    body = {"scopes": scopes, "name": name, "days": days}
    made = through(Request("POST", "/tokens", body=body, user=user), alone)
    click.echo(json.dumps(made) if as_json else made["token"])


@token.command("list")
@click.option("--user", required=True, help="Whose tokens.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(user: str, as_json: bool) -> None:
    """Show somebody's tokens, without their secrets."""

    async def alone(settings: Settings) -> Json:
        async with accounts_alone(settings) as accounts:
            found = await accounts.tokens(await accounts.named(user))
        return {"items": [{"id": each.id, "name": each.name, "scopes": list(each.scopes)} for each in found]}

    found = through(Request("GET", "/tokens", user=user), alone)
    if as_json:
        click.echo(json.dumps(found))
        return
    for each in found["items"]:
        click.echo(f"{each['id']}  {','.join(each['scopes']):<10}  {each['name']}")


@token.command()
@click.argument("token_id")
@click.option("--user", required=True, help="Whose token it is.")
def end(token_id: str, user: str) -> None:
    """End a token for good. TOKEN_ID is the first word of its line in `hearthlog token list`."""

    async def alone(settings: Settings) -> Json:
        async with accounts_alone(settings) as accounts:
            await accounts.end_token(await accounts.named(user), token_id)
        return {}

    through(Request("DELETE", f"/tokens/{token_id}", user=user), alone)
    click.echo("It opens nothing any more.")


COMMAND = token
