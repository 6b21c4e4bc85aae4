"""Whom an annotation asked: which inference tasks, and which models answered.

An annotation points at one row of `asked`, a small table: of a step, each set of answers once. So what is to be done
again is told by a few rows, and found by an index.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from gateway.entities import Stored
from gateway.store.db import Connection

_CAPTURES = """
SELECT a.capture FROM annotation AS a JOIN capture AS c ON c.id = a.capture
LEFT JOIN understood AS u ON u.capture = a.capture
WHERE a.asked IN (SELECT value FROM json_each(:asked)) AND a.current = 1
  AND (c.blob IS NOT NULL OR a.skipped <> '') AND (:folded OR coalesce(u.folded, '') = '')
  AND NOT EXISTS (SELECT 1 FROM job AS j WHERE j.capture = a.capture AND j.step = a.step)
ORDER BY a.capture
"""


def put(connection: Connection, step: str, asked: Mapping[str, str]) -> int | None:
    """The row that says so; None where nothing was asked."""
    if not asked:
        return None
    values = (step, json.dumps(asked, sort_keys=True, separators=(",", ":")))
    row = connection.execute("SELECT id FROM asked WHERE step = ? AND answers = ?", values).fetchone()
    if row is None:
        row = connection.execute("INSERT INTO asked(step, answers) VALUES (?, ?) RETURNING id", values).fetchone()
    return int(row["id"])


def known(connection: Connection, step: str) -> dict[int, dict[str, str]]:
    """Every set of answers that a step was given, by its row."""
    rows = connection.execute("SELECT id, answers FROM asked WHERE step = ?", (step,)).fetchall()
    return {int(row["id"]): json.loads(row["answers"]) for row in rows}


def captures(connection: Connection, numbers: Sequence[int], *, folded: bool) -> list[int]:
    """Captures of which an annotation stands that points at one of these rows, and that are not queued for its step,
    the oldest first; `folded`: also those that are folded away.

    Where the original is gone, only those of which nothing was said: words can still be understood, and a step that
    needs the original then says so and is settled.
    """
    if not numbers:
        return []
    found = connection.execute(_CAPTURES, {"asked": json.dumps(list(numbers)), "folded": folded}).fetchall()
    return [int(row["capture"]) for row in found]


def amend(connection: Connection, standing: Stored, asked: Mapping[str, str]) -> None:
    """Say otherwise whom the annotation that stands asked."""
    connection.execute(
        "UPDATE annotation SET asked = ? WHERE capture = ? AND step = ? AND current = 1",
        (put(connection, standing.step, {**standing.asked, **asked}), standing.capture_id, standing.step),
    )
