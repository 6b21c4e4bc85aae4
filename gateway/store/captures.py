"""Captures: rows in, entities out. What is understood of them is in `understood`.

Reading for a person goes through `memory.py` and `policy.py`; what is here serves the pipeline and the indexes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from gateway.entities import (
    AiUsage,
    BlobRef,
    Capture,
    CapturedAt,
    Kind,
    Lane,
    Privacy,
    RecordKey,
    TimeSource,
)
from gateway.store import changes, copies, duplicates, understood
from gateway.store.db import Connection, Row
from gateway.store.keys import Keyring, unwrap

COLUMNS = "c.*, b.name AS blob_name, b.wrapped AS blob_wrapped, b.owner AS blob_owner"
FROM = "capture AS c LEFT JOIN blob AS b ON b.id = c.blob"


@dataclass(frozen=True, slots=True)
class Shelf:
    """What is needed to turn a blob's row into a BlobRef: where files lie and who holds the keys."""

    root: Path
    keyring: Keyring


def capture_from_row(connection: Connection, row: Row, shelf: Shelf | None = None) -> Capture:
    """A row of `COLUMNS` from `FROM`. Without a shelf the capture comes without its blob's key."""
    blob = None
    if shelf is not None and row["blob_name"] is not None:
        owner_key = shelf.keyring.owner(connection, row["blob_owner"])
        blob = BlobRef(
            path=str(shelf.root / row["blob_name"]),
            key=unwrap(owner_key, row["blob_wrapped"], row["blob_name"]),
            sha256=row["sha256"],
            body_bytes=row["body_bytes"],
            media_type=row["media_type"],
        )
    record = None
    if row["seq"] is not None:
        record = RecordKey(row["boot_id"], row["boot_counter"], row["seq"], row["mono_us"])
    return Capture(
        id=row["id"],
        uid=row["uid"],
        kind=Kind(row["kind"]),
        device=row["device"],
        owner=row["owner"],
        privacy=Privacy(row["privacy"]),
        ai_usage=AiUsage(row["ai_usage"]),
        captured_at=CapturedAt(
            row["captured_at_us"], TimeSource(row["time_source"]), row["time_error_us"], row["zone"]
        ),
        received_at_us=row["received_at_us"],
        lane=Lane(row["lane"]),
        sha256=row["sha256"],
        body_bytes=row["body_bytes"],
        media_type=row["media_type"],
        width_px=row["width_px"],
        height_px=row["height_px"],
        duration_us=row["duration_us"],
        record=record,
        source_name=row["source_name"],
        deleted_at_us=row["deleted_at_us"],
        pinned=bool(row["pinned"]),
        blob=blob,
    )


def get(connection: Connection, capture_id: int, shelf: Shelf | None = None) -> Capture | None:
    """One capture, deleted or not; None when there is none."""
    row = connection.execute(f"SELECT {COLUMNS} FROM {FROM} WHERE c.id = ?", (capture_id,)).fetchone()
    return capture_from_row(connection, row, shelf) if row else None


def previous_standing(connection: Connection, capture: Capture, *, limit: int) -> list[Capture]:
    """Pictures of the same device taken before this one, judged already and not folded away, newest first."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM {FROM} JOIN understood AS u ON u.capture = c.id"
        " WHERE c.device = :device AND c.kind = :kind AND c.deleted_at_us IS NULL AND u.folded = ''"
        " AND (c.captured_at_us, c.id) < (:at, :id)"
        " AND EXISTS (SELECT 1 FROM annotation AS a WHERE a.capture = c.id AND a.step = 'dedupe' AND a.current = 1)"
        " ORDER BY c.captured_at_us DESC, c.id DESC LIMIT :limit",
        {
            "device": capture.device,
            "kind": capture.kind.value,
            "at": capture.captured_at.at_us,
            "id": capture.id,
            "limit": limit,
        },
    ).fetchall()
    return [capture_from_row(connection, row) for row in rows]


def next_standing(connection: Connection, capture: Capture) -> list[Capture]:
    """The first picture of the same device taken after this one that came after it, too, is judged already and not
    folded away; [] where there is none."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM {FROM} JOIN understood AS u ON u.capture = c.id"
        " WHERE c.device = :device AND c.kind = :kind AND c.deleted_at_us IS NULL AND u.folded = ''"
        " AND c.captured_at_us >= :at AND c.id > :id"
        " AND EXISTS (SELECT 1 FROM annotation AS a WHERE a.capture = c.id AND a.step = 'dedupe' AND a.current = 1)"
        " ORDER BY c.captured_at_us, c.id LIMIT 1",
        {"device": capture.device, "kind": capture.kind.value, "at": capture.captured_at.at_us, "id": capture.id},
    ).fetchall()
    return [capture_from_row(connection, row) for row in rows]


