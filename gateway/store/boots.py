"""Boots of cameras: what ties their clock to ours, what was lost in them, and which records the ledger holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.entities import CapturedAt, TimeSource
from gateway.store import changes
from gateway.store.db import Connection

MAX_TIES = 4_096
_DATED_ERROR_US = 120_000_000


@dataclass(frozen=True, slots=True)
class Tie:
    """At `mono_us` since the boot it was `utc_us`, give or take `error_us`."""

    mono_us: int
    utc_us: int
    error_us: int
    source: TimeSource


@dataclass(frozen=True, slots=True)
class Span:
    """Bounds on the instant at which a boot began."""

    earliest_us: int | None = None
    """The boot before was still running then; absent when nothing before is dated."""
    latest_us: int | None = None
    followed: bool = False
    """A later boot is dated: `latest_us` comes from it as well, not from arrival alone."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A range of sequences that a device dropped."""

    device: str
    boot_id: bytes
    first: int
    last: int
    why: str
    from_mono_us: int | None
    to_mono_us: int | None


def ties(connection: Connection, *, device: str, boot_id: bytes) -> tuple[Tie, ...]:
    """All ties of one boot, by their place in it."""
    rows = connection.execute(
        "SELECT mono_us, utc_us, error_us, source FROM anchor WHERE device = ? AND boot_id = ?"
        " ORDER BY mono_us, source",
        (device, boot_id),
    ).fetchall()
    return tuple(Tie(row["mono_us"], row["utc_us"], row["error_us"], TimeSource(row["source"])) for row in rows)


def add_tie(connection: Connection, tie: Tie, *, device: str, boot_id: bytes) -> bool:
    """Keep a tie, and note that its boot and the device's boots without ties must be dated again. False: known."""
    count = connection.execute(
        "SELECT count(*) FROM anchor WHERE device = ? AND boot_id = ?", (device, boot_id)
    ).fetchone()[0]
    if count >= MAX_TIES:
        return False
    made = connection.execute(
        "INSERT INTO anchor(device, boot_id, mono_us, utc_us, error_us, source) VALUES (?,?,?,?,?,?)"
        " ON CONFLICT DO NOTHING",
        (device, boot_id, tie.mono_us, tie.utc_us, tie.error_us, tie.source.value),
    ).rowcount
    if made:
        mark_undated(connection, device=device, boot_id=boot_id)
        connection.execute(
            "INSERT OR IGNORE INTO undated(device, boot_id) SELECT b.device, b.boot_id FROM boot AS b"
            " WHERE b.device = ? AND NOT EXISTS"
            " (SELECT 1 FROM anchor AS a WHERE a.device = b.device AND a.boot_id = b.boot_id)",
            (device,),
        )
    return bool(made)


def mark_undated(connection: Connection, *, device: str, boot_id: bytes) -> None:
    """Note that the captures of a boot must be dated again."""
    connection.execute("INSERT OR IGNORE INTO undated(device, boot_id) VALUES (?,?)", (device, boot_id))


def span(connection: Connection, *, device: str, boot_id: bytes, counter: int) -> Span:
    """Between which instants a boot began, by the device's other boots and by what arrived of it."""
    row = connection.execute(
        "SELECT min(received_at_us - mono_us) AS latest, max(mono_us) AS longest FROM capture"
        " WHERE device = ? AND boot_id = ? AND seq IS NOT NULL",
        (device, boot_id),
    ).fetchone()
    before = _edge(connection, device, "counter < ? ORDER BY counter DESC", counter, "DESC")
    after = _edge(connection, device, "counter > ? ORDER BY counter ASC", counter, "ASC")
    bounds = [row["latest"]] if row["latest"] is not None else []
    if after is not None:
        bounds.append(after - (row["longest"] or 0))
    return Span(earliest_us=before, latest_us=min(bounds, default=None), followed=after is not None)


def _edge(connection: Connection, device: str, which: str, counter: int, order: str) -> int | None:
    """The last dated instant of the nearest boots before, or the first of those after; looks at eight boots."""
    for boot in connection.execute(
        f"SELECT boot_id FROM boot WHERE device = ? AND {which} LIMIT 8",
        (device, counter),
    ).fetchall():
        row = connection.execute(
            "SELECT captured_at_us FROM capture WHERE device = ? AND boot_id = ? AND seq IS NOT NULL"
            f" AND time_error_us <= ? ORDER BY seq {order} LIMIT 1",
            (device, boot["boot_id"], _DATED_ERROR_US),
        ).fetchone()
        if row is not None:
            return int(row["captured_at_us"])
    return None


def to_redate(connection: Connection) -> list[tuple[str, bytes, int | None]]:
    """(device, boot, counter) of the boots whose captures must be dated again; the counter is None if never seen.

    Boots that have ties come first: the others lie between them.
    """
    rows = connection.execute(
        "SELECT u.device, u.boot_id, b.counter FROM undated AS u LEFT JOIN boot AS b"
        " ON b.device = u.device AND b.boot_id = u.boot_id ORDER BY NOT EXISTS"
        " (SELECT 1 FROM anchor AS a WHERE a.device = u.device AND a.boot_id = u.boot_id), u.device, b.counter"
    ).fetchall()
    return [(row["device"], row["boot_id"], row["counter"]) for row in rows]


