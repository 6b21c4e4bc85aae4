"""The one gate: whatever comes in, by whichever way, is checked, dated and made durable here.

A receipt is given only once the bytes and their rows are on the disk, so whoever holds one may tell the sender.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from gateway import metrics
from gateway.decoders.contents import Contents, read_contents
from gateway.decoders.decoder import Decoder
from gateway.decoders.notes import Anchor
from gateway.decoders.record import BadRecord, Record, decode_record
from gateway.entities import (
    AiUsage,
    CapturedAt,
    Decoded,
    Device,
    Lane,
    Priority,
    Privacy,
    RecordKey,
    TimeSource,
)
from gateway.errors import HearthlogError, Rejected, Retryable
from gateway.ingest.clock import UNCERTAIN_US, Told, can_be, settle
from gateway.ingest.dating import Dating, Known
from gateway.ingest.note import Note, take_note
from gateway.spool import Spool
from gateway.store import boots, devices, ledger, paired, refusals
from gateway.store.arrivals import Arrival, Put, Verdict
from gateway.store.boots import Tie
from gateway.store.db import Connection

log = logging.getLogger(__name__)

BACKLOG_AGE_US = 600_000_000
"""What was taken longer ago than this is caught up with after what is happening now."""
SAME_FRAME_US = 10_000_000
"""Equal bytes from one camera within this are one frame that came twice."""
PLAIN_ERROR_US = 5_000_000
"""A plain frame is sent as it is taken."""
TIE_APART_US = 600_000_000
"""A hello so soon after another tie of its boot tells nothing new."""
MAX_DEVICES = 256
"""Devices that may appear by themselves; more can be added by a person."""
_UNKNOWN_RETRY_MS = 300_000
_DEVICE_FRESH_S = 1.0


class Outcome(StrEnum):
    """What became of a message or a file."""

    STORED = "stored"
    REPEATED = "repeated"
    REFUSED = "refused"
    """For ever: the sender must not try again."""
    LATER = "later"
    """Not durable and not refused: the sender tries again."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The gate's answer. `key` is absent when the message has no name that could be answered by."""

    outcome: Outcome
    key: RecordKey | None = None
    uid: str = ""
    code: str = ""
    reason: str = ""
    hint: str = ""
    retry_ms: int | None = None
    """Set with LATER only."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose memory it becomes."""

    owner: str
    privacy: Privacy = Privacy.PRIVATE
    ai_usage: AiUsage = AiUsage.CHAT


@dataclass(frozen=True, slots=True)
class GateSettings:
    """What the gate must know of the house."""

    zone: str
    """IANA name."""
    accept_unknown: bool
    """Whether a device that nobody added may send."""
    session_expiry_us: int = 86_400_000_000
    """How long the broker keeps a plain frame: a redelivered one is looked for that far back."""


@dataclass(frozen=True, slots=True)
class _Dated:
    """A record's capture, ready to be kept, and what its date was made from."""

    device: str
    key: RecordKey
    arrival: Arrival
    known: Known


_Read: TypeAlias = tuple[Record, Contents] | Exception


