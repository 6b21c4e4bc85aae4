"""Which space of vectors answers for a step, and which one is filled to take its place.

An annotation that stands has `current` 1. One that was made for the space that is filled has `current` 2, beside the
one that stands: it changes nothing that anybody sees, and it goes as soon as its step says something else of the same
capture. Rows with `current` 2 are of the space that is filled; while none is, of the one that answers, which was filled
before: those are on their way to 1.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.entities import Cursor, Stored
from gateway.store import changes, understood
from gateway.store.db import Connection, connect

_STANDING = (
    "FROM embedding AS e JOIN annotation AS a ON a.id = e.annotation WHERE a.current = 1 AND a.step = :step"
    " AND e.space = :space"
)
_NOT_FILLED = (
    "NOT EXISTS (SELECT 1 FROM annotation AS s WHERE s.capture = a.capture AND s.segment = a.segment"
    " AND s.step = a.step AND s.current = 2)"
)


@dataclass(frozen=True, slots=True)
class Roles:
    """Names of a step's spaces; empty where there is none."""

    answers: str = ""
    fills: str = ""


@dataclass(frozen=True, slots=True)
class Filled:
    """How far the space is that is filled."""

    step: str
    answers: str
    fills: str
    done: int
    total: int
    """Memories that have a vector in the space that answers."""

    @property
    def sentence(self) -> str:
        """Which model is how far, and which one answers."""
        old, new = (space.partition("@")[0] for space in (self.answers, self.fills))
        if not new:
            return f"{old} answers."
        old, new = (old, new) if old != new else (self.answers, self.fills)
        done = f"{self.done:,} of {self.total:,} memories ({self.share:.0%})"
        return f"{new} has read {done}; {old} answers until it is done."

    @property
    def share(self) -> float:
        """0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 1.0


def roles(connection: Connection) -> dict[str, Roles]:
    """step → its spaces, for steps that have one."""
    rows = connection.execute("SELECT step, role, name FROM space").fetchall()
    named = {(row["step"], row["role"]): row["name"] for row in rows}
    return {
        step: Roles(named.get((step, "answers"), ""), named.get((step, "fills"), ""))
        for step in sorted({step for step, _ in named})
    }


def settle(connection: Connection, step: str, *, at_us: int) -> str:
    """Let the space answer that has most of what a step said, and that space's name; empty when it said nothing."""
    row = connection.execute(
        "SELECT e.space FROM embedding AS e JOIN annotation AS a ON a.id = e.annotation"
        " WHERE a.step = ? AND a.current = 1 GROUP BY e.space ORDER BY count(*) DESC, e.space LIMIT 1",
        (step,),
    ).fetchone()
    if row is None:
        return ""
    _name(connection, step, "answers", row["space"], at_us)
    return str(row["space"])


def begin(connection: Connection, step: str, space: str, *, at_us: int) -> None:
    """From now on this space is filled."""
    _name(connection, step, "fills", space, at_us)


def give_up(connection: Connection, step: str) -> None:
    """No space is filled any more. Its rows must be gone."""
    connection.execute("DELETE FROM space WHERE step = ? AND role = 'fills'", (step,))


def swap(connection: Connection, step: str, *, seen: Cursor | None, at_us: int) -> bool:
    """In this transaction: the space that was filled answers from now on. False, and nothing is done, when it is not
    whole: something changed after `seen` that it lacks, or its step is at work.

    Who calls looked at everything up to `seen` and found nothing missing; None: it need not be whole.
    """
    found = roles(connection).get(step, Roles())
    if not found.fills:
        return False
    if seen is not None:
        lines, cursor = changes.after(connection, seen, limit=1_000)
        uids = [line.entity_id for line in lines if line.entity == "memory"]
        if cursor is None or len(lines) == 1_000 or _lacks(connection, step, found.answers, uids):
            return False
        if connection.execute("SELECT 1 FROM job WHERE state = 'running' AND step = ?", (step,)).fetchone():
            return False
    connection.execute("DELETE FROM space WHERE step = ? AND role = 'answers'", (step,))
    connection.execute(
        "UPDATE space SET role = 'answers', since_us = ? WHERE step = ? AND role = 'fills'", (at_us, step)
    )
    return True


def not_filled(connection: Connection, step: str, space: str, *, after: int, limit: int) -> list[tuple[int, int]]:
    """(annotation, capture) of what stands in `space` and has nothing yet in the one that is filled, by annotation."""
    rows = connection.execute(
        f"SELECT e.annotation, e.capture {_STANDING} AND e.annotation > :after AND {_NOT_FILLED}"
        " ORDER BY e.annotation LIMIT :limit",
        {"step": step, "space": space, "after": after, "limit": limit},
    ).fetchall()
    return [(row[0], row[1]) for row in rows]


