"""Vectors of one embedding space: the protocol of every index over them, and the exact one.

The exact index keeps each vector as int8 with a scale of its own (a cosine is off by about .002), scans in blocks
that fit a processor's second-level cache, and is always there. Of many it looks at the signs first and closely at
those that may be among the nearest. What leaves it as an answer is re-scored with the float32 vectors that SQLite
keeps.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from gateway.errors import HearthlogError
from gateway.index.signs import MOST, Signs

Floats: TypeAlias = npt.NDArray[np.float32]
Ids: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]

_BLOCK_ROWS = 256
_SCAN_ALL_ABOVE = 0.3
"""Share of all vectors from which scanning everything is cheaper than gathering the ones that are asked for."""
ABSENT = -2.0
"""Stands for a cosine where there is no vector."""
LOOKED_AT = -1.05
"""A value below is no cosine: the vector was not looked at closely, and the value says only which is likely nearer."""
_ALL_CLOSELY = 4_096
"""Up to so many vectors a first look would not pay."""
_CLOSELY = 3_000
"""So many that a first look likes best are looked at closely. Of 6,000 captions put together from a home's things and
read by MiniLM, a share like that of 100,000 held .99 of the ten nearest to thirty queries."""
_OVERSAMPLE = 10


@dataclass(frozen=True, slots=True)
class Spaces:
    """Which embedding spaces are in use now; empty: none is known yet."""

    text: str = ""
    """Of the meaning of words: captions, print and speech."""
    image: str = ""
    """Of the look of a picture."""


@dataclass(frozen=True, slots=True)
class Near:
    """A neighbour."""

    capture_id: int
    cosine: float


class VectorIndex(Protocol):
    """An index over one space, by capture id. One suite of tests holds for all of them."""

    async def put(self, ids: Sequence[int], vectors: Floats) -> None:
        """Keep unit vectors, shape (n, dimensions), one an id; an id that is there gets the new one."""

    async def drop(self, ids: Sequence[int]) -> None:
        """Forget; ids that are not there are fine."""

    async def nearest(self, query: Floats, *, limit: int, among: Ids | None = None) -> list[Near]:
        """The nearest by cosine, nearest first, equal ones by falling id; only of `among` (ascending) if given.

        Raises HearthlogError when the index cannot answer.
        """

    async def holds(self, ids: Sequence[int]) -> list[int]:
        """Those of `ids` whose vector it really has, proved by reading it."""


class Exact:
    """int8 in memory. The methods without `async` block for milliseconds: call them in `thread`."""

    def __init__(self, space: str, dimensions: int, *, capacity: int = 1_024, signs: bool = True) -> None:
        """`signs`: keep them too, for a first look; an eighth more memory."""
        self.space = space
        self.dimensions = dimensions
        self._lock = threading.Lock()
        self._codes = np.empty((capacity, dimensions), np.int8)
        self._scales = np.empty(capacity, np.float32)
        self._ids = np.empty(capacity, np.int64)
        self._count = 0
        self._slot_of = np.full(capacity, -1, np.int32)
        """Capture id → row of the matrix; ids are row numbers of SQLite, so they lie close."""
        self._signs = Signs(dimensions, capacity) if signs else None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vectors")

    def __len__(self) -> int:
        return self._count

    def close(self) -> None:
        """Let the thread go."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def thread(self) -> ThreadPoolExecutor:
        """The one thread that heavy arithmetic runs in."""
        return self._thread

    def ids(self) -> Ids:
        """What is in it, ascending."""
        with self._lock:
            return np.sort(self._ids[: self._count])

    def insert(self, ids: Sequence[int] | Ids, vectors: Floats) -> None:
        """`put`, at once. Raises HearthlogError for vectors of another length."""
        if vectors.ndim != 2 or vectors.shape != (len(ids), self.dimensions):
            raise HearthlogError("a vector has another length than its space", code="vector-shape", where=self.space)
        codes, scales = quantise(vectors)
        numbers = np.asarray(ids, np.int64)
        with self._lock:
            slots = self._slots(numbers)
            fresh = slots < 0
            self._reserve(self._count + int(fresh.sum()), int(numbers.max(initial=0)))
            slots[fresh] = np.arange(self._count, self._count + int(fresh.sum()))
            self._codes[slots], self._scales[slots], self._ids[slots] = codes, scales, numbers
            if self._signs is not None:
                self._signs.put(slots, vectors)
            self._slot_of[numbers] = slots
            self._count += int(fresh.sum())

    def remove(self, ids: Sequence[int] | Ids) -> None:
        """`drop`, at once."""
        with self._lock:
            slots = self._slots(np.asarray(ids, np.int64))
            if not (slots >= 0).any():
                return
            keep = np.ones(self._count, bool)
            keep[slots[slots >= 0]] = False
            left = int(keep.sum())
            for column in (self._codes, self._scales, self._ids):
                column[:left] = column[: self._count][keep]
            if self._signs is not None:
                self._signs.keep(keep)
            self._slot_of[:] = -1
            self._slot_of[self._ids[:left]] = np.arange(left)
            self._count = left

    def cosines(self, query: Floats, among: Ids | None = None) -> Floats:
        """Cosines with `among` (ascending), ABSENT where there is no vector; without it, with everything by id."""
        query = np.ascontiguousarray(query, np.float32)
        with self._lock:
            if among is None:
                among = np.sort(self._ids[: self._count])
            slots = self._slots(among)
            there = np.flatnonzero(slots >= 0)
            out = np.full(len(among), ABSENT, np.float32)
            out[there] = self._cosines(query, slots[there])
            return out

    def closely(self, query: Floats, among: Ids, groups: Sequence[Mask], *, limit: int = _CLOSELY) -> Floats:
        """`cosines` for those of `among` that may be the `limit` nearest of one of `groups` (masks over `among`).

        The others get a value below LOOKED_AT that falls with their likely distance. Nothing is cut off among equals,
        and with too little to save everything is looked at closely.
        """
        query = np.ascontiguousarray(query, np.float32)
        with self._lock:
            slots = self._slots(among)
            present = slots >= 0
            if self._signs is None or np.count_nonzero(present) <= max(_ALL_CLOSELY, 2 * limit):
                out = np.full(len(among), ABSENT, np.float32)
                out[present] = self._cosines(query, slots[present])
                return out
            differing = np.take(self._signs.differences(query, self._count), slots)  # of absent ones: of any row
            chosen = np.zeros(len(among), bool)
            for group in groups:
                mask = group & present
                chosen |= mask & (differing <= _border(differing[mask], limit))
            out = differing * np.float32(-0.4 / (MOST * self.dimensions)) - np.float32(1.1)
            out[~present] = ABSENT
            out[chosen] = self._cosines(query, slots[chosen])
            return out

    async def put(self, ids: Sequence[int], vectors: Floats) -> None:
        """See VectorIndex."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self.insert, ids, vectors)

    async def drop(self, ids: Sequence[int]) -> None:
        """See VectorIndex."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self.remove, ids)

    async def nearest(self, query: Floats, *, limit: int, among: Ids | None = None) -> list[Near]:
        """See VectorIndex. Cosines are those of the int8 vectors."""
        ids = self.ids() if among is None else among
        look = partial(self.closely, query, ids, [np.ones(len(ids), bool)], limit=max(_CLOSELY, _OVERSAMPLE * limit))
        cosines = await asyncio.get_running_loop().run_in_executor(self._thread, look)
        return [Near(int(ids[n]), float(cosines[n])) for n in top(cosines, ids, limit)]

    async def holds(self, ids: Sequence[int]) -> list[int]:
        """See VectorIndex."""
        with self._lock:
            slots = self._slots(np.asarray(ids, np.int64))
        return [number for number, slot in zip(ids, slots, strict=True) if slot >= 0]

    def _slots(self, ids: Ids) -> Ids:
        if len(ids) and ids.min() >= 0 and ids.max() < len(self._slot_of):
            return np.take(self._slot_of, ids).astype(np.int64)
        known = np.flatnonzero((ids >= 0) & (ids < len(self._slot_of)))
        slots = np.full(len(ids), -1, np.int64)
        slots[known] = self._slot_of[ids[known]]
        return slots

    def _reserve(self, count: int, highest_id: int) -> None:
        if highest_id >= len(self._slot_of):
            slot_of = np.full(max(highest_id + 1, len(self._slot_of) * 3 // 2), -1, np.int32)
            slot_of[: len(self._slot_of)] = self._slot_of
            self._slot_of = slot_of
        if count <= len(self._ids):
            return
        room = max(count, len(self._ids) * 3 // 2)
        codes, scales, ids = self._codes, self._scales, self._ids
        self._codes = np.empty((room, self.dimensions), np.int8)
        self._scales, self._ids = np.empty(room, np.float32), np.empty(room, np.int64)
        for new, old in ((self._codes, codes), (self._scales, scales), (self._ids, ids)):
            new[: self._count] = old[: self._count]
        if self._signs is not None:
            self._signs.reserve(room)

    def _cosines(self, query: Floats, slots: Ids) -> Floats:
        if len(slots) > _SCAN_ALL_ABOVE * self._count:
            return self._scan_all(query)[slots]
        return self._scan(query, slots)

    def _scan_all(self, query: Floats) -> Floats:
        out = np.empty(self._count, np.float32)
        block = np.empty((_BLOCK_ROWS, self.dimensions), np.float32)
        for start in range(0, self._count, _BLOCK_ROWS):
            end = min(start + _BLOCK_ROWS, self._count)
            np.copyto(block[: end - start], self._codes[start:end])
            np.dot(block[: end - start], query, out=out[start:end])
        out *= self._scales[: self._count]
        return out

    def _scan(self, query: Floats, slots: Ids) -> Floats:
        out = np.empty(len(slots), np.float32)
        for start in range(0, len(slots), _BLOCK_ROWS):
            some = slots[start : start + _BLOCK_ROWS]
            out[start : start + len(some)] = self._codes[some].astype(np.float32) @ query
        out *= self._scales[slots]
        return out


def quantise(vectors: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """(codes, scales): vector ≈ codes · scale, the largest component at ±127."""
    scales = np.abs(vectors).max(axis=1, initial=0.0).astype(np.float32) / np.float32(127)
    safe = np.where(scales > 0, scales, np.float32(1))
    codes = np.rint(vectors / safe[:, None]).astype(np.int8)
    return codes, scales


def _border(differing: npt.NDArray[np.uint16], limit: int) -> int:
    """The number of differing signs up to which `limit` of them lie, or all."""
    below = np.cumsum(np.bincount(differing))
    return int(np.searchsorted(below, limit))


def top(scores: Floats, ids: Ids, limit: int) -> Ids:
    """Positions of the `limit` highest scores, highest first, equal ones by falling id; ABSENT ones never."""
    present = np.flatnonzero(scores > ABSENT)
    if len(present) > limit > 0:
        border = np.partition(scores[present], len(present) - limit)[len(present) - limit]
        present = present[scores[present] >= border]
    order = np.lexsort((-ids[present], -scores[present]))
    best: Ids = present[order][:limit].astype(np.int64)
    return best


def from_bytes(vector: bytes, dimensions: int) -> Floats:
    """A float32 little-endian vector. Raises HearthlogError when it has another length."""
    if len(vector) != 4 * dimensions:
        raise HearthlogError("a vector has another length than its space", code="vector-shape")
    return np.frombuffer(vector, "<f4").astype(np.float32, copy=False)
