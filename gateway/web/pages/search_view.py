"""An answer to a search as values for the template: chips, filters with their counts, cards with their reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias
from urllib.parse import urlencode

from markupsafe import Markup

from gateway.entities import Device, Kind, Memory
from gateway.recall.answer import Answer, Drop, Hit, Understood, Why
from gateway.shapes import instant
from gateway.web.api.search import SearchQuery
from gateway.web.pages import svg, words
from gateway.web.pages.thumbs import Thumb, thumb
from gateway.web.pages.words import Badge

Pieces: TypeAlias = tuple[tuple[str, bool], ...]
"""A text in pieces; True: marked."""

DAYS_SHOWN = 7
_ICONS = {"word": "text", "device": "place", "when": "clock", "kind": "picture", "has": "check"}
_HAS = {"text": "Printed text", "person": "A person"}


@dataclass(frozen=True, slots=True)
class Chip:
    """One thing that the box understood."""

    icon: str
    label: str
    said: str
    """The words it was understood from, where they differ."""
    href: str
    """The same search without it."""
    gives_back: str
    """What taking it away does, for a screen reader."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One line of a filter."""

    name: str
    value: str
    label: str
    count: str
    on: bool


@dataclass(frozen=True, slots=True)
class Card:
    """One result."""

    rank: int
    uid: str
    thumb: Thumb
    kind: str
    place: str
    """`Thu 24 Sep · Porch`."""
    said: Pieces
    """The caption; for a sound its words, for a note its text."""
    printed: Pieces
    words: tuple[tuple[tuple[str, ...], str], ...]
    """Found words and where they stand."""
    meaning: str
    bar: Markup | None
    filters: str
    badge: Badge | None
    weak_from_here: bool
    """The line before the weak ones stands before this card."""


class Address:
    """The address of this search, and of the same search with something else."""

    def __init__(self, given: SearchQuery) -> None:
        self._given = given

    def of(self, **changed: object) -> str:
        """Its address with some values changed; a page further is never kept."""
        given = self._given
        values: dict[str, object] = {
            "q": given.q,
            "from": given.from_,
            "to": given.to,
            "device": list(given.device),
            "kind": [kind.value for kind in given.kind],
            "has": list(given.has),
            "folded": "1" if given.folded else "",
            "parse": "" if given.parse else "0",
            "cursor": "",
        }
        values.update({name.rstrip("_"): value for name, value in changed.items()})
        return "/search?" + urlencode({name: value for name, value in values.items() if value}, doseq=True)


def chips(answer: Answer, given: SearchQuery, devices: Sequence[Device]) -> tuple[Chip, ...]:
    """What was understood from the words, then the filters that were chosen."""
    address = Address(given)
    found = [_understood(item, answer.understood, given, address) for item in answer.understood]
    names = {device.id: device.name for device in devices}
    for device in given.device:
        rest = [each for each in given.device if each != device]
        found.append(Chip("place", names.get(device, device), "", address.of(device=rest), "Take this filter away"))
    for kind in given.kind:
        kinds = [each.value for each in given.kind if each is not kind]
        found.append(Chip("picture", words.kind_name(kind), "", address.of(kind=kinds), "Take this filter away"))
    for has in given.has:
        rest = [each for each in given.has if each != has]
        found.append(Chip("check", _HAS[has], "", address.of(has=rest), "Take this filter away"))
    if given.from_ or given.to:
        label = _when_label(given)
        found.append(Chip("clock", label, "", address.of(from_="", to=""), "Take this filter away"))
    return tuple(found)


def _understood(item: Understood, every: Sequence[Understood], given: SearchQuery, address: Address) -> Chip:
    text = given.q[item.start : item.end]
    if item.kind == "word":
        rest = " ".join((given.q[: item.start] + given.q[item.end :]).split())
        return Chip(_ICONS["word"], item.label, "", address.of(q=rest), f"Take the word {item.label} away")
    said = text if text.casefold() not in item.label.casefold() and item.kind != "device" else ""
    return Chip(
        _ICONS[item.kind], item.label, said, _back(item, every, given, address), f"Look for “{text}” as words instead"
    )


def _back(item: Understood, every: Sequence[Understood], given: SearchQuery, address: Address) -> str:
    """The address in which this filter's words are words again: the others become filters of their own."""
    changed: dict[str, object] = {"parse": "0"}
    devices, kinds = list(given.device), [kind.value for kind in given.kind]
    text, at = "", 0
    for other in sorted(every, key=lambda each: each.start):
        if other is item or other.kind == "word":
            continue
        text += given.q[at : other.start]
        at = other.end
        if other.kind == "device":
            devices += other.value.split(",")
        elif other.kind == "kind":
            kinds += other.value.split(",")
        else:
            start, _, end = other.value.partition("/")
            changed |= {"from_": instant(int(start)) if start else "", "to": instant(int(end)) if end else ""}
    changed |= {"q": " ".join((text + given.q[at:]).split()), "device": devices, "kind": kinds}
    return address.of(**changed)


def _when_label(given: SearchQuery) -> str:
    def plain(text: str) -> str:
        return text[:16].replace("T", " ").removesuffix("Z")

    if given.from_ and given.to:
        return f"{plain(given.from_)} to {plain(given.to)}"
    return f"since {plain(given.from_)}" if given.from_ else f"until {plain(given.to)}"


