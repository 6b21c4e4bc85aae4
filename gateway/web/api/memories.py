"""Memories: read, correct, hide, forget and bring back, and do a step again."""

from __future__ import annotations

from pydantic import Field

from gateway.entities import AiUsage, Privacy
from gateway.errors import Rejected
from gateway.memory import MAX_CAPTION, MAX_TAG, MAX_TAGS, MAX_TRANSCRIPT
from gateway.shapes import MemoryOut, Shape, memory_out
from gateway.web.route import Ask, Model, Nothing, Rules, reads, writes

UID = "{id:[0-9a-z]{1,64}}"
_MOST_TAGS = MAX_TAGS // 2  # some go while others come, all in one decision


class Correction(Model):
    """What to change; what is absent stays."""

    caption: str | None = Field(default=None, max_length=MAX_CAPTION)
    transcript: str | None = Field(default=None, max_length=MAX_TRANSCRIPT)
    add_tags: list[str] = Field(default_factory=list, max_length=_MOST_TAGS)
    remove_tags: list[str] = Field(default_factory=list, max_length=_MOST_TAGS)
    tags: list[str] | None = Field(default=None, max_length=_MOST_TAGS, description="All tags from now on")
    privacy: Privacy | None = None
    ai_usage: AiUsage | None = None
    pinned: bool | None = Field(default=None, description="Retention never takes a pinned original")


class Apart(Model):
    """Whether it is no copy after all."""

    apart: bool = True


class Again(Model):
    """Which step; absent: all of them."""

    step: str | None = Field(default=None, max_length=64)


class Similar(Shape):
    """A memory that looks like another."""

    memory: MemoryOut
    score: float


class SimilarList(Shape):
    """Most alike first."""

    items: list[Similar]


class MemoryList(Shape):
    """Memories in an order."""

    items: list[MemoryOut]


class Some(Model):
    """How many."""

    limit: int = Field(default=6, ge=1, le=60)


@reads(f"/memories/{UID}", query=Nothing, answer=MemoryOut)
async def read_memory(ask: Ask[Nothing]) -> MemoryOut:
    """One memory."""
    return memory_out(await ask.parts.memories.get(ask.viewer, ask.part("id")))


@writes("PATCH", f"/memories/{UID}", body=Correction, answer=MemoryOut)
async def correct_memory(ask: Ask[Correction]) -> MemoryOut:
    """Correct what is said of a memory, who may see it and what machines may do with it. Your words win and stay."""
    memories, viewer, uid, given = ask.parts.memories, ask.viewer, ask.part("id"), ask.given
    found = await memories.get(viewer, uid)
    wanted = _tags([*given.add_tags, *(given.tags or ())])
    if given.caption is not None or given.transcript is not None:
        found = await memories.correct(viewer, uid, caption=given.caption, transcript=given.transcript)
    add = [tag for tag in wanted if tag not in found.tags]
    remove = [tag for tag in found.tags if tag in given.remove_tags or (given.tags is not None and tag not in wanted)]
    if add or remove:
        found = await memories.tag(viewer, uid, add=add, remove=remove)
    if given.privacy is not None:
        found = await memories.set_privacy(viewer, uid, given.privacy)
    if given.ai_usage is not None:
        found = await memories.set_ai_usage(viewer, uid, given.ai_usage)
    if given.pinned is not None:
        found = await memories.pin(viewer, uid, pinned=given.pinned)
    return memory_out(found)


@writes("DELETE", f"/memories/{UID}", body=Nothing, answer=Nothing)
async def forget_memory(ask: Ask[Nothing]) -> Nothing:
    """To the bin, from which its owner can bring it back."""
    await ask.parts.memories.forget(ask.viewer, ask.part("id"))
    return Nothing()


@writes("POST", f"/memories/{UID}/restore", body=Nothing, answer=MemoryOut)
async def restore_memory(ask: Ask[Nothing]) -> MemoryOut:
    """Back from the bin."""
    return memory_out(await ask.parts.memories.restore(ask.viewer, ask.part("id")))


@writes("POST", f"/memories/{UID}/keep-apart", body=Apart, answer=MemoryOut)
async def keep_memory_apart(ask: Ask[Apart]) -> MemoryOut:
    """Disagree that it is a copy, or agree again."""
    return memory_out(await ask.parts.memories.keep_apart(ask.viewer, ask.part("id"), apart=ask.given.apart))


@writes("POST", f"/memories/{UID}/again", body=Again, answer=Nothing, rules=Rules(scope="write", status=204))
async def do_memory_again(ask: Ask[Again]) -> Nothing:
    """Do a step again, and what is made from it, before all other work."""
    await ask.parts.memories.reprocess(ask.viewer, ask.part("id"), ask.given.step)
    return Nothing()


@reads(f"/memories/{UID}/similar", query=Some, answer=SimilarList)
async def similar_memories(ask: Ask[Some]) -> SimilarList:
    """Memories that look like this one."""
    found = await ask.parts.memories.similar(ask.viewer, ask.part("id"), limit=ask.given.limit)
    return SimilarList(items=[Similar(memory=memory_out(memory), score=score) for memory, score in found])


@reads("/bin", query=Nothing, answer=MemoryList)
async def read_bin(ask: Ask[Nothing]) -> MemoryList:
    """What you deleted and can still bring back, deleted last first."""
    return MemoryList(items=[memory_out(memory) for memory in await ask.parts.memories.bin(ask.viewer)])


ROUTES = (
    read_memory,
    correct_memory,
    forget_memory,
    restore_memory,
    keep_memory_apart,
    do_memory_again,
    similar_memories,
    read_bin,
)


def _tags(tags: list[str]) -> tuple[str, ...]:
    cleaned = tuple(" ".join(tag.split()) for tag in tags)
    if not all(0 < len(tag) <= MAX_TAG for tag in cleaned):
        raise Rejected(f"a tag has 1 to {MAX_TAG} characters", code="bad-tag")
    return cleaned