class Gate:
    """One a process. Its methods may run at the same time: that is what makes commits come in groups."""

    def __init__(
        self, inner: Spool, dating: Dating, settings: GateSettings, *, now_us: Callable[[], int] | None = None
    ) -> None:
        self._spool = inner
        self._dating = dating
        self._settings = settings
        self._now_us = now_us or (lambda: time.time_ns() // 1_000)
        self._devices: dict[str, tuple[float, Device]] = {}

    def refuse_unknown(self) -> None:
        """From now on a device that nobody added may not send."""
        self._settings = replace(self._settings, accept_unknown=False)

    async def accept_records(self, came: Sequence[tuple[str, bytes]]) -> list[Receipt]:
        """Records of the record lane, with the device that sent each, by the handful: one hop to a thread for the
        checks, one for the bytes, one commit. Their order does not matter. Never raises for what is in a payload nor
        for a disk in trouble.
        """
        at_us = self._now_us()
        read = await self._spool.in_thread(lambda: _read_records([payload for _, payload in came]))
        captures: dict[int, _Dated] = {}
        others: dict[int, Coroutine[None, None, Receipt]] = {}
        for n, ((device, payload), found) in enumerate(zip(came, read, strict=True)):
            try:
                sender = await self._device(device, Lane.RECORD, at_us)
                metrics.received.labels(Lane.RECORD, sender.id).inc()
                if isinstance(found, Exception):
                    raise found
                record, contents = found
                if isinstance(contents, Decoded):
                    captures[n] = await self._dated(sender, record, contents, at_us)
                else:
                    others[n] = self._noted(device, record, contents, at_us)
            except Exception as error:  # noqa: BLE001  told apart there: a bug met by one record is not its neighbours'
                key = found.key if isinstance(found, BadRecord) else found[0].key if isinstance(found, tuple) else None
                others[n] = self._not_taken(error, device, key=key, size=len(payload))
        kept, answers = await asyncio.gather(self._keep(list(captures.values())), asyncio.gather(*others.values()))
        receipts = dict(zip(captures, kept, strict=True)) | dict(zip(others, answers, strict=True))
        return [receipts[n] for n in range(len(came))]

    async def accept_plain(
        self, device: str, payload: bytes, *, decoder: Decoder, source_name: str, redelivered: bool = False
    ) -> Receipt:
        """One frame or recording of the plain lane. Never raises, as above."""
        at_us = self._now_us()
        try:
            known = await self._device(device, Lane.PLAIN, at_us)
            metrics.received.labels(Lane.PLAIN, known.id).inc()
            decoded = await self._spool.in_thread(lambda: decoder.decode(payload))
            back_us = self._settings.session_expiry_us if redelivered else SAME_FRAME_US
            put = await self._spool.put(
                Arrival(
                    decoded=decoded,
                    owner=known.owner,
                    privacy=None,
                    ai_usage=None,
                    captured_at=self._arrival_time(decoded, at_us),
                    received_at_us=at_us,
                    lane=Lane.PLAIN,
                    device=device,
                    source_name=source_name,
                    same_since_us=at_us - back_us,
                )
            )
            return self._given(put, lane=Lane.PLAIN, device=device)
        except HearthlogError as error:
            return await self._turned_away(
                error, lane=Lane.PLAIN, device=device, source_name=source_name, size=len(payload)
            )

    async def accept_file(
        self,
        data: bytes,
        *,
        decoder: Decoder,
        sender: Sender,
        name: str,
        lane: Lane = Lane.FOLDER,
        named_time: CapturedAt | None = None,
    ) -> Receipt:
        """A file of a person. `named_time` is used when the bytes carry no time. The same bytes again are a repeat."""
        at_us = self._now_us()
        try:
            metrics.received.labels(lane, "").inc()
            decoded = await self._spool.in_thread(lambda: decoder.decode(data))
            put = await self._spool.put(
                Arrival(
                    decoded=decoded,
                    owner=sender.owner,
                    privacy=sender.privacy,
                    ai_usage=sender.ai_usage,
                    captured_at=self._file_time(decoded, named_time, at_us),
                    received_at_us=at_us,
                    lane=lane,
                    source_name=name,
                    priority=Priority.BACKLOG if lane is Lane.FOLDER else Priority.LIVE,
                    same_since_us=0,
                )
            )
            return self._given(put, lane=lane, device="")
        except HearthlogError as error:
            return await self._turned_away(error, lane=lane, device="", source_name=name, size=len(data))

    async def tie(self, device: str, boot_id: bytes, tie: Tie) -> None:
        """Something else told how a boot's clock stands (a hello). Raises Retryable."""

        def write(connection: Connection) -> bool:
            if devices.get(connection, device) is None:
                return False  # a stranger's clock is of no use, and its boots could be without end
            near = boots.ties(connection, device=device, boot_id=boot_id)
            if any(abs(tie.mono_us - other.mono_us) < TIE_APART_US for other in near):
                return False
            return boots.add_tie(connection, tie, device=device, boot_id=boot_id)

        if await self._spool.db.write(write):
            self._dating.learnt(device)

    async def _dated(self, sender: Device, record: Record, decoded: Decoded, at_us: int) -> _Dated:
        known = await self._dating.known(sender.id, record.key)
        told = Told.of(record.meta, mono_us=record.mono_us, received_at_us=at_us)
        captured_at = self._dating.date(told, known)
        arrival = Arrival(
            decoded=decoded,
            owner=sender.owner,
            privacy=None,
            ai_usage=None,
            captured_at=captured_at,
            received_at_us=at_us,
            lane=Lane.RECORD,
            device=sender.id,
            record=record.key,
            record_hash=record.body_sha256,
            source_name=f"boot {record.boot_counter}, record {record.sequence}",
            priority=Priority.BACKLOG if at_us - captured_at.at_us > BACKLOG_AGE_US else Priority.LIVE,
        )
        return _Dated(sender.id, record.key, arrival, known)

    async def _keep(self, captures: Sequence[_Dated]) -> list[Receipt]:
        if not captures:
            return []
        receipts = []
        for each, put in zip(captures, await self._spool.put_all([each.arrival for each in captures]), strict=True):
            try:
                if isinstance(put, Exception):
                    raise put
                if put.verdict is Verdict.STORED:
                    await self._dating.check(each.device, each.key, each.known)
                receipts.append(self._given(put, lane=Lane.RECORD, device=each.device, key=each.key))
            except Exception as error:  # noqa: BLE001  as above
                size = len(each.arrival.decoded.body)
                receipts.append(await self._not_taken(error, each.device, key=each.key, size=size))
        return receipts

    async def _noted(self, device: str, record: Record, note: Note, at_us: int) -> Receipt:
        try:
            return await self._note(device, record, note, at_us)
        except Exception as error:  # noqa: BLE001  as above
            return await self._not_taken(error, device, key=record.key, size=len(record.body))

    async def _not_taken(self, error: Exception, device: str, *, key: RecordKey | None, size: int) -> Receipt:
        """The answer to a record that failed. After a bug it is LATER: unanswered, it would be sent again at once, for
        ever.
        """
        if isinstance(error, HearthlogError):
            return await self._turned_away(error, key=key, lane=Lane.RECORD, device=device, size=size)
        log.error("record failed", extra={"device": device}, exc_info=error)
        metrics.ignored.labels("internal-error").inc()
        return Receipt(Outcome.LATER, key=key, code="internal-error", retry_ms=_UNKNOWN_RETRY_MS)

    async def _note(self, device: str, record: Record, note: Note, at_us: int) -> Receipt:
        """What a camera says of itself: its rows and the ledger line in one transaction."""
        known = await self._dating.known(device, record.key)

        def date(mono_us: int, received_at_us: int) -> CapturedAt:
            return self._dating.date(Told(mono_us, received_at_us), known)

        put = await self._spool.db.write(lambda c: take_note(c, device, record, note, date=date, at_us=at_us))
        if put.verdict is Verdict.STORED and isinstance(note, Anchor):
            self._dating.learnt(device)
        if put.verdict is Verdict.CONFLICT:
            raise BadRecord("this number was used before for another record", code="conflict", key=record.key)
        return self._given(put, lane=Lane.RECORD, device=device, key=record.key)

    def _given(self, put: Put, *, lane: Lane, device: str, key: RecordKey | None = None) -> Receipt:
        match put.verdict:
            case Verdict.STORED:
                metrics.stored.labels(lane, device).inc()
                return Receipt(Outcome.STORED, key=key, uid=put.uid)
            case Verdict.REPEATED:
                metrics.repeated.labels(lane).inc()
                return Receipt(Outcome.REPEATED, key=key, uid=put.uid)
            case Verdict.CONFLICT:
                metrics.rejected.labels(lane, "conflict").inc()
                log.warning("conflict", extra={"device": device, "lane": lane})
                reason = "this number was used before for another record"
                return Receipt(Outcome.REFUSED, key=key, code="conflict", reason=reason)

    async def _turned_away(
        self,
        error: HearthlogError,
        *,
        lane: Lane,
        device: str,
        size: int,
        key: RecordKey | None = None,
        source_name: str = "",
    ) -> Receipt:
        """Write a refusal down, or say that it may be tried again."""
        metrics.rejected.labels(lane, error.code).inc()
        if not isinstance(error, Rejected):
            return _later(error, key)
        log.info("refused", extra={"lane": lane, "device": device, "code": error.code})
        at_us = self._now_us()
        about = {"source_name": source_name or (f"record {key.sequence}" if key else ""), "body_bytes": size}

        def write(connection: Connection) -> None:
            refusals.put(connection, lane=lane, device=device, error=error, about=about, at_us=at_us)
            if key is not None and error.code not in _NOT_THE_RECORDS_FAULT:
                ledger.put_nacked(connection, device=device, key=key, code=error.code, at_us=at_us)

        try:
            await self._spool.db.write(write)
        except HearthlogError as trouble:
            return _later(trouble, key)
        retry_ms = _UNKNOWN_RETRY_MS if error.code == "unknown-device" and lane is Lane.RECORD else None
        outcome = Outcome.REFUSED if retry_ms is None else Outcome.LATER
        return Receipt(outcome, key=key, code=error.code, reason=error.what, hint=error.hint, retry_ms=retry_ms)

    async def _device(self, device: str, lane: Lane, at_us: int) -> Device:
        """The device's row, not older than a second. Raises Rejected for one that nobody added, where that matters, and
        for one that was put out: the broker may not have heard of it.
        """
        held = self._devices.get(device)
        if held is not None and time.monotonic() - held[0] < _DEVICE_FRESH_S:
            return held[1]
        found, out = await self._spool.db.read(lambda c: (devices.get(c, device), paired.is_out(c, device)))
        if out:
            raise Rejected("this camera was put out", code="unknown-device", where=device, hint="Pair it again")
        if found is None:
            if not self._settings.accept_unknown:
                raise Rejected(
                    "nobody added this camera", code="unknown-device", where=device, hint="Add it under Devices"
                )
            found = await self._spool.db.write(lambda c: _welcome(c, device, lane=lane, at_us=at_us))
        if len(self._devices) >= 1_024:
            self._devices.clear()
        self._devices[device] = (time.monotonic(), found)
        return found

    def _arrival_time(self, decoded: Decoded, at_us: int) -> CapturedAt:
        """A plain frame's own time if it has one that can be, else its arrival."""
        own = self._settled(decoded.captured_at) if decoded.captured_at is not None else None
        if own is not None and abs(at_us - own.at_us) <= BACKLOG_AGE_US:
            return own
        return CapturedAt(at_us, TimeSource.ARRIVAL, PLAIN_ERROR_US, self._settings.zone)

    def _file_time(self, decoded: Decoded, named_time: CapturedAt | None, at_us: int) -> CapturedAt:
        """A file's own time, else the one told beside it, if it can be; else its arrival."""
        for told in (decoded.captured_at, named_time):
            found = self._settled(told) if told is not None else None
            if found is not None and can_be(found.at_us, at_us):
                return found
        return self._settled(CapturedAt(at_us, TimeSource.ARRIVAL, UNCERTAIN_US))

    def _settled(self, captured_at: CapturedAt) -> CapturedAt:
        return settle(captured_at, self._settings.zone)


def _read_records(payloads: Sequence[bytes]) -> list[_Read]:
    """In a thread: hashes and checks. What is wrong with one is its own error."""
    found: list[_Read] = []
    for payload in payloads:
        try:
            record = decode_record(payload)
            found.append((record, read_contents(record)))
        except Exception as error:  # noqa: BLE001  raised again where this record is answered
            found.append(error)
    return found


_NOT_THE_RECORDS_FAULT = {"unknown-device", "conflict"}


def _later(error: HearthlogError, key: RecordKey | None) -> Receipt:
    retry_ms = error.retry_ms if isinstance(error, Retryable) else 60_000
    log.warning("not taken in", extra={"code": error.code})
    return Receipt(Outcome.LATER, key=key, code=error.code, reason=error.what, hint=error.hint, retry_ms=retry_ms)


def _welcome(connection: Connection, device: str, *, lane: Lane, at_us: int) -> Device:
    """A row for a device that appeared by itself. Raises Rejected when there are too many of them."""
    if len(devices.all_of(connection)) >= MAX_DEVICES:
        raise Rejected("too many cameras appeared by themselves", code="unknown-device", hint="Add it under Devices")
    return devices.add(connection, device, lane=lane, at_us=at_us)
