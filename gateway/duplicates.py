"""The door to duplicates: groups to look through, what people say of a pair, and keeping one picture of many.

Nothing goes by itself: only `keep_one` deletes, into the bin, from which `restore` brings everything back as it was.
What a viewer may not see is in no group and no count. Only the owner of the picture that repeats another one decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.entities import Capture, Duplicate, DuplicateKind, Kind, Memory, PairVerdict, Viewer
from gateway.errors import Forbidden, NotFound, Rejected
from gateway.policy import Purpose, Sql, may_change, visible
from gateway.spool import Spool
from gateway.store import captures, duplicates, edits, reading, understood
from gateway.store.captures import Shelf
from gateway.store.db import Connection, Database

SHOWN = 5
"""Members of a group that a list of groups shows."""
MOST = 1_000
"""Members that one call puts into the bin, or says the same of."""
COUNTED = 100
"""Groups of a kind are counted up to here."""
_BURST_US = 2_000_000
_NOT_THE_OWNER = "only the owner of a picture decides what it repeats"


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures that repeat one of them in one way, as the viewer may see them."""

    kind: DuplicateKind
    front: Memory
    """The one that stands for all."""
    members: tuple[Memory, ...]
    """The others, oldest first; as many as were asked for."""
    count: int
    """All others."""
    undecided: int
    """Others of which nobody said yet that they are the same."""
    same: frozenset[str]
    """Uids among `members` of which somebody did."""
    mine: bool
    """The viewer owns every picture of `members` and the front."""


@dataclass(frozen=True, slots=True)
class Groups:
    """One page of groups of a kind, those that arrived last first."""

    kind: DuplicateKind
    items: tuple[Group, ...]
    next: str
    """Cursor of the next page; empty on the last."""
    counts: Mapping[DuplicateKind, int]
    """Groups with something to decide, of each kind, counted up to COUNTED."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What a person said of two pictures."""

    memory: Memory
    """The one that repeats `front`, or was said not to."""
    front: Memory
    verdict: PairVerdict
    person_name: str
    at_us: int
    mine: bool
    """The viewer may take it back."""


@dataclass(frozen=True, slots=True)
class KeptOne:
    """What came of keeping one picture of a group."""

    binned: tuple[str, ...]
    """Uids that lie in the bin now."""
    left: int
    """Members beyond MOST, which were left as they are."""


