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
FLOOR = 0.28
"""Below this cosine nothing counts as found by meaning."""
WEAK = 0.5
"""Below this cosine, and with no word found, a hit is shown under a line."""
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ranked:
    """Hits in their order: positions in the columns they were ranked from, and their scores, 0 to 1."""

    places: Ids
    scores: npt.NDArray[np.float64]
    weak: Mask

    def after(self, key: tuple[bool, float, int, int], rows: Columns) -> int:
        """How many hits come at or before `key` = (weak, score, at_us, id)."""
        weak, score, at_us, number = key
        at, ids = rows.at_us[self.places], rows.ids[self.places]
        older = (at < at_us) | ((at == at_us) & (ids < number))
        later = (self.weak & (not weak)) | (
            (self.weak == weak) & ((self.scores < score) | ((self.scores == score) & older))
        )
        return int((~later).sum())


def newest_first(rows: Columns, among: Mask) -> Ranked:
    """No words were asked for: by time, all with score 1."""
    places = np.flatnonzero(among)
    order = np.lexsort((-rows.ids[places], -rows.at_us[places]))
    return Ranked(places[order], np.ones(len(places)), np.zeros(len(places), bool))


def hits(words: Floats, cosines: Floats | None, ids: Ids, among: Mask) -> Mask:
    """What counts as found: every word hit, and the nearest in meaning above the floor."""
    found = among & (words > 0)
    if cosines is not None:
        found[nearest(cosines, ids, among)] = True
    return found


def nearest(cosines: Floats, ids: Ids, among: Mask) -> Ids:
    """Positions of the nearest in meaning, at most MEANING_HITS, none below the floor."""
    allowed = np.where(among & (cosines >= FLOOR), cosines, np.float32(ABSENT))
    return top(allowed, ids, MEANING_HITS)


def fused(rows: Columns, words: Floats, cosines: Floats | None, found: Mask) -> Ranked:
    """The hits in their order."""
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
    score = score / best
    order = np.lexsort((-rows.ids[places], -rows.at_us[places], -score, weak))
    return Ranked(places[order].astype(np.int64), score[order], weak[order])


def _ranks(values: Floats) -> npt.NDArray[np.int64]:
    """1 for the highest value; equal values share the best of their ranks."""
    ascending = np.sort(values)
    return len(values) - np.searchsorted(ascending, values, side="right").astype(np.int64) + 1
