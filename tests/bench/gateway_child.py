"""The real gateway as a process of its own, with as many steps as a run asks for.

Settings come from `HEARTHLOG_HOME` and `HEARTHLOG_*`, as for `hearthlog serve`. Says `ready` once both lanes are
connected. `--steps` none: what comes in is stored and waits; `cheap`: the first step only; `all`. `--web` opens its
pages, its API and its commands' socket too. `--mutant NAME` breaks one promise on purpose, to show that the fault
harness notices (tests/fault/mutants.py).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import threading
from pathlib import Path

from gateway import app, footprint
from gateway.config import Settings, load
from gateway.pipeline.plan import find_steps
from gateway.pipeline.step import Step
from gateway.web.serve import open_web

CHEAP = ("quality",)


def _cheap() -> dict[str, Step]:
    return {name: step for name, step in find_steps().items() if name in CHEAP}


async def _run(settings: Settings, *, understand: bool, web: bool) -> None:
    async with (
        app.open_gateway(settings) as gateway,
        open_web(gateway.parts) if web else contextlib.nullcontext(),
        asyncio.TaskGroup() as group,
    ):
        gateway.tend(app.Tasks(group, gateway.troubles), understand=understand)
        gateway.watch.starting.clear()
        while any(link.connected_since_us is None for link in gateway.ingest.links):  # noqa: ASYNC110
            await asyncio.sleep(0.005)  # another program's doing: no event tells of it
        while web and gateway.cameras.desk.control == "down":  # noqa: ASYNC110
            await asyncio.sleep(0.005)  # as above
        print("ready", flush=True)


def main() -> None:
    """Run until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", choices=("none", "cheap", "all"), default="none")
    parser.add_argument("--web", action="store_true")
    parser.add_argument("--mutant", default="")
    parser.add_argument("--profile", type=Path)
    given = parser.parse_args()
    footprint.keep_small()  # as `hearthlog serve`
    if given.steps == "cheap":
        setattr(app, "find_steps", _cheap)  # noqa: B010  what the module imported, replaced
    if given.mutant:
        from tests.fault.mutants import MUTANTS

        MUTANTS[given.mutant]()
    if given.profile:
        from tests.bench.sampler import sample

        threading.Thread(target=sample, args=(given.profile,), daemon=True).start()
    asyncio.run(_run(load(), understand=given.steps != "none", web=given.web))


if __name__ == "__main__":
    main()
