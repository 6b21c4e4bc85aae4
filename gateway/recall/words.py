"""How well each memory answers to the words of a query: BM25 with saturated term frequency (k1 = 0).

A word counts by its rarity among what the viewer may see (so nobody's private memories move anybody's order), and less
when only a longer word begins with it. 1 is all words. FTS5's own bm25() reads every matching row's size: a word that
stands in 40,000 captions would cost a search 80 ms, this 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gateway.index.catalog import View
from gateway.index.text import Word
from gateway.index.vectors import Floats
from gateway.store import words as table
from gateway.store.db import Connection

_BEGINNING = 0.6


def share_of_words(connection: Connection, view: View, wanted: Sequence[Word]) -> Floats:
    """For each row of the view: 0, no word; up to 1, all of them. Rows that may not be seen are scored too."""
    rows = view.columns
    total = np.zeros(len(rows), np.float32)
    visible = int(view.visible.sum())
    weight_sum = 0.0
    for word in wanted:
        best = np.zeros(len(rows), np.float32)
        if word.prefix:
            best[rows.places(table.postings(connection, f"{word.phrase}*"))] = _BEGINNING
        best[rows.places(table.postings(connection, word.phrase))] = 1.0
        having = int(np.count_nonzero(best[view.visible]))
        rarity = math.log(1 + (visible - having + 0.5) / (having + 0.5))
        total += np.float32(rarity) * best
        weight_sum += rarity
    return total / np.float32(weight_sum) if weight_sum else total
