"""A memory's own page."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web
from markupsafe import Markup

from gateway.config import zone_name
from gateway.duplicates import Decided as PairSaid
from gateway.entities import AiUsage, Kind, Memory, Privacy, Viewer
from gateway.policy import may_change
from gateway.recall.about import Decision, Sees
from gateway.web.page import Page, render, viewer_of
from gateway.web.pages import memory_view, spoken_view, words
from gateway.web.pages.memory_view import CopyLine, Decided, Flaw, StepLine
from gateway.web.pages.shell import layout
from gateway.web.pages.spoken_view import Spoken
from gateway.web.pages.thumbs import Thumb, media, thumb
from gateway.web.pages.words import Badge
from gateway.web.parts import PARTS

_USES = ((AiUsage.NONE, "Nothing"), (AiUsage.CHAT, "For answers"), (AiUsage.TRAIN, "For answers and learning"))
_SOUND_NEAR_US = 60 * words.SECOND_US


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording that can be played here."""

    uid: str
    src: str
    length: str
    when: str
    lines: tuple[Spoken, ...]
    heard: str
    """Who wrote the words down."""
    voices: str
    """How many speak."""


@dataclass(frozen=True, slots=True)
class MemoryPage:
    """Everything `memory.html` shows."""

    uid: str
    title: str
    day: str
    day_href: str
    back: str
    earlier: str
    later: str
    mine: bool
    is_picture: bool
    gone: bool
    src: str
    alt: str
    original: str
    width: int
    height: int
    outlines: Markup | None
    flaws: tuple[Flaw, ...]
    caption: str
    no_caption: str
    caption_badge: Badge
    printed: str
    printed_partly: bool
    """There is more print than was read."""
    written: str
    tags: tuple[tuple[str, bool], ...]
    """Tag, and whether a person gave it."""
    taken: str
    zone: str
    time_badge: Badge
    how: str
    arrived: str
    where: str
    privacy: str
    privacy_why: str
    sees: tuple[Sees, ...]
    uses: tuple[tuple[str, str, bool], ...]
    near: tuple[tuple[Thumb, str, bool], ...]
    """Picture, what kind of copy it is, and whether it is this one."""
    sound: Sound | None
    copies: tuple[CopyLine, ...]
    steps: tuple[StepLine, ...]
    total: str
    fingerprint: str
    decisions: tuple[Decided, ...]


async def _show(request: web.Request) -> web.StreamResponse:
    parts, viewer = request.app[PARTS], viewer_of(request)
    uid = request.match_info["id"]
    memories, zone = parts.memories, zone_name(parts.settings)
    memory = await memories.get(viewer, uid)
    near, copies, decisions, said, sees = await asyncio.gather(
        memories.near(viewer, uid), memories.copies(viewer, uid), memories.decisions(viewer, uid),
        memories.duplicates.decisions(viewer, uid=uid), memories.who_can_see(viewer, uid),
    )  # fmt: skip
    names = {card.device.id: card.device.name for card in await parts.devices.all(viewer)}
    place = names.get(memory.capture.device or "", memory.capture.device or "")
    around = Around(viewer, near, copies, decisions, said, sees, place, back="of" in request.query)
    return await render(request, "memory.html", layout=layout(request), view=page_view(memory, around, zone=zone))


@dataclass(frozen=True, slots=True)
class Around:
    """What a memory's page tells beside the memory."""

    viewer: Viewer
    near: list[Memory]
    copies: list[Memory]
    decisions: list[Decision]
    said: list[PairSaid]
    """Decisions about it and another picture."""
    sees: list[Sees]
    place: str
    back: bool
    """One came from Search."""


