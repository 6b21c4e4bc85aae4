"""Figures of cameras, and what people set on them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from gateway.entities import AiUsage, Lane, Privacy
from gateway.policy import Sql
from gateway.store import changes, devices
from gateway.store.db import Connection

_LATELY = 31


@dataclass(frozen=True, slots=True)
class Setting:
    """What a person says of a camera. None: leave it as it is."""

    name: str | None = None
    room: str | None = None
    privacy: Privacy | None = None
    ai_usage: AiUsage | None = None


def counts(connection: Connection, seen: Sql, *, from_us: int, to_us: int) -> dict[str, int]:
    """device → memories captured in [from_us, to_us) that may be seen, folded or not."""
    rows = connection.execute(
        "SELECT c.device, count(*) AS n FROM capture AS c WHERE c.device IS NOT NULL"
        f" AND c.captured_at_us >= :from_us AND c.captured_at_us < :to_us AND {seen.where} GROUP BY c.device",
        {"from_us": from_us, "to_us": to_us, **seen.params},
    ).fetchall()
    return {row["device"]: row["n"] for row in rows}


def usual_pause_us(connection: Connection, device: str, seen: Sql) -> int:
    """The median pause between a camera's last 31 memories that may be seen; 0 with fewer than three."""
    rows = connection.execute(
        f"SELECT c.captured_at_us AS at FROM capture AS c WHERE c.device = :device AND {seen.where}"
        " ORDER BY c.captured_at_us DESC LIMIT :lately",
        {"device": device, "lately": _LATELY, **seen.params},
    ).fetchall()
    pauses = sorted(later["at"] - earlier["at"] for later, earlier in itertools.pairwise(rows))
    return int(pauses[len(pauses) // 2]) if len(pauses) >= 2 else 0


def last_record(connection: Connection, device: str) -> tuple[int, int] | None:
    """(sequence, when it was settled) of a device's newest boot that has any; None off the record lane."""
    row = connection.execute(
        "SELECT l.seq, l.at_us FROM boot AS b JOIN ledger AS l ON l.device = b.device AND l.boot_id = b.boot_id"
        " AND l.seq = (SELECT max(seq) FROM ledger WHERE device = b.device AND boot_id = b.boot_id"
        " AND verdict = 'stored') WHERE b.device = ? ORDER BY l.seq DESC LIMIT 1",
        (device,),
    ).fetchone()
    return (row["seq"], row["at_us"]) if row else None


def refusals(connection: Connection, *, since_us: int) -> dict[str, tuple[int, int, str]]:
    """device → (how many were refused since then, when first, the reason of the last)."""
    rows = connection.execute(
        "SELECT device, count(*) AS n, min(at_us) AS first, reason, max(id) FROM refusal WHERE at_us >= ?"
        " GROUP BY device",
        (since_us,),
    ).fetchall()
    return {row["device"]: (row["n"], row["first"], row["reason"]) for row in rows}


def add(connection: Connection, device: str, *, lane: Lane, owner: str, setting: Setting, at_us: int) -> bool:
    """Name a camera before or after it first came. False when a person named it already.

    One that had come by itself keeps its owner.
    """
    known = devices.get(connection, device) is not None
    if not known:
        devices.add(connection, device, lane=lane, at_us=at_us, added=True)
        connection.execute("UPDATE device SET owner = ? WHERE id = ?", (owner, device))
    elif connection.execute("SELECT added FROM device WHERE id = ?", (device,)).fetchone()["added"]:
        return False
    connection.execute("UPDATE device SET added = 1 WHERE id = ?", (device,))
    change(connection, device, setting=setting, at_us=at_us)
    return True


def change(connection: Connection, device: str, *, setting: Setting, at_us: int) -> None:
    """Write what a person set."""
    connection.execute(
        "UPDATE device SET name = coalesce(:name, name), room = coalesce(:room, room),"
        " privacy = coalesce(:privacy, privacy), ai_usage = coalesce(:ai_usage, ai_usage) WHERE id = :id",
        {
            "id": device,
            "name": setting.name,
            "room": setting.room,
            "privacy": setting.privacy.value if setting.privacy else None,
            "ai_usage": setting.ai_usage.value if setting.ai_usage else None,
        },
    )
    changes.append(connection, entity="device", entity_id=device, operation="put", at_us=at_us)


def narrow(connection: Connection, device: str, *, privacy: Privacy, at_us: int) -> int:
    """Bring a camera's memories down to a narrower audience, save those a person decided on. Returns how many."""
    wider = {Privacy.PRIVATE: ("circle", "public"), Privacy.CIRCLE: ("public", "public")}.get(privacy)
    if wider is None:
        return 0
    rows = connection.execute(
        "UPDATE capture SET privacy = ? WHERE device = ? AND privacy IN (?, ?)"
        " AND NOT EXISTS (SELECT 1 FROM decision AS d WHERE d.capture = capture.id AND d.what = 'privacy')"
        " RETURNING uid",
        (privacy.value, device, *wider),
    ).fetchall()
    for row in rows:
        for operation in ("gone", "put"):
            changes.append(connection, entity="memory", entity_id=row["uid"], operation=operation, at_us=at_us)
    return len(rows)
