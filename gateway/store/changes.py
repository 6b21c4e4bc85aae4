"""The append-only log of changes. Everything derived follows it with a cursor; nothing calls upwards."""

from __future__ import annotations

from gateway.entities import Change, Cursor
from gateway.store.db import Connection


def append(connection: Connection, *, entity: str, entity_id: str, operation: str, at_us: int) -> None:
    """Add one line, in the transaction of the change it tells of."""
    connection.execute(
        "INSERT INTO change(entity, entity_id, operation, at_us) VALUES (?, ?, ?, ?)",
        (entity, entity_id, operation, at_us),
    )


def head(connection: Connection) -> Cursor:
    """The place after the newest line."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'change'").fetchone()
    return Cursor(epoch=epoch(connection), sequence=row[0] if row else 0)


def epoch(connection: Connection) -> str:
    """Changes when the database is restored from a backup."""
    return str(connection.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0])


def after(connection: Connection, cursor: Cursor | None, *, limit: int = 1_000) -> tuple[list[Change], Cursor | None]:
    """The lines after `cursor`, oldest first, and the cursor behind the last of them.

    (…, None) as cursor means: start over, the database was restored since. `cursor` None reads from the beginning.
    """
    now = epoch(connection)
    start = cursor.sequence if cursor else 0
    if cursor and (cursor.epoch != now or start > head(connection).sequence):
        return [], None
    rows = connection.execute(
        "SELECT sequence, entity, entity_id, operation, at_us FROM change WHERE sequence > ? ORDER BY sequence LIMIT ?",
        (start, limit),
    ).fetchall()
    found = [Change(*row) for row in rows]
    return found, Cursor(epoch=now, sequence=found[-1].sequence if found else start)


def compact(connection: Connection, *, keep: int) -> int:
    """Keep the newest `keep` lines whole, and of the older ones the latest per entity. Returns lines dropped.

    A follower anywhere in the log still learns of every entity that changed after it: its latest line is there.
    """
    return connection.execute(
        "DELETE FROM change WHERE sequence <= :border AND EXISTS (SELECT 1 FROM change AS later WHERE"
        " later.entity = change.entity AND later.entity_id = change.entity_id AND later.sequence > change.sequence)",
        {"border": head(connection).sequence - keep},
    ).rowcount


def load_cursor(connection: Connection, name: str) -> Cursor | None:
    """Where a named follower stands."""
    row = connection.execute("SELECT epoch, sequence FROM cursor WHERE name = ?", (name,)).fetchone()
    return Cursor(row[0], row[1]) if row else None


def behind(connection: Connection, name: str) -> int | None:
    """How many lines a named follower has not followed yet; None for one that begins anew."""
    at = load_cursor(connection, name)
    if at is None or at.epoch != epoch(connection):
        return None
    return int(connection.execute("SELECT count(*) FROM change WHERE sequence > ?", (at.sequence,)).fetchone()[0])


def save_cursor(connection: Connection, name: str, cursor: Cursor) -> None:
    """Remember where a named follower stands, in the transaction of what it made from the lines before."""
    connection.execute(
        "INSERT OR REPLACE INTO cursor(name, epoch, sequence) VALUES (?, ?, ?)", (name, cursor.epoch, cursor.sequence)
    )


def forget_cursors(connection: Connection, prefix: str) -> None:
    """Let followers whose names begin with `prefix` start over."""
    connection.execute("DELETE FROM cursor WHERE substr(name, 1, length(:prefix)) = :prefix", {"prefix": prefix})
