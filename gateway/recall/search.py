"""Search: filters first, then words and meaning fused, each hit with its reasons.

One read finds what passes the filters and answers to the words; the meaning of the query is worked out at the same
time; a second read compares it with the vectors of all that passed, re-scores the best with their float32 vectors,
orders, counts and fetches one page. Every read goes through `policy.visible`.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from gateway import metrics
from gateway.entities import Memory, Viewer
from gateway.errors import HearthlogError
from gateway.index.indexer import Held, Index
from gateway.index.vectors import ABSENT, LOOKED_AT, Floats, Ids, Near, from_bytes, top
from gateway.policy import Sql, visible
from gateway.recall import counts, paging, rank
from gateway.recall.answer import Answer, Drop, Hit, Query
from gateway.recall.candidates import Candidates, gather
from gateway.recall.reasons import reasons
from gateway.recall.understand import Parsed, parsed
from gateway.store import reading, vectors
from gateway.store.captures import Shelf
from gateway.store.db import Connection, Database

Embed: TypeAlias = Callable[[str, str], Awaitable[bytes | None]]
"""The vector of a text in the space of that name (float32 little-endian), or None when there is no model.

May raise HearthlogError: then words alone answer, and the answer says why."""

MAX_TEXT = 500
MAX_LIMIT = 200
_REMEMBERED = 256
_OVERSAMPLE = 10


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a query means; or why that is not known."""

    vector: Floats | None = None
    held: Held | None = None
    off: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """The home, as far as a search needs to know it."""

    zone: str
    clock: Callable[[], int]
    """Microseconds since 1970, UTC."""


