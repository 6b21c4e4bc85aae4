"""What the box measured of itself in the last day: a row every five minutes, so that a card hardly notices."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.store.db import Connection

EVERY_US = 300_000_000
KEPT_US = 86_400_000_000


def add(connection: Connection, values: Mapping[str, float], *, at_us: int) -> None:
    """Keep one reading of each name, and drop what is older than a day, or from a clock that ran ahead."""
    connection.executemany(
        "INSERT OR REPLACE INTO reading(name, at_us, value) VALUES (?, ?, ?)",
        [(name, at_us, value) for name, value in values.items()],
    )
    connection.execute("DELETE FROM reading WHERE at_us < ? OR at_us > ?", (at_us - KEPT_US, at_us))


def last_day(connection: Connection, *, until_us: int) -> dict[str, list[tuple[int, float]]]:
    """Instants and values by name, oldest first."""
    found: dict[str, list[tuple[int, float]]] = {}
    rows = connection.execute(
        "SELECT name, at_us, value FROM reading WHERE at_us > ? AND at_us <= ? ORDER BY name, at_us",
        (until_us - KEPT_US, until_us),
    )
    for row in rows:
        found.setdefault(row["name"], []).append((row["at_us"], row["value"]))
    return found
