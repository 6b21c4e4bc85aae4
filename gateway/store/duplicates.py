"""Duplicates: what a step claims, what people decided about a pair, and which of both stands.

The table `duplicate` holds what stands, one row a capture: every reader reads that and nothing else. A claim of the
step that a person overruled, or whose front lies in the bin, waits in `duplicate_aside` and stands again when the
decision is taken back or the front comes back. `duplicate_decision` is append-only: the last line about a pair counts,
and no recomputation, model or vector touches it, for it names the two captures and nothing that was made from them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.entities import Duplicate, DuplicateKind, PairVerdict
from gateway.policy import Sql
from gateway.store.db import Connection, Row

STEP = "dedupe"
"""The step whose claims these are."""
PERSON = "person"
"""In the place of a step, where a person's word alone holds two pictures together."""

_CLAIM = "step, kind, of, evidence"
_LATEST = (
    "SELECT id, one, other, front, what, kind, evidence FROM duplicate_decision AS d WHERE {about} AND NOT EXISTS"
    " (SELECT 1 FROM duplicate_decision AS later WHERE later.one = d.one AND later.other = d.other"
    " AND later.id > d.id) AND what <> 'withdrawn' ORDER BY id DESC"
)
_ABOUT_ONE = _LATEST.format(about="(d.one = :id OR d.other = :id)")
_ABOUT_PAIR = _LATEST.format(about="d.one = :one AND d.other = :other")
_BEHIND_APART = (
    "SELECT capture FROM duplicate WHERE of IN (SELECT value FROM json_each(?)) AND kind <> 'edited' AND capture <> ?"
)
_REACHES = (
    "WITH RECURSIVE up(id) AS (SELECT :of UNION SELECT d.of FROM duplicate AS d JOIN up ON d.capture = up.id)"
    " SELECT 1 FROM up WHERE id = :id"
)
_UNDECIDED = (
    "coalesce((SELECT s.what FROM duplicate_decision AS s WHERE s.one = min(d.capture, d.of)"
    " AND s.other = max(d.capture, d.of) ORDER BY s.id DESC LIMIT 1), 'withdrawn') <> 'same'"
)
_TOUCHED = (
    "SELECT 1 FROM duplicate_decision WHERE one = :id UNION ALL SELECT 1 FROM duplicate_decision WHERE other = :id"
    " UNION ALL SELECT 1 FROM duplicate_aside WHERE capture = :id UNION ALL SELECT 1 FROM decision WHERE capture = :id"
    " AND what = 'not-duplicate' LIMIT 1"
)
_FORGET_ASIDE = (
    "DELETE FROM duplicate_aside WHERE capture = ?"
    " AND NOT EXISTS (SELECT 1 FROM capture WHERE id = of AND deleted_at_us IS NOT NULL)"
)
_MEMBERS = (
    " FROM duplicate AS d JOIN capture AS c ON c.id = d.capture WHERE d.kind = :kind AND {seen}"
    " AND d.of IN (SELECT c.id FROM capture AS c WHERE c.id = d.of AND {seen})"
)


@dataclass(frozen=True, slots=True)
class PairDecision:
    """What a person decided about two captures, as row numbers."""

    id: int
    one: int
    other: int
    front: int
    """Which of the two the other one repeats."""
    verdict: PairVerdict
    person: str
    """Their name; empty when they are gone."""
    at_us: int

    @property
    def capture(self) -> int:
        """The one that repeats `front`."""
        return self.one if self.front == self.other else self.other


@dataclass(frozen=True, slots=True)
class GroupRow:
    """Captures that repeat one of them in one way, as row numbers; counted as the viewer may see them."""

    front: int
    members: int
    """Without the front."""
    undecided: int
    """Members about which nobody said yet that they are the same."""


