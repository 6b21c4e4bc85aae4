"""The durable queue and the ledger: accept, claim, acknowledge, retry, bury, replay.

Bytes, then row, then acknowledgement: when `put` returns, the blob's file and folder are synced and its rows are
committed. Whoever tells the outside world does it after that and never before.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

from gateway.entities import Job, Kind, Priority, Stored
from gateway.errors import HearthlogError, Retryable, StorageFull
from gateway.store import captures, jobs, understood
from gateway.store.arrivals import Answer, Arrival, Entered, Put, Row, Verdict, enter, look_up
from gateway.store.blobs import BlobFolder, Body, Sealed
from gateway.store.db import Connection, Database
from gateway.store.keys import Keyring

T = TypeVar("T")
Also: TypeAlias = Callable[[Connection], Collection[str]]
"""Runs within the transaction of a job's end; names steps that need not be queued after it."""

_THREADS = 2
"""More sync more files side by side, and spend more on passing the interpreter's lock round than they win."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the queue must know of the pipeline: for each kind, its steps in their order, and what each reads."""

    steps: Mapping[Kind, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    """kind → step → steps of the same kind that must end before it."""

    def first(self, kind: Kind) -> list[str]:
        """Steps that wait for nothing."""
        return [step for step, after in self.steps.get(kind, {}).items() if not after]

    def dependents(self, kind: Kind, step: str) -> list[str]:
        """Steps that read `step`, in the plan's order."""
        return [other for other, after in self.steps.get(kind, {}).items() if step in after]

    def ready(self, kind: Kind, step: str, *, settled: Collection[str], queued: Collection[str]) -> bool:
        """Whether a step can be done now: all it reads is settled, and nothing that was made from is to be redone."""
        after = self.steps[kind][step]
        return all(other in settled for other in after) and not self._upstream(kind, step).intersection(queued)

    def _upstream(self, kind: Kind, step: str) -> frozenset[str]:
        after = self.steps[kind][step]
        return frozenset(after).union(*(self._upstream(kind, other) for other in after))


class Spool:
    """`async with Spool(db, folder, keyring) as spool`. One a process; it owns the leases of this run."""

    def __init__(self, db: Database, folder: BlobFolder, keyring: Keyring, *, plan: Plan, run: str) -> None:
        self.db = db
        self.plan = plan
        self._folder = folder
        self._keyring = keyring
        self._run = run
        self._first = {kind: plan.first(kind) for kind in Kind}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="intake")
        self.free_floor_bytes = 0
        """Below this much free space `put` refuses with StorageFull."""

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._folder.clear_parts)
        self.lost = await self.db.write(jobs.recover)
        """Jobs that the last run had begun and not ended."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._threads.shutdown)

    async def put(self, arrival: Arrival) -> Put:
        """Make an arrival durable: blob, capture, ledger line, first jobs and the change.

        Idempotent by the record's key or, off the record lane, by content within `same_since_us`. Raises
        StorageFull or Retryable when it could not be made durable; then nothing may be acknowledged.
        """
        (answer,) = await self.put_all([arrival])
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def put_all(self, arrivals: Sequence[Arrival]) -> list[Put | Exception]:
        """`put` by the handful: one hop to a thread for their bytes, one commit for their rows. Of those that could not
        be made durable, the error that `put` would raise.
        """
        keys = [self._keyring.remembered(each.owner) or await self._owner_key(each.owner) for each in arrivals]
        kept = await self.in_thread(lambda: self._keep_bytes(arrivals, keys))
        rows = {n: each for n, each in enumerate(kept) if isinstance(each, Row)}
        entered = dict(zip(rows, await self._enter(list(rows.values())), strict=True))
        unused = [row.sealed.name for n, row in rows.items() if row.sealed is not None and not entered[n][1]]
        if unused:
            with contextlib.suppress(Retryable):  # an orphan costs room, and no more
                await asyncio.to_thread(self._folder.remove, *unused)
        return [entered[n][0] if isinstance(each, Row) else each for n, each in enumerate(kept)]

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do something that blocks, on the way in, in one of the few threads that there are for it."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _enter(self, rows: Sequence[Row]) -> list[Entered]:
        """Commit them together; when one of them cannot be, each by itself, so that the error is its own."""
        if not rows:
            return []
        try:
            return await self.db.write(lambda c: enter(c, rows, first=self._first))
        except Exception as error:  # noqa: BLE001  a row that cannot be written must not take its neighbours along
            if len(rows) == 1 or isinstance(error, Retryable):
                return [(error, False)] * len(rows)
        return [entered for row in rows for entered in await self._enter([row])]

    def _keep_bytes(self, arrivals: Sequence[Arrival], keys: Sequence[bytes]) -> list[Row | Answer]:
        """In a thread: look up which arrivals are here already, and make the bytes of the others durable."""
        try:
            looks = self.db.read_here(lambda c: look_up(c, arrivals))
        except Exception as error:  # noqa: BLE001  each of them is answered by it
            return [error] * len(arrivals)
        kept: list[Row | Answer] = []
        bodies: dict[int, Body] = {}
        for n, (arrival, key, look) in enumerate(zip(arrivals, keys, looks, strict=True)):
            repeated = look.known is not None and look.known.verdict is Verdict.REPEATED
            kept.append(look.known if repeated and look.known is not None else Row(arrival, None, key))
            if look.known is None and look.blob_id is None:
                bodies[n] = Body(arrival.decoded.body, key, arrival.decoded.sha256)
        if bodies and self.free_floor_bytes and shutil.disk_usage(self._folder.root).free < self.free_floor_bytes:
            full = StorageFull("the disk is nearly full", hint="Make room, or lower storage.keep_gb")
            return [full if isinstance(each, Row) else each for each in kept]
        for n, sealed in zip(bodies, self._folder.put_all(list(bodies.values())), strict=True):
            kept[n] = Row(arrivals[n], sealed, keys[n]) if isinstance(sealed, Sealed) else sealed
        return kept

    async def _owner_key(self, owner: str) -> bytes:
        known = await self.db.read(lambda c: self._keyring.known_owner(c, owner))
        return known if known is not None else await self.db.write(lambda c: self._keyring.owner(c, owner))

    async def claim(self, steps: Sequence[str], *, lowest: Priority, limit: int, now_us: int) -> list[Job]:
        """Lease up to `limit` ready jobs of these steps for this run, most urgent first."""
        return await self.db.write(
            lambda c: jobs.claim(c, steps=steps, lowest=lowest, limit=limit, lease=self._run, now_us=now_us)
        )

    async def done(self, job: Job, kind: Kind, stored: Stored | None, *, also: Also | None = None) -> None:
        """Annotation, change, the job's end and what it makes ready, in one transaction.

        None: the annotation that stands is kept. `also` runs within, and names steps that it took care of.
        """

        def end(connection: Connection) -> None:
            handled: Collection[str] = ()
            here = captures.get(connection, job.capture_id) is not None
            if stored is not None and here:
                understood.put_annotation(connection, stored)
                self._judge_again(connection, stored)
            if also is not None and here:
                handled = also(connection)
            if stored is not None and here:
                understood.touch(connection, job.capture_id, at_us=stored.at_us)
            jobs.finish(connection, job)
            self._go_on(connection, job, kind, handled=handled)

        await self.db.write(end)

    async def retry(self, job: Job, *, not_before_us: int, counts: bool = True) -> None:
        """It failed in a way that may pass. It is no try of its own (`counts` false) when the house failed it."""
        await self.db.write(lambda c: jobs.retry(c, job, not_before_us=not_before_us, counts=counts))

    async def put_back(self, taken: Iterable[Job]) -> None:
        """Give leases back unused, as at a stop."""
        held = list(taken)
        await self.db.write(lambda c: jobs.put_back(c, held))

    async def put_all_back(self) -> None:
        """Give back every lease of this run: whoever worked broke off, and nobody works now."""
        await self.db.write(lambda c: jobs.put_all_back(c, lease=self._run))

    async def bury(self, job: Job, kind: Kind, error: HearthlogError, *, at_us: int, alone: bool = True) -> None:
        """Set it aside with its reason. Not `alone`: nothing else can be done with this capture either, until the job
        is tried again; else the steps that read it go on without it.
        """

        def end(connection: Connection) -> None:
            jobs.bury(connection, job, why=(error.code, error.what, error.hint))
            if alone:
                self._go_on(connection, job, kind)
            understood.touch(connection, job.capture_id, at_us=at_us)

        await self.db.write(end)

    def requeue(
        self, connection: Connection, *, capture_id: int, step: str, at_us: int, priority: Priority = Priority.PERSON
    ) -> None:
        """Within a transaction: do a step again for one capture. What is made from it follows."""
        jobs.add(connection, capture_id=capture_id, steps=[step], priority=priority, at_us=at_us)

    def _judge_again(self, connection: Connection, stored: Stored) -> None:
        for number in stored.annotation.again:
            if understood.set_aside(connection, number, stored.step):  # else it was erased, or is to be done anyway
                again = Priority.LIVE  # nobody asked for what is made from it
                self.requeue(connection, capture_id=number, step=stored.step, at_us=stored.at_us, priority=again)

    def _go_on(self, connection: Connection, job: Job, kind: Kind, *, handled: Collection[str] = ()) -> None:
        """Queue what reads this job's step and can be done now. One whose input did not change ends at once."""
        dependents = [step for step in self.plan.dependents(kind, job.step) if step not in handled]
        if not dependents:
            return
        settled, queued = jobs.standing(connection, job.capture_id)
        for step in dependents:
            if step not in queued and self.plan.ready(kind, step, settled=settled, queued=queued):
                at_us = job.queued_at_us
                jobs.add(connection, capture_id=job.capture_id, steps=[step], priority=job.priority, at_us=at_us)
                queued.add(step)
