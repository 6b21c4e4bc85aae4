"""What comes in, on its way into the store: which of it is here already, and the rows of what is not.

`spool` decides when and with which bytes; the statements are here.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from gateway.entities import AiUsage, CapturedAt, Decoded, Kind, Lane, Priority, Privacy, RecordKey
from gateway.errors import HearthlogError, Retryable
from gateway.store import jobs, ledger, refusals
from gateway.store.blobs import Sealed
from gateway.store.db import Connection
from gateway.store.ids import new_uid
from gateway.store.keys import wrap
from gateway.store.rows import Value, find, insert, next_id

First: TypeAlias = Mapping[Kind, Sequence[str]]
"""By kind the steps that a new capture is queued for."""


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
class Look:
    """What the store knows of an arrival."""

    known: Put | None
    """Set when it is here already, or in conflict with what is."""
    blob_id: int | None
    """Whose bytes are the same."""


@dataclass(frozen=True, slots=True)
class Row:
    """An arrival whose bytes are durable: sealed just now, or (None) by what `Look` found."""

    arrival: Arrival
    sealed: Sealed | None
    owner_key: bytes


Answer: TypeAlias = Put | Exception
Entered: TypeAlias = tuple[Answer, bool]
"""And whether the file that was sealed for it is in use."""


def look_up(connection: Connection, arrivals: Sequence[Arrival]) -> list[Look]:
    """Which of them are here already, and whose bytes are: in two statements, where all is new."""
    names = {name for name in map(_name, arrivals) if name is not None}
    lines = find(connection, "ledger", ("device", "boot_id", "seq"), names)
    settled = {(line["device"], line["boot_id"], line["seq"]) for line in lines}
    held = find(connection, "blob", ("owner", "sha256"), set(map(_content, arrivals)))
    blobs = {(blob["owner"], blob["sha256"]): int(blob["id"]) for blob in held}
    return [
        Look(
            None if _name(each) is not None and _name(each) not in settled else _known(connection, each),
            blobs.get(_content(each)),
        )
        for each in arrivals
    ]


def enter(connection: Connection, rows: Sequence[Row], *, first: First) -> list[Entered]:
    """Everything that is known of these arrivals, in few statements. Those that repeat another one wait for it."""
    entered: dict[int, Entered] = {}
    new: dict[int, tuple[Row, int | None]] = {}
    met: set[object] = set()
    for n, (row, look) in enumerate(zip(rows, look_up(connection, [row.arrival for row in rows]), strict=True)):
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
    for n, put in zip(new, _insert_new(connection, list(new.values()), first), strict=True):
        entered[n] = (put, new[n][1] is None)
    return [entered[n] if n in entered else enter(connection, [row], first=first)[0] for n, row in enumerate(rows)]


def _insert_new(connection: Connection, found: Sequence[tuple[Row, int | None]], first: First) -> list[Put]:
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
    queued = [(n, first[each.decoded.kind], each.priority, each.received_at_us) for n, each in numbered]
    jobs.add_new(connection, queued)
    changed = [("memory", uid, "put", each.received_at_us) for uid, each in zip(uids, arrivals, strict=True)]
    insert(connection, "change(entity, entity_id, operation, at_us)", changed)
    return [Put(Verdict.STORED, uid) for uid in uids]


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