def page_view(memory: Memory, around: Around, *, zone: str) -> MemoryPage:
    """Put the page together."""
    capture = memory.capture
    at_us = capture.captured_at.at_us
    day = words.local(at_us, zone).date()
    uids = [each.capture.uid for each in around.near]
    here = uids.index(capture.uid) if capture.uid in uids else 0
    given = {each.value for each in around.decisions if each.what == "tag"}
    place = around.place or ("A note" if capture.kind is Kind.TEXT else "Added")
    return MemoryPage(
        uid=capture.uid,
        title=f"{place}, {words.clock(at_us, zone)}",
        day=words.long_day(day),
        day_href=f"/day/{day}",
        back="Search" if around.back else words.short_day(day),
        earlier=f"/memory/{uids[here - 1]}" if uids and here > 0 else "",
        later=f"/memory/{uids[here + 1]}" if here + 1 < len(uids) else "",
        mine=may_change(around.viewer, capture.owner),
        is_picture=capture.kind is Kind.IMAGE,
        gone=capture.blob is None,
        src=media(capture.uid, 1_280),
        alt=words.alt(memory),
        original=f"Original, {words.size(capture.body_bytes)}",
        width=capture.width_px or 640,
        height=capture.height_px or 480,
        outlines=memory_view.outlines(memory),
        flaws=memory_view.flaws(memory),
        caption=memory.caption,
        no_caption=memory_view.no_caption(memory),
        caption_badge=words.caption_badge(memory.caption_source),
        printed=memory.text if capture.kind is not Kind.TEXT else "",
        printed_partly=memory_view.partly_read(memory),
        written=memory.text if capture.kind is Kind.TEXT else "",
        tags=tuple((tag, tag in given) for tag in memory.tags),
        taken=f"{words.short_day(day, year=True)}, {words.tenths(at_us, zone)}",
        zone=f"{zone.rpartition('/')[2].replace('_', ' ')} time",
        time_badge=words.time_badge(capture.captured_at),
        how=words.how_we_know(capture.captured_at.source),
        arrived=_arrived(memory, zone),
        where=words.frame_name(capture, around.place),
        privacy=capture.privacy.value,
        privacy_why=_privacy_why(capture.privacy, around),
        sees=tuple(around.sees),
        uses=tuple((use.value, label, use is capture.ai_usage) for use, label in _USES),
        near=tuple(_near(each, capture.uid, zone) for each in around.near),
        sound=_sound(memory, around, zone),
        copies=memory_view.copies(memory, around.copies, zone=zone),
        steps=memory_view.steps(memory),
        total=_total(memory),
        fingerprint=_fingerprint(capture.sha256.hex()),
        decisions=memory_view.decided(around.decisions, around.said, memory, zone=zone),
    )


def _arrived(memory: Memory, zone: str) -> str:
    capture = memory.capture
    late_us = capture.received_at_us - capture.captured_at.at_us
    if (
        late_us < 0
        or words.local(capture.received_at_us, zone).date() != words.local(capture.captured_at.at_us, zone).date()
    ):
        return words.short_day(words.local(capture.received_at_us, zone).date()) + words.local(
            capture.received_at_us, zone
        ).strftime(", %H:%M:%S")
    late = f"{late_us / 1e6:.1f} s" if late_us < 10 * words.SECOND_US else words.span(late_us)
    return f"{words.tenths(capture.received_at_us, zone)}, {late} later"


def _privacy_why(privacy: Privacy, around: Around) -> str:
    name = words.privacy_badge(privacy).text
    chosen = next((each for each in reversed(around.decisions) if each.what == "privacy"), None)
    if chosen is not None:
        return f"“{name}” was chosen by {chosen.person_name} for this memory alone."
    if around.place:
        return f"“{name}” comes from the setting of {around.place}. A choice made here counts for this memory alone."
    return f"“{name}” is how it was added. A choice made here counts for this memory alone."


def _near(each: Memory, uid: str, zone: str) -> tuple[Thumb, str, bool]:
    copy = "" if each.duplicate is None else words.copy_badge(each.duplicate.kind).text
    return thumb(each, zone, size=160), {"Same still scene": "still"}.get(copy, copy.lower()), each.capture.uid == uid


def _sound(memory: Memory, around: Around, zone: str) -> Sound | None:
    """The memory itself, or the recording of the same camera that is nearest in time."""
    found = memory
    if memory.capture.kind is not Kind.AUDIO:
        device, at_us = memory.capture.device, memory.capture.captured_at.at_us
        there = [
            each
            for each in around.near
            if each.capture.kind is Kind.AUDIO and device is not None and each.capture.device == device
        ]
        if not there:
            return None
        found = min(there, key=lambda each: abs(each.capture.captured_at.at_us - at_us))
        if abs(found.capture.captured_at.at_us - at_us) > _SOUND_NEAR_US:
            return None
    capture = found.capture
    if capture.blob is None:
        return None
    start, end = capture.captured_at.at_us, capture.captured_at.at_us + (capture.duration_us or 0)
    return Sound(
        uid=capture.uid,
        src=media(capture.uid),
        length=words.play_time(capture.duration_us or 0),
        when=f"{words.clock(start, zone, seconds=True)} to {words.clock(end, zone, seconds=True)}",
        lines=spoken_view.spoken(found),
        heard=words.how_heard(found) if found.transcript else "",
        voices=spoken_view.voices(found),
    )


def _total(memory: Memory) -> str:
    took_ms = sum(each.took_ms for each in memory.annotations)
    return f"{took_ms / 1_000:.1f} s" if took_ms >= 100 else f"{took_ms:.0f} ms"


def _fingerprint(sha256: str) -> str:
    return f"{sha256[:4]} {sha256[4:8]} … {sha256[-4:]}"


PAGE = Page(path="/memory/{id:[0-9a-z]{1,64}}", name="memory", handler=_show)
