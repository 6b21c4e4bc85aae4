"""The durable queue and the ledger: accept, claim, acknowledge, retry, bury, replay.

Bytes, then row, then acknowledgement: when `put` returns, the blob's file and folder are synced and its rows are
committed. Whoever tells the outside world does it after that and never before.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

from gateway.entities import (
    AiUsage,
    CapturedAt,
    Decoded,
    Job,
    Kind,
    Lane,
    Priority,
    Privacy,
    RecordKey,
    Stored,
)
from gateway.errors import HearthlogError, Retryable, StorageFull
from gateway.store import captures, jobs, ledger, refusals
from gateway.store.blobs import BlobFolder, Body, Sealed
from gateway.store.db import Connection, Database
from gateway.store.ids import new_uid
from gateway.store.keys import Keyring, wrap
from gateway.store.rows import Value, find, insert, next_id

T = TypeVar("T")
Also: TypeAlias = Callable[[Connection], Collection[str]]
"""Runs within the transaction of a job's end; names steps that need not be queued after it."""

_THREADS = 2
"""More sync more files side by side, and spend more on passing the interpreter's lock round than they win."""


class Verdict(StrEnum):
    """What became of an arrival."""

    STORED = "stored"
    REPEATED = "repeated"
    """Here already: acknowledge it again."""
    CONFLICT = "conflict"
    """The same key came before with another hash: refused, both are reported."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A capture on its way in. It passed the gate; nothing of it is durable yet."""

    decoded: Decoded
    owner: str
    privacy: Privacy | None
    """None: that of the device at the commit, whatever it was when it was checked."""
    ai_usage: AiUsage | None
    """None: likewise."""
    captured_at: CapturedAt
    received_at_us: int
    lane: Lane
    device: str | None = None
    record: RecordKey | None = None
    record_hash: bytes = b""
    """SHA-256 of the record's body: what the ledger compares. Empty off the record lane."""
    source_name: str = ""
    priority: Priority = Priority.LIVE
    same_since_us: int | None = None
    """Off the record lane: the same bytes of the same device received at or after this instant are a repeat."""


@dataclass(frozen=True, slots=True)
class Put:
    """The answer of `put`: the verdict, and which memory it is about (empty for a conflict)."""

    verdict: Verdict
    uid: str = ""


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


@dataclass(frozen=True, slots=True)
class _Look:
    """What the store knows of an arrival."""

    known: Put | None
    """Set when it is here already, or in conflict with what is."""
    blob_id: int | None
    """Whose bytes are the same."""


@dataclass(frozen=True, slots=True)
class _Row:
    """An arrival whose bytes are durable: sealed just now, or (None) by what `_Look` found."""

    arrival: Arrival
    sealed: Sealed | None
    owner_key: bytes


