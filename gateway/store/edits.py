"""What a person's hand changes on a capture's row. Each writes its change, and who decided it."""

from __future__ import annotations

from gateway.entities import AiUsage, Privacy
from gateway.store import changes, understood
from gateway.store.db import Connection


def put_in_bin(connection: Connection, capture_id: int, *, at_us: int) -> None:
    """Delete it so that it can be brought back."""
    row = connection.execute(
        "UPDATE capture SET deleted_at_us = ? WHERE id = ? AND deleted_at_us IS NULL RETURNING uid",
        (at_us, capture_id),
    ).fetchone()
    if row:
        changes.append(connection, entity="memory", entity_id=row["uid"], operation="gone", at_us=at_us)


def take_from_bin(connection: Connection, capture_id: int, *, at_us: int) -> None:
    """Bring it back."""
    connection.execute("UPDATE capture SET deleted_at_us = NULL WHERE id = ?", (capture_id,))
    understood.touch(connection, capture_id, at_us=at_us)


def set_privacy(connection: Connection, capture_id: int, privacy: Privacy, *, person: str, at_us: int) -> None:
    """Who may see it. The log says `gone` and then `put`: whoever may not see it any more learns only the first."""
    row = connection.execute(
        "UPDATE capture SET privacy = ? WHERE id = ? RETURNING uid", (privacy.value, capture_id)
    ).fetchone()
    changes.append(connection, entity="memory", entity_id=row["uid"], operation="gone", at_us=at_us)
    understood.decide(connection, capture_id, person=person, decisions=[("privacy", privacy.value)], at_us=at_us)


def set_ai_usage(connection: Connection, capture_id: int, ai_usage: AiUsage, *, person: str, at_us: int) -> None:
    """What machines may use it for."""
    connection.execute("UPDATE capture SET ai_usage = ? WHERE id = ?", (ai_usage.value, capture_id))
    understood.decide(connection, capture_id, person=person, decisions=[("ai-usage", ai_usage.value)], at_us=at_us)


def set_pinned(connection: Connection, capture_id: int, *, pinned: bool, at_us: int) -> None:
    """Whether retention must leave its original."""
    connection.execute("UPDATE capture SET pinned = ? WHERE id = ?", (int(pinned), capture_id))
    understood.touch(connection, capture_id, at_us=at_us)


def decisions(connection: Connection, capture_id: int) -> list[tuple[str, str, str, int]]:
    """(person's name, what, value, at_us), oldest first."""
    rows = connection.execute(
        "SELECT coalesce(p.name, ''), d.what, d.value, d.at_us FROM decision AS d"
        " LEFT JOIN person AS p ON p.id = d.person WHERE d.capture = ? ORDER BY d.id",
        (capture_id,),
    ).fetchall()
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def people(connection: Connection) -> list[tuple[str, str, str]]:
    """(id, name, role) of everyone who is here, in the order they came."""
    rows = connection.execute(
        "SELECT id, name, role FROM person WHERE gone_at_us IS NULL AND name <> '' ORDER BY created_at_us, id"
    ).fetchall()
    return [(row["id"], row["name"], row["role"]) for row in rows]