def same_bytes(connection: Connection, capture: Capture) -> Capture | None:
    """The earliest other capture of the same owner with the same bytes, taken in before this one; of those that nobody
    said are not the same.
    """
    row = connection.execute(
        f"SELECT {COLUMNS} FROM {FROM} WHERE c.sha256 = ? AND c.owner = ? AND c.id < ? AND c.deleted_at_us IS NULL"
        " AND c.id NOT IN (SELECT value FROM json_each(?)) ORDER BY c.id LIMIT 1",
        (capture.sha256, capture.owner, capture.id, _apart_from(connection, capture)),
    ).fetchone()
    return capture_from_row(connection, row) if row else None


def alike(
    connection: Connection, capture: Capture, likeness: bytes, *, limit: int, brought_later: bool = False
) -> list[Capture]:
    """Earlier pictures of the same owner, of other devices or uploaded, that share a 16-bit band of their hash;
    `brought_later`: in their place those that people brought after this one came.

    By the pigeonhole principle that finds every hash within a distance of 3. Those of which a person said that they
    are not the same are left out.
    """
    found: dict[int, Capture] = {}
    apart = _apart_from(connection, capture)
    when = copies.BROUGHT_LATER if brought_later else copies.EARLIER
    for part in range(4):
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM {FROM} JOIN likeness AS l ON l.capture = c.id"
            f" WHERE l.part = ? AND l.band = ? AND {when} AND c.owner = ? AND c.deleted_at_us IS NULL"
            " AND c.id NOT IN (SELECT value FROM json_each(?)) LIMIT ?",
            (part, int.from_bytes(likeness[2 * part : 2 * part + 2], "big"), capture.id, capture.owner, apart, limit),
        ).fetchall()
        found |= {row["id"]: capture_from_row(connection, row) for row in rows}
    return [found[key] for key in sorted(found)]


def has_likeness(connection: Connection, capture_id: int) -> bool:
    """Whether later copies of it are found by its hash already."""
    return connection.execute("SELECT 1 FROM likeness WHERE capture = ?", (capture_id,)).fetchone() is not None


def _apart_from(connection: Connection, capture: Capture) -> str:
    return json.dumps(sorted(duplicates.apart_from(connection, capture.id)))


def erase_deleted(connection: Connection, *, before_us: int) -> tuple[int, list[str]]:
    """Erase captures that were deleted before then, with all that was made from them.

    Returns how many went, and the names of blob files that nothing uses any more: remove them after the commit.
    """
    rows = connection.execute(
        "SELECT id, uid, blob FROM capture WHERE deleted_at_us IS NOT NULL AND deleted_at_us < ?", (before_us,)
    ).fetchall()
    names: list[str] = []
    for row in rows:
        understood.promote(connection, row["id"], at_us=before_us)
        connection.execute("DELETE FROM words WHERE rowid = ?", (row["id"],))
        connection.execute("DELETE FROM capture WHERE id = ?", (row["id"],))
        changes.append(connection, entity="memory", entity_id=row["uid"], operation="gone", at_us=before_us)
        unused = connection.execute(
            "DELETE FROM blob WHERE id = ? AND NOT EXISTS (SELECT 1 FROM capture WHERE blob = blob.id) RETURNING name",
            (row["blob"],),
        ).fetchall()
        names += [each["name"] for each in unused]
    return len(rows), names


def blob_names(connection: Connection) -> set[str]:
    """Names of the files that a row stands for."""
    return {row["name"] for row in connection.execute("SELECT name FROM blob")}