_Answer: TypeAlias = Put | Exception
_Entered: TypeAlias = tuple[_Answer, bool]
"""And whether the file that was sealed for it is in use."""


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
        rows = {n: each for n, each in enumerate(kept) if isinstance(each, _Row)}
        entered = dict(zip(rows, await self._enter(list(rows.values())), strict=True))
        unused = [row.sealed.name for n, row in rows.items() if row.sealed is not None and not entered[n][1]]
        if unused:
            with contextlib.suppress(Retryable):  # an orphan costs room, and no more
                await asyncio.to_thread(self._folder.remove, *unused)
        return [entered[n][0] if isinstance(each, _Row) else each for n, each in enumerate(kept)]

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do something that blocks, on the way in, in one of the few threads that there are for it."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _enter(self, rows: Sequence[_Row]) -> list[_Entered]:
        """Commit them together; when one of them cannot be, each by itself, so that the error is its own."""
        if not rows:
            return []
        try:
            return await self.db.write(lambda c: self._insert(c, rows))
        except Exception as error:  # noqa: BLE001  a row that cannot be written must not take its neighbours along
            if len(rows) == 1 or isinstance(error, Retryable):
                return [(error, False)] * len(rows)
        return [entered for row in rows for entered in await self._enter([row])]

    def _keep_bytes(self, arrivals: Sequence[Arrival], keys: Sequence[bytes]) -> list[_Row | _Answer]:
        """In a thread: look up which arrivals are here already, and make the bytes of the others durable."""
        try:
            looks = self.db.read_here(lambda c: _looks(c, arrivals))
        except Exception as error:  # noqa: BLE001  each of them is answered by it
            return [error] * len(arrivals)
        kept: list[_Row | _Answer] = []
        bodies: dict[int, Body] = {}
        for n, (arrival, key, look) in enumerate(zip(arrivals, keys, looks, strict=True)):
            repeated = look.known is not None and look.known.verdict is Verdict.REPEATED
            kept.append(look.known if repeated and look.known is not None else _Row(arrival, None, key))
            if look.known is None and look.blob_id is None:
                bodies[n] = Body(arrival.decoded.body, key, arrival.decoded.sha256)
        if bodies and self.free_floor_bytes and shutil.disk_usage(self._folder.root).free < self.free_floor_bytes:
            full = StorageFull("the disk is nearly full", hint="Make room, or lower storage.keep_gb")
            return [full if isinstance(each, _Row) else each for each in kept]
        for n, sealed in zip(bodies, self._folder.put_all(list(bodies.values())), strict=True):
            kept[n] = _Row(arrivals[n], sealed, keys[n]) if isinstance(sealed, Sealed) else sealed
        return kept

    async def _owner_key(self, owner: str) -> bytes:
        known = await self.db.read(lambda c: self._keyring.known_owner(c, owner))
        return known if known is not None else await self.db.write(lambda c: self._keyring.owner(c, owner))

    def _insert(self, connection: Connection, rows: Sequence[_Row]) -> list[_Entered]:
        """Everything that is known of these arrivals, in few statements. Those that repeat another one wait for it."""
        entered: dict[int, _Entered] = {}
        new: dict[int, tuple[_Row, int | None]] = {}
        met: set[object] = set()
        for n, (row, look) in enumerate(zip(rows, _looks(connection, [row.arrival for row in rows]), strict=True)):
            marks = {_content(row.arrival), _name(row.arrival)} - {None}
            if look.known is not None:
                conflict = look.known.verdict is Verdict.CONFLICT
                entered[n] = (_conflict(connection, row.arrival) if conflict else look.known, False)
            elif look.blob_id is None and row.sealed is None:
                gone = Retryable("the file went while it was taken in again", code="blob-gone")
                entered[n] = (gone, False)
            elif not marks & met:
                new[n] = (row, look.blob_id)
            met |= marks
        for n, put in zip(new, self._insert_new(connection, list(new.values())), strict=True):
            entered[n] = (put, new[n][1] is None)
        return [entered[n] if n in entered else self._insert(connection, [row])[0] for n, row in enumerate(rows)]

    def _insert_new(self, connection: Connection, found: Sequence[tuple[_Row, int | None]]) -> list[Put]:
        """Rows of captures that are not here yet, with the ids of blobs that are."""
        if not found:
            return []
        noise = secrets.token_bytes(21 * len(found))
        capture_id, blob_id = next_id(connection, "capture"), next_id(connection, "blob")
        blobs, made, uids = [], [], []
        audiences = _audiences(connection, [row.arrival for row, _ in found])
        for n, (row, here) in enumerate(found):
            held = here
            arrival, sealed, fresh = row.arrival, row.sealed, noise[21 * n : 21 * n + 21]
            uids.append(new_uid(arrival.received_at_us, fresh[:9]))
            if held is None and sealed is not None:
                held, blob_id = blob_id, blob_id + 1
                wrapped = wrap(row.owner_key, sealed.key, sealed.name, nonce=fresh[9:])
                content = (arrival.owner, arrival.decoded.sha256)
                blobs.append((held, *content, sealed.name, wrapped, sealed.body_bytes, arrival.received_at_us))
            made.append((capture_id + n, uids[n], held, *_described(arrival, audiences)))
        arrivals = [row.arrival for row, _ in found]
        numbered = list(enumerate(arrivals, start=capture_id))
        insert(connection, "blob(id, owner, sha256, name, wrapped, body_bytes, written_at_us)", blobs)
        insert(connection, _CAPTURE, made)
        spans = [(number, 0, 0, arrival.decoded.duration_us or 0) for number, arrival in numbered]
        insert(connection, "segment(capture, n, start_us, end_us)", spans)
        insert(connection, "understood(capture)", [(number,) for number, _ in numbered])
        ledger.put_all(connection, _lines(arrivals))
        _seen(connection, arrivals)
        queued = [(n, self._first[each.decoded.kind], each.priority, each.received_at_us) for n, each in numbered]
        jobs.add_new(connection, queued)
        changed = [("memory", uid, "put", each.received_at_us) for uid, each in zip(uids, arrivals, strict=True)]
        insert(connection, "change(entity, entity_id, operation, at_us)", changed)
        return [Put(Verdict.STORED, uid) for uid in uids]

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
                captures.put_annotation(connection, stored)
                self._judge_again(connection, stored)
            if also is not None and here:
                handled = also(connection)
            if stored is not None and here:
                captures.touch(connection, job.capture_id, at_us=stored.at_us)
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
            captures.touch(connection, job.capture_id, at_us=at_us)

        await self.db.write(end)

    def requeue(
        self, connection: Connection, *, capture_id: int, step: str, at_us: int, priority: Priority = Priority.PERSON
    ) -> None:
        """Within a transaction: do a step again for one capture. What is made from it follows."""
        jobs.add(connection, capture_id=capture_id, steps=[step], priority=priority, at_us=at_us)

    def _judge_again(self, connection: Connection, stored: Stored) -> None:
        for number in stored.annotation.again:
            if captures.set_aside(connection, number, stored.step):  # else it was erased, or is to be done anyway
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


