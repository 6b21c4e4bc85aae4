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
    visible = int(np.count_nonzero(view.visible))
    weight_sum = 0.0
    for word in wanted:
        best = np.zeros(len(rows), np.float32)
        whole = word.phrase
        if word.prefix:
            begun = table.postings(connection, f"{word.phrase}*")
            best[rows.places(begun)] = _BEGINNING
            if table.count(connection, word.phrase) == len(begun):  # nothing longer begins with it: the same once more
                best[best > 0] = 1.0
                whole = ""
        if whole:
            best[rows.places(table.postings(connection, whole))] = 1.0
        having = int(np.count_nonzero((best > 0) & view.visible))
        rarity = math.log(1 + (visible - having + 0.5) / (having + 0.5))
        total += np.float32(rarity) * best
        weight_sum += rarity
    return total / np.float32(weight_sum) if weight_sum else total