class Duplicates:
    """Made once, by `Memories`; holds no state of its own."""

    def __init__(self, db: Database, *, shelf: Shelf, spool: Spool, clock: Callable[[], int]) -> None:
        self._db = db
        self._shelf = shelf
        self._spool = spool
        self._clock = clock

    async def groups(
        self, viewer: Viewer, kind: DuplicateKind | None, *, undecided: bool = True, cursor: str = "", limit: int = 20
    ) -> Groups:
        """Groups of a kind, None: of the first with something to decide; `undecided`: without those that somebody has
        been through.

        Raises Rejected (`bad-cursor`).
        """

        def read(connection: Connection) -> Groups:
            seen = visible(viewer)
            before = reading.number_of(connection, cursor) if cursor else None
            if before == -1:
                raise Rejected("this page cannot be found", code="bad-cursor", hint="Begin with the first page")
            wanted = min(max(limit, 1), 100)
            counts = {each: duplicates.count_groups(connection, seen, each, at_most=COUNTED) for each in DuplicateKind}
            of = kind or next((each for each, n in counts.items() if n), DuplicateKind.EXACT)
            rows = duplicates.groups(connection, seen, of, undecided=undecided, before=before, limit=wanted + 1)
            items = tuple(self._group(connection, viewer, of, row, shown=SHOWN) for row in rows[:wanted])
            return Groups(of, items, items[-1].front.capture.uid if len(rows) > wanted else "", counts)

        return await self._db.read(read)

    async def group(self, viewer: Viewer, front: str, kind: DuplicateKind, *, limit: int = 200) -> Group:
        """One group with its members. Raises NotFound."""

        def read(connection: Connection) -> Group:
            number = self._get(connection, viewer, front).capture.id
            row = duplicates.group(connection, visible(viewer), kind, number)
            if row is None:
                raise NotFound("nothing repeats this picture in that way", code="no-group")
            return self._group(connection, viewer, kind, row, shown=min(max(limit, 1), MOST))

        return await self._db.read(read)

    async def decisions(self, viewer: Viewer, *, uid: str = "", limit: int = 100) -> list[Decided]:
        """What people said and did not take back, the last first; of one memory, or of all. Raises NotFound."""

        def read(connection: Connection) -> list[Decided]:
            seen = visible(viewer)
            number = self._get(connection, viewer, uid).capture.id if uid else None
            found = duplicates.decisions(connection, seen, capture_id=number, limit=min(max(limit, 1), 500))
            wanted = dict.fromkeys(each for row in found for each in (row.one, row.other))
            by_id = {each.capture.id: each for each in reading.by_ids(connection, list(wanted), seen, self._shelf)}
            return [
                Decided(
                    memory=by_id[row.capture],
                    front=by_id[row.front],
                    verdict=row.verdict,
                    person_name=row.person,
                    at_us=row.at_us,
                    mine=may_change(viewer, by_id[row.capture].capture.owner),
                )
                for row in found
            ]

        return await self._db.read(read)

    async def decide(self, viewer: Viewer, uid: str, other: str, verdict: PairVerdict) -> None:
        """Say that two pictures are the same, or are not, or take back what was said.

        The pair is the same in either order. Raises NotFound, Forbidden, Rejected (`not-a-pair`).
        """

        def write(connection: Connection) -> None:
            one, two = (self._get(connection, viewer, each).capture for each in (uid, other))
            if one.id == two.id or {one.kind, two.kind} != {Kind.IMAGE}:
                raise Rejected("a pair is two different pictures", code="not-a-pair")
            capture_id, duplicate = (
                duplicates.claimed(connection, one.id, two.id)
                or _decided(connection, one, two)
                or _by_hand(min(one, two, key=_order), max(one, two, key=_order))
            )
            if not may_change(viewer, (one if capture_id == one.id else two).owner):
                raise Forbidden(_NOT_THE_OWNER)
            self._say(connection, viewer, [(capture_id, duplicate)], verdict)

        await self._db.write(write)

    async def keep_apart(self, viewer: Viewer, uid: str, *, apart: bool) -> None:
        """It is not the same as the one it is folded behind, whichever that is; `apart=False` takes that back.

        Raises NotFound, Forbidden.
        """

        def write(connection: Connection) -> None:
            memory = self._get(connection, viewer, uid)
            number = memory.capture.id
            if not may_change(viewer, memory.capture.owner):
                raise Forbidden(_NOT_THE_OWNER)
            if apart:
                said = [] if memory.duplicate is None else [(number, memory.duplicate)]
                self._say(connection, viewer, said, PairVerdict.APART)
                return
            kept = [
                (number, Duplicate(DuplicateKind.EDITED, row.front, {}))
                for row in duplicates.decisions(connection, _ALL, capture_id=number)
                if row.verdict is PairVerdict.APART and row.capture == number
            ]
            if any(what == "not-duplicate" for _, what, _, _ in edits.decisions(connection, number)):
                again = [("duplicate-again", "")]  # said of the whole picture, as older versions did
                understood.decide(connection, number, person=viewer.user, decisions=again, at_us=self._clock())
            self._say(connection, viewer, kept, PairVerdict.WITHDRAWN)
            understood.settle(connection, [number], at_us=self._clock())

        await self._db.write(write)

    async def keep_all(self, viewer: Viewer, front: str, kind: DuplicateKind) -> int:
        """Say of every own picture of a group that it is the same: all stay, folded as they are. Of how many.

        Raises NotFound, Forbidden.
        """
        return await self._say_of_group(viewer, front, kind, PairVerdict.SAME)

    async def undo_all(self, viewer: Viewer, front: str, kind: DuplicateKind) -> int:
        """Take back what `keep_all` said. Raises NotFound, Forbidden."""
        return await self._say_of_group(viewer, front, kind, PairVerdict.WITHDRAWN)

    async def keep_one(self, viewer: Viewer, front: str, kind: DuplicateKind, keep: str) -> KeptOne:
        """Put every picture of a group but `keep` into the bin; at most MOST of them. `keep` stands then.

        Raises NotFound, Forbidden where one of them is not the viewer's.
        """

        def write(connection: Connection) -> KeptOne:
            first = self._get(connection, viewer, front).capture
            kept = self._get(connection, viewer, keep).capture
            ids = duplicates.members(connection, visible(viewer), kind, first.id, limit=10 * MOST)
            if not ids or kept.id not in (first.id, *ids):
                raise NotFound("this picture is not of that group", code="no-group")
            going = [number for number in ids if number != kept.id]
            left = max(0, len(going) - MOST)
            found = [captures.get(connection, number) for number in going[:MOST]]
            leaving = [each for each in found if each is not None] + ([first] if kept.id != first.id else [])
            if not all(may_change(viewer, each.owner) for each in leaving):
                raise Forbidden("only its owner can delete a memory")
            for each in leaving:
                heir = kept.id if each.id == first.id else None
                to_bin(connection, self._spool, each.id, at_us=self._clock(), heir=heir)
            return KeptOne(tuple(each.uid for each in leaving), left)

        return await self._db.write(write)

    async def restore(self, viewer: Viewer, uids: Sequence[str]) -> int:
        """Bring these back from the viewer's bin, folded as they were. How many; what is not in it is left out."""

        def write(connection: Connection) -> int:
            seen = visible(viewer, Purpose.BIN)
            found = [reading.by_uid(connection, uid, seen) for uid in dict.fromkeys(uids)]
            ids = [memory.capture.id for memory in found if memory is not None]
            from_bin(connection, ids, at_us=self._clock())
            return len(ids)

        return await self._db.write(write)

    async def _say_of_group(self, viewer: Viewer, front: str, kind: DuplicateKind, verdict: PairVerdict) -> int:
        def write(connection: Connection) -> int:
            first = self._get(connection, viewer, front).capture.id
            ids = duplicates.members(connection, visible(viewer), kind, first, limit=MOST)
            if not ids:
                raise NotFound("nothing repeats this picture in that way", code="no-group")
            said = []
            for number in ids:
                capture, duplicate = captures.get(connection, number), understood.duplicate_of(connection, number)
                if capture is not None and duplicate is not None and may_change(viewer, capture.owner):
                    said.append((number, duplicate))
            if not said:
                raise Forbidden(_NOT_THE_OWNER)
            self._say(connection, viewer, said, verdict)
            return len(said)

        return await self._db.write(write)

    def _say(
        self, connection: Connection, viewer: Viewer, said: Sequence[tuple[int, Duplicate]], verdict: PairVerdict
    ) -> None:
        """Write it down and let it count; what stands by itself now is looked at like any other picture."""
        at_us = self._clock()
        for pair in said:
            duplicates.decide(connection, pair, verdict, person=viewer.user, at_us=at_us)
        about = dict.fromkeys([*(capture_id for capture_id, _ in said), *(duplicate.of for _, duplicate in said)])
        for changed in understood.settle(connection, about, at_us=at_us):
            if understood.duplicate_of(connection, changed) is None:
                look_again(connection, self._spool, changed, at_us=at_us)

    def _group(
        self, connection: Connection, viewer: Viewer, kind: DuplicateKind, row: duplicates.GroupRow, *, shown: int
    ) -> Group:
        seen = visible(viewer)
        ids = duplicates.members(connection, seen, kind, row.front, limit=shown)
        front, *others = reading.by_ids(connection, [row.front, *ids], seen, self._shelf)
        same = {
            each.capture.uid
            for each in others
            if (said := duplicates.decided(connection, each.capture.id, row.front)) and said[0] is PairVerdict.SAME
        }
        return Group(
            kind=kind,
            front=front,
            members=tuple(others),
            count=row.members,
            undecided=row.undecided,
            same=frozenset(same),
            mine=all(may_change(viewer, each.capture.owner) for each in (front, *others)),
        )

    def _get(self, connection: Connection, viewer: Viewer, uid: str) -> Memory:
        memory = reading.by_uid(connection, uid, visible(viewer), self._shelf)
        if memory is None:
            raise NotFound(reading.NOT_FOUND)
        return memory