def claim(connection: Connection, capture_id: int, found: Duplicate | None) -> None:
    """Keep what the step claims now in the place of what it claimed before, and let people's decisions count.

    A claim whose front lies in the bin is kept aside: the front may come back.
    """
    connection.execute("DELETE FROM duplicate WHERE capture = ?", (capture_id,))
    if found is not None:
        _put(connection, capture_id, (STEP, found.kind.value, found.of, _json(found)))
    if connection.execute(_TOUCHED, {"id": capture_id}).fetchone() is not None:  # nearly never: every frame comes by
        connection.execute(_FORGET_ASIDE, (capture_id,))
        settle(connection, capture_id)


def settle(connection: Connection, capture_id: int) -> None:
    """Work out which claim or decision stands for a capture. The caller refreshes what is understood of it.

    A person's "the same" wins over any claim, the last one first; a claim stands unless a person said that the two are
    not the same, or the front lies in the bin; of several the one whose front came first. Nothing may stand behind
    itself, whatever was said in which order.
    """
    standing = connection.execute(f"SELECT {_CLAIM} FROM duplicate WHERE capture = ?", (capture_id,)).fetchone()
    aside = connection.execute(f"SELECT {_CLAIM} FROM duplicate_aside WHERE capture = ?", (capture_id,)).fetchall()
    said = connection.execute(_ABOUT_ONE, {"id": capture_id}).fetchall()
    whole = _whole_apart(connection, capture_id)
    held = [standing, *aside] if standing is not None else aside
    claims = sorted({tuple(row) for row in held if row["step"] != PERSON}, key=lambda each: int(each[2]))
    apart = _apart(connection, capture_id, said)
    candidates = [
        next((each for each in claims if each[2] == row["front"]), (PERSON, row["kind"], row["front"], row["evidence"]))
        for row in said
        if row["what"] == PairVerdict.SAME and row["front"] != capture_id
    ]
    candidates += [each for each in claims if each[2] not in apart and not whole]
    connection.execute("DELETE FROM duplicate WHERE capture = ?", (capture_id,))
    connection.execute("DELETE FROM duplicate_aside WHERE capture = ?", (capture_id,))
    stands = next((each for each in candidates if _may_stand(connection, capture_id, int(each[2]))), None)
    if stands is not None:
        _put(connection, capture_id, stands)
    connection.executemany(
        f"INSERT OR IGNORE INTO duplicate_aside(capture, {_CLAIM}) VALUES (?,?,?,?,?)",
        [(capture_id, *each) for each in claims if each != stands],
    )


def apart_from(connection: Connection, capture_id: int) -> frozenset[int]:
    """Captures of which a person said that this one is not the same, and those that are folded behind them."""
    return _apart(connection, capture_id, connection.execute(_ABOUT_ONE, {"id": capture_id}).fetchall())


def decide(
    connection: Connection, pair: tuple[int, Duplicate], verdict: PairVerdict, *, person: str, at_us: int
) -> None:
    """Write down what a person says of a capture and the one it repeats. The caller settles both."""
    capture_id, duplicate = pair
    connection.execute(
        "INSERT INTO duplicate_decision(one, other, front, what, kind, evidence, person, at_us)"
        " VALUES (?,?,?,?,?,?,?,?)",
        (
            min(capture_id, duplicate.of),
            max(capture_id, duplicate.of),
            duplicate.of,
            verdict.value,
            duplicate.kind.value,
            _json(duplicate),
            person,
            at_us,
        ),
    )


def decided(connection: Connection, one: int, other: int) -> tuple[PairVerdict, Duplicate] | None:
    """What stands between two captures, in whichever order they are named; None: nothing, or it was taken back."""
    row = connection.execute(_ABOUT_PAIR, {"one": min(one, other), "other": max(one, other)}).fetchone()
    if row is None:
        return None
    return PairVerdict(row["what"]), Duplicate(DuplicateKind(row["kind"]), row["front"], json.loads(row["evidence"]))


