"""`hearthlog models`: what is understood here, and with which weights."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gateway.inference.fetch import Tell
    from gateway.inference.models import Installed

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def models() -> None:
    """Fetch and check the models that understand pictures, sound and text."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """Show every model: what it is for, and whether it is here."""
    from gateway.config import load
    from gateway.inference.models import Models

    _print(Models(load().home).installed(), as_json)


@models.command()
@click.argument("what", nargs=-1, required=True, metavar="MODEL|TASK|all")
@click.option("--mirror", type=_FOLDER, help="A folder with the files; looked into before any host is asked.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def pull(what: Sequence[str], mirror: Path | None, as_json: bool) -> None:
    """Fetch models by name, by task, or all; check them by their hash; go on where a pull stopped."""
    import asyncio

    from gateway.config import load
    from gateway.errors import HearthlogError, NotFound
    from gateway.inference.fetch import pull as fetch
    from gateway.inference.models import Models

    settings = load()
    folder = mirror or (Path(settings.models.mirror) if settings.models.mirror else None)
    found = Models(settings.home)
    failures: list[str] = []
    done: dict[str, Installed] = {}
    with _Bars() as bars:
        for name in what:
            try:
                asyncio.run(fetch(found, name, mirror=folder, tell=bars.tell))
            except NotFound:
                raise
            except HearthlogError as error:
                failures.append(str(error))
            done |= {each.name: found.get(each.name) for each in found.chosen(name)}
    _print(list(done.values()), as_json)
    for failure in failures:
        click.echo(f"hearthlog: {failure}", err=True)
    sys.exit(1 if failures else 0)


@models.command()
@click.argument("what", default="all", metavar="[MODEL|TASK|all]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(what: str, as_json: bool) -> None:
    """Hash the files of models again. Exit status 1 when one that is here is broken."""
    from gateway.config import load
    from gateway.inference.models import Models, State

    found = Models(load().home)
    looks = [found.verify(manifest.name) for manifest in found.chosen(what)]
    found.announce()
    _print(looks, as_json)
    sys.exit(1 if any(each.state is State.BROKEN for each in looks) else 0)


@models.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--runs", default=10, show_default=True, type=click.IntRange(1, 1000), help="Runs of each task.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bench(file: Path, runs: int, as_json: bool) -> None:
    """Time every ready model on a picture or a WAV recording of yours."""
    import asyncio

    from gateway.config import load
    from gateway.inference.bench import bench_file
    from gateway.inference.models import Models

    settings = load()
    rows = asyncio.run(bench_file(Models(settings.home), file, runs=runs, threads=settings.limits.worker_threads))
    if as_json:
        table = [
            {"task": row.task, "model": row.model, "first_ms": row.first_ms, "median_ms": row.median_ms} for row in rows
        ]
        click.echo(json.dumps(table, indent=2))
        return
    click.echo(f"{'task':<12} {'model':<20} {'first ms':>9} {'median ms':>10}")
    for row in rows:
        click.echo(f"{row.task:<12} {row.model:<20} {row.first_ms:>9.1f} {row.median_ms:>10.1f}")


class _Bars:
    """A line of progress a file, on a terminal only."""

    def __enter__(self) -> _Bars:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        self._tasks: dict[tuple[str, str], int] = {}
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    @property
    def tell(self) -> Tell:
        """To be handed to a pull."""
        from rich.progress import TaskID

        from gateway.inference.fetch import Progress as Step

        def told(step: Step) -> None:
            key = (step.model, step.file)
            if key not in self._tasks:
                self._tasks[key] = self._progress.add_task(f"{step.model}: {step.file}", total=step.total_bytes)
            self._progress.update(TaskID(self._tasks[key]), completed=step.done_bytes)

        return told


def _print(looks: Sequence[Installed], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([_row(look) for look in looks], indent=2))
        return
    click.echo(f"{'model':<20} {'task':<12} {'state':<8} {'MB':>6}  licence")
    for look in looks:
        manifest = look.manifest
        size = f"{manifest.download_bytes / 1e6:.1f}" if manifest.download_bytes else "–"
        click.echo(f"{manifest.name:<20} {manifest.task:<12} {look.state.value:<8} {size:>6}  {manifest.licence}")
        if look.reason:
            click.echo(f"  {look.reason}. hearthlog models pull {manifest.name}")


def _row(look: Installed) -> dict[str, object]:
    manifest = look.manifest
    return {
        "name": manifest.name,
        "task": manifest.task,
        "state": look.state.value,
        "reason": look.reason,
        "revision": manifest.revision,
        "licence": manifest.licence,
        "download_bytes": manifest.download_bytes,
        "ram_mb": manifest.ram_mb,
        "about": manifest.about,
    }


COMMAND = models
