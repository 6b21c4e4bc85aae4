"""The durable queue and the ledger: accept, claim, acknowledge, retry, bury, replay.

Bytes, then row, then acknowledgement: when `put` returns, the blob's file and folder are synced and its rows are
committed. Whoever tells the outside world does it after that and never before.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self, TypeAlias

from gateway.batches import Batches
from gateway.entities import (
    AiUsage,
    CapturedAt,
    Decoded,
    Job,
    Json,
    Kind,
    Lane,
    Priority,
    Privacy,
    RecordKey,
    Stored,
)
from gateway.errors import HearthlogError, Retryable, StorageFull
from gateway.store import captures, changes, jobs
from gateway.store.blobs import BlobFolder, Body, Sealed
from gateway.store.db import Connection, Database
from gateway.store.ids import new_uid
from gateway.store.keys import Keyring, wrap

Also: TypeAlias = Callable[[Connection], Collection[str]]
"""Runs within the transaction of a job's end; names steps that need not be queued after it."""

_BLOB_THREADS = 4
_BLOBS_AT_ONCE = 16


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
    privacy: Privacy
    ai_usage: AiUsage
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
class _Kept:
    """What is known of an arrival before its rows are written, and its bytes once they are durable."""

    known: Put | None = None
    blob_id: int | None = None
    sealed: Sealed | None = None


