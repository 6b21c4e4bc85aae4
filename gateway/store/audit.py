"""Who tried to come in, who was let in, and who was put out: one line each, for the home's admins."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.store.db import Connection

KEPT = 5_000
"""Lines; the oldest go. Somebody who knocks for ever does not fill the disk."""
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Line:
    """Something that happened at the door."""

    event: str
    """`pairing`, `revoke`, `broker`, `firmware`, `command`."""
    outcome: str
    """`done`, or the code with which it was denied."""
    at_us: int
    person: str = ""
    """A person's id; empty when nobody of the home did it."""
    device: str = ""
    place: str = ""
    """The address it came from."""
    about: str = ""
    """What else helps; never a code, a password or what a memory holds."""


def write(connection: Connection, line: Line) -> None:
    """Add a line. What strangers said of themselves is cut short and made printable."""
    cut = [_plain(text) for text in (line.event, line.outcome, line.person, line.device, line.place, line.about)]
    number = connection.execute(
        "INSERT INTO audit(at_us, event, outcome, person, device, place, about) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (line.at_us, *cut),
    ).lastrowid
    if number is not None and number % 64 == 0:
        connection.execute("DELETE FROM audit WHERE id <= ?", (number - KEPT,))


def newest(connection: Connection, *, limit: int = 100) -> list[Line]:
    """The newest first."""
    rows = connection.execute("SELECT * FROM audit ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
    return [
        Line(
            event=row["event"],
            outcome=row["outcome"],
            at_us=row["at_us"],
            person=row["person"],
            device=row["device"],
            place=row["place"],
            about=row["about"],
        )
        for row in rows
    ]


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text[:_LONGEST])
