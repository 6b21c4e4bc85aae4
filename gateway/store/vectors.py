"""Rows of vectors: SQLite is the truth, every index over them is derived."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from gateway.store.db import Connection

Row: TypeAlias = tuple[int, bytes]
"""(capture, float32 little-endian)"""

_BATCH = 256
_SPACES = """
WITH RECURSIVE known(space) AS (
  SELECT min(space) FROM embedding
  UNION ALL SELECT (SELECT min(space) FROM embedding WHERE space > known.space) FROM known WHERE known.space NOT NULL
)
SELECT known.space, a.step, length(e.vector) FROM known
JOIN embedding AS e ON e.annotation = (SELECT max(annotation) FROM embedding WHERE space = known.space)
JOIN annotation AS a ON a.id = e.annotation
ORDER BY e.annotation DESC
"""
# Where captures are named, `+e.space` keeps SQLite from walking the whole space instead of looking each capture up.
_CURRENT = "FROM embedding AS e JOIN annotation AS a ON a.id = e.annotation WHERE a.current > 0"
"""What stands in a space: 1 for all to see, 2 on its way there (see `spaces`)."""


def spaces(connection: Connection) -> list[tuple[str, str, int]]:
    """(space, step that made it, bytes of a vector) of every space that has vectors, last written first."""
    return [(row[0], row[1], row[2]) for row in connection.execute(_SPACES).fetchall()]


def of_space(connection: Connection, space: str) -> Iterator[list[Row]]:
    """All vectors that stand in a space, in the order they were made, in batches."""
    cursor = connection.cursor()
    cursor.row_factory = None
    cursor.execute(f"SELECT e.capture, e.vector {_CURRENT} AND e.space = ? ORDER BY e.annotation", (space,))
    while rows := cursor.fetchmany(_BATCH):
        yield rows


def of_memories(connection: Connection, space: str, uids: Sequence[str]) -> tuple[list[Row], list[int]]:
    """The vectors that these memories have in a space now, and the ids of those that have none there."""
    wanted = json.dumps(list(uids))
    cursor = connection.cursor()
    cursor.row_factory = None
    rows = cursor.execute(
        f"SELECT e.capture, e.vector {_CURRENT} AND +e.space = ? AND e.capture IN"
        " (SELECT id FROM capture WHERE uid IN (SELECT value FROM json_each(?))) ORDER BY e.annotation",
        (space, wanted),
    ).fetchall()
    ids = cursor.execute("SELECT id FROM capture WHERE uid IN (SELECT value FROM json_each(?))", (wanted,)).fetchall()
    having = {row[0] for row in rows}
    return rows, [row[0] for row in ids if row[0] not in having]


def of_captures(connection: Connection, space: str, ids: Sequence[int]) -> list[Row]:
    """The vectors of these captures in a space."""
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor.execute(
        f"SELECT e.capture, e.vector {_CURRENT} AND +e.space = ? AND e.capture IN (SELECT value FROM json_each(?))"
        " ORDER BY e.annotation",
        (space, json.dumps(list(ids))),
    ).fetchall()


def count(connection: Connection, space: str) -> int:
    """How many rows a space has."""
    return int(connection.execute("SELECT count(*) FROM embedding WHERE space = ?", (space,)).fetchone()[0])


def after(connection: Connection, space: str, *, annotation: int, limit: int) -> list[tuple[int, int, bytes]]:
    """(annotation, capture, vector) of the next ones that stand in a space, in the order they were made."""
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor.execute(
        f"SELECT e.annotation, e.capture, e.vector {_CURRENT} AND e.space = ? AND e.annotation > ?"
        " ORDER BY e.annotation LIMIT ?",
        (space, annotation, limit),
    ).fetchall()


def sample(connection: Connection, space: str, *, count: int) -> list[Row]:
    """The newest vectors of a space and some from all over it: what an index must have."""
    cursor = connection.cursor()
    cursor.row_factory = None
    border = cursor.execute("SELECT max(annotation) FROM embedding WHERE space = ?", (space,)).fetchone()[0] or 0
    found: dict[int, bytes] = {}
    half = max(1, count // 2)
    newest = f"SELECT e.capture, e.vector {_CURRENT} AND e.space = ? AND e.annotation <= ? ORDER BY e.annotation DESC"
    found.update(cursor.execute(f"{newest} LIMIT ?", (space, border, half)).fetchall())
    for part in range(1, half + 1):
        found.update(cursor.execute(f"{newest} LIMIT 1", (space, border * part // (half + 1))).fetchall())
    return sorted(found.items())