def _known(connection: Connection, arrival: Arrival) -> Put | None:
    if arrival.record is not None and arrival.device is not None:
        line = ledger.get(connection, device=arrival.device, key=arrival.record)
        if line is None or not line.stored:
            return None  # refused before: should it pass the gate now, it may come in
        if not line.agrees(arrival.record_hash):
            return Put(Verdict.CONFLICT)
        row = connection.execute(
            "SELECT uid FROM capture WHERE device = ? AND boot_id = ? AND seq = ?",
            (arrival.device, arrival.record.boot_id, arrival.record.sequence),
        ).fetchone()
        return Put(Verdict.REPEATED, row["uid"] if row else "")
    if arrival.same_since_us is not None:
        row = connection.execute(
            "SELECT uid FROM capture WHERE sha256 = ? AND device IS ? AND owner = ? AND received_at_us >= ?"
            " AND deleted_at_us IS NULL",
            (arrival.decoded.sha256, arrival.device, arrival.owner, arrival.same_since_us),
        ).fetchone()
        return Put(Verdict.REPEATED, row["uid"]) if row else None
    return None


def _conflict(connection: Connection, arrival: Arrival) -> Put:
    error = HearthlogError(
        "this number was used before for another record",
        code="conflict",
        hint="Look at the camera: its counter may have been reset",
    )
    about = {"source_name": arrival.source_name, "body_bytes": len(arrival.decoded.body)}
    refusals.put(
        connection,
        lane=arrival.lane,
        device=arrival.device or "",
        error=error,
        about=about,
        at_us=arrival.received_at_us,
    )
    return Put(Verdict.CONFLICT)


def _looks(connection: Connection, arrivals: Sequence[Arrival]) -> list[_Look]:
    """Which of them are here already, and whose bytes are: in two statements, where all is new."""
    names = {name for name in map(_name, arrivals) if name is not None}
    lines = find(connection, "ledger", ("device", "boot_id", "seq"), names)
    settled = {(line["device"], line["boot_id"], line["seq"]) for line in lines}
    held = find(connection, "blob", ("owner", "sha256"), set(map(_content, arrivals)))
    blobs = {(blob["owner"], blob["sha256"]): int(blob["id"]) for blob in held}
    return [
        _Look(
            None if _name(each) is not None and _name(each) not in settled else _known(connection, each),
            blobs.get(_content(each)),
        )
        for each in arrivals
    ]


def _content(arrival: Arrival) -> tuple[str, bytes]:
    return arrival.owner, arrival.decoded.sha256


def _name(arrival: Arrival) -> tuple[str, bytes, int] | None:
    if arrival.record is None or arrival.device is None:
        return None
    return arrival.device, arrival.record.boot_id, arrival.record.sequence


_CAPTURE = (
    "capture(id, uid, blob, kind, device, owner, privacy, ai_usage, captured_at_us, time_source, time_error_us, zone,"
    " received_at_us, lane, sha256, body_bytes, media_type, width_px, height_px, duration_us, boot_id, boot_counter,"
    " seq, mono_us, source_name, extra)"
)


def _audiences(connection: Connection, arrivals: Sequence[Arrival]) -> dict[str | None, tuple[str, str]]:
    """device → (privacy, AI use) of devices whose arrivals follow them."""
    named = {(each.device,) for each in arrivals if each.privacy is None or each.ai_usage is None}
    return {row["id"]: (row["privacy"], row["ai_usage"]) for row in find(connection, "device", ("id",), named)}


def _described(arrival: Arrival, audiences: Mapping[str | None, tuple[str, str]]) -> tuple[Value, ...]:
    """The columns of `_CAPTURE` behind the third."""
    decoded, taken, record = arrival.decoded, arrival.captured_at, arrival.record
    privacy, ai_usage = audiences.get(arrival.device, (Privacy.PRIVATE, AiUsage.NONE))
    return (
        decoded.kind.value,
        arrival.device,
        arrival.owner,
        arrival.privacy or privacy,
        arrival.ai_usage or ai_usage,
        taken.at_us,
        taken.source.value,
        taken.error_us,
        taken.zone,
        arrival.received_at_us,
        arrival.lane.value,
        decoded.sha256,
        len(decoded.body),
        decoded.media_type,
        decoded.width_px,
        decoded.height_px,
        decoded.duration_us,
        *((record.boot_id, record.boot_counter, record.sequence, record.mono_us) if record else (None,) * 4),
        arrival.source_name,
        json.dumps(decoded.extra, separators=(",", ":")) if decoded.extra else "{}",
    )


def _lines(arrivals: Sequence[Arrival]) -> list[tuple[str, RecordKey, bytes, int]]:
    return [
        (each.device, each.record, each.record_hash, each.received_at_us)
        for each in arrivals
        if each.record is not None and each.device is not None
    ]


def _seen(connection: Connection, arrivals: Sequence[Arrival]) -> None:
    latest_us: dict[str, int] = {}
    for each in arrivals:
        if each.device is not None:
            latest_us[each.device] = max(latest_us.get(each.device, 0), each.received_at_us)
    connection.executemany(
        "UPDATE device SET last_seen_us = max(last_seen_us, ?) WHERE id = ?",
        [(at_us, device) for device, at_us in latest_us.items()],
    )
