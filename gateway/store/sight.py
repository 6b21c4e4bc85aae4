"""What a camera's own pictures say of how it sees: covered, blurred, turned."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.policy import Sql
from gateway.store.db import Connection

_TURNED = "a.step = 'dedupe' AND a.current = 1 AND json_extract(a.data, '$.camera_turned')"
"""As the index `annotation_turned` has it: few pictures of many."""
_JUDGED = (
    "SELECT c.uid, c.captured_at_us, json_extract(a.data, '$.fault') AS fault, json_extract(a.data, '$.grid') AS grid"
    " FROM capture AS c JOIN annotation AS a ON a.capture = c.id AND a.segment = 0 AND a.step = 'quality'"
    " AND a.current = 1 AND a.skipped = '' WHERE "
)


@dataclass(frozen=True, slots=True)
class Judged:
    """A picture whose quality was judged."""

    uid: str
    at_us: int
    fault: str
    grid: str
    """As the step `quality` keeps it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A picture that shows that its camera was turned."""

    uid: str
    at_us: int
    before: str
    """The uid of the one before."""


def newest(connection: Connection, device: str, seen: Sql, *, since_us: int, limit: int) -> list[Judged]:
    """A camera's newest judged pictures that may be seen, the newest first."""
    return _judged(
        connection,
        f"c.device = :device AND c.captured_at_us >= :since AND {seen.where}"
        " ORDER BY c.captured_at_us DESC, c.id DESC LIMIT :limit",
        {"device": device, "since": since_us, "limit": limit, **seen.params},
    )


def first_of(connection: Connection, device: str, seen: Sql, *, fault: str, since_us: int) -> Judged | None:
    """The first of a camera's pictures since then after which none was without that fault."""
    about = {"device": device, "since": since_us, "fault": fault, **seen.params}
    here = f"c.device = :device AND c.captured_at_us >= :since AND {seen.where}"
    other = _judged(
        connection,
        f"{here} AND json_extract(a.data, '$.fault') <> :fault ORDER BY c.captured_at_us DESC, c.id DESC LIMIT 1",
        about,
    )
    after_us = other[0].at_us if other else since_us - 1
    found = _judged(
        connection,
        f"{here} AND c.captured_at_us > :after AND json_extract(a.data, '$.fault') = :fault"
        " ORDER BY c.captured_at_us, c.id LIMIT 1",
        {**about, "after": after_us},
    )
    return found[0] if found else None


def one(connection: Connection, uid: str, seen: Sql) -> Judged | None:
    """One picture, if it was judged and may be seen."""
    found = _judged(connection, f"c.uid = :uid AND {seen.where}", {"uid": uid, **seen.params})
    return found[0] if found else None


def turns(connection: Connection, device: str, seen: Sql, *, since_us: int) -> list[Turn]:
    """When a camera was turned since then, the earliest first."""
    rows = connection.execute(
        "SELECT c.uid, c.captured_at_us, json_extract(a.data, '$.compared_with') AS before"
        " FROM annotation AS a INDEXED BY annotation_turned JOIN capture AS c ON c.id = a.capture"
        f" WHERE {_TURNED} AND c.device = :device AND c.captured_at_us >= :since AND {seen.where}"
        " ORDER BY c.captured_at_us, c.id",
        {"device": device, "since": since_us, **seen.params},
    ).fetchall()
    return [Turn(row["uid"], row["captured_at_us"], str(row["before"] or "")) for row in rows]


def _judged(connection: Connection, where: str, values: dict[str, object]) -> list[Judged]:
    rows = connection.execute(_JUDGED + where, values).fetchall()
    return [Judged(row["uid"], row["captured_at_us"], row["fault"] or "", row["grid"] or "") for row in rows]
