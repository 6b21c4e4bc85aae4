"""Memories read for a person: named SQL around the fragment of `policy.visible`, rows in, entities out.

Every function takes the fragment; none reads a capture without it. Alias `c` is the capture, `u` what was understood.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.entities import (
    Annotation,
    Capture,
    Duplicate,
    DuplicateKind,
    Json,
    Memory,
    Provenance,
    Stored,
)
from gateway.policy import Sql
from gateway.store import duplicates
from gateway.store.captures import COLUMNS, FROM, Shelf, capture_from_row
from gateway.store.db import Connection, Row

_MEMORY = (
    f"SELECT {COLUMNS}, u.caption, u.caption_source, u.text, u.transcript, u.tags, u.folded,"
    " d.kind AS copy_kind, d.of AS copy_of, d.evidence AS copy_evidence"
    f" FROM {FROM} LEFT JOIN understood AS u ON u.capture = c.id LEFT JOIN duplicate AS d ON d.capture = c.id"
)
_NOTES = (
    "SELECT a.capture, a.step, a.step_version, a.fingerprint, a.at_us, a.took_ms, a.data, a.caption, a.text,"
    " a.transcript, a.tags, a.model, a.revision, a.preprocessing, a.skipped, a.skip_code, a.hint"
    " FROM annotation AS a WHERE a.current = 1 AND a.capture IN (SELECT value FROM json_each(?))"
    " ORDER BY a.capture, a.id"
)
_OTHER = "compared_with"
"""Where the step that looks for duplicates names another memory."""
NOT_FOUND = "there is no such memory, or it is not yours to see"


def by_ids(connection: Connection, ids: Sequence[int], seen: Sql, shelf: Shelf | None = None) -> list[Memory]:
    """The memories with these row numbers that may be seen, in the order of `ids`."""
    wanted = json.dumps(list(ids))
    rows = connection.execute(
        f"{_MEMORY} WHERE c.id IN (SELECT value FROM json_each(:ids)) AND {seen.where}", {"ids": wanted, **seen.params}
    ).fetchall()
    found = {memory.capture.id: memory for memory in _memories(connection, rows, seen, shelf)}
    return [found[number] for number in ids if number in found]


def by_uid(connection: Connection, uid: str, seen: Sql, shelf: Shelf | None = None) -> Memory | None:
    """One memory; None when it is not there or may not be seen."""
    rows = connection.execute(f"{_MEMORY} WHERE c.uid = :uid AND {seen.where}", {"uid": uid, **seen.params}).fetchall()
    return next(iter(_memories(connection, rows, seen, shelf)), None)


def number_of(connection: Connection, uid: str) -> int:
    """The row number behind a uid, for ordering only; -1 when it is gone."""
    row = connection.execute("SELECT id FROM capture WHERE uid = ?", (uid,)).fetchone()
    return int(row["id"]) if row else -1


def around(connection: Connection, capture: Capture, seen: Sql, *, each: int) -> list[int]:
    """Row numbers just before and after a capture, of all cameras, without what is folded; itself in the middle."""
    place = {"at": capture.captured_at.at_us, "id": capture.id, "each": each, **seen.params}
    base = f"SELECT c.id FROM capture AS c LEFT JOIN understood AS u ON u.capture = c.id WHERE {seen.where}"
    stands = " AND coalesce(u.folded, '') = ''"
    before = connection.execute(
        f"{base}{stands} AND (c.captured_at_us, c.id) < (:at, :id)"
        " ORDER BY c.captured_at_us DESC, c.id DESC LIMIT :each",
        place,
    ).fetchall()
    after = connection.execute(
        f"{base}{stands} AND (c.captured_at_us, c.id) > (:at, :id) ORDER BY c.captured_at_us, c.id LIMIT :each", place
    ).fetchall()
    return [row["id"] for row in reversed(before)] + [capture.id] + [row["id"] for row in after]


def duplicate_set(connection: Connection, capture_id: int, seen: Sql, *, limit: int = 200) -> list[int]:
    """Row numbers of a capture's copies and of what it is a copy of; without itself; in order of time."""
    rows = connection.execute(
        "WITH root(id) AS (SELECT coalesce((SELECT of FROM duplicate WHERE capture = :id), :id)),"
        " family(id) AS (SELECT id FROM root UNION SELECT capture FROM duplicate WHERE of = (SELECT id FROM root)"
        " UNION SELECT capture FROM duplicate WHERE of = :id)"
        f" SELECT c.id FROM capture AS c JOIN family ON family.id = c.id WHERE c.id <> :id AND {seen.where}"
        " ORDER BY c.captured_at_us, c.id LIMIT :limit",
        {"id": capture_id, "limit": limit, **seen.params},
    ).fetchall()
    return [row["id"] for row in rows]