class Search:
    """Holds nothing but the vectors of the last queries: an answer depends on the data and the query alone."""

    def __init__(self, db: Database, index: Index, *, embed: Embed, place: Place, shelf: Shelf | None = None) -> None:
        self._db = db
        self._index = index
        self._embed = embed
        self._place = place
        self._shelf = shelf
        self._remembered: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    async def find(self, viewer: Viewer, query: Query) -> Answer:
        """Answer a query. Raises Rejected for a cursor that is not of this query."""
        began = time.perf_counter()
        said = query.text[:MAX_TEXT].encode("utf-8", "replace").decode()  # a lone half of a surrogate pair is no text
        query = replace(query, text=said, limit=max(1, min(query.limit, MAX_LIMIT)))
        place = paging.unseal(query)
        if not self._index.catalog.devices:
            await self._db.read(self._index.catalog.refresh)
        asked = parsed(query, viewer, self._index.catalog.devices, zone=self._place.zone, now_us=self._place.clock())
        answer: Answer | None = None
        if asked.plainer is not None:
            asked, answer = await self._meant(viewer, asked, asked.plainer, whole=place is None)
        if answer is None or place is not None:
            answer = await self._answer(viewer, asked, place)
        if not answer.total:
            answer = replace(answer, drop=await self._drops(viewer, asked))
        took_s = time.perf_counter() - began
        metrics.search_seconds.observe(took_s)
        return replace(answer, took_ms=round(took_s * 1_000, 2))

    async def similar(self, viewer: Viewer, memory: Memory, *, limit: int) -> list[tuple[Memory, float]]:
        """Pictures that look like this one, nearest first, with their cosines; [] when its look is not known."""
        held = self._index.held(self._index.spaces.image)
        if held is None:
            return []
        seen = visible(viewer)
        own = await self._db.read(lambda c: vectors.of_captures(c, held.exact.space, [memory.capture.id]))
        if not own or len(own[-1][1]) != 4 * held.dimensions:
            return []
        vector = from_bytes(own[-1][1], held.dimensions)
        view = await self._db.read(lambda c: self._index.catalog.view(c, seen))
        ids = view.columns.ids[view.visible]
        near = await self._cosines(held, vector, ids)

        def read(connection: Connection) -> list[tuple[Memory, float]]:
            best = top(near, ids, 10 * limit + 50)
            exact = _rescored(connection, held, vector, ids[best].tolist())
            exact.pop(memory.capture.id, None)
            order = sorted(exact, key=lambda number: (-exact[number], -number))[:limit]
            found = reading.by_ids(connection, order, seen, self._shelf)
            return [(other, round(exact[other.capture.id], 4)) for other in found]

        return await self._db.read(read)

    async def _answer(self, viewer: Viewer, asked: Parsed, place: paging.Place | None) -> Answer:
        seen = visible(viewer)
        async with asyncio.TaskGroup() as tasks:
            reading_ = tasks.create_task(
                self._db.read(lambda c: gather(c, self._index, seen, asked)), name="search-filter"
            )
            meaning_ = tasks.create_task(self._meaning(asked.rest), name="search-meaning")
        found, meaning = reading_.result(), meaning_.result()
        scored = await self._by_large_index(found, meaning)
        return await self._db.read(
            lambda c: self._page(c, seen, asked, place, scored or _scored(found, meaning, asked))
        )

    async def _meant(self, viewer: Viewer, asked: Parsed, plainer: Parsed, *, whole: bool) -> tuple[Parsed, Answer]:
        """The one that is meant, with its first page; unless `whole` with the first hit alone. A word is better not
        taken for a filter where with it nothing is found, or weak hits alone, and without it something better. The same
        on every page: it is about the first."""
        filtered = await self._answer(viewer, asked if whole else _first(asked), None)
        if filtered.items and not filtered.items[0].weak:
            return asked, filtered
        plain = await self._answer(viewer, plainer if whole else _first(plainer), None)
        if plain.items and not (filtered.items and plain.items[0].weak):
            return plainer, plain
        return asked, filtered

    async def _by_large_index(self, found: Candidates, meaning: Meaning) -> Scored | None:
        """Compare with what passed the filters, where doing it here would take too long and the index is sure."""
        keeper = self._index.keeper
        if meaning.vector is None or meaning.held is None or keeper is None or not keeper.good:
            return None
        if len(found.rows) <= self._index.exact_up_to or keeper.chroma.space != meaning.held.exact.space:
            return None
        try:
            nearest = await keeper.nearest(meaning.vector, limit=_OVERSAMPLE * rank.MEANING_HITS)
        except HearthlogError:
            return None
        near = await self._among(found, meaning.held, meaning.vector, nearest)
        return None if near is None else Scored(found, meaning, near, approximate=True)

    async def _among(self, found: Candidates, held: Held, vector: Floats, nearest: list[Near]) -> Floats | None:
        """The neighbours that passed the filters, and every word hit; None when too few of them passed to be sure."""
        ids = np.sort(np.fromiter((near.capture_id for near in nearest), np.int64, len(nearest)))
        places = found.rows.places(ids)
        wanted = found.in_devices & found.in_kinds
        if int(wanted[places].sum()) < rank.MEANING_HITS:
            return None
        scored = found.words > 0
        scored[places] = True
        near = np.full(len(found.rows), ABSENT, np.float32)
        near[scored] = await self._cosines(held, vector, found.rows.ids[scored])
        return near

    async def _drops(self, viewer: Viewer, asked: Parsed) -> tuple[Drop, ...]:
        """Filters without which there would be something."""
        offers = []
        for kind, label, wider in asked.without_one():
            answer = await self._answer(viewer, _first(wider), None)
            if answer.total:
                offers.append(Drop(kind, label, answer.total))
        return tuple(sorted(offers, key=lambda drop: -drop.total))

    async def _meaning(self, text: str) -> Meaning:
        if not text.strip():
            return Meaning()
        space = self._index.spaces.text
        held = self._index.held(space)
        if held is None:
            return Meaning(off="nothing has a meaning yet", hint="It comes with the first captions")
        known = self._remembered.get((space, text))
        if known is None:
            try:
                known = await self._embed(text, space)
            except HearthlogError as error:
                return Meaning(off=error.what, hint=error.hint)
            if known is None:
                return Meaning(off="no model for the meaning of words", hint="hearthlog models pull embed-text")
            if len(known) != 4 * held.dimensions:
                return Meaning(off="the model was changed; memories are read again", hint="Wait until it is done")
            self._remembered[space, text] = known
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        return Meaning(from_bytes(known, held.dimensions), held)

    async def _cosines(self, held: Held, vector: Floats, ids: Ids) -> Floats:
        loop = asyncio.get_running_loop()
        query = held.seen(vector[None, :])[0]
        return await loop.run_in_executor(held.exact.thread, held.exact.cosines, query, ids)

    def _page(
        self, connection: Connection, seen: Sql, asked: Parsed, place: paging.Place | None, scored: Scored
    ) -> Answer:
        found, near = scored.found, scored.near
        rows = found.rows
        wanted = found.in_devices & found.in_kinds
        if not asked.rest:
            ranked = rank.newest_first(wanted)
        else:
            if near is not None:
                _rescore(connection, scored, rank.nearest(near, rows.ids, wanted))
            ranked = rank.fused(found.words, near, rank.hits(found.words, near, rows.ids, wanted))
        chosen, more = ranked.page(rows, _key(connection, place), asked.query.limit)
        places = ranked.places[chosen]
        ids = rows.ids[places].tolist()
        memories = reading.by_ids(connection, ids, seen, self._shelf)
        why = reasons(memories, asked, _values(connection, scored, places))
        index_of = dict(zip(ids, chosen.tolist(), strict=True))
        items = tuple(
            Hit(memory, round(float(ranked.scores[at]), 6), why[memory.capture.id], bool(ranked.weak[at]))
            for memory in memories
            for at in (index_of[memory.capture.id],)
        )
        onward = ""
        if more and items:
            last, at = memories[-1].capture, index_of[memories[-1].capture.id]
            end = paging.Place(bool(ranked.weak[at]), float(ranked.scores[at]), last.captured_at.at_us, last.uid)
            onward = paging.seal(asked.asked, end)
        return Answer(
            items=items,
            next=onward,
            total=len(ranked.places),
            looked_at=int(wanted.sum()),
            understood=asked.understood,
            facets=counts.facets(found, near, ranked, asked, zone=self._place.zone),
            approximate=scored.approximate,
            rebuilding=self._index.rebuilding,
            meaning_off=scored.meaning.off,
            meaning_hint=scored.meaning.hint,
        )