def redate(
    connection: Connection,
    date: Callable[[int, int], CapturedAt],
    *,
    boot: tuple[str, bytes],
    after: int,
    at_us: int,
) -> int | None:
    """Date up to 200 captures of a boot behind sequence `after` again; a date changes only for a surer one.

    `date` takes (mono_us, received_at_us). Returns the sequence to go on behind, or None at the boot's end: then its
    gaps have been dated too and nothing is left to do for it.
    """
    rows = connection.execute(
        "SELECT id, uid, seq, mono_us, received_at_us, time_error_us FROM capture"
        " WHERE device = ? AND boot_id = ? AND seq > ? ORDER BY seq LIMIT 200",
        (*boot, after),
    ).fetchall()
    for row in rows:
        found = date(row["mono_us"], row["received_at_us"])
        if found.error_us < row["time_error_us"]:
            connection.execute(
                "UPDATE capture SET captured_at_us = ?, time_source = ?, time_error_us = ? WHERE id = ?",
                (found.at_us, found.source.value, found.error_us, row["id"]),
            )
            changes.append(connection, entity="memory", entity_id=row["uid"], operation="put", at_us=at_us)
    if rows:
        return int(rows[-1]["seq"])
    _redate_gaps(connection, date, boot=boot, at_us=at_us)
    connection.execute("DELETE FROM undated WHERE device = ? AND boot_id = ?", boot)
    return None


def put_gap(connection: Connection, lost: Lost, date: Callable[[int, int], CapturedAt], *, at_us: int) -> None:
    """Keep what a device says it lost; told twice is kept once. Received at `at_us`."""
    from_us, to_us = _gap_bounds(connection, lost, date, at_us)
    made = connection.execute(
        "INSERT INTO gap(device, boot_id, first, last, reason, from_us, to_us, from_mono_us, to_mono_us)"
        " VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
        (
            lost.device,
            lost.boot_id,
            lost.first,
            lost.last,
            lost.why,
            from_us,
            to_us,
            lost.from_mono_us,
            lost.to_mono_us,
        ),
    ).rowcount
    if made:
        changes.append(connection, entity="gap", entity_id=lost.device, operation="put", at_us=at_us)


def _redate_gaps(
    connection: Connection, date: Callable[[int, int], CapturedAt], *, boot: tuple[str, bytes], at_us: int
) -> None:
    changed = False
    tied = bool(ties(connection, device=boot[0], boot_id=boot[1]))
    for row in connection.execute("SELECT * FROM gap WHERE device = ? AND boot_id = ?", boot).fetchall():
        lost = Lost(
            row["device"],
            row["boot_id"],
            row["first"],
            row["last"],
            row["reason"],
            row["from_mono_us"],
            row["to_mono_us"],
        )
        if lost.from_mono_us is not None and not tied:
            continue
        bounds = _gap_bounds(connection, lost, date, row["to_us"])
        if bounds != (row["from_us"], row["to_us"]):
            connection.execute("UPDATE gap SET from_us = ?, to_us = ? WHERE id = ?", (*bounds, row["id"]))
            changed = True
    if changed:
        changes.append(connection, entity="gap", entity_id=boot[0], operation="put", at_us=at_us)


def _gap_bounds(
    connection: Connection, lost: Lost, date: Callable[[int, int], CapturedAt], received_at_us: int
) -> tuple[int, int]:
    """Between which instants the lost records were taken: by the device's own word, else by the captures around."""
    if lost.from_mono_us is not None and lost.to_mono_us is not None:
        return date(lost.from_mono_us, received_at_us).at_us, date(lost.to_mono_us, received_at_us).at_us
    where = "SELECT captured_at_us FROM capture WHERE device = ? AND boot_id = ? AND seq"
    before = connection.execute(
        f"{where} < ? ORDER BY seq DESC LIMIT 1",
        (lost.device, lost.boot_id, lost.first),
    ).fetchone()
    after = connection.execute(
        f"{where} > ? ORDER BY seq LIMIT 1",
        (lost.device, lost.boot_id, lost.last),
    ).fetchone()
    to_us = after["captured_at_us"] if after else received_at_us
    from_us = before["captured_at_us"] if before else to_us
    return min(from_us, to_us), to_us


def stored_ranges(
    connection: Connection, *, device: str, boot_id: bytes, asked: tuple[int, int], limit: int = 64
) -> list[tuple[int, int]]:
    """Inclusive ranges of sequences in `asked` that the ledger holds as stored, ascending, at most `limit`."""
    found: list[tuple[int, int]] = []
    rows = connection.execute(
        "SELECT seq FROM ledger WHERE device = ? AND boot_id = ? AND seq BETWEEN ? AND ? AND verdict = 'stored'"
        " ORDER BY seq",
        (device, boot_id, *asked),
    )
    for (sequence,) in rows:
        if found and found[-1][1] + 1 == sequence:
            found[-1] = (found[-1][0], sequence)
        elif len(found) == limit:
            break
        else:
            found.append((sequence, sequence))
    return found
