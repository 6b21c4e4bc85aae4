"""One memory as values for its page: what was found in it, how it is known, and what it repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gateway.duplicates import Decided as PairSaid
from gateway.entities import Annotation, DuplicateKind, Json, Memory, PairVerdict, Stored
from gateway.recall.about import Decision
from gateway.web.pages import duplicates_view, svg, words
from gateway.web.pages.svg import Outline
from gateway.web.pages.thumbs import Thumb, thumb
from gateway.web.pages.words import Badge

SHOWN_FROM = 0.4
"""Boxes that the detector is less sure of are not drawn."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a picture."""

    badge: Badge
    says: str
    href: str
    """The picture that shows it beside this one; empty: there is none."""
    shows: str


@dataclass(frozen=True, slots=True)
class CopyLine:
    """What it is a duplicate of, or its duplicates of one kind."""

    thumb: Thumb
    name: str
    badge: Badge
    evidence: str
    uid: str
    """The one that repeats `front`; empty when there are many."""
    front: str
    show_all: str


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step that looked at it."""

    name: str
    used: str
    version: int
    took: str
    skipped: str
    hint: str


@dataclass(frozen=True, slots=True)
class Decided:
    """Something that a person decided."""

    at_us: int
    who: str
    what: str
    value: str
    when: str
    pair: tuple[str, str] = ("", "")
    """Of a decision about two pictures that may be taken back: their uids."""
    verdict: str = ""


def said(memory: Memory, step: str) -> Annotation | None:
    """What a step found; None when it did not run or had nothing to say."""
    found = next((each for each in memory.annotations if each.step == step and not each.skipped), None)
    return found.annotation if found else None


def no_caption(memory: Memory) -> str:
    """Why there is none."""
    if memory.duplicate_of_uid:
        return "It is folded behind another picture."
    note = next((each for each in memory.annotations if each.step == "caption"), None)
    return f"No caption: {note.skipped}." if note is not None and note.skipped else "No caption yet."


def partly_read(memory: Memory) -> bool:
    """Whether there is more print in it than was read."""
    read = said(memory, "ocr")
    return read is not None and read.data.get("partial") is True


def outlines(memory: Memory) -> Markup | None:
    """Everything that was found at a place of the picture; None without any."""
    width, height = memory.capture.width_px or 640, memory.capture.height_px or 480
    found: list[Outline] = []
    detected, read = said(memory, "detect"), said(memory, "ocr")
    for box in listed(detected.data if detected else {}, "boxes"):
        score = number(box.get("score"))
        if score >= SHOWN_FROM:
            label = f"{str(box.get('label', ''))[:40]} {likeness(score)}"
            found.append(_outline(box, label, width, height, dashed=False))
    for box in listed(read.data if read else {}, "lines"):
        found.append(_outline(box, str(box.get("text", ""))[:60], width, height, dashed=True))
    return svg.outlines(found, width=width, height=height) if found else None


def _outline(box: Json, label: str, width: int, height: int, *, dashed: bool) -> Outline:
    left, top = number(box.get("x")) * width, number(box.get("y")) * height
    return Outline(
        left=max(0.0, left),
        top=max(0.0, top),
        right=min(float(width), left + number(box.get("w")) * width),
        bottom=min(float(height), top + number(box.get("h")) * height),
        label=label,
        dashed=dashed,
    )


def flaws(memory: Memory) -> tuple[Flaw, ...]:
    """What the steps say is wrong with the picture, or with how the camera stands."""
    found: list[Flaw] = []
    measured, compared = said(memory, "quality"), said(memory, "dedupe")
    fault = str(measured.data.get("fault", "")) if measured else ""
    if fault in words.FLAWS:
        badge, says = words.FLAWS[fault]
        found.append(Flaw(badge, says, "", ""))
    if compared is not None and compared.data.get("camera_turned") is True:
        badge, says = words.FLAWS["turned"]
        before = str(compared.data.get("compared_with") or "")[:64]
        found.append(Flaw(badge, says, f"/memory/{before}" if before else "", "The one before"))
    return tuple(found)


def copies(memory: Memory, found: Sequence[Memory], *, zone: str) -> tuple[CopyLine, ...]:
    """What it is a duplicate of, then its own duplicates, one line a kind."""
    lines: list[CopyLine] = []
    uid, own = memory.capture.uid, memory.duplicate
    front = next((each for each in found if each.capture.uid == memory.duplicate_of_uid), None)
    if own is not None and front is not None:
        name = f"The same picture as the one {_when(front, memory, zone)}"
        told = duplicates_view.evidence(memory, front)
        badge = words.copy_badge(own.kind)
        lines.append(CopyLine(thumb(front, zone), name, badge, told, uid, front.capture.uid, ""))
    for kind in DuplicateKind:
        mine = [each for each in found if each.duplicate is not None and each.duplicate_of_uid == uid]
        same = [each for each in mine if each.duplicate is not None and each.duplicate.kind is kind]
        if same:
            lines.append(_group(kind, memory, same, zone))
    return tuple(lines)


def _group(kind: DuplicateKind, memory: Memory, same: Sequence[Memory], zone: str) -> CopyLine:
    first, last = same[0], same[-1]
    uid, badge = memory.capture.uid, words.copy_badge(kind)
    if len(same) == 1:
        name = f"The one {_when(first, memory, zone)} is the same picture"
        told = duplicates_view.evidence(first, memory)
        return CopyLine(thumb(first, zone), name, badge, told, first.capture.uid, uid, "")
    start, end = (words.clock(each.capture.captured_at.at_us, zone) for each in (first, last))
    return CopyLine(
        thumb=thumb(first, zone),
        name=f"{len(same):,} are the same picture",
        badge=badge,
        evidence=f"{start} to {end}, nothing moved" if kind is DuplicateKind.STATIC else f"{start} to {end}",
        uid="",
        front=uid,
        show_all=f"/duplicates?kind={kind.value}&of={uid}",
    )


def _when(other: Memory, memory: Memory, zone: str) -> str:
    """`at 11:06:42`, with the day where it is another one."""
    at_us, own_us = other.capture.captured_at.at_us, memory.capture.captured_at.at_us
    day = words.local(at_us, zone).date()
    clock = words.clock(at_us, zone, seconds=True)
    same_day = day == words.local(own_us, zone).date()
    return f"at {clock}" if same_day else f"of {words.short_day(day, year=True)}, {clock}"


def steps(memory: Memory) -> tuple[StepLine, ...]:
    """Every step that looked at it, in the order they did."""
    found = sorted(memory.annotations, key=lambda each: each.at_us)
    return tuple(
        StepLine(
            name=words.step_name(each.step),
            used=_used(each, memory),
            version=each.step_version,
            took=f"{each.took_ms:,.0f}" if each.took_ms >= 1 else "<1",
            skipped=each.skipped,
            hint=each.hint,
        )
        for each in found
    )


def _used(each: Stored, memory: Memory) -> str:
    if each.step == "quality":
        kind = memory.capture.media_type.rpartition("/")[2].upper()
        return f"{kind}, {memory.capture.width_px} × {memory.capture.height_px}"
    model = each.annotation.provenance.model
    silent = str(each.annotation.data.get("captioner", ""))
    return model or (f"rules; {silent}" if silent else "rules, no model")


_WHAT = {
    "caption": "Wrote the caption",
    "transcript": "Corrected the words",
    "tag": "Added the tag",
    "untag": "Took away the tag",
    "not-duplicate": "Kept it apart",
    "duplicate-again": "Let it be a copy again",
    "privacy": "Set who can see it:",
    "ai-usage": "Set what machines may do:",
}
_VALUES = {"private": "Only me", "circle": "Circle", "public": "Public", "none": "Nothing", "chat": "For answers"}
_VALUES["train"] = "For answers and learning"


def decided(found: Sequence[Decision], pairs: Sequence[PairSaid], memory: Memory, *, zone: str) -> tuple[Decided, ...]:
    """What people decided about it, and about it and another picture, newest first."""
    about_it = [
        Decided(
            at_us=each.at_us,
            who=each.person_name or "Somebody",
            what=_WHAT.get(each.what, each.what),
            value="" if each.what.startswith(("not-", "duplicate")) else _VALUES.get(each.value, each.value),
            when=_decided_when(each.at_us, zone),
        )
        for each in found
    ]
    about_pairs = [
        Decided(
            at_us=each.at_us,
            who=each.person_name or "Somebody",
            what="Said it is the same as the one"
            if each.verdict is PairVerdict.SAME
            else "Said it is not the same as the one",
            value=_when(other, memory, zone),
            when=_decided_when(each.at_us, zone),
            pair=(each.memory.capture.uid, each.front.capture.uid) if each.mine else ("", ""),
            verdict=each.verdict.value,
        )
        for each in pairs
        for other in (each.front if each.memory.capture.uid == memory.capture.uid else each.memory,)
    ]
    return tuple(sorted((*reversed(about_it), *about_pairs), key=lambda each: each.at_us, reverse=True))


def _decided_when(at_us: int, zone: str) -> str:
    return f"{words.short_day(words.local(at_us, zone).date())[4:]}, {words.clock(at_us, zone)}"


def likeness(score: float) -> str:
    """`.88`: without its zero."""
    return f"{score:.2f}".removeprefix("0") if score < 1 else "1.0"


def listed(data: Json, key: str) -> list[Json]:
    """The objects of a list in a step's answer; [] where there is none."""
    found = data.get(key)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def number(value: object) -> float:
    """A number of a step's answer; 0 where it is none."""
    return float(value) if isinstance(value, int | float) and value == value else 0.0  # noqa: PLR0124  # NaN