class Spool:
    """`async with Spool(db, folder, keyring) as spool`. One a process; it owns the leases of this run."""

    def __init__(self, db: Database, folder: BlobFolder, keyring: Keyring, *, plan: Plan, run: str) -> None:
        self.db = db
        self.plan = plan
        self._folder = folder
        self._keyring = keyring
        self._run = run
        self._first = {kind: plan.first(kind) for kind in Kind}
        self._blobs = Batches(self._keep_bytes, name="blob", threads=_BLOB_THREADS, most=_BLOBS_AT_ONCE)
        self._same: dict[tuple[str, bytes], asyncio.Lock] = {}
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
        await self._blobs.close()

    async def put(self, arrival: Arrival) -> Put:
        """Make an arrival durable: blob, capture, ledger line, first jobs and the change.

        Idempotent by the record's key or, off the record lane, by content within `same_since_us`. Raises
        StorageFull or Retryable when it could not be made durable; then nothing may be acknowledged.
        """
        slot = (arrival.owner, arrival.decoded.sha256)
        lock = self._same.setdefault(slot, asyncio.Lock())
        try:
            async with lock:
                return await self._put(arrival)
        finally:
            if not lock.locked():
                self._same.pop(slot, None)

    async def _put(self, arrival: Arrival) -> Put:
        owner_key = self._keyring.remembered(arrival.owner) or await self._owner_key(arrival.owner)
        kept = await self._blobs.do((arrival, owner_key))
        if kept.known is not None:
            if kept.known.verdict is Verdict.CONFLICT:
                return await self.db.write(lambda c: _conflict(c, arrival))
            return kept.known
        try:
            put = await self.db.write(lambda c: self._insert(c, arrival, kept.sealed, owner_key))
        except HearthlogError:
            await self._forget(kept.sealed)
            raise
        if put.verdict is not Verdict.STORED:
            await self._forget(kept.sealed)
        return put

    def _keep_bytes(self, batch: Sequence[tuple[Arrival, bytes]]) -> list[_Kept | Exception]:
        """In a thread: look up which arrivals are here already, and make the bytes of the others durable."""
        kept: list[_Kept | Exception] = self.db.read_here(
            lambda c: [_Kept(_known(c, arrival), _blob_id(c, arrival)) for arrival, _ in batch]
        )
        new = [n for n, each in enumerate(kept) if isinstance(each, _Kept) and each.known is None]
        if new and self.free_floor_bytes and shutil.disk_usage(self._folder.root).free < self.free_floor_bytes:
            full = StorageFull("the disk is nearly full", hint="Make room, or lower storage.keep_gb")
            return [full if n in new else each for n, each in enumerate(kept)]
        bare = [n for n in new if kept[n] == _Kept()]
        bodies = [Body(batch[n][0].decoded.body, batch[n][1], batch[n][0].decoded.sha256) for n in bare]
        for n, sealed in zip(bare, self._folder.put_all(bodies), strict=True):
            kept[n] = _Kept(sealed=sealed) if isinstance(sealed, Sealed) else sealed
        return kept

    async def _forget(self, sealed: Sealed | None) -> None:
        if sealed is not None:
            with contextlib.suppress(Retryable):  # an orphan costs room, and no more
                await asyncio.to_thread(self._folder.remove, sealed.name)

    async def _owner_key(self, owner: str) -> bytes:
        known = await self.db.read(lambda c: self._keyring.known_owner(c, owner))
        return known if known is not None else await self.db.write(lambda c: self._keyring.owner(c, owner))

    def _insert(self, connection: Connection, arrival: Arrival, sealed: Sealed | None, owner_key: bytes) -> Put:
        known = _known(connection, arrival)
        if known is not None:
            return known if known.verdict is not Verdict.CONFLICT else _conflict(connection, arrival)
        decoded = arrival.decoded
        blob_id = _blob_id(connection, arrival)
        if blob_id is None:
            if sealed is None:
                raise Retryable("the file went while it was taken in again", code="blob-gone")
            blob_id = connection.execute(
                "INSERT INTO blob(owner, sha256, name, wrapped, body_bytes, written_at_us) VALUES (?,?,?,?,?,?)"
                " RETURNING id",
                (
                    arrival.owner,
                    decoded.sha256,
                    sealed.name,
                    wrap(owner_key, sealed.key, sealed.name),
                    sealed.body_bytes,
                    arrival.received_at_us,
                ),
            ).fetchone()[0]
        uid = new_uid(arrival.received_at_us)
        record = arrival.record
        capture_id = connection.execute(
            "INSERT INTO capture(uid, kind, device, owner, privacy, ai_usage, captured_at_us, time_source,"
            " time_error_us, zone, received_at_us, lane, sha256, blob, body_bytes, media_type, width_px, height_px,"
            " duration_us, boot_id, boot_counter, seq, mono_us, source_name, extra)"
            " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) RETURNING id",
            (
                uid,
                decoded.kind.value,
                arrival.device,
                arrival.owner,
                arrival.privacy.value,
                arrival.ai_usage.value,
                arrival.captured_at.at_us,
                arrival.captured_at.source.value,
                arrival.captured_at.error_us,
                arrival.captured_at.zone,
                arrival.received_at_us,
                arrival.lane.value,
                decoded.sha256,
                blob_id,
                len(decoded.body),
                decoded.media_type,
                decoded.width_px,
                decoded.height_px,
                decoded.duration_us,
                record.boot_id if record else None,
                record.boot_counter if record else None,
                record.sequence if record else None,
                record.mono_us if record else None,
                arrival.source_name,
                json.dumps(decoded.extra, separators=(",", ":")) if decoded.extra else "{}",
            ),
        ).fetchone()[0]
        connection.execute(
            "INSERT INTO segment(capture, n, start_us, end_us) VALUES (?, 0, 0, ?)",
            (capture_id, decoded.duration_us or 0),
        )
        connection.execute("INSERT INTO understood(capture) VALUES (?)", (capture_id,))
        if record is not None and arrival.device is not None:
            write_ledger(
                connection,
                device=arrival.device,
                key=record,
                body_hash=arrival.record_hash,
                at_us=arrival.received_at_us,
            )
        if arrival.device is not None:
            _seen(connection, arrival.device, arrival.received_at_us)
        jobs.add(
            connection,
            capture_id=capture_id,
            steps=self._first[decoded.kind],
            priority=arrival.priority,
            at_us=arrival.received_at_us,
        )
        changes.append(connection, entity="memory", entity_id=uid, operation="put", at_us=arrival.received_at_us)
        return Put(Verdict.STORED, uid)

    async def claim(self, steps: Sequence[str], *, lowest: Priority, limit: int, now_us: int) -> list[Job]:
        """Lease up to `limit` ready jobs of these steps for this run, most urgent first."""
        return await self.db.write(
            lambda c: jobs.claim(c, steps=steps, lowest=lowest, limit=limit, lease=self._run, now_us=now_us)
        )

    async def done(self, job: Job, kind: Kind, stored: Stored | None, *, also: Also | None = None) -> None:
        """Annotation, change, the job's end and what it makes ready, in one transaction.

        None: the annotation that stands still fits. `also` runs within, and names steps that it took care of.
        """

        def end(connection: Connection) -> None:
            handled: Collection[str] = ()
            if stored is not None and captures.get(connection, job.capture_id) is not None:
                captures.put_annotation(connection, stored)
                if also is not None:
                    handled = also(connection)
                captures.touch(connection, job.capture_id, at_us=stored.at_us)
            jobs.finish(connection, job)
            self._go_on(connection, job, kind, handled=handled, anew=stored is not None)

        await self.db.write(end)

    async def retry(self, job: Job, *, not_before_us: int) -> None:
        """It failed in a way that may pass."""
        await self.db.write(lambda c: jobs.retry(c, job, not_before_us=not_before_us))

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
                self._go_on(connection, job, kind, anew=True)
            captures.touch(connection, job.capture_id, at_us=at_us)

        await self.db.write(end)

    def requeue(
        self, connection: Connection, *, capture_id: int, step: str, at_us: int, priority: Priority = Priority.PERSON
    ) -> None:
        """Within a transaction: do a step again for one capture. What is made from it follows."""
        jobs.add(connection, capture_id=capture_id, steps=[step], priority=priority, at_us=at_us)

    def _go_on(
        self, connection: Connection, job: Job, kind: Kind, *, handled: Collection[str] = (), anew: bool
    ) -> None:
        """Queue what reads this job's step and can be done now; if nothing is `anew`, only what was never done."""
        dependents = [step for step in self.plan.dependents(kind, job.step) if step not in handled]
        if not dependents:
            return
        settled, queued = jobs.standing(connection, job.capture_id)
        for step in dependents:
            wanted = step not in queued and (anew or step not in settled)
            if wanted and self.plan.ready(kind, step, settled=settled, queued=queued):
                at_us = job.queued_at_us
                jobs.add(connection, capture_id=job.capture_id, steps=[step], priority=job.priority, at_us=at_us)
                queued.add(step)


