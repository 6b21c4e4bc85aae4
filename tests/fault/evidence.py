"""What the store holds, read from beside the gateway: whether everything acknowledged is there, whole and once."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from gateway.errors import HearthlogError
from gateway.store import captures
from gateway.store.blobs import read_blob
from gateway.store.captures import Shelf
from gateway.store.db import connect
from gateway.store.keys import open_keyring

Key = tuple[str, bytes, int]
"""(device, boot, sequence)."""


@dataclass(slots=True)
class Evidence:
    """What does not fit what was promised; all empty when all is well."""

    lost: list[str] = field(default_factory=list)
    """Acknowledged and not there, or not readable."""
    twice: list[str] = field(default_factory=list)
    """Stored more than once."""
    buried: list[str] = field(default_factory=list)
    """Jobs set aside, with their reasons."""
    open_jobs: int = 0

    @property
    def clean(self) -> bool:
        return not (self.lost or self.twice or self.buried)

    def words(self) -> str:
        """For the table."""
        shown = [*self.lost[:3], *self.twice[:3], *self.buried[:3]]
        counts = f"{len(self.lost)} lost, {len(self.twice)} twice, {len(self.buried)} buried"
        return f"{counts}, {self.open_jobs} jobs left" + (f" ({'; '.join(shown)})" if shown else "")


def look(home: Path, *, records: Mapping[Key, bytes], plain: Iterable[bytes] = ()) -> Evidence:
    """`records`: what was acknowledged, with its body's SHA-256; `plain`: hashes that must be there exactly once."""
    try:
        return _look(home, records, plain)
    except (HearthlogError, sqlite3.Error) as error:  # no key, no tables: then nothing that was promised is there
        return Evidence(lost=[f"{error}: all of {len(records)} records"])


def _look(home: Path, records: Mapping[Key, bytes], plain: Iterable[bytes]) -> Evidence:
    found = Evidence()
    shelf = Shelf(home / "blobs", open_keyring(home))
    with closing(connect(home / "hearthlog.db", read_only=True)) as connection:
        for (device, boot, sequence), digest in records.items():
            where = f"{device} {boot.hex()} {sequence}"
            rows = connection.execute(
                f"SELECT {captures.COLUMNS} FROM {captures.FROM} WHERE c.device = ? AND c.boot_id = ? AND c.seq = ?",
                (device, boot, sequence),
            ).fetchall()
            ledger = connection.execute(
                "SELECT verdict FROM ledger WHERE device = ? AND boot_id = ? AND seq = ?", (device, boot, sequence)
            ).fetchone()
            if not rows or ledger is None or ledger[0] != "stored":
                found.lost.append(f"no row of {where}")
            elif reason := _unreadable(connection, rows[0], shelf, digest):
                found.lost.append(f"{where}: {reason}")
        for digest in plain:
            rows = connection.execute(
                f"SELECT {captures.COLUMNS} FROM {captures.FROM} WHERE c.sha256 = ? AND c.lane = 'plain'", (digest,)
            ).fetchall()
            if not rows:
                found.lost.append(f"plain {digest.hex()[:8]}")
            elif len(rows) > 1:
                found.twice.append(f"plain {digest.hex()[:8]}")
            elif reason := _unreadable(connection, rows[0], shelf, digest):
                found.lost.append(f"plain {digest.hex()[:8]}: {reason}")
        found.twice += [
            f"{row[0]} {row[1].hex()} {row[2]}"
            for row in connection.execute(
                "SELECT device, boot_id, seq FROM capture WHERE seq IS NOT NULL GROUP BY 1, 2, 3 HAVING count(*) > 1"
            )
        ]
        found.buried = [
            f"{row[0]} {row[1]}" for row in connection.execute("SELECT step, code FROM job WHERE state = 'dead'")
        ]
        found.open_jobs = connection.execute("SELECT count(*) FROM job WHERE state <> 'dead'").fetchone()[0]
    return found


def open_jobs(home: Path) -> int:
    """Jobs not done and not set aside."""
    with closing(connect(home / "hearthlog.db", read_only=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM job WHERE state <> 'dead'").fetchone()[0])


def ended_jobs(home: Path) -> int:
    """Jobs that found something."""
    with closing(connect(home / "hearthlog.db", read_only=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM annotation").fetchone()[0])


def _unreadable(connection: sqlite3.Connection, row: sqlite3.Row, shelf: Shelf, digest: bytes) -> str:
    try:
        blob = captures.capture_from_row(connection, row, shelf).blob
        if blob is None:
            return "no blob"
        return "" if hashlib.sha256(read_blob(blob)).digest() == digest else "other bytes"
    except HearthlogError as error:
        return error.code
