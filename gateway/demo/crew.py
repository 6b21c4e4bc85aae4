"""The simulated cameras in a process of their own, so that drawing pictures takes nothing from the gateway's.

The child prints its report as one JSON line a second; it ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, fields

from gateway.child import python_argv, python_env
from gateway.demo.cameras import Report, run_cameras
from gateway.demo.home import Home
from gateway.errors import HearthlogError

_TELL_S = 1.0
_LINE_BYTES = 65_536
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Orders:
    """What the cameras are to film, and where to."""

    seed: int
    ends_at_us: int
    zone: str
    url: str
    pace: float
    cameras: Sequence[str]


@contextlib.asynccontextmanager
async def crew(orders: Orders) -> AsyncIterator[Report]:
    """Cameras that film as long as the context; the report grows meanwhile. Raises HearthlogError if they cannot."""
    process = await asyncio.create_subprocess_exec(
        *python_argv("gateway.demo.crew"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=python_env(),
        limit=_LINE_BYTES,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({item.name: getattr(orders, item.name) for item in fields(orders)}).encode() + b"\n")
    report = Report()
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(_read(process.stdout, report), name="crew-report")
        try:
            yield report
        finally:
            reading.cancel()
            process.stdin.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STOP_S):
                    await process.wait()
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _read(lines: asyncio.StreamReader, report: Report) -> None:
    while line := await lines.readline():
        told = json.loads(line)
        for item in fields(report):
            value = told[item.name]
            kind = type(getattr(report, item.name))
            setattr(report, item.name, kind(value))
    raise HearthlogError("the simulated cameras stopped", code="no-cameras", hint="Look at the lines above")


async def _film() -> None:
    """The child: orders on standard input, reports on standard output."""
    orders = Orders(**json.loads(sys.stdin.readline()))
    home = Home(orders.seed, ends_at_us=orders.ends_at_us, zone=orders.zone, cameras=tuple(orders.cameras))
    report = Report()
    until = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        telling = group.create_task(_tell(report), name="crew-tell")
        group.create_task(_wait_for_end(until), name="crew-end")
        await run_cameras(home, url=orders.url, pace=orders.pace, until=until, report=report)
        telling.cancel()


async def _wait_for_end(until: asyncio.Event) -> None:
    await asyncio.to_thread(sys.stdin.read)
    until.set()


async def _tell(report: Report) -> None:
    while True:
        told = {item.name: _plain(getattr(report, item.name)) for item in fields(report)}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        await asyncio.sleep(_TELL_S)


def _plain(value: object) -> object:
    if isinstance(value, Counter):
        return dict(value)
    return sorted(value) if isinstance(value, set) else value


if __name__ == "__main__":
    asyncio.run(_film())