@dataclass(frozen=True, slots=True)
class Scored:
    """What is known before a page is read. `near` is re-scored in place by the one who reads it."""

    found: Candidates
    meaning: Meaning
    near: Floats | None
    approximate: bool = False


def _first(asked: Parsed) -> Parsed:
    """For the first hit alone, and the counts."""
    return replace(asked, query=replace(asked.query, limit=1))


def _scored(found: Candidates, meaning: Meaning, asked: Parsed) -> Scored:
    """Compare with what passed the filters: closely with all that can come to the front of a list that is made."""
    if meaning.vector is None or meaning.held is None:
        return Scored(found, meaning, None)
    wanted = found.in_devices & found.in_kinds
    groups = [wanted, wanted & (found.words > 0)]
    if asked.query.devices:
        groups.append(found.in_kinds)  # the facet of devices leaves its own filter out, and so on
    if asked.query.kinds:
        groups.append(found.in_devices)
    vector = meaning.held.seen(meaning.vector[None, :])[0]
    return Scored(found, meaning, meaning.held.exact.closely(vector, found.rows.ids, groups))


def _values(connection: Connection, scored: Scored, places: Ids) -> dict[int, tuple[float, float | None]]:
    """capture → (share of words, cosine) of the rows at `places`, that of hits far down the list too."""
    found, near = scored.found, scored.near
    ids = found.rows.ids[places].tolist()
    cosines: dict[int, float] = {}
    if near is not None:
        cosines = {number: float(near[at]) for number, at in zip(ids, places.tolist(), strict=True)}
        far = [number for number, cosine in cosines.items() if ABSENT < cosine < LOOKED_AT]
        cosines |= _exact(connection, scored.meaning, far)
    return {
        number: (
            round(float(found.words[at]), 4),
            round(cosines[number], 4) if cosines.get(number, ABSENT) > LOOKED_AT else None,
        )
        for number, at in zip(ids, places.tolist(), strict=True)
    }


def _key(connection: Connection, place: paging.Place | None) -> rank.Key | None:
    if place is None:
        return None
    return rank.Key(place.weak, place.score, place.at_us, reading.number_of(connection, place.uid))


def _rescore(connection: Connection, scored: Scored, best: Ids) -> None:
    """Put the float32 cosines of the rows at `best` in the place of the int8 ones."""
    assert scored.near is not None
    ids = scored.found.rows.ids[best].tolist()
    exact = _exact(connection, scored.meaning, ids)
    scored.near[best] = [
        exact.get(number, float(scored.near[at])) for number, at in zip(ids, best.tolist(), strict=True)
    ]


def _exact(connection: Connection, meaning: Meaning, ids: list[int]) -> dict[int, float]:
    if not ids or meaning.held is None or meaning.vector is None:
        return {}
    return _rescored(connection, meaning.held, meaning.vector, ids)


def _rescored(connection: Connection, held: Held, vector: Floats, ids: list[int]) -> dict[int, float]:
    """Cosines with the float32 vectors that SQLite keeps."""
    rows = [row for row in vectors.of_captures(connection, held.exact.space, ids) if len(row[1]) == 4 * held.dimensions]
    if not rows:
        return {}
    matrix = np.frombuffer(b"".join(row[1] for row in rows), "<f4").reshape(len(rows), held.dimensions)
    return {row[0]: float(cosine) for row, cosine in zip(rows, matrix @ vector, strict=True)}
