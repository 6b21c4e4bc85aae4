"""`hearthlog ingest`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.client import Request, call
from gateway.errors import HearthlogError

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.ingest.folders import Found, Taken, Tally

_AT_ONCE = 4


@click.command(short_help="Take in pictures, recordings and notes from files.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--user", default="", help="Whose memories they become; the first admin's by default.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ingest(paths: tuple[Path, ...], user: str, as_json: bool) -> None:
    """Take in pictures, recordings (WAV) and text notes: files, or folders with all that is under them.

    What was taken in before is counted and not stored again. Exit status 1 when a file was refused.
    """
    import asyncio

    from gateway.config import load

    settings = load()

    def work() -> Tally:
        return _take_in(settings, paths, user=user)

    running = call(settings.home, Request("GET", "/devices", user=user)) is not None
    tally = work() if running else asyncio.run(_alone(settings, work))
    if as_json:
        click.echo(json.dumps(_as_json(tally), ensure_ascii=False))
    else:
        click.echo(f"{tally.stored} stored, {tally.repeated} here already, {tally.refused_count} refused.")
        if tally.passed_over:
            click.echo(f"{tally.passed_over} are no picture, recording or note.")
        for taken in tally.refused:
            hint = f". {taken.receipt.hint}" if taken.receipt.hint else ""
            click.echo(f"refused: {taken.name}  {taken.receipt.code}: {taken.receipt.reason}{hint}")
    if tally.refused_count:
        sys.exit(1)


async def _alone(settings: Settings, work: Callable[[], Tally]) -> Tally:
    import asyncio

    from gateway.app import open_gateway
    from gateway.web.serve import open_commands

    async with open_gateway(settings) as gateway, open_commands(gateway.parts):
        return await asyncio.to_thread(work)


def _take_in(settings: Settings, paths: tuple[Path, ...], *, user: str) -> Tally:
    from concurrent.futures import ThreadPoolExecutor
    from itertools import islice

    from gateway.ingest.folders import Tally, find_files

    tally = Tally()
    files: Iterator[Found] = (found for path in paths for found in find_files(path))
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        while some := list(islice(files, 16)):
            for taken in threads.map(lambda found: _send(settings, found, user=user), some):
                tally.add(taken)
            if sys.stderr.isatty():
                click.echo(f"\r{tally.stored} stored, {tally.repeated} here already", nl=False, err=True)
    if sys.stderr.isatty():
        click.echo(err=True)
    return tally


def _send(settings: Settings, found: Found, *, user: str) -> Taken | None:
    """Read one file as the person who asked, and hand it to the house. None: passed over."""
    from gateway.ingest.accept import Outcome, Receipt
    from gateway.ingest.folders import Taken, read_file

    try:
        read = read_file(found.path)
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        return Taken(found.name, Receipt(Outcome.REFUSED, code="unreadable-file", reason=reason))
    if read is None:
        return None
    query: dict[str, str | list[str]] = {"name": found.name, "modified_us": str(max(0, read[1])), "folder": "true"}
    try:
        answer = call(settings.home, Request("POST", "/memories", query=query, user=user, file=read[0]))
    except HearthlogError as error:
        return Taken(found.name, Receipt(Outcome.REFUSED, code=error.code, reason=error.what, hint=error.hint))
    if answer is None:
        raise HearthlogError(
            "the running gateway went away", code="no-answer", hint="Run it again: nothing is stored twice"
        )
    return Taken(found.name, Receipt(Outcome(answer["outcome"]), uid=answer["id"]))


def _as_json(tally: Tally) -> dict[str, object]:
    return {
        "stored": tally.stored,
        "repeated": tally.repeated,
        "passed_over": tally.passed_over,
        "refused": [
            {"name": each.name, "code": each.receipt.code, "reason": each.receipt.reason, "hint": each.receipt.hint}
            for each in tally.refused
        ],
    }


COMMAND = ingest
