"""Search as a browser asks for it: through the API of a whole house, while its steps understand what cameras send."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import corpus
from tests.bench.broker import Broker
from tests.bench.cameras import Cameras
from tests.bench.frames import record
from tests.bench.house import House, first_person, give_models, jobs_left, serving
from tests.bench.result import Result, percentile
from tests.bench.scenes import STILL, scene
from tests.bench.whole import found_house, in_the_real_space

BAR_MS = 50.0
_WORDS = (
    "parcel", "a dog sleeps on the sofa", "lindqvist", "bananas", "two people by the blue door", "green cap",
    "bicycle in the rain", "motorcycle", "north", "someone reads a book under the lamp",
)  # fmt: skip
_FILTERS: dict[str, dict[str, str]] = {
    "none": {},
    "week": {"from": "2026-03-02", "to": "2026-03-08"},
    "camera": {"device": "porch"},
    "camera and week": {"device": "porch", "from": "2026-03-02", "to": "2026-03-08"},
    "kind and print": {"kind": "image", "has": "text"},
    "folded too": {"folded": "true"},
}
_AHEAD = 60
"""So many jobs wait before the first question; frames are sent for as long as questions are asked."""


def run(*, quick: bool = False, rounds: int = 5) -> Result:
    """p95 over all filters, of answers of 30, from the request's first byte to the answer's last."""
    memories = 10_000 if quick else 100_000
    name = f"search through the API over {memories:,} memories while the steps are at work, p95"
    with tempfile.TemporaryDirectory(prefix="hearthlog-bench-") as folder:
        home = Path(folder) / "home"
        if not give_models(home):
            return Result(name, "", f"≤ {BAR_MS:.0f} ms", None, "no models here")
        asyncio.run(found_house(home))
        corpus.write(home / "hearthlog.db", count=memories, owner=first_person(home / "hearthlog.db"))
        in_the_real_space(home)
        with Broker(Path(folder) / "broker") as broker, serving(home, broker_url=broker.url) as house:
            token = house.token()
            with _sending(broker.port):
                _until_busy(house)
                took, waiting = _ask(house, token, rounds=1 if quick else rounds)
    every = [each for values in took.values() for each in values]
    p95_ms = percentile(every, 0.95)
    by_filter = {name: round(percentile(values, 0.95), 1) for name, values in took.items()}
    return Result(
        name,
        f"{p95_ms:.1f} ms",
        f"≤ {BAR_MS:.0f} ms",
        p95_ms <= BAR_MS and min(waiting) > 0,
        f"p50 {percentile(every, 0.5):.1f} ms, most {max(every):.1f} ms; by filter {by_filter}; "
        f"{min(waiting)} to {max(waiting)} jobs waited (median {statistics.median(waiting):.0f})",
    )


@contextmanager
def _sending(port: int) -> Iterator[None]:
    """Another scene as soon as one was stored, for as long as the context lasts."""
    over = threading.Event()

    def send() -> None:
        cameras = Cameras(port, ["bench-room"])
        device = cameras.devices["bench-room"]
        cameras.until(lambda: cameras.online, limit_s=30)
        for number in itertools.count():
            if over.is_set():
                break
            device.waiting.append((number, record(scene(number * STILL), boot=device.boot, sequence=number)))
            cameras.until(lambda: cameras.open == 0 or over.is_set(), limit_s=30)
            over.wait(0.2)
        cameras.close()

    thread = threading.Thread(target=send, name="cameras")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _until_busy(house: House, limit_s: float = 120.0) -> None:
    ends_s = time.monotonic() + limit_s
    while jobs_left(house.home) < _AHEAD:
        if time.monotonic() > ends_s:
            raise TimeoutError("the steps are faster than the cameras")
        time.sleep(0.1)  # another process: no event tells of it


def _ask(house: House, token: str, *, rounds: int) -> tuple[dict[str, list[float]], list[int]]:
    """Milliseconds by filter, and how many jobs waited meanwhile."""
    took: dict[str, list[float]] = {}
    waiting = []
    for number in range(rounds + 1):
        for text in _WORDS:
            for name, filters in _FILTERS.items():
                asked = urllib.parse.urlencode({"q": text, "parse": "false", **filters})
                began_s = time.perf_counter()
                house.get(f"/api/v1/search?{asked}", token)
                if number:  # the first round is to warm up
                    took.setdefault(name, []).append(1_000 * (time.perf_counter() - began_s))
            waiting.append(jobs_left(house.home))
    return took, waiting
