"""The pipeline, and the workers alone, against a plain loop that does the same decoding, preprocessing and model calls,
in turns."""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gateway.inference.models import Models
from gateway.inference.workers import Budget, Workers, open_workers
from tests.bench.broker import Broker
from tests.bench.cameras import Cameras
from tests.bench.children import Child, child
from tests.bench.frames import record
from tests.bench.house import give_models, until_drained
from tests.bench.loop import Work, asked, newest
from tests.bench.result import Result
from tests.bench.scenes import scene

BAR = 1.15
BAR_WORKERS = 0.90
_WARM = 8
_LIMIT_S = 1_800
_AT_ONCE = 4
"""Captures in hand at a time, as the pipeline's widest lane has them."""


def run(*, quick: bool = False, rounds: int = 5, captures_count: int = 500) -> list[Result]:
    """`captures_count` over all rounds; the loop asks for what the pipeline asked for, its cascade included."""
    each = (40 if quick else captures_count) // rounds
    seen: list[tuple[float, float, float]] = []
    name = f"{each * rounds} captures through the image steps"
    bars = f"≤ {BAR} × a plain loop", f"≥ {BAR_WORKERS:.2f}"
    with tempfile.TemporaryDirectory(prefix="hearthlog-bench-") as scratch:
        home = Path(scratch) / "home"
        if not give_models(home):
            return [Result(name, "", bars[0], None, "no models here")]
        with Broker(Path(scratch) / "broker") as broker:
            environ = {"HEARTHLOG_HOME": str(home), "HEARTHLOG_MQTT_URL": broker.url}
            with child("tests.bench.gateway_child", "--steps=all", environ=environ) as one:
                one.wait_for("ready")
                feed = Feed(broker.port)
                feed(range(_WARM))
                until_drained(home, captures=_WARM, limit_s=_LIMIT_S)
                with child("tests.bench.loop", str(home)) as loop, _by_workers(home) as by_workers:
                    _by_hand(loop, 0)
                    by_workers(asked(home, 0))
                    for n in range(rounds):
                        numbers = range(1_000 * (n + 1), 1_000 * (n + 1) + each)
                        before = newest(home)
                        took_s = through_pipeline(home, feed, numbers, here=_WARM + each * n)
                        plain_s, calls = _by_hand(loop, before)
                        seen.append((took_s, plain_s, by_workers(asked(home, before))))
    pipeline = statistics.median(took_s / plain_s for took_s, plain_s, _ in seen)
    throughput = statistics.median(plain_s / workers_s for _, plain_s, workers_s in seen)
    rows = [tuple(round(seconds, 2) for seconds in each) for each in seen]
    detail = f"(pipeline, loop, workers) seconds by round of {each}: {rows}; calls {calls}"
    return [
        Result(f"{name} over one plain loop", f"{pipeline:.2f}", bars[0], pipeline <= BAR, detail),
        Result(
            "throughput of the workers over one plain loop calling the runtimes by hand",
            f"{throughput:.2f}",
            bars[1],
            throughput >= BAR_WORKERS,
            f"the same captures and calls; by round {[round(plain / by, 2) for _, plain, by in seen]}",
        ),
    ]


def through_pipeline(home: Path, feed: Callable[[range], None], numbers: range, *, here: int) -> float:
    """Seconds from the first frame's sending until nothing is left to do."""
    began_s = time.monotonic()
    feed(numbers)
    return until_drained(home, captures=here + len(numbers), limit_s=_LIMIT_S) - began_s


def _by_hand(loop: Child, after: int) -> tuple[float, dict[str, int]]:
    """Seconds of the plain loop for the captures behind `after`, and all its calls so far."""
    loop.say(str(after))
    said = json.loads(loop.line(limit_s=_LIMIT_S))
    return float(said["seconds"]), said["calls"]


@contextmanager
def _by_workers(home: Path) -> Iterator[Callable[[Sequence[Work]], float]]:
    """Seconds that worker processes take for some work, without a pipeline around them."""
    with asyncio.Runner() as runner:
        opened = open_workers(Models(home), Budget(default_s=_LIMIT_S, ocr_s=_LIMIT_S))
        workers = runner.run(opened.__aenter__())
        try:
            yield lambda work: runner.run(_through(workers, work))
        finally:
            runner.run(opened.__aexit__(None, None, None))


async def _through(workers: Workers, work: Sequence[Work]) -> float:
    began_s = time.monotonic()
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(each: Work) -> None:
        async with places:
            for task in each.tasks:
                await workers.run(task, each.blob)
            if each.words:
                await workers.run("embed-text", params={"texts": [each.words]})

    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(one(each), name="capture")
    return time.monotonic() - began_s


class Feed:
    """One camera that sends scenes by number and waits until they are stored."""

    def __init__(self, port: int) -> None:
        self._cameras = Cameras(port, ["bench-room"])
        self._device = self._cameras.devices["bench-room"]
        self._cameras.until(lambda: self._cameras.online, limit_s=30)

    def __call__(self, numbers: range) -> None:
        for number in numbers:
            body = record(scene(number), boot=self._device.boot, sequence=number + 1)
            self._device.waiting.append((number + 1, body))
        if not self._cameras.until(lambda: self._cameras.open == 0, limit_s=120):
            raise AssertionError("not acknowledged")
