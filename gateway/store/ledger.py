"""The ledger: which records of which boots are settled. It outlives the captures: a repeat is known for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.entities import RecordKey
from gateway.store.db import Connection
from gateway.store.rows import insert


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one record."""

    stored: bool
    """Else it was nacked for ever."""
    body_hash: bytes | None
    """SHA-256 of the body; None once it was dropped with age."""

    def agrees(self, body_hash: bytes) -> bool:
        """Whether a record of this name and this hash is the same one, as far as is still known."""
        return self.body_hash is None or self.body_hash == body_hash


def get(connection: Connection, *, device: str, key: RecordKey) -> Line | None:
    """None: never settled."""
    row = connection.execute(
        "SELECT hash, verdict FROM ledger WHERE device = ? AND boot_id = ? AND seq = ?",
        (device, key.boot_id, key.sequence),
    ).fetchone()
    return Line(row["verdict"] == "stored", row["hash"]) if row else None


def put_all(connection: Connection, stored: Sequence[tuple[str, RecordKey, bytes, int]]) -> None:
    """These records (device, key, hash, instant) are stored. One that was nacked before has its line replaced."""
    lines = [(device, key.boot_id, key.sequence, digest, "stored", "", at_us) for device, key, digest, at_us in stored]
    insert(
        connection,
        "ledger(device, boot_id, seq, hash, verdict, code, at_us)",
        lines,
        conflict="ON CONFLICT (device, boot_id, seq) DO UPDATE SET hash = excluded.hash, verdict = excluded.verdict,"
        " code = excluded.code, at_us = excluded.at_us",
    )
    _put_boots(connection, [(device, key) for device, key, _, _ in stored])


def put_nacked(connection: Connection, *, device: str, key: RecordKey, code: str, at_us: int) -> None:
    """This record was refused for ever; what is settled already stays."""
    line = (device, key.boot_id, key.sequence, b"", "nacked", code, at_us)
    columns = "ledger(device, boot_id, seq, hash, verdict, code, at_us)"
    insert(connection, columns, [line], conflict="ON CONFLICT DO NOTHING")
    _put_boots(connection, [(device, key)])


def _put_boots(connection: Connection, named: Sequence[tuple[str, RecordKey]]) -> None:
    counters = {(device, key.boot_id): key.boot_counter for device, key in named}
    boots = [(*boot, counter) for boot, counter in counters.items()]
    insert(connection, "boot(device, boot_id, counter)", boots, conflict="ON CONFLICT DO NOTHING")