def underlined(text: str, understood: Sequence[Understood]) -> Pieces:
    """The query in pieces: what became a filter is underlined."""
    spans = [(item.start, item.end) for item in understood if item.kind != "word"]
    return pieces(text, spans)


def pieces(text: str, marks: Sequence[tuple[int, int]]) -> Pieces:
    """Cut a text at its marks."""
    out: list[tuple[str, bool]] = []
    at = 0
    for start, end in sorted(marks):
        if start < at or end > len(text):
            continue
        out += [(text[at:start], False), (text[start:end], True)]
        at = end
    out.append((text[at:], False))
    return tuple(piece for piece in out if piece[0])


def groups(answer: Answer, given: SearchQuery) -> tuple[tuple[str, tuple[Choice, ...]], ...]:
    """The filters on the left, each with its counts."""
    facets = answer.facets
    where = [
        Choice("device", device, name if device else "Not a room", f"{n:,}", device in given.device)
        for device, name, n in facets.devices
        if device
    ]
    kinds = [
        Choice("kind", kind.value, words.kind_name(kind), f"{n:,}", kind in given.kind) for kind, n in facets.kinds
    ]
    has = [Choice("has", item, _HAS[item], f"{n:,}", item in given.has) for item, n in facets.has]
    folded = sum(n for _, n in facets.folded)
    names = {"static": "same still scene", "copies": "other duplicates"}
    detail = words.listed(names[name] for name, n in facets.folded if n) or "same still scene, other duplicates"
    folds = [Choice("folded", "1", detail[0].upper() + detail[1:], f"{folded:,}", given.folded)]
    return tuple(
        (title, tuple(choices))
        for title, choices in (("Where", where), ("Kind", kinds), ("Has", has), ("Folded away", folds))
        if choices
    )


def cards(answer: Answer, devices: Sequence[Device], *, zone: str, first: int = 1) -> tuple[Card, ...]:
    """The results, numbered from `first`."""
    names: Mapping[str, str] = {device.id: device.name for device in devices}
    made = [_card(hit, first + n, names, zone) for n, hit in enumerate(answer.items)]
    edges = {b.rank for (a, b), (x, y) in zip(pairwise(made), pairwise(answer.items), strict=True) if y.weak > x.weak}
    if answer.items and answer.items[0].weak:
        edges.add(first)
    return tuple(replace(card, weak_from_here=True) if card.rank in edges else card for card in made)


def _card(hit: Hit, rank: int, names: Mapping[str, str], zone: str) -> Card:
    memory, capture = hit.memory, hit.memory.capture
    day = words.local(capture.captured_at.at_us, zone).date()
    where = names.get(capture.device or "", "") or words.frame_name(capture, "")
    meaning = next((why for why in hit.why if why.kind == "meaning"), None)
    found = [why for why in hit.why if why.kind == "words"]
    said, field = _said(memory)
    return Card(
        rank=rank,
        uid=capture.uid,
        thumb=thumb(memory, zone, size=640),
        kind=capture.kind.value,
        place=words.listed((words.short_day(day),)) + (f" · {where}" if where else ""),
        said=pieces(said, _marks(found, field)),
        printed=pieces(_short(memory.text), _marks(found, "text")) if capture.kind is Kind.IMAGE else (),
        words=tuple((tuple(why.text.split()), _place(why, memory)) for why in found),
        meaning="" if meaning is None else f"{meaning.value or 0:.2f} {meaning.text}".strip(),
        bar=None if meaning is None else svg.bar(max(0.0, min(1.0, meaning.value or 0))),
        filters=" · ".join(why.text for why in hit.why if why.kind == "filter"),
        badge=words.caption_badge(memory.caption_source) if memory.caption else None,
        weak_from_here=False,
    )


def _said(memory: Memory) -> tuple[str, str]:
    """What a card says, and which field that is."""
    if memory.capture.kind is Kind.AUDIO and memory.transcript:
        return memory.transcript, "transcript"
    if memory.capture.kind is Kind.TEXT and memory.text:
        return memory.text[:400], "text"
    if memory.caption:
        return memory.caption, "caption"
    return words.title(memory), ""


def _short(text: str) -> str:
    return text[:160].replace("\n", " ")


def _marks(found: Sequence[Why], field: str) -> list[tuple[int, int]]:
    return [mark for why in found if why.field == field for mark in why.marks]


def _place(why: Why, memory: Memory) -> str:
    if why.field == "caption":
        kind, _, name = memory.caption_source.partition(":")
        return f"in the caption, edited by {name}" if kind == "person" else "in the caption"
    if why.field == "text":
        return "in the text" if memory.capture.kind is Kind.TEXT else "in the printed text"
    return {"transcript": "in what was said", "tags": "in the tags"}.get(why.field, "")


def dropped(drop: Drop, answer: Answer, given: SearchQuery) -> str:
    """The address of the search without that filter, whether it was chosen or understood from words."""
    address = Address(given)
    key: Mapping[str, dict[str, object]] = {
        "when": {"from_": "", "to": ""},
        "device": {"device": []},
        "kind": {"kind": []},
        "has": {"has": []},
    }
    spans = [(item.start, item.end) for item in answer.understood if item.kind == drop.kind]
    text, at = "", 0
    for start, end in spans:
        text += given.q[at:start]
        at = end
    return address.of(**key[drop.kind], q=" ".join((text + given.q[at:]).split()))
