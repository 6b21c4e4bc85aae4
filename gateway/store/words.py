"""Rows of the text index (FTS5), whose rowid is the capture's. Derived: it can be emptied and filled again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.policy import Sql
from gateway.store.db import Connection

COLUMNS = ("caption", "text", "transcript", "tags")
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
    connection.executemany(
        "INSERT INTO words(rowid, caption, text, transcript, tags) VALUES (?, ?, ?, ?, ?)",
        [row for row in rows if any(row[1:])],
    )


def drop_strays(connection: Connection) -> int:
    """Remove rows whose capture is gone. Returns how many."""
    return connection.execute("DELETE FROM words WHERE rowid NOT IN (SELECT id FROM capture)").rowcount


def empty(connection: Connection) -> None:
    """Throw the whole index away, damaged or not."""
    connection.execute("DROP TABLE IF EXISTS words")
    connection.execute(
        "CREATE VIRTUAL TABLE words USING fts5("
        "caption, text, transcript, tags, tokenize = 'porter unicode61 remove_diacritics 2')"
    )


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


def postings(connection: Connection, expression: str) -> npt.NDArray[np.int64]:
    """Captures that match an FTS5 expression, in ascending order."""
    cursor = connection.cursor()
    cursor.row_factory = None
    rows = cursor.execute("SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid", (expression,)).fetchall()
    return np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))


def marked(
    connection: Connection, expression: str, ids: Sequence[int], seen: Sql
) -> Iterator[tuple[int, tuple[str, str, str, str]]]:
    """(capture, its four columns with matching words between OPEN and CLOSE), of those that match and may be seen."""
    columns = ", ".join(f"highlight(words, {n}, char(2), char(3))" for n in range(len(COLUMNS)))
    for number in ids:
        row = connection.execute(
            f"SELECT {columns} FROM words JOIN capture AS c ON c.id = words.rowid"
            f" WHERE words MATCH :match AND words.rowid = :id AND {seen.where}",
            {"match": expression, "id": number, **seen.params},
        ).fetchone()
        if row is not None:
            yield number, (row[0], row[1], row[2], row[3])
