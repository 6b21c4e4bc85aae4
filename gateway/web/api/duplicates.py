"""Duplicates: groups to look through, what people say of a pair, and keeping one picture of many."""

from __future__ import annotations

from pydantic import Field

from gateway.duplicates import MOST, Decided, Group
from gateway.entities import DuplicateKind, PairVerdict
from gateway.shapes import MemoryOut, Shape, instant, memory_out
from gateway.web.api.memories import UID
from gateway.web.route import Ask, Model, Nothing, Rules, reads, writes


class GroupsQuery(Model):
    """Which groups."""

    kind: DuplicateKind | None = Field(default=None, description="Absent: the first kind with something to decide")
    undecided: bool = Field(default=True, description="Without groups that somebody has been through")
    limit: int = Field(default=20, ge=1, le=100)
    cursor: str = Field(default="", max_length=64, description="`next` of the page before")


class GroupQuery(Model):
    """Which group of a memory."""

    kind: DuplicateKind
    limit: int = Field(default=200, ge=1, le=MOST, description="Members to list")


class OfKind(Model):
    """The group of this kind."""

    kind: DuplicateKind


class KeepOne(Model):
    """Which picture of the group stays."""

    kind: DuplicateKind
    keep: str = Field(min_length=1, max_length=64, description="The front or one of the members")


class Said(Model):
    """What is said of two pictures, named in either order."""

    memory: str = Field(min_length=1, max_length=64)
    other: str = Field(min_length=1, max_length=64)
    verdict: PairVerdict = Field(description="`withdrawn` takes back what was said")


class DecisionsQuery(Model):
    """Whose decisions."""

    memory: str = Field(default="", max_length=64, description="Only about this one")
    limit: int = Field(default=100, ge=1, le=500)


class Bin(Model):
    """What to bring back."""

    memories: list[str] = Field(min_length=1, max_length=MOST + 1)


class MemberOut(Shape):
    """A picture that repeats the front of its group."""

    memory: MemoryOut
    same: bool = Field(description="A person said that it is the same")


class GroupOut(Shape):
    """Pictures that repeat one of them in one way."""

    id: str = Field(description="The memory that stands for all")
    kind: DuplicateKind
    front: MemoryOut
    members: list[MemberOut] = Field(description="Oldest first; in a list of groups only the first few")
    count: int = Field(description="All members")
    undecided: int = Field(description="Members of which nobody said yet that they are the same")
    mine: bool = Field(description="All that are listed are yours to decide")


class GroupsOut(Shape):
    """One page of groups of a kind, those that arrived last first."""

    kind: DuplicateKind
    items: list[GroupOut]
    next: str | None = Field(description="Cursor of the next page; null on the last")
    counts: dict[DuplicateKind, int] = Field(description="Groups with something to decide; 100 is 100 or more")


class DecisionOut(Shape):
    """What a person said of two pictures."""

    memory: MemoryOut = Field(description="The one that repeats `front`, or was said not to")
    front: MemoryOut
    verdict: PairVerdict
    person: str
    at: str
    mine: bool = Field(description="You may take it back")


class DecisionsOut(Shape):
    """What counts, said last first."""

    items: list[DecisionOut]


class Counted(Shape):
    """Of how many pictures it was said, or how many came back."""

    pictures: int


class KeptOneOut(Shape):
    """What went."""

    binned: list[str] = Field(description="Memories that lie in the bin now")
    left: int = Field(description="More than can go at once: they are as they were")


@reads("/duplicates", query=GroupsQuery, answer=GroupsOut)
async def list_duplicates(ask: Ask[GroupsQuery]) -> GroupsOut:
    """Groups of duplicates, by kind."""
    given = ask.given
    found = await ask.parts.memories.duplicates.groups(
        ask.viewer, given.kind, undecided=given.undecided, cursor=given.cursor, limit=given.limit
    )
    return GroupsOut(
        kind=found.kind,
        items=[_group(each) for each in found.items],
        next=found.next or None,
        counts=dict(found.counts),
    )


@reads("/duplicates/decisions", query=DecisionsQuery, answer=DecisionsOut)
async def list_duplicate_decisions(ask: Ask[DecisionsQuery]) -> DecisionsOut:
    """What people said of pairs of pictures and did not take back."""
    found = await ask.parts.memories.duplicates.decisions(ask.viewer, uid=ask.given.memory, limit=ask.given.limit)
    return DecisionsOut(items=[_decision(each) for each in found])


@writes("POST", "/duplicates/decisions", body=Said, answer=Nothing)
async def decide_duplicate(ask: Ask[Said]) -> Nothing:
    """Say that two pictures are the same, or are not, or take it back. It outlives every recomputation."""
    given = ask.given
    await ask.parts.memories.duplicates.decide(ask.viewer, given.memory, given.other, given.verdict)
    return Nothing()


@reads(f"/duplicates/{UID}", query=GroupQuery, answer=GroupOut)
async def read_duplicates(ask: Ask[GroupQuery]) -> GroupOut:
    """What repeats a memory in one way."""
    given = ask.given
    return _group(await ask.parts.memories.duplicates.group(ask.viewer, ask.part("id"), given.kind, limit=given.limit))


@writes("POST", f"/duplicates/{UID}/keep-all", body=OfKind, answer=Counted)
async def keep_all_duplicates(ask: Ask[OfKind]) -> Counted:
    """Say of a whole group that it is the same. All stay, folded as they are."""
    return Counted(pictures=await ask.parts.memories.duplicates.keep_all(ask.viewer, ask.part("id"), ask.given.kind))


@writes("POST", f"/duplicates/{UID}/undo", body=OfKind, answer=Counted)
async def undo_duplicates(ask: Ask[OfKind]) -> Counted:
    """Take back what was said of a whole group."""
    return Counted(pictures=await ask.parts.memories.duplicates.undo_all(ask.viewer, ask.part("id"), ask.given.kind))


@writes("POST", f"/duplicates/{UID}/keep-one", body=KeepOne, answer=KeptOneOut)
async def keep_one_duplicate(ask: Ask[KeepOne]) -> KeptOneOut:
    """Put all pictures of a group but one into the bin, from which they can be brought back."""
    done = await ask.parts.memories.duplicates.keep_one(ask.viewer, ask.part("id"), ask.given.kind, ask.given.keep)
    return KeptOneOut(binned=list(done.binned), left=done.left)


@writes("POST", "/bin/restore", body=Bin, answer=Counted, rules=Rules(scope="write"))
async def restore_memories(ask: Ask[Bin]) -> Counted:
    """Back from the bin, many at once, folded as they were."""
    return Counted(pictures=await ask.parts.memories.duplicates.restore(ask.viewer, ask.given.memories))


ROUTES = (
    list_duplicates,
    list_duplicate_decisions,
    decide_duplicate,
    read_duplicates,
    keep_all_duplicates,
    undo_duplicates,
    keep_one_duplicate,
    restore_memories,
)


def _group(group: Group) -> GroupOut:
    return GroupOut(
        id=group.front.capture.uid,
        kind=group.kind,
        front=memory_out(group.front),
        members=[MemberOut(memory=memory_out(each), same=each.capture.uid in group.same) for each in group.members],
        count=group.count,
        undecided=group.undecided,
        mine=group.mine,
    )


def _decision(said: Decided) -> DecisionOut:
    return DecisionOut(
        memory=memory_out(said.memory),
        front=memory_out(said.front),
        verdict=said.verdict,
        person=said.person_name,
        at=instant(said.at_us),
        mine=said.mine,
    )
