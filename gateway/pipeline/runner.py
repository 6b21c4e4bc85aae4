"""Take jobs, run their steps, write down what came of it. Nothing that a step does can stop the runner."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway import metrics
from gateway.entities import Annotation, Capture, Job, Priority, Stored
from gateway.errors import HearthlogError, ModelMissing, NotFound, Rejected, Retryable, Skip, Unreadable
from gateway.inference.workers import Workers
from gateway.pipeline.answers import answering, lost, outdated
from gateway.pipeline.cascade import pass_over
from gateway.pipeline.step import Context, Step, fingerprint
from gateway.spool import Spool
from gateway.store import asked, captures, spaces, understood
from gateway.store.captures import Shelf
from gateway.store.db import Connection, Database

log = logging.getLogger(__name__)

MAX_TRIES = 3
_FOR_EVER = (Unreadable, Rejected)
"""Errors of the input itself: trying again cannot help."""
_POLL_S = 2.0
_NOTHING: Mapping[str, str] = {}
_HOUSE_FAILED_S = 30.0
PLACES: Mapping[str, int] = {"look": 4, "sort": 1, "read": 2, "listen": 2, "words": 4}
"""Jobs in flight, by lane. More than one so that the next is ready when a worker is free; `sort` is one so that
a camera's frames are compared in their order."""


@dataclass(frozen=True, slots=True)
class House:
    """What the runner works with."""

    db: Database
    spool: Spool
    shelf: Shelf
    workers: Workers
    steps: Mapping[str, Step]
    now_us: Callable[[], int]
    lowest: Callable[[], Priority] = lambda: Priority.BACKLOG
    """The lowest priority that may be worked on now: the backlog waits while the box is hot."""


