"""What cameras say of themselves in records: telemetry, time anchors, gaps."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

from gateway.decoders.contents import Telemetry
from gateway.decoders.notes import Anchor, Lost
from gateway.decoders.record import Record
from gateway.entities import CapturedAt, TimeSource
from gateway.ingest.clock import plausible
from gateway.store import boots, devices, ledger
from gateway.store.arrivals import Put, Verdict
from gateway.store.boots import Tie
from gateway.store.db import Connection

log = logging.getLogger(__name__)

Note: TypeAlias = Telemetry | Anchor | Lost
Date: TypeAlias = Callable[[int, int], CapturedAt]
"""From microseconds since the boot, and the instant of arrival."""


def take_note(connection: Connection, device: str, record: Record, note: Note, *, date: Date, at_us: int) -> Put:
    """Within a transaction: the note's rows and its line of the ledger, if it was not here before."""
    line = ledger.get(connection, device=device, key=record.key)
    if line is not None and line.stored:
        return Put(Verdict.REPEATED if line.agrees(record.body_sha256) else Verdict.CONFLICT)
    match note:
        case Telemetry():
            _keep_telemetry(connection, device, record, note, at_us)
        case Anchor() if plausible(note.utc_us, at_us):
            tie = Tie(note.mono_us, note.utc_us, note.err_us, TimeSource.DEVICE_SYNCED)
            boots.add_tie(connection, tie, device=device, boot_id=note.boot_id)
        case Lost():
            for first, last in note.ranges:
                lost = boots.Lost(device, record.boot_id, first, last, note.why, note.from_us, note.to_us)
                boots.put_gap(connection, lost, date, at_us=at_us)
        case _:
            log.info("anchor not believed", extra={"device": device})
    ledger.put_all(connection, [(device, record.key, record.body_sha256, at_us)])
    return Put(Verdict.STORED)


def _keep_telemetry(connection: Connection, device: str, record: Record, note: Telemetry, at_us: int) -> None:
    """Into the device's status, unless a later record's is there already: arrival order does not matter."""
    found = devices.get(connection, device)
    if found is None:
        return
    held = found.status.get("telemetry_order", [-1, -1])
    order = [record.boot_counter, record.sequence]
    if order > held:
        status = {**found.status, "telemetry": dict(note.values), "telemetry_order": order}
        devices.set_status(connection, device, status, at_us=at_us)
