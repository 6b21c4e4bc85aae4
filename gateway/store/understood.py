"""What is understood of captures: what steps said, what people decided, and what stands of both.

`captures` has the pictures and recordings themselves, `duplicates` which of them repeat another.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from gateway.entities import Annotation, Duplicate, DuplicateKind, Provenance, Stored
from gateway.store import asked, changes, copies, duplicates
from gateway.store.db import Connection, Row

_VECTOR = "INSERT OR REPLACE INTO embedding(annotation, capture, segment, space, vector) VALUES (?,?,?,?,?)"
FOLDED_KINDS = (DuplicateKind.EXACT, DuplicateKind.REENCODED, DuplicateKind.BURST, DuplicateKind.STATIC)
"""Copies that are folded behind the one they repeat. An edited copy stands by itself."""


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
