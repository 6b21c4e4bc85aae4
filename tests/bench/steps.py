"""The pipeline against a plain loop that does the same decoding, preprocessing and model calls, in turns."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from gateway.entities import BlobRef, Kind
from gateway.inference.family import Options, Request, Runner
from gateway.inference.models import Models
from gateway.inference.worker import family_of
from gateway.pipeline.plan import find_steps
from gateway.store import captures
from gateway.store.captures import Shelf
from gateway.store.db import connect
from gateway.store.keys import open_keyring
from tests.bench.broker import Broker
from tests.bench.cameras import Cameras
from tests.bench.children import child
from tests.bench.frames import record
from tests.bench.house import give_models, until_drained
from tests.bench.result import Result
from tests.bench.scenes import scene

BAR = 1.15
_WARM = 8
_TASKS = {
    name: step.tasks[0]
    for name, step in find_steps().items()
    if Kind.IMAGE in step.takes and step.tasks and step.tasks[0] != "embed-text"
}


def run(*, quick: bool = False, rounds: int = 5, captures_count: int = 500) -> Result:
    """`captures_count` over all rounds; the loop asks for what the pipeline asked for, its cascade included."""
    each = (40 if quick else captures_count) // rounds
    ratios, seen = [], []
    with tempfile.TemporaryDirectory(prefix="hearthlog-bench-") as name:
        folder = Path(name)
        if not give_models(folder / "home"):
            return Result("500 captures through the image steps", "", f"≤ {BAR} × a plain loop", None, "no models here")
        home = folder / "home"
        loop = PlainLoop(home)
        with Broker(folder / "broker") as broker:
            environ = {"HEARTHLOG_HOME": str(home), "HEARTHLOG_MQTT_URL": broker.url}
            with child("tests.bench.gateway_child", "--steps=all", environ=environ) as one:
                one.wait_for("ready")
                feed = Feed(broker.port)
                feed(range(_WARM))
                until_drained(home, captures=_WARM, limit_s=120)
                loop.run(0)
                for n in range(rounds):
                    numbers = range(1_000 * (n + 1), 1_000 * (n + 1) + each)
                    before = loop.newest()
                    took_s = through_pipeline(home, feed, numbers, here=_WARM + each * n)
                    plain_s = loop.run(before)
                    ratios.append(took_s / plain_s)
                    seen.append((round(took_s, 2), round(plain_s, 2)))
    ratio = statistics.median(ratios)
    return Result(
        f"{each * rounds} captures through the image steps over one plain loop",
        f"{ratio:.2f}",
        f"≤ {BAR}",
        ratio <= BAR,
        f"(pipeline, loop) seconds by round of {each}: {seen}; calls {loop.calls}",
    )


def through_pipeline(home: Path, feed: Callable[[range], None], numbers: range, *, here: int) -> float:
    """Seconds from the first frame's sending until nothing is left to do."""
    began_s = time.monotonic()
    feed(numbers)
    return until_drained(home, captures=here + len(numbers), limit_s=600) - began_s


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


class PlainLoop:
    """The same families, called one after the other in this process for what the pipeline has asked of them."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._models = Models(home)
        self._runners: dict[str, Runner] = {}
        self.calls: dict[str, int] = {}

    def newest(self) -> int:
        """The newest capture's id."""
        with closing(connect(self._home / "hearthlog.db", read_only=True)) as connection:
            return int(connection.execute("SELECT coalesce(max(id), 0) FROM capture").fetchone()[0])

    def run(self, after: int) -> float:
        """Seconds for all captures behind `after`."""
        work = self._asked(after)
        began_s = time.monotonic()
        for blob, tasks, words in work:
            for task in tasks:
                self._runner(task)(Request(blob=blob, params={}))
            if words:
                self._runner("embed-text")(Request(blob=None, params={"texts": [words]}))
        took_s = time.monotonic() - began_s
        for _, tasks, words in work:
            for task in [*tasks, *(["embed-text"] if words else [])]:
                self.calls[task] = self.calls.get(task, 0) + 1
        return took_s

    def _asked(self, after: int) -> list[tuple[BlobRef, list[str], str]]:
        """By capture: its blob, the tasks that were asked about it, and the words that were embedded."""
        shelf = Shelf(self._home / "blobs", open_keyring(self._home))
        found = []
        with closing(connect(self._home / "hearthlog.db", read_only=True)) as connection:
            for (number,) in connection.execute("SELECT id FROM capture WHERE id > ? ORDER BY id", (after,)).fetchall():
                capture = captures.get(connection, number, shelf)
                assert capture is not None
                assert capture.blob is not None
                notes = {each.step: each for each in captures.notes(connection, number)}
                ended = {step: notes[step].annotation for step in _TASKS if step in notes and not notes[step].skipped}
                # A caption put together from words, or a frame that is still: no model was asked.
                tasks = [_TASKS[step] for step, note in ended.items() if note.provenance.model and step != "caption"]
                spoken = "embed" in notes and not notes["embed"].skipped
                words = ". ".join(each.annotation.caption + each.annotation.text for each in notes.values())
                found.append((capture.blob, tasks, words if spoken else ""))
        return found

    def _runner(self, task: str) -> Runner:
        if task not in self._runners:
            model = self._models.for_task(task)
            files = {each.name: each.path for each in model.files}
            options = Options(threads=1, table=model.manifest.options)
            self._runners[task] = family_of(model.manifest.family).load(files, options)
        return self._runners[task]