def to_bin(connection: Connection, spool: Spool, capture_id: int, *, at_us: int, heir: int | None = None) -> None:
    """Within a transaction: delete it so that it can be brought back. What was folded behind it stands by itself, or
    behind `heir`, which is the earliest of them unless it is named.
    """
    edits.put_in_bin(connection, capture_id, at_us=at_us)
    new = understood.promote(connection, capture_id, at_us=at_us, heir=heir)
    if new is not None:
        spool.requeue(connection, capture_id=new, step=duplicates.STEP, at_us=at_us)


def from_bin(connection: Connection, capture_ids: Iterable[int], *, at_us: int) -> None:
    """Within a transaction: bring them back, and fold behind them again what was folded behind them."""
    back = list(capture_ids)
    for capture_id in back:
        edits.take_from_bin(connection, capture_id, at_us=at_us)
    for capture_id in back:
        understood.come_back(connection, capture_id, at_us=at_us)


def look_again(connection: Connection, spool: Spool, capture_id: int, *, at_us: int) -> None:
    """Within a transaction: what costs was passed over while it was folded; do that now."""
    if any(note.skip_code == "folded" for note in understood.notes(connection, capture_id)):
        spool.requeue(connection, capture_id=capture_id, step=duplicates.STEP, at_us=at_us)


_ALL = Sql("(TRUE)", {})
"""For a decision about one's own picture, whoever owns the other one: nothing of it is shown."""


def _decided(connection: Connection, one: Capture, two: Capture) -> tuple[int, Duplicate] | None:
    said = duplicates.decided(connection, one.id, two.id)
    if said is None:
        return None
    return (one.id if said[1].of == two.id else two.id), said[1]


def _order(capture: Capture) -> tuple[int, int]:
    return capture.captured_at.at_us, capture.id


def _by_hand(first: Capture, later: Capture) -> tuple[int, Duplicate]:
    """Nothing was claimed of the two: the later one repeats the first, in the way that is plain to see."""
    apart_us = later.captured_at.at_us - first.captured_at.at_us
    kind = DuplicateKind.EDITED
    if first.sha256 == later.sha256:
        kind = DuplicateKind.EXACT
    elif first.device is not None and first.device == later.device:
        kind = DuplicateKind.BURST if apart_us <= _BURST_US else DuplicateKind.STATIC
    return later.id, Duplicate(kind, first.id, {"apart_us": apart_us} if first.device == later.device else {})
