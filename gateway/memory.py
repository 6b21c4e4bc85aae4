"""What can be done with memories: the door by which web, commands and other programs come in.

Every method takes the viewer first and reads through `policy.visible`. What a viewer may not see is not there:
NotFound tells the two cases never apart. Only its owner changes a memory: Forbidden for everybody else who sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta

from gateway.duplicates import Duplicates, to_bin
from gateway.entities import AiUsage, BlobRef, Capture, Change, Cursor, Memory, Privacy, Role, Viewer
from gateway.errors import Forbidden, NotFound, Rejected
from gateway.policy import Purpose, knows_device, may_change, visible
from gateway.recall import daybook
from gateway.recall.about import Decision, Sees
from gateway.recall.answer import Answer, Drop, Facets, Has, Hit, Query, Understood, Why
from gateway.recall.dates import day_bounds
from gateway.recall.day import (
    Day,
    DayCount,
    GapRow,
    MomentRow,
    NoteRow,
    QuietRow,
    Row,
    SoundRow,
    StripRow,
    UncertainRow,
    Where,
)
from gateway.recall.search import Search
from gateway.spool import Spool
from gateway.store import changes, devices, edits, reading, understood
from gateway.store.captures import Shelf
from gateway.store.db import Connection, Database

MAX_CAPTION = 1_000
MAX_TRANSCRIPT = 20_000
MAX_TAG = 60
MAX_TAGS = 50
_CHANGES = 1_000


class Memories:
    """Made once by the app; holds no state of its own."""

    def __init__(
        self, db: Database, *, shelf: Shelf, spool: Spool, search: Search, clock: Callable[[], int], zone: str
    ) -> None:
        self._db = db
        self._shelf = shelf
        self._spool = spool
        self._search = search
        self._clock = clock
        self.zone = zone
        """The home's IANA zone."""
        self.duplicates = Duplicates(db, shelf=shelf, spool=spool, clock=clock)
        """What people say of pictures that repeat each other."""

    async def get(self, viewer: Viewer, uid: str) -> Memory:
        """One memory. Raises NotFound."""
        return await self._db.read(lambda c: self._get(c, viewer, uid))

    async def near(self, viewer: Viewer, uid: str, *, each: int = 4) -> list[Memory]:
        """Just before and after it on all cameras, oldest first, itself among them; folded ones are left out."""

        def read(connection: Connection) -> list[Memory]:
            memory = self._get(connection, viewer, uid)
            ids = reading.around(connection, memory.capture, visible(viewer), each=min(max(each, 0), 50))
            return reading.by_ids(connection, ids, visible(viewer), self._shelf)

        return await self._db.read(read)

    async def copies(self, viewer: Viewer, uid: str) -> list[Memory]:
        """Its copies, and what it is a copy of, in order of time; each says by `duplicate` how."""

        def read(connection: Connection) -> list[Memory]:
            memory = self._get(connection, viewer, uid)
            ids = reading.duplicate_set(connection, memory.capture.id, visible(viewer))
            return reading.by_ids(connection, ids, visible(viewer), self._shelf)

        return await self._db.read(read)

    async def similar(self, viewer: Viewer, uid: str, *, limit: int = 6) -> list[tuple[Memory, float]]:
        """Pictures that look like it, nearest first, with their likeness; [] where its look is not known."""
        return await self._search.similar(viewer, await self.get(viewer, uid), limit=min(max(limit, 1), 50))

    async def decisions(self, viewer: Viewer, uid: str) -> list[Decision]:
        """Who decided what about it, oldest first."""

        def read(connection: Connection) -> list[Decision]:
            memory = self._get(connection, viewer, uid)
            return [Decision(*row) for row in edits.decisions(connection, memory.capture.id)]

        return await self._db.read(read)

    async def blob(self, viewer: Viewer, uid: str) -> BlobRef:
        """Where its original lies. Raises NotFound (`blob-gone`) when retention took it away."""
        memory = await self.get(viewer, uid)
        if memory.capture.blob is None:
            raise NotFound(
                "the original is gone: it was older or larger than what is kept",
                code="blob-gone",
                hint="What was understood of it stays",
            )
        return memory.capture.blob

    async def search(self, viewer: Viewer, query: Query) -> Answer:
        """Find. Raises Rejected for a cursor that is not of this query."""
        return await self._search.find(viewer, query)

    async def day(self, viewer: Viewer, day: date) -> Day:
        """A day of the home's calendar."""
        return await self._db.read(
            lambda c: daybook.day(c, viewer, day, zone=self.zone, now_us=self._clock(), shelf=self._shelf)
        )

    async def days(self, viewer: Viewer, *, until: date, count: int = 7) -> list[DayCount]:
        """The `count` days that end with `until`, oldest first, each with how much stands in it."""
        wanted = [until - timedelta(days=back) for back in range(min(max(count, 1), 366) - 1, -1, -1)]
        bounds = [day_bounds(day, self.zone) for day in wanted]
        numbers = await self._db.read(lambda c: reading.standing(c, visible(viewer), bounds=bounds))
        return [DayCount(day, number) for day, number in zip(wanted, numbers, strict=True)]

    async def forget(self, viewer: Viewer, uid: str) -> None:
        """Put it in the bin, from which `restore` brings it back. What was folded behind it stands by itself.

        Raises NotFound, Forbidden.
        """

        def write(connection: Connection) -> None:
            capture = self._own(connection, viewer, uid)
            to_bin(connection, self._spool, capture.id, at_us=self._clock())

        await self._db.write(write)

    async def restore(self, viewer: Viewer, uid: str) -> Memory:
        """Take it out of the bin. One that is not in it is simply returned. Raises NotFound."""
        await self.duplicates.restore(viewer, [uid])
        return await self.get(viewer, uid)

    async def bin(self, viewer: Viewer, *, limit: int = 100) -> list[Memory]:
        """What the viewer deleted and can bring back, latest first."""

        def read(connection: Connection) -> list[Memory]:
            seen = visible(viewer, Purpose.BIN)
            ids = reading.deleted(connection, seen, limit=min(max(limit, 1), 500))
            return reading.by_ids(connection, ids, seen, self._shelf)

        return await self._db.read(read)

    async def set_privacy(self, viewer: Viewer, uid: str, privacy: Privacy) -> Memory:
        """Who may see it; `PRIVATE` hides it. Raises NotFound, Forbidden."""

        def write(connection: Connection) -> Memory:
            capture = self._own(connection, viewer, uid)
            edits.set_privacy(connection, capture.id, privacy, person=viewer.user, at_us=self._clock())
            return self._get(connection, viewer, uid)

        return await self._db.write(write)

    async def set_ai_usage(self, viewer: Viewer, uid: str, ai_usage: AiUsage) -> Memory:
        """What machines may use it for. Raises NotFound, Forbidden."""

        def write(connection: Connection) -> Memory:
            capture = self._own(connection, viewer, uid)
            edits.set_ai_usage(connection, capture.id, ai_usage, person=viewer.user, at_us=self._clock())
            return self._get(connection, viewer, uid)

        return await self._db.write(write)

    async def pin(self, viewer: Viewer, uid: str, *, pinned: bool) -> Memory:
        """Whether retention must leave its original. Raises NotFound, Forbidden."""

        def write(connection: Connection) -> Memory:
            capture = self._own(connection, viewer, uid)
            edits.set_pinned(connection, capture.id, pinned=pinned, at_us=self._clock())
            return self._get(connection, viewer, uid)

        return await self._db.write(write)

    async def correct(
        self, viewer: Viewer, uid: str, *, caption: str | None = None, transcript: str | None = None
    ) -> Memory:
        """A person's words win and stay; None leaves one as it is.

        Raises NotFound, Forbidden, Rejected (`too-long`).
        """
        said = [
            (what, _text(value, limit))
            for what, value, limit in (
                ("caption", caption, MAX_CAPTION),
                ("transcript", transcript, MAX_TRANSCRIPT),
            )
            if value is not None
        ]
        return await self._decide(viewer, uid, said)

    async def tag(self, viewer: Viewer, uid: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> Memory:
        """Add and remove tags. Raises NotFound, Forbidden, Rejected (`too-long`, `too-many`)."""
        said = [("tag", _text(tag, MAX_TAG)) for tag in add] + [("untag", _text(tag, MAX_TAG)) for tag in remove]
        if len(said) > MAX_TAGS:
            raise Rejected(f"more than {MAX_TAGS} tags at once", code="too-many")
        return await self._decide(viewer, uid, [(what, tag) for what, tag in said if tag])

    async def keep_apart(self, viewer: Viewer, uid: str, *, apart: bool) -> Memory:
        """It is not a copy of the one it is folded behind, so it is looked at like any other; `apart=False` takes that
        back. Raises NotFound, Forbidden.
        """
        await self.duplicates.keep_apart(viewer, uid, apart=apart)
        return await self.get(viewer, uid)

    async def reprocess(self, viewer: Viewer, uid: str, step: str | None = None) -> None:
        """Do a step again, and what is made from it, before all else; None: every step.

        Raises NotFound (also `no-such-step`), Forbidden.
        """

        def write(connection: Connection) -> None:
            capture = self._own(connection, viewer, uid)
            plan = self._spool.plan.steps.get(capture.kind, {})
            if step is not None and step not in plan:
                raise NotFound("there is no such step for this kind of memory", code="no-such-step")
            first = [step] if step is not None else [name for name, after in plan.items() if not after]
            for name in first:
                self._spool.requeue(connection, capture_id=capture.id, step=name, at_us=self._clock())
            understood.touch(connection, capture.id, at_us=self._clock())

        await self._db.write(write)

    async def changes(self, viewer: Viewer, cursor: Cursor | None) -> tuple[list[Change], Cursor, bool]:
        """What changed after `cursor`, oldest first, at most 1,000 lines; the next cursor; True: start over.

        `None` starts at the end of the log. A memory that the viewer may not see is told of only as `gone`: by its
        uid, which is opaque, so that it leaves the page of someone who could see it before.
        """

        def read(connection: Connection) -> tuple[list[Change], Cursor, bool]:
            if cursor is None:
                return [], changes.head(connection), False
            lines, after = changes.after(connection, cursor, limit=_CHANGES)
            if after is None:
                return [], changes.head(connection), True
            uids = [line.entity_id for line in lines if line.entity == "memory" and line.operation == "put"]
            seen = reading.visible_uids(connection, uids, visible(viewer)) if uids else set()
            cameras = {device.id for device in devices.all_of(connection) if knows_device(viewer, device)}
            return [line for line in lines if _may_know(viewer, line, seen, cameras)], after, False

        return await self._db.read(read)

    async def wait_for_changes(self) -> None:
        """Until something more is committed. Read `commits` before the last read to miss none."""
        await self._db.next_commit()

    @property
    def commits(self) -> int:
        """A number that grows with each commit."""
        return self._db.commits

    async def who_can_see(self, viewer: Viewer, uid: str) -> list[Sees]:
        """Every person of the house, whether they can see it, and why. Raises NotFound."""

        def read(connection: Connection) -> list[Sees]:
            memory = self._get(connection, viewer, uid)
            return [
                _sees(connection, memory.capture, Viewer(person, name, Role(role)))
                for person, name, role in edits.people(connection)
            ]

        return await self._db.read(read)

    async def _decide(self, viewer: Viewer, uid: str, said: Sequence[tuple[str, str]]) -> Memory:
        def write(connection: Connection) -> Memory:
            capture = self._own(connection, viewer, uid)
            if said:
                understood.decide(connection, capture.id, person=viewer.user, decisions=list(said), at_us=self._clock())
            return self._get(connection, viewer, uid)

        return await self._db.write(write)

    def _get(self, connection: Connection, viewer: Viewer, uid: str) -> Memory:
        memory = reading.by_uid(connection, uid, visible(viewer), self._shelf)
        if memory is None:
            raise NotFound(reading.NOT_FOUND)
        return memory

    def _own(self, connection: Connection, viewer: Viewer, uid: str) -> Capture:
        capture = self._get(connection, viewer, uid).capture
        if not may_change(viewer, capture.owner):
            raise Forbidden("only its owner can change this memory")
        return capture


def _text(value: str, limit: int) -> str:
    text = value.encode("utf-8", "replace").decode().replace("\x00", "").strip()
    if len(text) > limit:
        raise Rejected(f"longer than {limit} characters", code="too-long")
    return text


def _may_know(viewer: Viewer, line: Change, seen: set[str], cameras: set[str]) -> bool:
    if line.entity == "memory":
        return line.operation == "gone" or line.entity_id in seen
    if line.entity in ("device", "gap"):
        return line.operation == "gone" or line.entity_id in cameras
    return viewer.role is Role.ADMIN or line.entity_id in cameras


def _sees(connection: Connection, capture: Capture, person: Viewer) -> Sees:
    can = capture.uid in reading.visible_uids(connection, [capture.uid], visible(person))
    if person.user == capture.owner:
        why = "as its owner"
    elif capture.privacy is Privacy.PRIVATE:
        why = "it is private"
    elif capture.privacy is Privacy.PUBLIC:
        why = "it is public"
    else:
        why = "as a member of the circle" if can else "not in the circle"
    return Sees(person.user, person.name, can, why)


__all__ = [
    "Answer",
    "Day",
    "DayCount",
    "Decision",
    "Drop",
    "Facets",
    "GapRow",
    "Has",
    "Hit",
    "Memories",
    "MomentRow",
    "NoteRow",
    "Query",
    "QuietRow",
    "Row",
    "Sees",
    "SoundRow",
    "StripRow",
    "UncertainRow",
    "Understood",
    "Where",
    "Why",
]
