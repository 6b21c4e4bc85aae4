"""Rows of the text index (FTS5), whose rowid is the capture's. Derived: it can be emptied and filled again."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.store.db import Connection

COLUMNS = ("caption", "text", "transcript", "tags")
_TABLE = (
    "CREATE VIRTUAL TABLE words USING fts5("
    "caption, text, transcript, tags, tokenize = 'porter unicode61 remove_diacritics 2')"
)
_INSERT = "INSERT INTO words(rowid, caption, text, transcript, tags) VALUES (?, ?, ?, ?, ?)"
_local = threading.local()
OPEN, CLOSE = "\x02", "\x03"
"""What `marked` puts around a word that matches; neither is ever written into the index."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is to be found of one capture, as it was understood."""

    capture_id: int
    caption: str
    text: str
    transcript: str
    tags: tuple[str, ...]


def sources(connection: Connection, uids: Sequence[str]) -> list[Source]:
    """What the memories with these uids say now. Of a uid that is gone nothing is returned."""
    rows = connection.execute(
        "SELECT c.id, u.caption, u.text, u.transcript, u.tags FROM capture AS c"
        " JOIN understood AS u ON u.capture = c.id WHERE c.uid IN (SELECT value FROM json_each(?))",
        (json.dumps(list(uids)),),
    ).fetchall()
    return [Source(row[0], row[1], row[2], row[3], tuple(json.loads(row[4]))) for row in rows]


def sources_after(connection: Connection, capture_id: int, *, limit: int) -> list[Source]:
    """The next memories by row number, for filling the index."""
    rows = connection.execute(
        "SELECT capture, caption, text, transcript, tags FROM understood WHERE capture > ? ORDER BY capture LIMIT ?",
        (capture_id, limit),
    ).fetchall()
    return [Source(row[0], row[1], row[2], row[3], tuple(json.loads(row[4]))) for row in rows]


def put(connection: Connection, rows: Sequence[tuple[int, str, str, str, str]]) -> None:
    """Write (capture, caption, text, transcript, tags), already spaced, in place of what was there."""
    connection.executemany("DELETE FROM words WHERE rowid = ?", [(row[0],) for row in rows])
    connection.executemany(_INSERT, [row for row in rows if any(row[1:])])


def drop_strays(connection: Connection) -> int:
    """Remove rows whose capture is gone. Returns how many."""
    return connection.execute("DELETE FROM words WHERE rowid NOT IN (SELECT id FROM capture)").rowcount


def empty(connection: Connection) -> None:
    """Throw the whole index away, damaged or not."""
    connection.execute("DROP TABLE IF EXISTS words")
    connection.execute(_TABLE)


def sound(connection: Connection) -> bool:
    """Whether the index can be read and its newest rows are the memories that they claim to be."""
    try:
        connection.execute("SELECT count(*) FROM words_docsize").fetchone()
        connection.execute("SELECT rowid FROM words WHERE words MATCH 'a' LIMIT 1").fetchone()
        stray = connection.execute(
            "SELECT 1 FROM (SELECT id FROM words_docsize ORDER BY id DESC LIMIT 100) AS newest"
            " WHERE newest.id NOT IN (SELECT capture FROM understood)"
        ).fetchone()
        return stray is None
    except sqlite3.DatabaseError:
        return False


def postings(
    connection: Connection, expression: str, *, between: tuple[int, int] | None = None
) -> npt.NDArray[np.int64]:
    """Captures that match an FTS5 expression, in ascending order; `between`: only ids from the first to the last."""
    limit = "" if between is None else " AND rowid BETWEEN ? AND ?"
    row = connection.execute(
        f"SELECT group_concat(rowid) FROM words WHERE words MATCH ?{limit}", (expression, *(between or ()))
    ).fetchone()
    return np.fromstring(row[0] or "", np.int64, sep=",")  # one string: four times as fast as a row a match


def numbers_of(connection: Connection, uids: Sequence[str]) -> list[int]:
    """The captures behind these uids that are there."""
    rows = connection.execute(
        "SELECT id FROM capture WHERE uid IN (SELECT value FROM json_each(?))", (json.dumps(list(uids)),)
    ).fetchall()
    return [row[0] for row in rows]


def marked(rows: Sequence[tuple[int, str, str, str, str]], expression: str) -> dict[int, tuple[str, str, str, str]]:
    """The rows that match, each column with its matching words between OPEN and CLOSE.

    Done in a table of its own in memory, by the same tokenizer: it costs the same however common a word is.
    """
    connection: Connection | None = getattr(_local, "connection", None)
    if connection is None:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.execute(_TABLE)
        _local.connection = connection
    columns = ", ".join(f"highlight(words, {n}, char(2), char(3))" for n in range(len(COLUMNS)))
    connection.execute("BEGIN")
    try:
        connection.executemany(_INSERT, rows)
        found = connection.execute(f"SELECT rowid, {columns} FROM words WHERE words MATCH ?", (expression,)).fetchall()
    finally:
        connection.execute("ROLLBACK")
    return {row[0]: (row[1], row[2], row[3], row[4]) for row in found}
