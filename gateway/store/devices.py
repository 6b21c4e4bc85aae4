"""Rows of devices, their boots and their gaps."""

from __future__ import annotations

import json
from collections.abc import Sequence

from gateway.entities import AiUsage, Device, Gap, Json, Lane, Privacy, Viewer
from gateway.errors import NotFound
from gateway.policy import knows_device
from gateway.store import changes
from gateway.store.db import Connection, Row


def first_admin(connection: Connection) -> str:
    """The person that frames of unknown devices belong to. There from the first migration, nameless until claimed."""
    return str(connection.execute("SELECT id FROM person WHERE role = 'admin' ORDER BY rowid LIMIT 1").fetchone()["id"])


def get(connection: Connection, device: str) -> Device | None:
    """A device by its id; None when it was never seen nor added."""
    row = connection.execute("SELECT * FROM device WHERE id = ?", (device,)).fetchone()
    return from_row(row) if row else None


def known(connection: Connection, viewer: Viewer, device: str) -> Device:
    """A device that this viewer may know of. Raises NotFound."""
    found = get(connection, device)
    if found is None or not knows_device(viewer, found):
        raise NotFound("there is no such camera, or it is not yours to see")
    return found


def all_of(connection: Connection) -> list[Device]:
    """Every device, by name."""
    return [from_row(row) for row in connection.execute("SELECT * FROM device ORDER BY name, id").fetchall()]


def add(connection: Connection, device: str, *, lane: Lane, at_us: int, added: bool = False) -> Device:
    """The device's row, made if need be: private, its owner the first admin. `added`: a person named it."""
    made = connection.execute(
        "INSERT INTO device(id, name, room, owner, privacy, ai_usage, lane, added, first_seen_us, last_seen_us)"
        " VALUES (?, ?, ?, ?, 'private', 'chat', ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (device, device, device, first_admin(connection), lane.value, int(added), at_us, at_us),
    ).rowcount
    if made:
        changes.append(connection, entity="device", entity_id=device, operation="put", at_us=at_us)
    found = get(connection, device)
    assert found is not None
    return found


def set_status(connection: Connection, device: str, status: Json, *, at_us: int, heard: bool = True) -> None:
    """What the device last told of itself; the caller has checked and bounded it. `heard`: it spoke just now.

    `offline` is its last will: the broker speaks, and the device was not heard.
    """
    heard_us = at_us if heard and status.get("state") != "offline" else 0
    connection.execute(
        "UPDATE device SET status = ?, last_seen_us = max(last_seen_us, ?) WHERE id = ?",
        (json.dumps(status, separators=(",", ":")), heard_us, device),
    )
    changes.append(connection, entity="device", entity_id=device, operation="put", at_us=at_us)


def gaps(connection: Connection, *, from_us: int, to_us: int, devices: Sequence[str] | None = None) -> list[Gap]:
    """Gaps that touch [from_us, to_us), oldest first."""
    rows = connection.execute(
        "SELECT * FROM gap WHERE from_us < ? AND to_us >= ? ORDER BY from_us, id", (to_us, from_us)
    ).fetchall()
    return [_gap(row) for row in rows if devices is None or row["device"] in devices]


def from_row(row: Row) -> Device:
    """A row of `device`."""
    return Device(
        id=row["id"],
        name=row["name"],
        room=row["room"],
        owner=row["owner"],
        privacy=Privacy(row["privacy"]),
        ai_usage=AiUsage(row["ai_usage"]),
        first_seen_us=row["first_seen_us"],
        last_seen_us=row["last_seen_us"],
        lane=Lane(row["lane"]),
        status=json.loads(row["status"]),
    )


def _gap(row: Row) -> Gap:
    return Gap(
        id=row["id"],
        device=row["device"],
        boot_id=row["boot_id"],
        first=row["first"],
        last=row["last"],
        reason=row["reason"],
        from_us=row["from_us"],
        to_us=row["to_us"],
    )
