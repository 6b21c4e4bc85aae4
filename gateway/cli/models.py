"""`hearthlog models`: what is understood here, and with which weights."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.inference.bench import Samples, Timing
    from gateway.inference.board import Board
    from gateway.inference.fetch import Tell
    from gateway.inference.manifest import Manifest
    from gateway.inference.models import Installed, Models
    from gateway.store.spaces import Filled

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_TIERS = click.Choice(("pi4", "pi5", "jetson", "x86"))
_TIER = click.option("--tier", type=_TIERS, help="As if this machine were another one.")


@click.group(short_help="The models that understand pictures, sound and text.")
def models() -> None:
    """Fetch and check the models that understand pictures, sound and text."""


@models.command("list")
@_TIER
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(tier: str | None, as_json: bool) -> None:
    """Show every model: what it is for, and whether it is here."""
    from gateway.config import load
    from gateway.inference.providers import LABELS, built_in, tried
    from gateway.store import spaces

    settings = load()
    found = _models(settings, tier)
    providers = [LABELS[each] for each in tried(settings.limits.accelerator, built_in())]
    if not as_json:
        click.echo(f"This machine: {_of(found.board)}; graphs run on {', else '.join(providers)}")
    _print(found.installed(), found.board, as_json, spaces.look(settings.home / "hearthlog.db"), providers)


@models.command(short_help="Fetch models by name, by task, or all.")
@click.argument("what", nargs=-1, required=True, metavar="MODEL|TASK|all")
@click.option("--mirror", type=_FOLDER, help="A folder with the files; looked into before any host is asked.")
@_TIER
@click.option("--accept-licence", is_flag=True, help="Say yes to what holds besides a licence, without being asked.")
@click.option("--dry-run", is_flag=True, help="Show what would be fetched, and fetch nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; what is shown before goes to the standard error.")
def pull(
    what: Sequence[str], mirror: Path | None, tier: str | None, accept_licence: bool, dry_run: bool, as_json: bool
) -> None:
    """Fetch models by name, by task, or all; check them by their hash; go on where a pull stopped.

    Licences, sizes and hosts are shown first. What does not fit this machine is fetched by its name alone.
    """
    import asyncio

    from gateway.config import load
    from gateway.errors import HearthlogError, NotFound, StorageFull
    from gateway.inference.fetch import meant
    from gateway.inference.fetch import pull as fetch
    from gateway.inference.models import State

    settings = load()
    folder = mirror or (Path(settings.models.mirror) if settings.models.mirror else None)
    found = _models(settings, tier)
    failures: list[str] = []
    chosen: dict[str, Manifest] = {}
    left: dict[str, str] = {}
    for word in what:
        try:
            wanted = meant(found, word)
        except NotFound:
            raise
        except HearthlogError as error:
            failures.append(str(error))
            continue
        chosen |= {each.name: each for each in wanted.chosen}
        left |= {each.name: why for each, why in wanted.left}
    coming = [each for each in chosen.values() if found.get(each.name).state is not State.READY]
    _show([each for each in coming if not each.unchecked], left, folder, err=as_json)
    refused = [] if accept_licence or dry_run else [each for each in coming if not _may(each)]
    failures += [f"{each.name} is not fetched. {each.terms} To say yes: --accept-licence" for each in refused]
    with _Bars() as bars:
        for manifest in coming:
            if dry_run or manifest in refused:
                continue
            try:
                asyncio.run(fetch(found, manifest.name, mirror=folder, tell=bars.tell))
            except StorageFull as error:
                failures.append(str(error))
                break
            except HearthlogError as error:
                failures.append(str(error))
    if as_json or not dry_run:
        _print([found.get(name) for name in chosen], found.board, as_json)
    for failure in failures:
        click.echo(f"hearthlog: {failure}", err=True)
    sys.exit(1 if failures else 0)


@models.command()
@click.argument("what", default="all", metavar="[MODEL|TASK|all]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(what: str, as_json: bool) -> None:
    """Hash the files of models again. Exit status 1 when one that is here is broken."""
    from gateway.config import load
    from gateway.inference.models import State

    found = _models(load())
    with click.progressbar(found.chosen(what), file=sys.stderr, hidden=not sys.stderr.isatty()) as chosen:
        looks = [found.verify(manifest.name) for manifest in chosen]
    found.announce()
    _print(looks, found.board, as_json)
    sys.exit(1 if any(each.state is State.BROKEN for each in looks) else 0)


@models.command(short_help="Time every ready model on this machine.")
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
    from gateway.inference.workers import Budget

    settings = load()
    limits, every = settings.limits, _models(settings)
    here = every.board
    core_watts = watts or here.core_watts
    chosen = {each.name: each for name in only or ("all",) for each in every.chosen(name)}
    found = _models(settings, chosen=chosen)
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
    else:
        click.echo(
            f"{_of(here)}; {runs} runs, {budget.threads} thread(s), {core_watts:g} W a busy core\n\n{table(timings)}"
        )
    sys.exit(1 if any(row.failed for row in timings) else 0)


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


def _may(manifest: Manifest) -> bool:
    """Whether what holds besides a licence is agreed to. Whoever sits at the terminal is asked; where nobody does, it
    is not."""
    if not manifest.terms or not manifest.command:
        return True
    return sys.stdin.isatty() and click.confirm(f"{manifest.name}: {manifest.terms} Fetch it?", err=True)


def _of(board: Board) -> str:
    return f"{board.tier} ({board.name}, {board.processors} processors, {board.memory_mb:,} MB)"


def _models(settings: Settings, tier: str | None = None, chosen: Mapping[str, Manifest] | None = None) -> Models:
    from gateway.inference.board import this_board
    from gateway.inference.models import Models

    return Models(settings.home, chosen, board=this_board(tier=tier or settings.models.tier))


def _show(coming: Sequence[Manifest], left: Mapping[str, str], mirror: Path | None, *, err: bool) -> None:
    """What is about to be fetched: from whom, how much of it, and on what terms."""
    rows = [("to be fetched", "MB", "licence", "may ship", "from")]
    for each in coming:
        places = [str(mirror), *each.places] if mirror else each.places
        ships = "yes" if each.ships else "no"
        rows.append((each.name, _size(each), each.licence, ships, ", ".join(places) or "a mirror folder alone"))
    for row, about in zip(_aligned(rows), (None, *coming), strict=True):
        if coming:
            click.echo(row, err=err)
        if about is not None and about.terms:
            click.echo(f"  {about.terms}", err=err)
    for name, why in left.items():
        click.echo(f"{name} is not fetched: {why}", err=err)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table; a size stands to the right of its column."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sizes = rows[0].index("MB")
    return [
        "  ".join(
            cell.rjust(width) if place == sizes else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _size(manifest: Manifest) -> str:
    """Of what is fetched, in MB; ? where nobody knows."""
    if manifest.unchecked:
        return "?"
    return f"{manifest.download_bytes / 1e6:.1f}" if manifest.download_bytes else "–"


def _print(
    looks: Sequence[Installed],
    here: Board,
    as_json: bool,
    vectors: Sequence[Filled] = (),
    providers: Sequence[str] = (),
) -> None:
    if as_json:
        listed = [_row(look, here, vectors) for look in looks]
        more = {"graphs_run_on": list(providers)} if providers else {}
        click.echo(json.dumps([row | more for row in listed], indent=2))
        return
    rows = [("model", "task", "state", "fits", "MB", "licence", "may ship")]
    for look in looks:
        manifest = look.manifest
        fits, ships = ("yes" if each else "no" for each in (here.fits(manifest), manifest.ships))
        rows.append((manifest.name, manifest.task, look.state.value, fits, _size(manifest), manifest.licence, ships))
    for row, about in zip(_aligned(rows), (None, *looks), strict=True):
        click.echo(row)
        if about is None:
            continue
        manifest = about.manifest
        if about.reason:
            click.echo(f"  {about.reason}{'. ' if manifest.command else ''}{manifest.command}")
        if here.unfit(manifest):
            click.echo(f"  {here.unfit(manifest)}")
        for each in vectors:
            if manifest.space == (each.fills or each.answers):
                click.echo(f"  {each.sentence}")


def _row(look: Installed, here: Board, vectors: Sequence[Filled]) -> dict[str, object]:
    from dataclasses import asdict

    manifest = look.manifest
    files = [
        {
            "name": each.name,
            "sha256": each.sha256 or None,
            "bytes": each.bytes or None,
            "sources": [{key: value for key, value in asdict(source).items() if value} for source in each.sources],
        }
        for each in manifest.files
    ]
    return {
        "name": manifest.name,
        "task": manifest.task,
        "family": manifest.family,
        "slot": manifest.slot,
        "state": look.state.value,
        "reason": look.reason,
        "command": "" if look.state.value == "ready" else manifest.command,
        "revision": manifest.revision,
        "preprocessing": manifest.preprocessing,
        "licence": manifest.licence,
        "ships": manifest.ships,
        "terms": manifest.terms,
        "optional": manifest.optional,
        "download_bytes": None if manifest.unchecked else manifest.download_bytes,
        "ram_mb": manifest.ram_mb,
        "tier": here.tier,
        "tiers": list(manifest.tiers),
        "fits": here.fits(manifest),
        "unfit": here.unfit(manifest),
        "about": manifest.about,
        "files": files,
        "graphs": [asdict(each) for each in manifest.graphs],
        "answers": any(each.answers == manifest.space for each in vectors),
        "fills": next(
            ({"done": each.done, "total": each.total} for each in vectors if each.fills == manifest.space), None
        ),
    }


COMMAND = models
