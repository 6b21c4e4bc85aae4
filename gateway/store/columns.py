"""The few columns of every memory that filters need, read in bulk, and who may see which."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gateway.policy import Sql
from gateway.store.db import Connection

Row: TypeAlias = tuple[int, int, str, str, str, int, int]
"""(id, captured_at_us, device or "", kind, folded, has text, has a person)"""

_BATCH = 4_096
_ROWS = (
    "SELECT c.id, c.captured_at_us, coalesce(c.device, ''), c.kind, coalesce(u.folded, ''),"
    " coalesce(u.text, '') <> '', instr(coalesce(u.tags, ''), '\"person\"') > 0"
    " FROM capture AS c LEFT JOIN understood AS u ON u.capture = c.id"
)


def all_rows(connection: Connection) -> Iterator[list[Row]]:
    """Every memory, deleted or not, ascending by id, in batches."""
    cursor = connection.cursor()
    cursor.row_factory = None
    cursor.execute(f"{_ROWS} ORDER BY c.id")
    while rows := cursor.fetchmany(_BATCH):
        yield rows


def rows_of(connection: Connection, uids: Sequence[str]) -> list[Row]:
    """Those of the memories that are there."""
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor.execute(
        f"{_ROWS} WHERE c.uid IN (SELECT value FROM json_each(?))", (json.dumps(list(uids)),)
    ).fetchall()


def ids(connection: Connection) -> npt.NDArray[np.int64]:
    """Every memory's id, deleted or not, ascending."""
    row = connection.execute("SELECT group_concat(id) FROM (SELECT id FROM capture ORDER BY id)").fetchone()
    return np.fromstring(row[0] or "", np.int64, sep=",")


def visible_ids(connection: Connection, seen: Sql, *, among: str = "") -> npt.NDArray[np.int64]:
    """Ids that may be seen, ascending; `among`: a JSON list of the only ones that are asked about."""
    cursor = connection.cursor()
    cursor.row_factory = None
    limit = " AND c.id IN (SELECT value FROM json_each(:among))" if among else ""
    cursor.execute(
        f"SELECT c.id FROM capture AS c WHERE {seen.where}{limit} ORDER BY c.id",
        {**seen.params, **({"among": among} if among else {})},
    )
    parts = []
    while rows := cursor.fetchmany(_BATCH):
        parts.append(np.fromiter((row[0] for row in rows), np.int64, len(rows)))
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
