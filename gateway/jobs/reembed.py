"""When another model is to make vectors, read every memory again in the background, and only then let it answer.

What stands goes on answering, and what comes in goes on being read by the old model, so that search misses nothing. The
new one fills a space beside it, a few memories at a time, when nothing else waits and the box is not hot. When nothing
is missing there, one transaction makes it the space that answers. Then the indexes follow, the old vectors go, and the
file gives their room back. All of it is in the rows: whoever stops in the middle goes on there.

A model that is removed before its space is whole takes what it made along. When it is the old one that is gone, the new
one answers at once with what it has: half of what there is found by meaning is more than none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from gateway import metrics
from gateway.entities import Annotation, Capture, Cursor, Priority, Stored
from gateway.errors import HearthlogError, ModelBroken, ModelMissing, NotFound, Rejected, Retryable, Skip, Unreadable
from gateway.index.indexer import Index
from gateway.pipeline.runner import MAX_TRIES, House
from gateway.pipeline.step import Context, Step, fingerprint
from gateway.store import captures, changes, jobs, spaces, understood, vectors
from gateway.store.db import Connection
from gateway.store.spaces import Filled, Roles

log = logging.getLogger(__name__)

TASKS: Mapping[str, str] = {"embed": "embed-text", "look": "embed-image"}
"""Steps whose vectors are searched, and the task that makes them."""
EVERY_S = 5.0
_AGAIN_S = 1.0
"""Until it looks again whether it may go on."""
_FEW = 8
_BATCH = 500
_PAGES = 256
_BECAUSE = {
    "busy": "It goes on when nothing else waits.",
    "hot": "It goes on when the box has cooled.",
    "no-memory": "It waits: there is no memory for two models.",
    "model-broken": "It waits: the new model is broken.",
}


@dataclass(slots=True)
class _Pass:
    """One look through everything that stands."""

    space: str
    seen: Cursor
    """What changed up to here is looked at."""
    after: int = 0
    """The last annotation that was looked at."""
    clean: bool = True
    """Nothing was missing so far."""


@dataclass(slots=True)
class Reembed:
    """`await Reembed(…).run()` for as long as the house stands; `settle` before anything else asks for vectors."""

    house: House
    index: Index
    filled: dict[str, Filled] = field(default_factory=dict)
    """How far each step's space is, while one is filled."""
    waits: dict[str, str] = field(default_factory=dict)
    """Why it does not go on now, by step: a key of the reasons."""
    _passes: dict[str, _Pass] = field(default_factory=dict)
    _tries: dict[tuple[str, int], int] = field(default_factory=dict)
    _freed: bool = False

    async def settle(self) -> None:
        """Let the models of the spaces that answer serve their tasks."""
        found = await self.house.db.read(spaces.roles)
        for name, task in TASKS.items():
            self.house.workers.settle(task, found.get(name, Roles()).answers)

    async def run(self) -> None:
        """For ever."""
        while True:
            began, worked = time.monotonic(), False
            for name in TASKS:
                worked = await self.tend(name) or worked
            rest_s = _AGAIN_S if self.filled else EVERY_S
            await asyncio.sleep(time.monotonic() - began if worked else rest_s)  # half of the time is others'

    async def tend(self, name: str) -> bool:
        """One small piece of work for a step. False: there is nothing to be done now."""
        task = TASKS[name]
        found = (await self.house.db.read(spaces.roles)).get(name, Roles())
        self.waits.pop(name, None)
        worked = await self._tend(name, task, found)
        if name in self.filled:
            metrics.reembedding.labels(name).set(self.filled[name].total - self.filled[name].done)
        elif not found.fills:
            metrics.reembedding.labels(name).set(0)
        return worked

    def sentence(self, name: str) -> str:
        """How far it is with a step, for Health; empty while nothing is filled."""
        found = self.filled.get(name)
        if found is None:
            return ""
        because = f" {_BECAUSE[self.waits[name]]}" if self.waits.get(name) in _BECAUSE else ""
        return found.sentence + because

    async def _tend(self, name: str, task: str, found: Roles) -> bool:
        workers = self.house.workers
        if not found.answers:
            return await self._first(name, task)
        newest = ""
        with contextlib.suppress(ModelMissing, ModelBroken):
            newest = workers.newest(task)
        if found.fills and found.fills != newest:
            return await self._go_back(name, task, found)
        if found.fills:
            return await self._fill(name, task, found)
        if await self._tidy(name, task, found):
            return True
        if newest in ("", found.answers):
            return False
        log.info("a new model reads everything again", extra={"step": name, "space": newest})
        await self.house.db.write(lambda c: spaces.begin(c, name, newest, at_us=self.house.now_us()))
        return True

    async def _first(self, name: str, task: str) -> bool:
        """Something was said, and no space is named yet that answers."""
        if not any(step == name for _, step, _ in await self.house.db.read(vectors.spaces)):
            return False
        space = await self.house.db.write(lambda c: spaces.settle(c, name, at_us=self.house.now_us()))
        self.house.workers.settle(task, space)
        await self.index.move()
        return bool(space)

    async def _fill(self, name: str, task: str, found: Roles) -> bool:
        house = self.house
        if await self._gone(task, found.answers):
            return await self._swap(name, task, found, seen=None)
        look = self._passes.get(name)
        if look is None or look.space != found.fills:
            look = await self._look_through(name, found)
        if why := await self._others_wait():
            self.waits[name] = why
            return False
        rows = await house.db.read(
            partial(spaces.not_filled, step=name, space=found.answers, after=look.after, limit=_FEW)
        )
        if rows:
            look.clean = False
            return await self._few(name, found, look, rows)
        if look.clean and await self._swap(name, task, found, seen=look.seen):
            return True
        await self._look_through(name, found)
        return not look.clean

    async def _look_through(self, name: str, found: Roles) -> _Pass:
        seen = await self.house.db.read(changes.head)
        counted = await self.house.db.read(partial(spaces.filled, step=name))
        if counted is not None:
            self.filled[name] = counted
        self._passes[name] = _Pass(found.fills, seen)
        return self._passes[name]

    async def _few(self, name: str, found: Roles, look: _Pass, rows: Sequence[tuple[int, int]]) -> bool:
        """Read a few memories, and keep what was made of them even when it is to stop in the middle."""
        made: list[tuple[int, Stored]] = []
        try:
            for annotation, capture_id in rows:
                stored = await self._read(name, found.fills, capture_id)
                if stored is not None:
                    made.append((annotation, stored))
                look.after = annotation
        except (ModelMissing, ModelBroken):
            self.waits[name] = "model-broken"  # the next look tells whether it is
            return False
        except Retryable as error:
            self.waits[name] = error.code
            return False
        finally:
            kept = await asyncio.shield(self.house.db.write(partial(_keep, made=made)))
            self.filled[name] = replace(self.filled[name], done=self.filled[name].done + kept)
        return True

    async def _read(self, name: str, space: str, capture_id: int) -> Stored | None:
        """What the new model makes of a memory; None when it is to be tried again, or was erased."""
        house, step = self.house, self.house.steps[name]
        capture = await house.db.read(lambda c: captures.get(c, capture_id, house.shelf))
        if capture is None:
            return None
        notes = await house.db.read(lambda c: {note.step: note for note in understood.notes(c, capture_id)})
        coming = {TASKS[name]: space}
        context = Context(house.db, house.workers, notes, Priority.BACKLOG, spaces=coming)
        skip: Skip | None = None
        note = Annotation()
        began = time.perf_counter()
        try:
            note = await step.run(capture, context)
        except Skip as why:
            skip = why
        except (Unreadable, Rejected, NotFound) as why:
            skip = Skip(why.what, code=why.code, hint=why.hint)
        except (ModelMissing, ModelBroken, Retryable):
            raise
        except HearthlogError as error:
            tries = self._tries[name, capture_id] = self._tries.get((name, capture_id), 0) + 1
            if tries < MAX_TRIES:
                return None
            log.warning("memory not read again", extra={"step": name, "capture": capture.uid, "code": error.code})
            skip = Skip(error.what, code=error.code, hint=error.hint)
        note = replace(note, provenance=house.workers.provenance(TASKS[name], space=space)) if skip else note
        took_ms = sum(context.spent_ms) or (time.perf_counter() - began) * 1_000
        mark = fingerprint(step, house.workers, notes, spaces=coming)
        stored = self._stored(step, capture, note, skip, (mark, took_ms))
        return replace(stored, asked=context.asked)

    def _stored(
        self, step: Step, capture: Capture, note: Annotation, skip: Skip | None, measured: tuple[str, float]
    ) -> Stored:
        return Stored(
            capture_id=capture.id,
            step=step.name,
            step_version=step.version,
            fingerprint=measured[0],
            at_us=self.house.now_us(),
            took_ms=measured[1],
            annotation=note,
            skipped=skip.reason if skip else "",
            skip_code=skip.code if skip else "",
            hint=skip.hint if skip else "",
        )

    async def _swap(self, name: str, task: str, found: Roles, *, seen: Cursor | None) -> bool:
        """Let the new space answer, if it is whole (or need not be). Everything that follows does so from the rows."""
        house = self.house
        if not await house.db.write(partial(spaces.swap, step=name, seen=seen, at_us=house.now_us())):
            return False
        house.workers.settle(task, found.fills)  # before anything else runs: no step may ask the old one now
        log.info("a new model answers", extra={"step": name, "space": found.fills, "whole": seen is not None})
        metrics.reembedded.labels(name).inc()
        self._forget(name)
        await self.index.move()
        await house.workers.unload(task)
        return True

    async def _go_back(self, name: str, task: str, found: Roles) -> bool:
        """The model that was to come is not the one to come any more. One that is only broken is waited for."""
        try:
            self.house.workers.provenance(task, space=found.fills)
        except ModelBroken:
            self.waits[name] = "model-broken"
            return False
        except ModelMissing:
            pass
        if await self.house.db.write(partial(spaces.drop_filled, step=name, limit=_BATCH)):
            self._freed = True
            return True
        log.info("a new model was given up", extra={"step": name, "space": found.fills})
        await self.house.db.write(lambda c: spaces.give_up(c, name))
        self._forget(name)
        return True

    async def _tidy(self, name: str, task: str, found: Roles) -> bool:
        """After a swap: the new rows take the old ones' place, the old ones go, and the file gives their room back."""
        db = self.house.db
        if await db.write(partial(spaces.promote, step=name, limit=_BATCH)):
            self._freed = True
            return True
        for space, step, _ in await db.read(vectors.spaces):
            if step != name or space == found.answers:
                continue
            if not await self._gone(task, found.answers):
                strays = await db.read(partial(spaces.strays, step=name, space=space, limit=_BATCH))
                if strays:
                    await db.write(partial(self._queue, name=name, strays=strays))
                    return True
            if await db.write(partial(spaces.drop_old, space=space, limit=_BATCH)):
                self._freed = True
                return True
        if self._freed:
            self._freed = await db.write(partial(spaces.give_back, pages=_PAGES)) > 0
            return True
        return False

    def _queue(self, connection: Connection, *, name: str, strays: Sequence[int]) -> None:
        for capture_id in strays:
            if captures.get(connection, capture_id) is not None:  # erased since it was read
                self.house.spool.requeue(
                    connection,
                    capture_id=capture_id,
                    step=name,
                    at_us=self.house.now_us(),
                    priority=Priority.BACKLOG,
                )

    async def _gone(self, task: str, space: str) -> bool:
        """Whether the model of a space is not installed any more. A broken one may be mended."""
        try:
            self.house.workers.provenance(task, space=space)
        except ModelMissing:
            return True
        except ModelBroken:
            return False
        return False

    async def _others_wait(self) -> str:
        """Why it is not its turn; empty when it is."""
        if self.house.lowest() is not Priority.BACKLOG:
            return "hot"
        now_us = self.house.now_us()
        return "busy" if await self.house.db.read(lambda c: jobs.any_ready(c, now_us=now_us)) else ""

    def _forget(self, name: str) -> None:
        self.filled.pop(name, None)
        self._passes.pop(name, None)
        self._tries = {key: tries for key, tries in self._tries.items() if key[0] != name}


def _keep(connection: Connection, made: Sequence[tuple[int, Stored]]) -> int:
    """How many were kept: what changed since it was read is read again."""
    there = [(beside, each) for beside, each in made if captures.get(connection, each.capture_id) is not None]
    return sum(spaces.put(connection, each, beside=beside) for beside, each in there)
