"""The plain loop: what the pipeline asked of its models, asked again by hand, one call after the other in one process.

`python -m tests.bench.loop HOME` is that process. It gives way as a worker does (nice 10, its session too), so that
both stand alike on a busy machine; told the number of a capture, it does all that came later and prints
`{"seconds", "calls"}`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gateway.entities import BlobRef, Kind
from gateway.inference.family import Options, Request, Runner
from gateway.inference.models import Models
from gateway.inference.worker import family_of
from gateway.pipeline.plan import find_steps
from gateway.store import captures, understood
from gateway.store.captures import Shelf
from gateway.store.db import connect
from gateway.store.keys import open_keyring

_NICE = 10
_TASKS = {
    name: step.tasks[0]
    for name, step in find_steps().items()
    if Kind.IMAGE in step.takes and step.tasks and step.tasks[0] != "embed-text"
}


@dataclass(frozen=True, slots=True)
class Work:
    """What was asked about one capture."""

    blob: BlobRef
    tasks: tuple[str, ...]
    words: str
    """That were embedded; empty when none were."""


def newest(home: Path) -> int:
    """The newest capture's id."""
    with closing(connect(home / "hearthlog.db", read_only=True)) as connection:
        return int(connection.execute("SELECT coalesce(max(id), 0) FROM capture").fetchone()[0])


def asked(home: Path, after: int) -> list[Work]:
    """Of all captures behind `after`, in their order."""
    shelf = Shelf(home / "blobs", open_keyring(home))
    found = []
    with closing(connect(home / "hearthlog.db", read_only=True)) as connection:
        for (number,) in connection.execute("SELECT id FROM capture WHERE id > ? ORDER BY id", (after,)).fetchall():
            capture = captures.get(connection, number, shelf)
            assert capture is not None
            assert capture.blob is not None
            notes = {each.step: each for each in understood.notes(connection, number)}
            ended = {step: notes[step].annotation for step in _TASKS if step in notes and not notes[step].skipped}
            # A caption put together from words, or a frame that is still: no model was asked.
            tasks = [_TASKS[step] for step, note in ended.items() if note.provenance.model and step != "caption"]
            spoken = "embed" in notes and not notes["embed"].skipped
            words = ". ".join(each.annotation.caption + each.annotation.text for each in notes.values())
            found.append(Work(capture.blob, tuple(tasks), words if spoken else ""))
    return found


class PlainLoop:
    """The same families, called by hand."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._models = Models(home)
        self._runners: dict[str, Runner] = {}
        self.calls: dict[str, int] = {}

    def run(self, after: int) -> float:
        """Seconds for all captures behind `after`."""
        work = asked(self._home, after)
        began_s = time.monotonic()
        for each in work:
            for task in each.tasks:
                self._runner(task)(Request(blob=each.blob, params={}))
            if each.words:
                self._runner("embed-text")(Request(blob=None, params={"texts": [each.words]}))
        took_s = time.monotonic() - began_s
        for each in work:
            for task in [*each.tasks, *(["embed-text"] if each.words else [])]:
                self.calls[task] = self.calls.get(task, 0) + 1
        return took_s

    def _runner(self, task: str) -> Runner:
        if task not in self._runners:
            model = self._models.for_task(task)
            files = {each.name: each.path for each in model.files}
            options = Options(threads=1, table=model.manifest.options)
            self._runners[task] = family_of(model.manifest.family).load(files, options)
        return self._runners[task]


def _give_way() -> None:
    os.nice(_NICE)
    with contextlib.suppress(OSError):  # where there are no such groups, nice alone holds
        Path("/proc/self/autogroup").write_text(str(_NICE))


def main(home: Path) -> None:
    """Until stdin ends."""
    _give_way()
    loop = PlainLoop(home)
    for line in sys.stdin:
        print(json.dumps({"seconds": loop.run(int(line)), "calls": loop.calls}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
