"""Duplicates as values for pages: why two pictures are believed to be the same, groups, and what people said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.duplicates import COUNTED, Decided, Group
from gateway.entities import DuplicateKind, Json, Memory, PairVerdict
from gateway.web.pages import words
from gateway.web.pages.thumbs import Thumb, thumb
from gateway.web.pages.words import Badge

ABOUT = {
    DuplicateKind.EXACT: "The same file, byte for byte. Folded behind the first.",
    DuplicateKind.REENCODED: "Another file of the same picture, whole and upright: saved again, or resized."
    " Folded behind the first.",
    DuplicateKind.EDITED: "The same picture, changed: cut, turned, framed, written on. Never folded.",
    DuplicateKind.BURST: "Taken within two seconds, with little change. Folded behind the first.",
    DuplicateKind.STATIC: "One camera, and nothing moved. Folded behind the first.",
}


@dataclass(frozen=True, slots=True)
class KindChip:
    """One kind, and how many groups of it wait to be looked through."""

    href: str
    label: str
    count: str
    on: bool


@dataclass(frozen=True, slots=True)
class Face:
    """One picture of a group."""

    uid: str
    thumb: Thumb
    place: str
    when: str
    evidence: str
    """Empty for the one in front."""
    front: bool
    same: bool
    """Somebody said that it is the same."""


@dataclass(frozen=True, slots=True)
class GroupCard:
    """One group."""

    key: str
    """Of its element: the page keeps its place by it."""
    front: str
    kind: str
    badge: Badge
    title: str
    about: str
    faces: tuple[Face, ...]
    more: int
    """Members that are not shown."""
    href: str
    mine: bool
    decided: bool
    """Somebody said of every one that it is the same."""


@dataclass(frozen=True, slots=True)
class SaidLine:
    """What a person said of two pictures."""

    key: str
    memory: str
    front: str
    faces: tuple[Thumb, Thumb]
    text: str
    who: str
    when: str
    verdict: str
    mine: bool


def chips(counts: Mapping[DuplicateKind, int], chosen: DuplicateKind | None) -> tuple[KindChip, ...]:
    """Every kind, in one order."""
    return tuple(
        KindChip(
            href=f"/duplicates?kind={kind.value}",
            label=words.copy_badge(kind).text,
            count=f"{counts.get(kind, 0)}{'+' if counts.get(kind, 0) >= COUNTED else ''}",
            on=kind is chosen,
        )
        for kind in DuplicateKind
    )


def card(group: Group, places: Mapping[str, str], *, zone: str, whole: bool = False) -> GroupCard:
    """A group as it is shown. `places`: device → what people call it; `whole`: on a page of its own."""
    front = group.front
    uid = front.capture.uid
    day = words.short_day(words.local(front.capture.captured_at.at_us, zone).date())
    return GroupCard(
        key=f"g-{uid}-{group.kind.value}",
        front=uid,
        kind=group.kind.value,
        badge=words.copy_badge(group.kind),
        title=f"{_place(front, places)}, {day}, {words.clock(front.capture.captured_at.at_us, zone, seconds=True)}",
        about=f"{words.count(group.count, 'duplicate')} of this picture",
        faces=(
            _face(front, None, places, zone=zone, same=False, pair=group.count == 1),
            *(
                _face(each, front, places, zone=zone, same=each.capture.uid in group.same, pair=group.count == 1)
                for each in group.members
            ),
        ),
        more=group.count - len(group.members),
        href="" if whole else f"/duplicates?kind={group.kind.value}&of={uid}",
        mine=group.mine,
        decided=group.undecided == 0,
    )


def said(each: Decided, *, zone: str) -> SaidLine:
    """One decision as it is shown."""
    memory, front = each.memory.capture, each.front.capture
    return SaidLine(
        key=f"d-{memory.uid}-{front.uid}",
        memory=memory.uid,
        front=front.uid,
        faces=(thumb(each.front, zone), thumb(each.memory, zone)),
        text="The same" if each.verdict is PairVerdict.SAME else "Not the same",
        who=each.person_name or "Somebody",
        when=f"{words.short_day(words.local(each.at_us, zone).date())[4:]}, {words.clock(each.at_us, zone)}",
        verdict=each.verdict.value,
        mine=each.mine,
    )


def evidence(memory: Memory, front: Memory | None) -> str:
    """Why a picture is believed to repeat the one in front, in words with figures. `memory.duplicate` is there."""
    duplicate = memory.duplicate
    if duplicate is None:
        return ""
    data, parts = duplicate.evidence, list[str]()
    if duplicate.kind is DuplicateKind.EXACT:
        parts.append(f"the same {words.size(memory.capture.body_bytes)}, byte for byte")
    if duplicate.kind is DuplicateKind.STATIC:
        parts.append("nothing moved")
    if "distance" in data:
        parts.append(f"picture distance {int(_float(data['distance']))} of 64")
    if 0 < _float(data.get("overlap")) < 1:
        parts.append(f"{_float(data['overlap']):.0%} of it lies in the other")
    if _float(data.get("turned")) >= 1:
        parts.append(f"turned by {_float(data['turned']):.0f}°")
    if data.get("mirrored") is True:
        parts.append("mirrored")
    if _float(data.get("cells")) > 0:
        parts.append(f"{_float(data['cells']):.0%} of the picture changed")
    return ", ".join([*parts, *_time_and_device(memory, front, data)])


def _time_and_device(memory: Memory, front: Memory | None, data: Json) -> list[str]:
    if front is None:
        return [f"{_span(abs(int(_float(data['apart_us']))))} apart"] if "apart_us" in data else []
    one, other = memory.capture, front.capture
    apart_us = one.captured_at.at_us - other.captured_at.at_us
    when = "at the same time" if apart_us == 0 else f"{_span(abs(apart_us))} {'later' if apart_us > 0 else 'earlier'}"
    if one.device is None and other.device is None:
        return [when]
    return [when, "same camera" if one.device == other.device else "not the same camera"]


def _span(length_us: int) -> str:
    return f"{length_us / words.SECOND_US:.1f} s" if length_us < 10 * words.SECOND_US else words.span(length_us)


def _face(
    memory: Memory, front: Memory | None, places: Mapping[str, str], *, zone: str, same: bool, pair: bool
) -> Face:
    at_us = memory.capture.captured_at.at_us
    return Face(
        uid=memory.capture.uid,
        thumb=thumb(memory, zone, size=640 if pair else 320),
        place=_place(memory, places),
        when=f"{words.short_day(words.local(at_us, zone).date())}, {words.clock(at_us, zone, seconds=True)}",
        evidence=evidence(memory, front) if front is not None else "",
        front=front is None,
        same=same,
    )


def _place(memory: Memory, places: Mapping[str, str]) -> str:
    device = memory.capture.device
    return places.get(device, device) if device else memory.capture.source_name[:60] or "Added"


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) and value == value else 0.0  # noqa: PLR0124  # NaN
