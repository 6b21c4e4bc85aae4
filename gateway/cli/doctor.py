"""`hearthlog doctor`."""

from __future__ import annotations

import json
import sys

import click

from gateway.cli.client import Request, ask


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Look the house over and say what needs a hand. Exit status 1 when something does."""
    found = ask(Request("GET", "/health"))
    wrong = [part for part in found["parts"] if part["state"] == "look"]
    over = [budget for budget in found["budgets"] if budget["over"]]
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        click.echo(found["sentence"])
        for part in found["parts"]:
            click.echo(f"  {part['state']:<5} {part['name']}: {part['detail']}")
        for budget in found["budgets"]:
            mark = "look" if budget["over"] else "good"
            click.echo(f"  {mark:<5} {budget['label']}: {budget['used']} of {budget['limit']} {budget['unit']}")
        for aside in found["set_aside"][:10]:
            click.echo(f"  look  set aside, {aside['what']}: {aside['reason']}. {aside['hint']}")
    sys.exit(1 if wrong or over or found["set_aside"] else 0)


COMMAND = doctor