def put(connection: Connection, stored: Stored, *, beside: int) -> bool:
    """Keep what the model that is to come says, beside the annotation `beside`. False when that stands no more."""
    standing = connection.execute(
        "SELECT 1 FROM annotation WHERE id = ? AND capture = ? AND step = ? AND current = 1",
        (beside, stored.capture_id, stored.step),
    ).fetchone()
    if standing is None:
        return False
    understood.put_beside(connection, stored)
    return True


def drop_filled(connection: Connection, step: str, *, limit: int) -> int:
    """Drop up to `limit` rows of the space that is filled. How many went."""
    return connection.execute(
        "DELETE FROM annotation WHERE id IN (SELECT id FROM annotation WHERE step = ? AND current = 2 LIMIT ?)",
        (step, limit),
    ).rowcount


def promote(connection: Connection, step: str, *, limit: int) -> int:
    """After a swap: up to `limit` of the new rows stand, and those that stood before them go. How many."""
    rows = connection.execute(
        "SELECT id, capture, segment FROM annotation WHERE step = ? AND current = 2 LIMIT ?", (step, limit)
    ).fetchall()
    connection.executemany(
        "DELETE FROM annotation WHERE capture = ? AND segment = ? AND step = ? AND id <> ? AND current <> 2",
        [(row["capture"], row["segment"], step, row["id"]) for row in rows],
    )
    connection.executemany("UPDATE annotation SET current = 1 WHERE id = ?", [(row["id"],) for row in rows])
    return len(rows)


def strays(connection: Connection, step: str, space: str, *, limit: int) -> list[int]:
    """Captures of which a step's vector stands in `space`, and which are not queued for it."""
    rows = connection.execute(
        f"SELECT e.capture {_STANDING} AND NOT EXISTS (SELECT 1 FROM job AS j WHERE j.capture = e.capture"
        " AND j.step = a.step) ORDER BY e.annotation LIMIT :limit",
        {"step": step, "space": space, "limit": limit},
    ).fetchall()
    return [row[0] for row in rows]


def drop_old(connection: Connection, space: str, *, limit: int) -> int:
    """Drop up to `limit` rows of a space that stand no more. How many went."""
    return connection.execute(
        "DELETE FROM annotation WHERE id IN (SELECT a.id FROM embedding AS e JOIN annotation AS a"
        " ON a.id = e.annotation WHERE e.space = ? AND a.current = 0 LIMIT ?)",
        (space, limit),
    ).rowcount


def filled(connection: Connection, step: str) -> Filled | None:
    """How far the space is that a step fills; None when it fills none."""
    found = roles(connection).get(step, Roles())
    if not found.fills:
        return None
    values = {"step": step, "space": found.answers}
    total = connection.execute(f"SELECT count(*) {_STANDING}", values).fetchone()[0]
    left = connection.execute(f"SELECT count(*) {_STANDING} AND {_NOT_FILLED}", values).fetchone()[0]
    return Filled(step, found.answers, found.fills, total - left, total)


def look(path: Path) -> list[Filled]:
    """Every step's spaces, for a command: read from the database's file whether or not a gateway runs. Empty where
    there is none, or one that knows of no spaces yet. Where nothing is filled, `fills` is empty. Raises sqlite3.Error.
    """
    if not path.exists():
        return []
    with contextlib.closing(connect(path, read_only=True)) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'space'").fetchone() is None:
            return []
        return [
            filled(connection, step) or Filled(step, found.answers, "", 0, 0)
            for step, found in roles(connection).items()
        ]


def give_back(connection: Connection, *, pages: int) -> int:
    """Cut up to `pages` unused pages off the end of the file; how many are left. A file from before it could be cut
    keeps its size, and what comes fills the room.
    """
    if connection.execute("PRAGMA auto_vacuum").fetchone()[0] != _INCREMENTAL:
        return 0
    left = int(connection.execute("PRAGMA freelist_count").fetchone()[0])
    for _ in range(min(pages, left)):  # one a call: the driver steps such a statement once
        connection.execute("PRAGMA incremental_vacuum(1)")
    return max(0, left - pages)


_INCREMENTAL = 2


def _lacks(connection: Connection, step: str, space: str, uids: Sequence[str]) -> bool:
    row = connection.execute(
        "SELECT 1 FROM capture AS c JOIN annotation AS a ON a.capture = c.id AND a.step = :step AND a.current = 1"
        " JOIN embedding AS e ON e.annotation = a.id AND +e.space = :space"
        f" WHERE c.uid IN (SELECT value FROM json_each(:uids)) AND {_NOT_FILLED} LIMIT 1",
        {"step": step, "space": space, "uids": json.dumps(list(uids))},
    ).fetchone()
    return row is not None


def _name(connection: Connection, step: str, role: str, space: str, at_us: int) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO space(step, role, name, since_us) VALUES (?, ?, ?, ?)", (step, role, space, at_us)
    )