def claimed(connection: Connection, one: int, other: int) -> tuple[int, Duplicate] | None:
    """What is claimed of two captures, whether it stands or waits aside: the one that repeats, and what it repeats."""
    for table in ("duplicate", "duplicate_aside"):
        row = connection.execute(
            f"SELECT capture, kind, of, evidence FROM {table}"
            " WHERE (capture = :one AND of = :other) OR (capture = :other AND of = :one)",
            {"one": one, "other": other},
        ).fetchone()
        if row is not None:
            return row["capture"], Duplicate(DuplicateKind(row["kind"]), row["of"], json.loads(row["evidence"]))
    return None


def decisions(
    connection: Connection, seen: Sql, *, capture_id: int | None = None, limit: int = 200
) -> list[PairDecision]:
    """Decisions that count, of pairs of which the viewer may see both; the last one first. Of one capture, or all."""
    where = "TRUE" if capture_id is None else "(d.one = :id OR d.other = :id)"
    both = f"(SELECT count(*) FROM capture AS c WHERE c.id IN (d.one, d.other) AND {seen.where}) = 2"
    rows = connection.execute(
        "SELECT d.id, d.one, d.other, d.front, d.what, coalesce(p.name, '') AS name, d.at_us"
        " FROM duplicate_decision AS d LEFT JOIN person AS p ON p.id = d.person"
        f" WHERE {where} AND d.what <> 'withdrawn' AND {both} AND NOT EXISTS (SELECT 1 FROM duplicate_decision AS later"
        " WHERE later.one = d.one AND later.other = d.other AND later.id > d.id) ORDER BY d.id DESC LIMIT :limit",
        {"id": capture_id, "limit": limit, **seen.params},
    ).fetchall()
    return [
        PairDecision(
            row["id"], row["one"], row["other"], row["front"], PairVerdict(row["what"]), row["name"], row["at_us"]
        )
        for row in rows
    ]


def groups(
    connection: Connection, seen: Sql, kind: DuplicateKind, *, undecided: bool, before: int | None, limit: int
) -> list[GroupRow]:
    """Groups of one kind whose front and at least one member may be seen, those that arrived last first.

    `undecided`: only those in which somebody still has to say whether all are the same. `before`: a front's row number.
    """
    rows = connection.execute(
        f"SELECT d.of AS front, count(*) AS members, sum({_UNDECIDED}) AS undecided"
        f"{_MEMBERS.format(seen=seen.where)}{' AND d.of < :before' if before is not None else ''}"
        f" GROUP BY d.of HAVING {'undecided > 0' if undecided else 'TRUE'} ORDER BY d.of DESC LIMIT :limit",
        {"kind": kind.value, "before": before, "limit": limit, **seen.params},
    ).fetchall()
    return [GroupRow(row["front"], row["members"], row["undecided"]) for row in rows]


def group(connection: Connection, seen: Sql, kind: DuplicateKind, front: int) -> GroupRow | None:
    """The group of one front; None where nothing that may be seen repeats it in this way."""
    row = connection.execute(
        f"SELECT count(*) AS members, sum({_UNDECIDED}) AS undecided{_MEMBERS.format(seen=seen.where)}"
        " AND d.of = :front",
        {"kind": kind.value, "front": front, **seen.params},
    ).fetchone()
    return GroupRow(front, row["members"], row["undecided"]) if row["members"] else None


def count_groups(connection: Connection, seen: Sql, kind: DuplicateKind, *, at_most: int) -> int:
    """How many groups of a kind still have something to decide, counted up to `at_most`."""
    row = connection.execute(
        f"SELECT count(*) FROM (SELECT DISTINCT d.of{_MEMBERS.format(seen=seen.where)} AND {_UNDECIDED} LIMIT :most)",
        {"kind": kind.value, "most": at_most, **seen.params},
    ).fetchone()
    return int(row[0])


def members(connection: Connection, seen: Sql, kind: DuplicateKind, front: int, *, limit: int) -> list[int]:
    """Row numbers of what repeats `front` in this way and may be seen, in order of time."""
    rows = connection.execute(
        f"SELECT c.id{_MEMBERS.format(seen=seen.where)} AND d.of = :front ORDER BY c.captured_at_us, c.id LIMIT :limit",
        {"kind": kind.value, "front": front, "limit": limit, **seen.params},
    ).fetchall()
    return [row["id"] for row in rows]