def write_ledger(
    connection: Connection, *, device: str, key: RecordKey, body_hash: bytes, at_us: int, code: str = ""
) -> None:
    """One line of the ledger: this key is settled (stored, or nacked for ever with `code`)."""
    connection.execute(
        "INSERT OR REPLACE INTO ledger(device, boot_id, seq, hash, verdict, code, at_us) VALUES (?,?,?,?,?,?,?)",
        (device, key.boot_id, key.sequence, body_hash, "nacked" if code else "stored", code, at_us),
    )
    connection.execute(
        "INSERT INTO boot(device, boot_id, counter) VALUES (?,?,?) ON CONFLICT DO NOTHING",
        (device, key.boot_id, key.boot_counter),
    )


def ledger_line(connection: Connection, *, device: str, key: RecordKey) -> tuple[bytes | None, str, str] | None:
    """(hash, verdict, code) of a key; the hash is None once it was dropped with age; None: never seen."""
    row = connection.execute(
        "SELECT hash, verdict, code FROM ledger WHERE device = ? AND boot_id = ? AND seq = ?",
        (device, key.boot_id, key.sequence),
    ).fetchone()
    return (row["hash"], row["verdict"], row["code"]) if row else None


def refuse(connection: Connection, *, lane: Lane, device: str, error: HearthlogError, about: Json, at_us: int) -> None:
    """Write down that something was refused: `about` has `source_name` and `body_bytes`. The newest 2,000 are kept."""
    connection.execute(
        "INSERT INTO refusal(device, lane, source_name, code, reason, hint, body_bytes, at_us)"
        " VALUES (?,?,?,?,?,?,?,?)",
        (
            device,
            lane.value,
            str(about.get("source_name", "")),
            error.code,
            error.what,
            error.hint,
            int(about.get("body_bytes", 0)),
            at_us,
        ),
    )
    connection.execute("DELETE FROM refusal WHERE id <= (SELECT max(id) FROM refusal) - 2000")
    changes.append(connection, entity="refusal", entity_id=device, operation="put", at_us=at_us)


def _known(connection: Connection, arrival: Arrival) -> Put | None:
    if arrival.record is not None and arrival.device is not None:
        line = ledger_line(connection, device=arrival.device, key=arrival.record)
        if line is None or line[1] != "stored":
            return None  # refused before: should it pass the gate now, it may come in
        if line[0] is not None and line[0] != arrival.record_hash:
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
    refuse(
        connection,
        lane=arrival.lane,
        device=arrival.device or "",
        error=error,
        about=about,
        at_us=arrival.received_at_us,
    )
    return Put(Verdict.CONFLICT)


def _blob_id(connection: Connection, arrival: Arrival) -> int | None:
    row = connection.execute(
        "SELECT id FROM blob WHERE owner = ? AND sha256 = ?", (arrival.owner, arrival.decoded.sha256)
    ).fetchone()
    return int(row["id"]) if row else None


def _seen(connection: Connection, device: str, at_us: int) -> None:
    connection.execute("UPDATE device SET last_seen_us = max(last_seen_us, ?) WHERE id = ?", (at_us, device))
