"""`hearthlog models`: what is understood here, and with which weights."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gateway.inference.bench import Samples, Timing
    from gateway.inference.board import Board
    from gateway.inference.fetch import Tell
    from gateway.inference.models import Installed
    from gateway.store.spaces import Filled

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def models() -> None:
    """Fetch and check the models that understand pictures, sound and text."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """Show every model: what it is for, and whether it is here."""
    from gateway.config import load
    from gateway.inference.board import this_board
    from gateway.inference.models import Models
    from gateway.inference.providers import LABELS, built_in, tried
    from gateway.store import spaces

    here, settings = this_board(), load()
    providers = [LABELS[each] for each in tried(settings.limits.accelerator, built_in())]
    if not as_json:
        click.echo(f"This machine: {_of(here)}; graphs run on {', else '.join(providers)}")
    _print(Models(settings.home).installed(), as_json, spaces.look(settings.home / "hearthlog.db"), providers)


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
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="[FILE]...")
@click.option("--runs", default=30, show_default=True, type=click.IntRange(1, 1000), help="Runs of each model.")
@click.option("--only", multiple=True, metavar="MODEL|TASK", help="Not all; may be given again.")
@click.option("--watts", type=click.FloatRange(0.01, 500), help="Of one busy core over idling, if you measured it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bench(files: Sequence[Path], runs: int, only: Sequence[str], watts: float | None, as_json: bool) -> None:
    """Time every ready model: p50, p95, loading, memory, and an estimate of the energy.

    FILE: a picture or a WAV recording of yours; what is not given is made up.
    """
    import asyncio
    from dataclasses import asdict

    from gateway.config import load
    from gateway.inference.bench import bench as timed
    from gateway.inference.bench import table
    from gateway.inference.board import this_board
    from gateway.inference.models import Models
    from gateway.inference.workers import Budget

    settings = load()
    here, limits = this_board(), settings.limits
    core_watts = watts or here.core_watts
    every = Models(settings.home)
    chosen = {each.name: each for name in only or ("all",) for each in every.chosen(name)}
    found = Models(settings.home, chosen)
    budget = Budget(threads=limits.worker_threads, accelerator=limits.accelerator)
    samples = _samples(files)

    async def rows() -> list[Timing]:
        told = []
        async for row in timed(found, samples, runs=runs, budget=budget, core_watts=core_watts):
            told.append(row)
            if not as_json:
                click.echo(f"{row.model}: {row.failed or f'{row.p50_ms:.1f} ms'}", err=True)
        return told

    timings = asyncio.run(rows())
    if as_json:
        about = {"tier": here.tier, "board": here.name, "processors": here.processors, "memory_mb": here.memory_mb}
        energy = {"core_watts": core_watts, "from": "given" if watts else "table"}
        listed = [_told(asdict(row)) | {"fits": here.fits(chosen[row.model])} for row in timings]
        click.echo(
            json.dumps(about | {"runs": runs, "threads": budget.threads, "energy": energy, "models": listed}, indent=2)
        )
        return
    click.echo(
        f"{_of(here)}; {runs} runs, {budget.threads} thread(s), {core_watts:g} W a busy core\n\n{table(timings)}"
    )


def _told(row: Mapping[str, object]) -> dict[str, object]:
    """As JSON knows it: what has no figure is null."""
    return {name: None if value != value else value for name, value in row.items()}  # noqa: PLR0124  (not a number)


def _samples(files: Sequence[Path]) -> Samples:
    """A picture and a sound: those of the files, else a room of the demo's and its doorbell."""
    from gateway.demo.home import SECOND_US, Home
    from gateway.demo.render import jpeg, render
    from gateway.demo.voice import RATE_HZ, listen
    from gateway.inference.bench import Samples, as_wav

    bodies = [file.read_bytes() for file in files]
    sounds = [body for body in bodies if body[:4] == b"RIFF" and body[8:12] == b"WAVE"]
    pictures = [body for body in bodies if body not in sounds]
    if not pictures:
        shot = Home(7, ends_at_us=1_780_000_000 * SECOND_US).shots[0]
        pictures.append(jpeg(render(shot.scene, shot.camera, shot.at_us)))
    if not sounds:
        sounds.append(as_wav(b"".join(listen("doorbell", "").pieces), RATE_HZ))
    return Samples(picture=pictures[0], sound=sounds[0])


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


def _of(board: Board) -> str:
    return f"{board.tier} ({board.name}, {board.processors} processors, {board.memory_mb:,} MB)"


def _print(
    looks: Sequence[Installed], as_json: bool, vectors: Sequence[Filled] = (), providers: Sequence[str] = ()
) -> None:
    from gateway.inference.board import this_board

    here = this_board()
    if as_json:
        click.echo(
            json.dumps(
                [
                    _row(look, here, vectors) | ({"graphs_run_on": list(providers)} if providers else {})
                    for look in looks
                ],
                indent=2,
            )
        )
        return
    click.echo(f"{'model':<20} {'task':<12} {'state':<8} {'fits':<5} {'MB':>6}  licence")
    for look in looks:
        manifest = look.manifest
        size = f"{manifest.download_bytes / 1e6:.1f}" if manifest.download_bytes else "–"
        state = f"{look.state.value:<8} {'yes' if here.fits(manifest) else 'no':<5}"
        click.echo(f"{manifest.name:<20} {manifest.task:<12} {state} {size:>6}  {manifest.licence}")
        if look.reason:
            click.echo(f"  {look.reason}. hearthlog models pull {manifest.name}")
        for each in vectors:
            if manifest.space == (each.fills or each.answers):
                click.echo(f"  {each.sentence}")


def _row(look: Installed, here: Board, vectors: Sequence[Filled]) -> dict[str, object]:
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
        "tier": here.tier,
        "tiers": list(manifest.tiers),
        "fits": here.fits(manifest),
        "about": manifest.about,
        "answers": any(each.answers == manifest.space for each in vectors),
        "fills": next(
            ({"done": each.done, "total": each.total} for each in vectors if each.fills == manifest.space), None
        ),
    }


COMMAND = models
