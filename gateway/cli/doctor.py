"""`hearthlog doctor`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from gateway.cli.client import Request, call
from gateway.errors import ConfigError, HearthlogError

if TYPE_CHECKING:
    from gateway.checkup import Line
    from gateway.entities import Json


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Look the house over: what is wrong, and what to do about it. Nothing is changed.

    Looks at the gateway, the broker, disk, keys, models, clock and certificate, whether or not a gateway runs. Exit
    status 1 when something is wrong.
    """
    lines = _lines()
    wrong = [each for each in lines if not each.ok]
    if as_json:
        click.echo(json.dumps({"ok": not wrong, "lines": [asdict(each) for each in lines]}, ensure_ascii=False))
    else:
        for each in lines:
            click.echo(f"{'ok' if each.ok else 'WRONG':<5}  {each.name}: {each.detail}")
            if each.hint:
                click.echo(f"       → {each.hint}")
        click.echo(f"{len(wrong)} of {len(lines)} need a hand." if wrong else "All is well.")
    sys.exit(1 if wrong else 0)


def _lines() -> list[Line]:
    from gateway.checkup import Line, look
    from gateway.config import load

    try:
        settings = load()
    except ConfigError as error:  # nothing else can be looked at without them
        return [Line("Settings", False, f"{error.what}{f' ({error.where})' if error.where else ''}.", error.hint)]
    health: Json | HearthlogError | None
    try:
        health = call(settings.home, Request("GET", "/health"))
    except HearthlogError as error:
        health = error
    return [Line("Settings", True, "Understood."), *look(settings, health)]


COMMAND = doctor