def visible_uids(connection: Connection, uids: Sequence[str], seen: Sql) -> set[str]:
    """Those of `uids` that may be seen."""
    rows = connection.execute(
        f"SELECT c.uid FROM capture AS c WHERE c.uid IN (SELECT value FROM json_each(:uids)) AND {seen.where}",
        {"uids": json.dumps(list(uids)), **seen.params},
    ).fetchall()
    return {row["uid"] for row in rows}


def deleted(connection: Connection, seen: Sql, *, limit: int) -> list[int]:
    """Row numbers of what lies in the bin, latest first. `seen` is for `Purpose.BIN`."""
    rows = connection.execute(
        f"SELECT c.id FROM capture AS c WHERE {seen.where} ORDER BY c.deleted_at_us DESC, c.id DESC LIMIT :limit",
        {"limit": limit, **seen.params},
    ).fetchall()
    return [row["id"] for row in rows]


@dataclass(frozen=True, slots=True)
class Frame:
    """As much of a memory as a day's counts need."""

    id: int
    uid: str
    at_us: int
    error_us: int
    source: str
    device: str | None
    kind: str
    folded: str
    """As in `understood.folded`."""
    folded_into: int | None
    caption: str
    heard: bool
    """Something was heard in it: words or a named sound."""
    set_aside: bool
    pending: bool = False
    """Whether it is a copy is not known yet."""


_FRAMES = (
    "SELECT c.id, c.uid, c.captured_at_us, c.time_error_us, c.time_source, c.device, c.kind,"
    " coalesce(u.folded, ''), d.of, coalesce(u.caption, ''),"
    " c.kind = 'audio' AND (coalesce(u.transcript, '') <> '' OR coalesce(u.tags, '[]') <> '[]'),"
    " EXISTS (SELECT 1 FROM job AS j WHERE j.capture = c.id AND j.state = 'dead' AND (j.code IN ('unreadable',"
    " 'blob-damaged', 'blob-gone') OR (coalesce(u.caption, '') = '' AND coalesce(u.text, '') = ''"
    " AND coalesce(u.transcript, '') = ''))),"
    " c.kind = 'image' AND EXISTS (SELECT 1 FROM job AS j WHERE j.capture = c.id AND j.state <> 'dead')"
    " AND NOT EXISTS (SELECT 1 FROM annotation AS a WHERE a.capture = c.id AND a.step = 'dedupe' AND a.current = 1)"
    " FROM capture AS c LEFT JOIN understood AS u ON u.capture = c.id LEFT JOIN duplicate AS d ON d.capture = c.id"
)


def frames(connection: Connection, seen: Sql, *, from_us: int, to_us: int) -> list[Frame]:
    """Everything captured in [from_us, to_us) that may be seen, oldest first.

    Set aside: a step gave it up because its file cannot be read, or gave it up and nothing at all was understood.
    """
    cursor = connection.cursor()
    cursor.row_factory = None
    rows = cursor.execute(
        f"{_FRAMES} WHERE c.captured_at_us >= :from_us AND c.captured_at_us < :to_us AND {seen.where}"
        " ORDER BY c.captured_at_us, c.id",
        {"from_us": from_us, "to_us": to_us, **seen.params},
    ).fetchall()
    return [Frame(*row) for row in ((*row[:10], bool(row[10]), bool(row[11]), bool(row[12])) for row in rows)]


def standing(connection: Connection, seen: Sql, *, bounds: Sequence[tuple[int, int]]) -> list[int]:
    """For each [from_us, to_us): how many memories stand in it, folded ones left out."""
    counted = (
        "SELECT count(*) FROM capture AS c LEFT JOIN understood AS u ON u.capture = c.id"
        f" WHERE c.captured_at_us >= :from_us AND c.captured_at_us < :to_us AND coalesce(u.folded, '') = ''"
        f" AND {seen.where}"
    )
    return [
        int(connection.execute(counted, {"from_us": start, "to_us": end, **seen.params}).fetchone()[0])
        for start, end in bounds
    ]


