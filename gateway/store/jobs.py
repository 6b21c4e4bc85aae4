"""The queue's rows: what is to be done, in which order, and what could not be done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.entities import Job, Priority, Viewer
from gateway.policy import visible
from gateway.store.db import Connection
from gateway.store.rows import insert

RANK: Mapping[Priority, int] = {Priority.PERSON: 0, Priority.LIVE: 1, Priority.BACKLOG: 2}
_PRIORITY = {rank: priority for priority, rank in RANK.items()}
MAX_LOSSES = 20

_INSERT = """
INSERT INTO job(capture, step, state, priority, queued_at_us)
VALUES (?, ?, 'waiting', ?, ?)
ON CONFLICT (capture, step) DO UPDATE SET
  state = 'waiting', priority = min(priority, excluded.priority), tries = 0, losses = 0,
  not_before_us = 0, queued_at_us = excluded.queued_at_us, lease = '', code = '', reason = '', hint = ''
  WHERE state <> 'running'
"""
_NEXT = """
SELECT id, capture, step, priority, tries, queued_at_us FROM job
WHERE state = 'waiting' AND step = :step AND priority <= :rank AND not_before_us <= :now
ORDER BY priority, capture LIMIT :limit
"""
_CLAIM = "UPDATE job SET state = 'running', lease = :lease WHERE id = :id"
_THIS = "WHERE id = ? AND capture = ? AND step = ?"
"""A number alone is not enough: that of an erased capture's job is given to the next one that is queued."""
_STANDING = """
SELECT step, 1 FROM annotation WHERE capture = ? AND current = 1
UNION ALL SELECT step, state = 'dead' FROM job WHERE capture = ?
"""


@dataclass(frozen=True, slots=True)
class Backlog:
    """One step's queue as Health shows it."""

    step: str
    waiting: int
    running: int
    dead: int
    oldest_us: int | None
    """When the longest waiting job was queued."""


@dataclass(frozen=True, slots=True)
class Dead:
    """A job that was set aside."""

    id: int
    capture_uid: str
    step: str
    tries: int
    code: str
    reason: str
    hint: str
    queued_at_us: int
    device: str | None
    captured_at_us: int
    source_name: str
    kind: str


def add(connection: Connection, *, capture_id: int, steps: Iterable[str], priority: Priority, at_us: int) -> None:
    """Queue steps for a capture, ready to be done. A step that is queued is queued anew; one that runs goes on."""
    connection.executemany(_INSERT, [(capture_id, step, RANK[priority], at_us) for step in steps])


def add_new(connection: Connection, captures: Sequence[tuple[int, Iterable[str], Priority, int]]) -> None:
    """`add` for captures that are new: (capture, steps, priority, queued at)."""
    rows = [
        (number, step, "waiting", RANK[priority], at_us)
        for number, steps, priority, at_us in captures
        for step in steps
    ]
    insert(connection, "job(capture, step, state, priority, queued_at_us)", rows)


def standing(connection: Connection, capture_id: int) -> tuple[set[str], set[str]]:
    """(steps that are settled: they spoke, or were set aside; steps that are queued or run) of one capture."""
    settled: set[str] = set()
    queued: set[str] = set()
    for step, ended in connection.execute(_STANDING, (capture_id, capture_id)).fetchall():
        (settled if ended else queued).add(step)
    return settled, queued


def any_ready(connection: Connection, *, now_us: int) -> bool:
    """Whether anything waits that could be done now."""
    row = connection.execute(
        "SELECT 1 FROM job WHERE state = 'waiting' AND not_before_us <= ? LIMIT 1", (now_us,)
    ).fetchone()
    return row is not None


def claim(
    connection: Connection, *, steps: Sequence[str], lowest: Priority, limit: int, lease: str, now_us: int
) -> list[Job]:
    """Take up to `limit` ready jobs of `steps`, none below priority `lowest`, best first, for this run."""
    found: list[Job] = []
    for step in steps:
        rows = connection.execute(_NEXT, {"step": step, "rank": RANK[lowest], "now": now_us, "limit": limit}).fetchall()
        found += [
            Job(
                id=row["id"],
                capture_id=row["capture"],
                step=row["step"],
                priority=_PRIORITY[row["priority"]],
                tries=row["tries"],
                queued_at_us=row["queued_at_us"],
            )
            for row in rows
        ]
    found.sort(key=lambda job: (RANK[job.priority], job.capture_id))
    taken = found[:limit]
    connection.executemany(_CLAIM, [{"lease": lease, "id": job.id} for job in taken])
    return taken


def finish(connection: Connection, job: Job) -> None:
    """The job is done: it goes."""
    connection.execute(f"DELETE FROM job {_THIS}", _place(job))