def step_forward(connection: Connection, front: int, heir: int) -> list[int]:
    """`heir`, which repeated `front`, takes its place, and what else repeated it is folded behind the heir.

    Claims on `front` wait aside. What a person keeps apart from the heir stands by itself: returned with the heir, for
    something else stands of them now.
    """
    behind = connection.execute(f"SELECT capture, {_CLAIM} FROM duplicate WHERE of = ?", (front,)).fetchall()
    connection.executemany(
        f"INSERT OR REPLACE INTO duplicate_aside(capture, {_CLAIM}) VALUES (?,?,?,?,?)",
        [tuple(row) for row in behind if row["step"] != PERSON],
    )
    alone = apart_from(connection, heir) | {heir}
    connection.execute("DELETE FROM duplicate WHERE of = ?", (front,))
    for row in behind:
        if row["capture"] not in alone:
            _put(connection, row["capture"], (STEP, row["kind"], heir, row["evidence"]))
    return [row["capture"] for row in behind if row["capture"] in alone]


def come_back(connection: Connection, front: int) -> list[int]:
    """`front` is back from the bin: what repeated it does so again. Returns every capture that may stand otherwise."""
    found = connection.execute(
        "SELECT capture FROM duplicate_aside WHERE of = :id UNION SELECT one FROM duplicate_decision WHERE front = :id"
        " UNION SELECT other FROM duplicate_decision WHERE front = :id EXCEPT SELECT :id",
        {"id": front},
    ).fetchall()
    touched = [int(row[0]) for row in found]
    for capture_id in touched:
        settle(connection, capture_id)
    connection.execute(  # what was folded behind an heir since goes with the heir
        "UPDATE duplicate SET of = :id WHERE step <> :person AND capture <> :id AND capture NOT IN"
        " (SELECT value FROM json_each(:apart)) AND of IN (SELECT d.capture FROM duplicate AS d WHERE d.of = :id"
        " AND d.capture IN (SELECT value FROM json_each(:touched)))",
        {
            "id": front,
            "person": PERSON,
            "apart": json.dumps(sorted(apart_from(connection, front))),
            "touched": json.dumps(touched),
        },
    )
    return touched


def _put(connection: Connection, capture_id: int, row: tuple[object, ...]) -> None:
    connection.execute(
        f"INSERT OR REPLACE INTO duplicate(capture, {_CLAIM}) VALUES (?,?,?,?,?)", (capture_id, *map(_value, row))
    )


def _may_stand(connection: Connection, capture_id: int, of: int) -> bool:
    here = connection.execute("SELECT 1 FROM capture WHERE id = ? AND deleted_at_us IS NULL", (of,)).fetchone()
    return here is not None and connection.execute(_REACHES, {"of": of, "id": capture_id}).fetchone() is None


def _apart(connection: Connection, capture_id: int, said: Sequence[Row]) -> frozenset[int]:
    direct = [
        row["one"] if row["other"] == capture_id else row["other"] for row in said if row["what"] == PairVerdict.APART
    ]
    if not direct:
        return frozenset()
    behind = connection.execute(_BEHIND_APART, (json.dumps(direct), capture_id)).fetchall()
    return frozenset([*direct, *(row["capture"] for row in behind)])


def _whole_apart(connection: Connection, capture_id: int) -> bool:
    """An older way to decide: it is no duplicate of anything. Such decisions still count."""
    row = connection.execute(
        "SELECT what FROM decision WHERE capture = ? AND what IN ('not-duplicate', 'duplicate-again')"
        " ORDER BY id DESC LIMIT 1",
        (capture_id,),
    ).fetchone()
    return row is not None and row["what"] == "not-duplicate"


def _json(duplicate: Duplicate) -> str:
    return json.dumps(duplicate.evidence, separators=(",", ":"))


def _value(value: object) -> str | int:
    assert isinstance(value, str | int)
    return value