def newest_of(connection: Connection, device: str, seen: Sql) -> int | None:
    """Row number of the newest thing of a device that may be seen and was not set aside; folded ones count."""
    row = connection.execute(
        f"SELECT c.id FROM capture AS c WHERE c.device = :device AND {seen.where}"
        " AND NOT EXISTS (SELECT 1 FROM job AS j WHERE j.capture = c.id AND j.state = 'dead' AND j.code = 'unreadable')"
        " ORDER BY c.captured_at_us DESC, c.id DESC LIMIT 1",
        {"device": device, **seen.params},
    ).fetchone()
    return int(row["id"]) if row else None


def _memories(connection: Connection, rows: Sequence[Row], seen: Sql, shelf: Shelf | None) -> list[Memory]:
    ids = json.dumps([row["id"] for row in rows])
    notes: dict[int, list[Stored]] = {}
    cursor = connection.cursor()
    cursor.row_factory = None
    for note in cursor.execute(_NOTES, (ids,)).fetchall():
        notes.setdefault(note[0], []).append(_stored(note))
    originals = _uids(connection, [row["copy_of"] for row in rows if row["copy_of"] is not None], seen)
    named = _named(connection, [note for each in notes.values() for note in each], seen)
    made = []
    for row in rows:
        copy = None
        if row["copy_kind"] is not None:
            evidence = _telling(json.loads(row["copy_evidence"]), named)
            copy = Duplicate(DuplicateKind(row["copy_kind"]), row["copy_of"], evidence)
        made.append(
            Memory(
                capture=capture_from_row(connection, row, shelf),
                caption=row["caption"] or "",
                caption_source=row["caption_source"] or "",
                text=row["text"] or "",
                transcript=row["transcript"] or "",
                tags=tuple(json.loads(row["tags"] or "[]")),
                duplicate=copy,
                duplicate_of_uid=originals.get(copy.of, "") if copy else "",
                annotations=tuple(_without_names(note, named) for note in notes.get(row["id"], ())),
            )
        )
    return made


def _named(connection: Connection, notes: Sequence[Stored], seen: Sql) -> set[str]:
    """Uids of other memories that steps name in what they say, of those that may be seen."""
    names = {note.annotation.data.get(_OTHER) for note in notes if note.step == duplicates.STEP}
    return (
        visible_uids(connection, [name for name in names if isinstance(name, str)], seen) if names - {None} else set()
    )


def _telling(said: Json, named: set[str]) -> Json:
    """What a step said, without the name of a memory that may not be seen."""
    return said if said.get(_OTHER) is None or said[_OTHER] in named else {**said, _OTHER: None}


def _without_names(note: Stored, named: set[str]) -> Stored:
    if note.step != duplicates.STEP:
        return note
    said = _telling(note.annotation.data, named)
    return note if said is note.annotation.data else replace(note, annotation=replace(note.annotation, data=said))


def _uids(connection: Connection, ids: Sequence[int], seen: Sql) -> dict[int, str]:
    if not ids:
        return {}
    rows = connection.execute(
        f"SELECT c.id, c.uid FROM capture AS c WHERE c.id IN (SELECT value FROM json_each(:ids)) AND {seen.where}",
        {"ids": json.dumps(list(ids)), **seen.params},
    ).fetchall()
    return {row["id"]: row["uid"] for row in rows}


def _stored(row: tuple[object, ...]) -> Stored:
    (capture, step, version, print_, at_us, took_ms, data, caption, text, transcript, tags, *rest) = row
    model, revision, preprocessing, skipped, skip_code, hint = rest
    return Stored(
        capture_id=_int(capture),
        step=str(step),
        step_version=_int(version),
        fingerprint=str(print_),
        at_us=_int(at_us),
        took_ms=float(str(took_ms)),
        annotation=Annotation(
            data=_json(str(data)),
            caption=str(caption),
            text=str(text),
            transcript=str(transcript),
            tags=tuple(json.loads(str(tags))) if tags != "[]" else (),
            provenance=Provenance(str(model), str(revision), str(preprocessing)),
        ),
        skipped=str(skipped),
        skip_code=str(skip_code),
        hint=str(hint),
    )


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _json(text: str) -> Json:
    if text == "{}":
        return {}
    decoded = json.loads(text)
    assert isinstance(decoded, dict)
    return decoded
