"""What was turned away for ever, and why: for whoever asks where a frame went."""

from __future__ import annotations

from gateway.entities import Json, Lane
from gateway.errors import HearthlogError
from gateway.store import changes
from gateway.store.db import Connection

KEPT = 2_000


def put(connection: Connection, *, lane: Lane, device: str, error: HearthlogError, about: Json, at_us: int) -> None:
    """Write one down: `about` has `source_name` and `body_bytes`. The newest `KEPT` stay."""
    connection.execute(
        "INSERT INTO refusal(device, lane, source_name, code, reason, hint, body_bytes, at_us)"
        " VALUES (?,?,?,?,?,?,?,?)",
        (
            device,
            lane.value,
            str(about.get("source_name", "")),
            error.code,
            error.what,
            error.hint,
            int(about.get("body_bytes", 0)),
            at_us,
        ),
    )
    connection.execute("DELETE FROM refusal WHERE id <= (SELECT max(id) FROM refusal) - ?", (KEPT,))
    changes.append(connection, entity="refusal", entity_id=device, operation="put", at_us=at_us)
