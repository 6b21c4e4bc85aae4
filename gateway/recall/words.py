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
from gateway.index.postings import Postings
from gateway.index.text import Word
from gateway.index.vectors import Floats
from gateway.store.db import Connection

_BEGINNING = 0.6


def share_of_words(connection: Connection, postings: Postings, view: View, wanted: Sequence[Word]) -> Floats:
    """For each row of the view: 0, no word; up to 1, all of them. Rows that may not be seen are scored too."""
    rows = view.columns
    total = np.zeros(len(rows), np.float32)
    visible = int(np.count_nonzero(view.visible))
    weight_sum = 0.0
    for word in wanted:
        whole = rows.picked(postings.of(connection, word.phrase))
        found = whole
        if word.prefix:
            found = whole | rows.picked(postings.of(connection, f"{word.phrase}*"))
        having = int(np.count_nonzero(found & view.visible))
        rarity = math.log(1 + (visible - having + 0.5) / (having + 0.5))
        total += whole * np.float32(rarity)
        if word.prefix:
            total += (found & ~whole) * np.float32(rarity * _BEGINNING)
        weight_sum += rarity
    return total / np.float32(weight_sum) if weight_sum else total
