"""A search as it is asked and answered. Plain values; the work is in `search.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal, TypeAlias

from gateway.entities import Kind, Memory

Has: TypeAlias = Literal["text", "person"]
HAS: tuple[Has, ...] = ("text", "person")
"""`text`: print was read in it. `person`: a person was detected in it or is named by a tag."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for. Filters are exact; only the words are ranked."""

    text: str = ""
    """As it was typed, at most 500 characters are used. Empty: everything that passes the filters, newest first."""
    from_us: int | None = None
    """First instant that counts."""
    to_us: int | None = None
    """First instant that counts no more."""
    devices: tuple[str, ...] = ()
    """Device ids; empty: all, and what no device sent."""
    kinds: tuple[Kind, ...] = ()
    has: frozenset[Has] = frozenset()
    folded: bool = False
    """Also what was folded away as a copy or a still scene."""
    limit: int = 30
    """Hits a page, 1 to 200."""
    cursor: str = ""
    """`Answer.next` of the page before, of the same query."""
    parse: bool = True
    """Whether words that name a time, a camera or a kind become filters."""


@dataclass(frozen=True, slots=True)
class Why:
    """One reason for a hit."""

    kind: Literal["words", "meaning", "filter"]
    text: str
    """words: what was found there, lower-case, as it stands in the memory; meaning: `close`, `near` or `weak`;
    filter: its label."""
    value: float | None = None
    """words: the share of the query's words that the memory answers to, by their rarity, 0 to 1; meaning: the cosine;
    filter: None."""
    field: str = ""
    """words: where they stand: `caption`, `text`, `transcript` or `tags` (joined by ", "); one reason a field."""
    marks: tuple[tuple[int, int], ...] = ()
    """words: (start, end) in that field of the memory, in characters, in order, never overlapping."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One memory that was found, and why."""

    memory: Memory
    score: float
    """0 to 1; 1 is first in words and in meaning. Newest-first lists have 1 for all."""
    why: tuple[Why, ...]
    weak: bool = False
    """Close in meaning at best, no word found: shown under a line, after all others."""


@dataclass(frozen=True, slots=True)
class Understood:
    """A stretch of the query that was taken as something. `word`: looked for as it stands."""

    kind: Literal["when", "device", "kind", "word"]
    start: int
    end: int
    """[start, end) in the query, in characters."""
    label: str
    """For people: `Mon 21 to Thu 24 Sep`, `Porch`, `Pictures`, `parcel`."""
    value: str
    """when: `<from_us>/<to_us>`; device: ids joined by `,`; kind: kinds joined by `,`; word: the word."""


@dataclass(frozen=True, slots=True)
class Facets:
    """Counts over the hits. `devices` and `kinds` each leave their own filter out, so that another can be chosen."""

    when: tuple[tuple[date, int], ...] = ()
    """Days of the home's calendar that have hits, oldest first; the newest 62."""
    devices: tuple[tuple[str, str, int], ...] = ()
    """(id, name, hits), most first; id "" is what no device sent."""
    kinds: tuple[tuple[Kind, int], ...] = ()
    """Every kind, also with 0."""
    has: tuple[tuple[Has, int], ...] = ()
    folded: tuple[tuple[Literal["static", "copies"], int], ...] = ()
    """What passes all filters and, if words were asked for, has one of them, but is folded away."""


@dataclass(frozen=True, slots=True)
class Drop:
    """A filter that could be dropped when nothing was found."""

    kind: Literal["when", "device", "kind", "has"]
    label: str
    total: int
    """What there would be without it; never 0."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One page of what was found."""

    items: tuple[Hit, ...]
    next: str
    """Cursor of the next page; empty on the last."""
    total: int
    """Hits on all pages."""
    looked_at: int
    """Memories that passed the filters: all of them were looked at."""
    understood: tuple[Understood, ...] = ()
    facets: Facets = field(default_factory=Facets)
    approximate: bool = False
    """Meaning was answered by the large index, re-scored exactly."""
    rebuilding: float | None = None
    """How much of the large index is made again, 0 to 1; None when it is whole or not in use. Results are complete."""
    meaning_off: str = ""
    """Why meaning was not used; empty when it was, or when there were no words."""
    meaning_hint: str = ""
    """What would switch it on."""
    took_ms: float = 0.0
    drop: tuple[Drop, ...] = ()
    """When nothing was found: filters whose absence would find something, most first."""
