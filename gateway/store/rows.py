"""Many rows in one statement.

For every statement, and every row of an `executemany`, sqlite3 lets the interpreter's lock go and takes it again.
While other threads are busy each of these costs far more than the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TypeAlias

from gateway.store.db import Connection, Row

Value: TypeAlias = str | bytes | int | float | None


def marks(rows: Sequence[Sequence[Value]]) -> tuple[str, list[Value]]:
    """`(?,?),(?,?)` and the values that belong there. `rows` is not empty, and its rows are of one length."""
    one = f"({','.join('?' * len(rows[0]))})"
    return ",".join([one] * len(rows)), list(chain.from_iterable(rows))


def insert(connection: Connection, into: str, rows: Sequence[Sequence[Value]], *, conflict: str = "") -> None:
    """INSERT INTO `into` (a table with its columns). No rows: nothing happens."""
    if rows:
        places, values = marks(rows)
        connection.execute(f"INSERT INTO {into} VALUES {places} {conflict}", values)


def next_id(connection: Connection, table: str) -> int:
    """The number that SQLite would give the next row of `table`: the writer may hand such numbers out itself."""
    return int(connection.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {table}").fetchone()[0])


def find(connection: Connection, table: str, columns: Sequence[str], keys: Iterable[Sequence[Value]]) -> list[Row]:
    """The rows of `table` whose `columns`, which an index begins with, are one of these keys."""
    wanted = list(keys)
    if not wanted:
        return []
    places, values = marks(wanted)
    names = [f"k{n}" for n in range(len(columns))]
    fits = " AND ".join(f"t.{column} = wanted.{name}" for column, name in zip(columns, names, strict=True))
    return connection.execute(
        f"WITH wanted({','.join(names)}) AS (VALUES {places}) SELECT t.* FROM wanted CROSS JOIN {table} AS t ON {fits}",
        values,
    ).fetchall()  # a cross join is done in the order in which it is written: by the index, however many keys
