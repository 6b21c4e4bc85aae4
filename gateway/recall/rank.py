"""Fusing words and meaning into one order: arithmetic over columns, no I/O.

Reciprocal rank fusion (Cormack, Clarke, Büttcher 2009; k = 60) of two rankings, each over the hits alone, so that the
order depends on the data and the query and on nothing else. Equal values share a rank. Ties of the fused score go
by time, newest first, and then by id: the order is total.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.index.catalog import Columns
from gateway.index.vectors import ABSENT, Floats, Ids, top

K = 60
MEANING_HITS = 100
"""So many of the nearest count as found by meaning."""
FLOOR = 0.32
"""Below this cosine nothing counts as found by meaning. Of MiniLM on this house's captions: what is meant lies at .33
to .71, the nearest to a thing that was never seen ("kite", "bananas") at .21 to .29."""
WEAK = 0.45
"""Below this cosine, and with no word found, a hit is shown under a line."""
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ranked:
    """Hits and their scores, in the order of the columns they were ranked from; `page` puts them in theirs."""

    places: Ids
    """Positions in the columns."""
    scores: npt.NDArray[np.float64]
    """0 to 1, one a hit."""
    weak: Mask

    def page(self, rows: Columns, after: Key | None, limit: int) -> tuple[Ids, bool]:
        """Indices of the hits that come after `after`, best first, at most `limit`; and whether more follow.

        Only as many as are needed are sorted.
        """
        if after is None:
            left = np.arange(len(self.places))
        else:
            left = np.flatnonzero(self._follow(after, rows.at_us[self.places], rows.ids[self.places]))
        best = self._first(left, rows, limit)
        at, ids = rows.at_us[self.places[best]], rows.ids[self.places[best]]
        order = np.lexsort((-ids, -at, -self.scores[best], self.weak[best]))
        chosen: Ids = best[order][:limit].astype(np.int64)
        return chosen, len(left) > limit

    def _first(self, left: Ids, rows: Columns, limit: int) -> Ids:
        """Those of `left` among which the first `limit` are."""
        if len(left) <= limit:
            return left
        height = self.scores[left] - 2.0 * self.weak[left]
        border = np.partition(height, len(left) - limit)[len(left) - limit]
        best: Ids = left[height >= border]
        if len(best) <= 4 * limit:
            return best
        sure, tied = left[height > border], left[height == border]  # of the same score only the newest can matter
        at = rows.at_us[self.places[tied]]
        need = limit - len(sure)
        return np.concatenate([sure, tied[at >= np.partition(at, len(at) - need)[len(at) - need]]])

    def _follow(self, key: Key, at: Ids, ids: Ids) -> Mask:
        older = (at < key.at_us) | ((at == key.at_us) & (ids < key.id))
        lower = (self.scores < key.score) | ((self.scores == key.score) & older)
        following: Mask = (self.weak == key.weak) & lower
        return following if key.weak else following | self.weak


@dataclass(frozen=True, slots=True)
class Key:
    """Where a page ended: the order's four parts."""

    weak: bool
    score: float
    at_us: int
    id: int


def newest_first(among: Mask) -> Ranked:
    """No words were asked for: by time, all with score 1."""
    places = np.flatnonzero(among)
    return Ranked(places.astype(np.int64), np.ones(len(places)), np.zeros(len(places), bool))


def hits(words: Floats, cosines: Floats | None, ids: Ids, among: Mask) -> Mask:
    """What counts as found: every word hit, and the nearest in meaning above the floor."""
    found = among & (words > 0)
    if cosines is not None:
        found[nearest(cosines, ids, among)] = True
    return found


def nearest(cosines: Floats, ids: Ids, among: Mask) -> Ids:
    """Positions of the nearest in meaning, at most MEANING_HITS, none below the floor."""
    near = np.flatnonzero(among & (cosines >= FLOOR))
    best: Ids = near[top(cosines[near], ids[near], MEANING_HITS)]
    return best


def fused(words: Floats, cosines: Floats | None, found: Mask) -> Ranked:
    """The hits with their fused scores."""
    places = np.flatnonzero(found)
    share = words[places]
    score = np.where(share > 0, 1.0 / (K + _ranks(share)), 0.0)
    best = 1.0 / (K + 1)
    weak = np.zeros(len(places), bool)
    if cosines is not None:
        near = cosines[places]
        score = score + np.where(near > ABSENT, 1.0 / (K + _ranks(near)), 0.0)
        best *= 2
        weak = (share <= 0) & (near < WEAK)
    return Ranked(places.astype(np.int64), score / best, weak)


def _ranks(values: Floats) -> npt.NDArray[np.int64]:
    """1 for the highest value; equal values share the best of their ranks."""
    if not len(values):
        return np.empty(0, np.int64)
    order = np.argsort(-values)
    ordered = values[order]
    begins = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    firsts = np.maximum.accumulate(np.where(begins, np.arange(1, len(values) + 1), 0))
    ranks = np.empty(len(values), np.int64)
    ranks[order] = firsts
    return ranks