def retry(connection: Connection, job: Job, *, not_before_us: int, counts: bool) -> None:
    """Try again, not before then."""
    connection.execute(
        f"UPDATE job SET state = 'waiting', lease = '', tries = tries + ?, not_before_us = ? {_THIS}",
        (int(counts), not_before_us, *_place(job)),
    )


def put_back(connection: Connection, taken: Sequence[Job]) -> None:
    """The run ends before the work did: no try is counted."""
    connection.executemany(
        f"UPDATE job SET state = 'waiting', lease = '' {_THIS} AND state = 'running'", [_place(job) for job in taken]
    )


def put_all_back(connection: Connection, *, lease: str) -> None:
    """What this run began and will not end: its worker broke off. No try is counted."""
    connection.execute("UPDATE job SET state = 'waiting', lease = '' WHERE state = 'running' AND lease = ?", (lease,))


def bury(connection: Connection, job: Job, *, why: tuple[str, str, str]) -> None:
    """Set the job aside with (code, reason, hint)."""
    connection.execute(
        f"UPDATE job SET state = 'dead', lease = '', tries = tries + 1, code = ?, reason = ?, hint = ? {_THIS}",
        (*why, *_place(job)),
    )


def recover(connection: Connection) -> int:
    """At start: leases of earlier runs are void. Returns how many jobs were lost on the way.

    A job that was lost more than `MAX_LOSSES` times is set aside: it may be what kills the gateway.
    """
    connection.execute(
        "UPDATE job SET state = 'dead', lease = '', code = 'lost-too-often', reason = 'the gateway stopped '"
        " || losses || ' times while doing this', hint = 'Look at the log, then try again'"
        " WHERE state = 'running' AND losses >= ?",
        (MAX_LOSSES,),
    )
    return connection.execute(
        "UPDATE job SET state = 'waiting', lease = '', losses = losses + 1 WHERE state = 'running'"
    ).rowcount


def _place(job: Job) -> tuple[int, int, str]:
    return job.id, job.capture_id, job.step


def backlogs(connection: Connection) -> list[Backlog]:
    """Every step that has jobs, by name."""
    rows = connection.execute(
        "SELECT step, sum(state = 'waiting') AS waiting, sum(state = 'running') AS running,"
        " sum(state = 'dead') AS dead, min(CASE WHEN state <> 'dead' THEN queued_at_us END) AS oldest"
        " FROM job GROUP BY step ORDER BY step"
    )
    return [Backlog(row["step"], row["waiting"], row["running"], row["dead"], row["oldest"]) for row in rows]


def waiting_by_priority(connection: Connection) -> dict[Priority, int]:
    """How many jobs wait, by what goes first."""
    counts = dict.fromkeys(Priority, 0)
    for rank, count in connection.execute(
        "SELECT priority, count(*) FROM job WHERE state <> 'dead' GROUP BY priority"
    ).fetchall():
        counts[_PRIORITY[rank]] = count
    return counts


def dead(connection: Connection, viewer: Viewer, *, limit: int) -> list[Dead]:
    """What was set aside, newest first; of memories that the viewer may not see, only that there is something."""
    mine = visible(viewer)
    rows = connection.execute(
        "SELECT j.*, c.uid, c.device, c.captured_at_us, c.kind,"
        f" CASE WHEN {mine.where} THEN c.source_name ELSE '' END AS shown_name,"
        f" CASE WHEN {mine.where} THEN c.uid ELSE '' END AS shown_uid"
        " FROM job AS j JOIN capture AS c ON c.id = j.capture"
        " WHERE j.state = 'dead' ORDER BY j.id DESC LIMIT :limit",
        {**mine.params, "limit": limit},
    ).fetchall()
    return [
        Dead(
            id=row["id"],
            capture_uid=row["shown_uid"],
            step=row["step"],
            tries=row["tries"],
            code=row["code"],
            reason=row["reason"],
            hint=row["hint"],
            queued_at_us=row["queued_at_us"],
            device=row["device"],
            captured_at_us=row["captured_at_us"],
            source_name=row["shown_name"],
            kind=row["kind"],
        )
        for row in rows
    ]


def dead_where(connection: Connection, where: str, values: Mapping[str, object]) -> list[tuple[int, str]]:
    """(capture, step) of the dead jobs `j` for which a constant condition holds."""
    return [
        (row["capture"], row["step"])
        for row in connection.execute(
            f"SELECT j.capture, j.step FROM job AS j WHERE j.state = 'dead' AND {where} ORDER BY j.id",
            values,
        ).fetchall()
    ]