@dataclass(slots=True)
class Runner:
    """`await Runner(house).run()` works until it is cancelled; leases of unfinished jobs are given back."""

    house: House
    paused: bool = False
    done: dict[str, int] = field(default_factory=dict)
    """Jobs ended since the start, by step: Health makes rates of them."""
    _random: random.Random = field(default_factory=random.Random)

    async def run(self) -> None:
        """Work. One task a lane, each with its own places. Called again after it failed, it takes everything up again
        that it had begun.
        """
        await self.house.spool.put_all_back()
        lanes: dict[str, list[str]] = {}
        for step in self.house.steps.values():
            lanes.setdefault(step.lane, []).append(step.name)
        async with asyncio.TaskGroup() as group:
            for lane, names in lanes.items():
                group.create_task(self._lane(names, PLACES.get(lane, 1)), name=f"lane-{lane}")

    async def _lane(self, names: list[str], places: int) -> None:
        """Keep `places` jobs in flight, fetching the next ones before the last are through."""
        house = self.house
        running: dict[asyncio.Task[None], Job] = {}
        ready: list[Job] = []
        try:
            while True:
                commit = asyncio.create_task(house.db.next_commit(), name="lane-commit")
                try:
                    if len(ready) <= places // 2 and not self.paused:
                        ready += await house.spool.claim(
                            names, lowest=house.lowest(), limit=places * 2, now_us=house.now_us()
                        )
                    while ready and len(running) < places:
                        job = ready.pop(0)
                        running[asyncio.create_task(self._one(job), name=f"job-{job.step}")] = job
                    waits = {commit, *running} if len(running) < places or not ready else set(running)
                    finished, _ = await asyncio.wait(waits, timeout=_POLL_S, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    commit.cancel()
                for task in finished & running.keys():
                    task.result()
                    del running[task]
        finally:  # stopped, or what came of a job could not be written down: nothing that it holds may stay leased
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            with contextlib.suppress(HearthlogError):  # `run`, or the next start, gives them back
                await house.spool.put_back([*running.values(), *ready])

    async def _one(self, job: Job) -> None:
        house = self.house
        step = house.steps[job.step]
        capture = await house.db.read(lambda c: captures.get(c, job.capture_id, house.shelf))
        if capture is None:
            return  # erased since: its jobs went with it
        began = time.perf_counter()
        try:
            await self._do(job, step, capture, began)
            outcome = "done"
        except HearthlogError as error:
            outcome = await self._failed(job, capture, error)
        except Exception as error:  # a step may be wrong in any way, and only its own job may feel it
            log.exception("step broke", extra={"step": job.step, "capture": capture.uid})
            broken = HearthlogError(
                f"the step itself failed ({type(error).__name__})", code="bug", hint="Report it, with the log"
            )
            outcome = await self._failed(job, capture, broken)
        self.done[job.step] = self.done.get(job.step, 0) + 1
        metrics.steps_done.labels(job.step, outcome).inc()
        metrics.step_seconds.labels(job.step).observe(time.perf_counter() - began)

    async def _do(self, job: Job, step: Step, capture: Capture, began: float) -> None:
        house = self.house
        notes = await house.db.read(lambda c: {note.step: note for note in understood.notes(c, capture.id)})
        mark = fingerprint(step, house.workers, notes)
        by_person = job.priority is Priority.PERSON
        standing = None if by_person else notes.get(step.name)
        fits = standing is not None and standing.fingerprint == mark
        now = answering(step.tasks, house.workers)
        if standing is not None and fits and not outdated(standing.asked, now, house.workers):
            await self._keep(job, capture, standing)
            return
        context = Context(house.db, house.workers, notes, job.priority, shelf=house.shelf)
        skip: Skip | None = None
        note = Annotation()
        try:
            note = await step.run(capture, context)
        except Skip as why:
            skip = why
        except ModelMissing as missing:
            skip = Skip(missing.what, code=missing.code, hint=missing.hint)
        except NotFound as gone:
            skip = Skip(gone.what, code=gone.code)
        if standing is not None and not standing.skipped:
            owed = lost(standing.asked, context.asked, house.workers, original=capture.blob is not None)
            if owed and step.name not in await house.db.read(spaces.roles):  # a vector of another space is of no use
                await self._keep(job, capture, standing, owed=owed)
                return
        stored = Stored(
            capture_id=capture.id,
            step=step.name,
            step_version=step.version,
            fingerprint=mark,
            at_us=house.now_us(),
            took_ms=sum(context.spent_ms) or (time.perf_counter() - began) * 1_000,
            annotation=note,
            skipped=skip.reason if skip else "",
            skip_code=skip.code if skip else "",
            hint=skip.hint if skip else "",
            asked=context.asked,
        )
        await house.spool.done(
            job,
            capture.kind,
            stored,
            also=None if by_person else lambda c: pass_over(c, house.steps, capture, stored),
        )

    async def _keep(self, job: Job, capture: Capture, standing: Stored, *, owed: Mapping[str, str] = _NOTHING) -> None:
        """What stands is kept. It still fits; or, without the models of `owed`, less could be said than stands."""

        def also(connection: Connection) -> list[str]:
            if owed:
                asked.amend(connection, standing, owed)
            return pass_over(connection, self.house.steps, capture, standing)

        await self.house.spool.done(job, capture.kind, None, also=also)

    async def _failed(self, job: Job, capture: Capture, error: HearthlogError) -> str:
        house = self.house
        if isinstance(error, Retryable):  # a full or failing disk says nothing of the capture
            wait_us = int(_HOUSE_FAILED_S * self._random.uniform(0.5, 1.5) * 1e6)
            await house.spool.retry(job, not_before_us=house.now_us() + wait_us, counts=False)
            return "put back"
        for_ever = isinstance(error, _FOR_EVER)
        if for_ever or job.tries + 1 >= MAX_TRIES:
            log.warning("job buried", extra={"step": job.step, "capture": capture.uid, "code": error.code})
            first = not house.steps[job.step].after  # what it cannot read nobody can; a later one may be alone in it
            await house.spool.bury(job, capture.kind, error, at_us=house.now_us(), alone=not (for_ever and first))
            return "buried"
        wait_s = 5 * 2**job.tries * self._random.uniform(0.5, 1.5)
        log.info("job retried", extra={"step": job.step, "capture": capture.uid, "code": error.code})
        await house.spool.retry(job, not_before_us=house.now_us() + int(wait_s * 1_000_000))
        return "retried"
