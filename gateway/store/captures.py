"""Captures, what was understood of them, and what people decided: rows in, entities out.

Reading for a person goes through `memory.py` and `policy.py`; what is here serves the pipeline and the indexes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.entities import (
    AiUsage,
    Annotation,
    BlobRef,
    Capture,
    CapturedAt,
    Duplicate,
    DuplicateKind,
    Kind,
    Lane,
    Privacy,
    Provenance,
    RecordKey,
    Stored,
    TimeSource,
)
from gateway.store import asked, changes, copies, duplicates
from gateway.store.db import Connection, Row
from gateway.store.keys import Keyring, unwrap

COLUMNS = "c.*, b.name AS blob_name, b.wrapped AS blob_wrapped, b.owner AS blob_owner"
FROM = "capture AS c LEFT JOIN blob AS b ON b.id = c.blob"

_VECTOR = "INSERT OR REPLACE INTO embedding(annotation, capture, segment, space, vector) VALUES (?,?,?,?,?)"
FOLDED_KINDS = (DuplicateKind.EXACT, DuplicateKind.REENCODED, DuplicateKind.BURST, DuplicateKind.STATIC)
"""Copies that are folded behind the one they repeat. An edited copy stands by itself."""


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


def drop_superseded(connection: Connection, *, limit: int) -> int:
    """Drop, with their vectors, up to `limit` annotations that a later one of the same step and model took the place
    of; what another model said stays. How many went. People's words are not among them: those are decisions.
    """
    return connection.execute(
        "DELETE FROM annotation WHERE id IN (SELECT old.id FROM annotation AS old WHERE old.current = 0 AND EXISTS"
        " (SELECT 1 FROM annotation AS new WHERE new.capture = old.capture AND new.segment = old.segment"
        " AND new.step = old.step AND new.model = old.model AND new.id <> old.id"
        " AND (new.current = 1 OR (new.at_us, new.id) > (old.at_us, old.id))) LIMIT ?)",
        (limit,),
    ).rowcount


def notes(connection: Connection, capture_id: int) -> list[Stored]:
    """What stands now, by step."""
    rows = connection.execute(
        "SELECT a.*, d.kind AS copy_kind, d.of AS copy_of, d.evidence AS copy_evidence, q.answers FROM annotation AS a"
        " LEFT JOIN duplicate AS d ON d.capture = a.capture AND d.step = a.step LEFT JOIN asked AS q ON q.id = a.asked"
        " WHERE a.capture = ? AND a.current = 1 ORDER BY a.step",
        (capture_id,),
    ).fetchall()
    return [_stored(row) for row in rows]


def put_annotation(connection: Connection, stored: Stored) -> None:
    """Keep an annotation as what its step now says, with its vector, segments and duplicate; refresh the memory."""
    note = stored.annotation
    segment = 0
    annotation_id = _insert(connection, stored)
    if note.embedding is not None:
        vector = note.embedding
        connection.execute(_VECTOR, (annotation_id, stored.capture_id, segment, vector.space, vector.vector))
    for n, (start_us, end_us) in enumerate(note.segments, start=1):
        connection.execute(
            "INSERT OR REPLACE INTO segment(capture, n, start_us, end_us) VALUES (?,?,?,?)",
            (stored.capture_id, n, start_us, end_us),
        )
    if stored.step == duplicates.STEP:
        duplicates.claim(connection, stored.capture_id, note.duplicate)
    if note.copy_vector is not None:
        copies.put(connection, stored.capture_id, note.copy_vector)
    if note.likeness is not None:
        connection.execute("DELETE FROM likeness WHERE capture = ?", (stored.capture_id,))
        connection.executemany(
            "INSERT INTO likeness(part, band, capture) VALUES (?,?,?)",
            [
                (part, int.from_bytes(note.likeness[2 * part : 2 * part + 2], "big"), stored.capture_id)
                for part in range(4)
            ],
        )
    refresh(connection, stored.capture_id)


def put_skip(connection: Connection, stored: Stored) -> None:
    """Keep why a step was passed over. It said nothing before, so the memory says what it said."""
    _insert(connection, stored)


def set_aside(connection: Connection, capture_id: int, step: str) -> bool:
    """What the step said is its answer no more, although nothing that it was made from changed; what follows from it
    stands until the step speaks again. Whether it had said anything."""
    done = connection.execute(
        "UPDATE annotation SET current = 0 WHERE capture = ? AND step = ? AND current = 1", (capture_id, step)
    )
    return done.rowcount > 0


def put_beside(connection: Connection, stored: Stored) -> None:
    """Keep what another model says beside the annotation that stands, with its vector (see `spaces`)."""
    annotation_id = _insert(connection, stored, current=2)
    vector = stored.annotation.embedding
    if vector is not None:
        connection.execute(_VECTOR, (annotation_id, stored.capture_id, 0, vector.space, vector.vector))


def _insert(connection: Connection, stored: Stored, *, current: int = 1) -> int:
    note = stored.annotation
    connection.execute(
        "UPDATE annotation SET current = 0 WHERE capture = ? AND step = ? AND current >= ?",
        (stored.capture_id, stored.step, current),
    )
    row = connection.execute(
        "INSERT INTO annotation(capture, segment, step, fingerprint, step_version, model, revision, preprocessing,"
        " skipped, skip_code, hint, data, caption, text, transcript, tags, at_us, took_ms, current, asked)"
        " VALUES (?,0,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
        " ON CONFLICT (capture, segment, step, fingerprint) DO UPDATE SET current = excluded.current,"
        " model = excluded.model, revision = excluded.revision, preprocessing = excluded.preprocessing,"
        " asked = excluded.asked, skipped = excluded.skipped,"
        " skip_code = excluded.skip_code, hint = excluded.hint, data = excluded.data, caption = excluded.caption,"
        " text = excluded.text, transcript = excluded.transcript, tags = excluded.tags, at_us = excluded.at_us,"
        " took_ms = excluded.took_ms RETURNING id",
        (
            stored.capture_id,
            stored.step,
            stored.fingerprint,
            stored.step_version,
            note.provenance.model,
            note.provenance.revision,
            note.provenance.preprocessing,
            stored.skipped,
            stored.skip_code,
            stored.hint,
            json.dumps(note.data, separators=(",", ":"), ensure_ascii=False),
            note.caption,
            note.text,
            note.transcript,
            json.dumps(note.tags, ensure_ascii=False),
            stored.at_us,
            stored.took_ms,
            current,
            asked.put(connection, stored.step, stored.asked),
        ),
    ).fetchone()
    return int(row["id"])


def refresh(connection: Connection, capture_id: int) -> None:
    """Work out what a capture says now, from what its steps found and what people decided: their words win.

    Whether it is folded follows what `duplicates` says stands.
    """
    caption = source = text = transcript = ""
    tags: list[str] = []
    for note in notes(connection, capture_id):
        found = note.annotation
        if found.caption:
            caption = found.caption
            source = f"model:{found.provenance.model}" if found.provenance.model else "composed"
        text = found.text or text
        transcript = found.transcript or transcript
        tags += [tag for tag in found.tags if tag not in tags]
    for what, value, person in connection.execute(
        "SELECT d.what, d.value, p.name FROM decision AS d LEFT JOIN person AS p ON p.id = d.person"
        " WHERE d.capture = ? ORDER BY d.id",
        (capture_id,),
    ).fetchall():
        if what == "caption":
            caption, source = value, f"person:{person}"
        elif what == "transcript":
            transcript = value
        elif what == "tag" and value not in tags:
            tags.append(value)
        elif what == "untag":
            tags = [tag for tag in tags if tag != value]
    copy = connection.execute("SELECT kind FROM duplicate WHERE capture = ?", (capture_id,)).fetchone()
    folded = copy["kind"] if copy and copy["kind"] in FOLDED_KINDS else ""
    connection.execute(
        "INSERT OR REPLACE INTO understood(capture, caption, caption_source, text, transcript, tags, folded)"
        " VALUES (?,?,?,?,?,?,?)",
        (capture_id, caption, source, text, transcript, json.dumps(tags, ensure_ascii=False), folded),
    )


def decide(
    connection: Connection, capture_id: int, *, person: str, decisions: Sequence[tuple[str, str]], at_us: int
) -> None:
    """Write down what a person decided, as (what, value), and let it count."""
    connection.executemany(
        "INSERT INTO decision(capture, person, what, value, at_us) VALUES (?,?,?,?,?)",
        [(capture_id, person, what, value, at_us) for what, value in decisions],
    )
    refresh(connection, capture_id)
    touch(connection, capture_id, at_us=at_us)


def _apart_from(connection: Connection, capture: Capture) -> str:
    return json.dumps(sorted(duplicates.apart_from(connection, capture.id)))


def touch(connection: Connection, capture_id: int, *, at_us: int) -> None:
    """Tell the log that this memory changed."""
    row = connection.execute("SELECT uid FROM capture WHERE id = ?", (capture_id,)).fetchone()
    if row:
        changes.append(connection, entity="memory", entity_id=row["uid"], operation="put", at_us=at_us)


def _stored(row: Row) -> Stored:
    return Stored(
        capture_id=row["capture"],
        step=row["step"],
        step_version=row["step_version"],
        fingerprint=row["fingerprint"],
        at_us=row["at_us"],
        took_ms=row["took_ms"],
        annotation=Annotation(
            data=json.loads(row["data"]),
            caption=row["caption"],
            text=row["text"],
            transcript=row["transcript"],
            tags=tuple(json.loads(row["tags"])),
            provenance=Provenance(row["model"], row["revision"], row["preprocessing"]),
            duplicate=Duplicate(DuplicateKind(row["copy_kind"]), row["copy_of"], json.loads(row["copy_evidence"]))
            if row["copy_kind"]
            else None,
        ),
        skipped=row["skipped"],
        skip_code=row["skip_code"],
        hint=row["hint"],
        asked=json.loads(row["answers"]) if row["answers"] else {},
    )


def duplicate_of(connection: Connection, capture_id: int) -> Duplicate | None:
    """The one that a capture repeats, as it stands: what the step claims and people agree to."""
    row = connection.execute("SELECT kind, of, evidence FROM duplicate WHERE capture = ?", (capture_id,)).fetchone()
    return Duplicate(DuplicateKind(row["kind"]), row["of"], json.loads(row["evidence"])) if row else None


def settle(connection: Connection, capture_ids: Iterable[int], *, at_us: int) -> list[int]:
    """Work out anew what these repeat, after a decision about them, and tell the log. Returns those that changed."""
    changed = []
    for capture_id in capture_ids:
        before = duplicate_of(connection, capture_id)
        duplicates.settle(connection, capture_id)
        if duplicate_of(connection, capture_id) != before:
            refresh(connection, capture_id)
            changed.append(capture_id)
        touch(connection, capture_id, at_us=at_us)
    return changed


def promote(connection: Connection, capture_id: int, *, at_us: int, heir: int | None = None) -> int | None:
    """When a picture goes that others are folded behind, `heir` takes its place; None: its earliest copy, one that lies
    in the bin only where there is no other, for it may be brought back.

    Returns that copy: it was passed over by what costs, so its steps are to be queued again. None: nothing was folded
    behind it.
    """
    if heir is None:
        row = connection.execute(
            "SELECT d.capture FROM duplicate AS d JOIN capture AS c ON c.id = d.capture"
            " WHERE d.of = ? ORDER BY c.deleted_at_us IS NOT NULL, c.captured_at_us, c.id LIMIT 1",
            (capture_id,),
        ).fetchone()
        if row is None:
            return None
        heir = int(row["capture"])
    for changed in duplicates.step_forward(connection, capture_id, heir):
        refresh(connection, changed)
        touch(connection, changed, at_us=at_us)
    return heir


def come_back(connection: Connection, capture_id: int, *, at_us: int) -> None:
    """It was taken from the bin: what repeated it before does so again, unless a person said otherwise meanwhile."""
    for changed in duplicates.come_back(connection, capture_id):
        refresh(connection, changed)
        touch(connection, changed, at_us=at_us)


def erase_deleted(connection: Connection, *, before_us: int) -> tuple[int, list[str]]:
    """Erase captures that were deleted before then, with all that was made from them.

    Returns how many went, and the names of blob files that nothing uses any more: remove them after the commit.
    """
    rows = connection.execute(
        "SELECT id, uid, blob FROM capture WHERE deleted_at_us IS NOT NULL AND deleted_at_us < ?", (before_us,)
    ).fetchall()
    names: list[str] = []
    for row in rows:
        promote(connection, row["id"], at_us=before_us)
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
