"""Which words of a query are filters: times, cameras and rooms, kinds. What is left is looked for.

A camera or a room counts when a place word stands before it ("on the porch") or when it is all that was typed; a kind
counts in the plural ("pictures") or before "of" ("sound of a bell"). A kind that neither begins the query nor stands
before "of" may be a word like others ("shot types in videos"): then the query without that filter is given along.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gateway.entities import Device, Kind, Viewer
from gateway.index import text as words_of
from gateway.policy import knows_device
from gateway.recall import dates
from gateway.recall.answer import Has, Query, Understood

KIND_LABELS = {Kind.IMAGE: "Pictures", Kind.AUDIO: "Sounds", Kind.VIDEO: "Videos", Kind.TEXT: "Written"}
HAS_LABELS: dict[Has, str] = {"text": "Printed text", "person": "A person"}
_KINDS = (
    (Kind.IMAGE, r"pictures|photos|photographs|images|frames|(?:picture|photo|photograph|image)(?= of\b)"),
    (Kind.AUDIO, r"sounds|recordings|(?:sound|recording)(?= of\b)"),
    (Kind.VIDEO, r"videos|clips|(?:video|clip)(?= of\b)"),
    (Kind.TEXT, r"journal entries|journal|notes"),
)
_LEAD = r"(?:on|in|at|from|by|near|outside)\s+(?:the\s+)?"
_OF = re.compile(r"\s+of\b", re.IGNORECASE)

FilterKind = Literal["when", "device", "kind", "has"]


@dataclass(frozen=True, slots=True)
class Parsed:
    """A query as it was understood."""

    asked: Query
    """As it came: cursors belong to this."""
    query: Query
    """With the filters that were found in the words added to its own."""
    spans: tuple[tuple[int, int], ...]
    """Stretches of the text that became filters."""
    understood: tuple[Understood, ...]
    """In the order of the text: filters, and the words that are looked for."""
    when_label: str = ""
    device_label: str = ""
    kind_label: str = ""
    plainer: Parsed | None = None
    """With the kind taken for a word, where that may be meant; None where it is surely a filter."""

    @property
    def rest(self) -> str:
        """The text without what became a filter: what meaning and words are asked about."""
        kept, at = [], 0
        for start, end in sorted(self.spans):
            kept.append(self.query.text[at:start])
            at = max(at, end)
        return re.sub(r"\s+", " ", " ".join([*kept, self.query.text[at:]])).strip()

    @property
    def labels(self) -> tuple[str, ...]:
        """The filters for people, one label each."""
        has = [HAS_LABELS[item] for item in sorted(self.query.has)]
        return tuple(label for label in (self.device_label, self.when_label, self.kind_label, *has) if label)

    def without_one(self) -> Iterator[tuple[FilterKind, str, Parsed]]:
        """Each filter that is on, and the query without it."""
        if self.when_label:
            yield "when", self.when_label, replace(self, query=replace(self.query, from_us=None, to_us=None))
        if self.query.devices:
            yield "device", self.device_label, replace(self, query=replace(self.query, devices=()))
        if self.query.kinds:
            yield "kind", self.kind_label, replace(self, query=replace(self.query, kinds=()))
        for item in sorted(self.query.has):
            yield "has", HAS_LABELS[item], replace(self, query=replace(self.query, has=self.query.has - {item}))


def parsed(query: Query, viewer: Viewer, devices: Sequence[Device], *, zone: str, now_us: int) -> Parsed:
    """Understand a query. A filter that it carries already is not looked for in its words."""
    known = [device for device in devices if knows_device(viewer, device)]
    found: list[Understood] = []
    if query.parse:
        found += _kinds(query) if not query.kinds else []
        found += _devices(query.text, known) if not query.devices else []
        if query.from_us is None and query.to_us is None:
            found += _times(query.text, [(item.start, item.end) for item in found], zone=zone, now_us=now_us)
    names = {device.id: device.name for device in known}

    def made(filters: Sequence[Understood]) -> Parsed:
        return _parsed(query, filters, names, zone=zone, now_us=now_us)

    doubtful = [item for item in found if item.kind == "kind" and not _stands(query.text, item)]
    if not doubtful:
        return made(found)
    return replace(made(found), plainer=made([item for item in found if item not in doubtful]))


def _parsed(query: Query, filters: Sequence[Understood], names: Mapping[str, str], *, zone: str, now_us: int) -> Parsed:
    spans = tuple(sorted((item.start, item.end) for item in filters))
    full = query
    for item in filters:
        full = _with(full, item)
    words = [
        Understood("word", word.start, word.end, word.text, word.text)
        for word in words_of.words(query.text, leave_out=spans)
    ]
    has_time = full.from_us is not None or full.to_us is not None
    return Parsed(
        asked=query,
        query=full,
        spans=spans,
        understood=tuple(sorted([*filters, *words], key=lambda item: (item.start, item.end))),
        when_label=dates.label(full.from_us, full.to_us, now_us=now_us, zone=zone) if has_time else "",
        device_label=", ".join(names.get(device, device) for device in full.devices),
        kind_label=", ".join(KIND_LABELS[kind] for kind in full.kinds),
    )


def _stands(text: str, kind: Understood) -> bool:
    """Whether a kind begins the query or has "of" behind it."""
    return not text[: kind.start].strip() or _OF.search(text[kind.start : kind.end]) is not None


def _with(query: Query, item: Understood) -> Query:
    if item.kind == "kind":
        return replace(query, kinds=tuple(Kind(value) for value in item.value.split(",")))
    if item.kind == "device":
        return replace(query, devices=tuple(dict.fromkeys((*query.devices, *item.value.split(",")))))
    start, end = item.value.split("/")
    return replace(query, from_us=int(start) if start else None, to_us=int(end) if end else None)


def _kinds(query: Query) -> list[Understood]:
    for kind, pattern in _KINDS:
        match = re.search(rf"(?<!\w)(?:{pattern})(?!\w)", query.text, re.IGNORECASE)
        if match:
            of = _OF.match(query.text, match.end())
            end = of.end() if of else match.end()
            return [Understood("kind", match.start(), end, KIND_LABELS[kind], kind.value)]
    return []


def _devices(text: str, devices: Sequence[Device]) -> list[Understood]:
    places: dict[str, list[Device]] = {}
    for device in devices:
        for name in {device.name, device.room, device.id}:
            if len(name) > 1:
                places.setdefault(name.casefold(), []).append(device)
    found: list[Understood] = []
    for name in sorted(places, key=lambda name: (-len(name), name)):
        whole = text.strip().casefold() == name
        for match in re.finditer(rf"(?<!\w){_LEAD if not whole else ''}{re.escape(name)}(?!\w)", text, re.IGNORECASE):
            if any(match.start() < item.end and item.start < match.end() for item in found):
                continue
            ids = ",".join(sorted(device.id for device in places[name]))
            label = ", ".join(sorted({device.name for device in places[name]}))
            found.append(Understood("device", match.start(), match.end(), label, ids))
    return found


def _times(text: str, taken: Sequence[tuple[int, int]], *, zone: str, now_us: int) -> list[Understood]:
    free = list(text)
    for start, end in taken:
        free[start:end] = "\x00" * (end - start)
    return [
        Understood("when", when.start, when.end, when.label, f"{_number(when.from_us)}/{_number(when.to_us)}")
        for when in dates.find("".join(free), now_us=now_us, zone=zone)
    ]


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
