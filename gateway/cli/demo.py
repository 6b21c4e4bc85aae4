"""`hearthlog demo`."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import click

from gateway.errors import HearthlogError


@click.command(short_help="Try it out with simulated cameras; nothing else is needed.")
@click.option("--once", is_flag=True, help="Stop when enough pictures can be searched, and print a JSON summary.")
@click.option(
    "--frames",
    default=200,
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="How many pictures must be searchable before --once stops.",
)
@click.option(
    "--camera", "cameras", multiple=True, metavar="NAME", help="Only this one (porch, …); may be given again."
)
@click.option(
    "--seed",
    default=1,
    show_default=True,
    type=click.IntRange(0, 2**32 - 1),
    help="Another number is another family and another day.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log every small thing.")
def demo(once: bool, frames: int, cameras: tuple[str, ...], seed: int, verbose: bool) -> None:
    """Try it out: a broker, the gateway and simulated cameras of a home, all on this machine.

    Its data folder is HEARTHLOG_HOME, else ~/.local/share/hearthlog-demo; each start begins it anew.
    """
    import asyncio

    from gateway import config, logs
    from gateway.demo.rooms import CAMERAS
    from gateway.demo.run import Show

    for unknown in set(cameras) - set(CAMERAS):
        raise click.BadParameter(f"there is no camera {unknown}; there are {', '.join(CAMERAS)}", param_hint="--camera")
    logs.set_up(verbose=verbose)
    environ = dict(os.environ)
    environ.setdefault("HEARTHLOG_HOME", str(Path("~/.local/share/hearthlog-demo").expanduser()))
    settings = config.load(environ)
    asyncio.run(_show(settings, Show(seed=seed, frames=frames, cameras=cameras or CAMERAS), once_only=once))


async def _show(settings: object, show: object, *, once_only: bool) -> None:
    import asyncio

    from gateway.config import Settings
    from gateway.demo import run

    assert isinstance(settings, Settings)
    assert isinstance(show, run.Show)
    stop = asyncio.Event()
    summary: run.Summary | None = None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with run.staged(settings, show, lambda line: click.echo(line, err=once_only)) as stage:
        stopped = asyncio.create_task(stop.wait(), name="stop")
        if once_only:
            counted = asyncio.create_task(run.once(stage, show), name="once")
            await asyncio.wait({stopped, counted}, return_when=asyncio.FIRST_COMPLETED)
            if counted.done():
                try:
                    summary = counted.result()
                except TimeoutError as error:
                    raise HearthlogError(
                        f"{show.frames} pictures could not be searched within {run.GIVE_UP_S / 60:.0f} minutes",
                        code="demo-too-slow",
                        hint="The demo's day may have fewer: ask for less with --frames",
                    ) from error
            counted.cancel()
            stopped.cancel()
        else:
            await stopped
    if summary is not None:
        click.echo(json.dumps(summary, indent=2, ensure_ascii=False))
    elif once_only:  # outside, where a group of tasks does not wrap it
        raise click.ClickException("stopped before enough frames could be searched")


COMMAND = demo
