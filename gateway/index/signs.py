"""The signs of vectors, one bit a number: a first look that costs a twentieth of the int8 scan.

The share of signs in which two vectors differ grows with the angle between them (Charikar 2002, "Similarity
estimation techniques from rounding algorithms"). A sign counts three times where the query's own number is large, which
is the best quantiser of two bits for a normal variable (Max 1960; levels .45 and 1.51, border .98): that is as good as
the whole query. It does not order what is near; it picks from 100,000 the few thousand among which the nearest are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_WORD_BITS = 64
_BLOCK_ROWS = 16_384
_LARGE = 0.98
_MORE = 2
MOST = 1 + _MORE
"""What one number can add to a difference."""


class Signs:
    """Rows of bits, stored word by word (all first words, then all second ones), so that a look is a few long loops.

    Not safe for threads: whoever holds the rows' vectors holds the lock.
    """

    def __init__(self, dimensions: int, capacity: int) -> None:
        self._words = -(-dimensions // _WORD_BITS)
        self._rows = np.zeros((self._words, capacity), np.uint64)

    def put(self, slots: npt.NDArray[np.int64], vectors: npt.NDArray[np.float32]) -> None:
        """Set rows; vectors of shape (len(slots), dimensions)."""
        self._rows[:, slots] = self._packed(vectors > 0).T

    def keep(self, mask: npt.NDArray[np.bool_]) -> None:
        """Leave only the first len(mask) rows that `mask` names, moved together."""
        left = int(mask.sum())
        for row in self._rows:
            row[:left] = row[: len(mask)][mask]

    def reserve(self, capacity: int) -> None:
        """Make room for so many rows."""
        rows = np.zeros((self._words, capacity), np.uint64)
        rows[:, : self._rows.shape[1]] = self._rows
        self._rows = rows

    def differences(self, query: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.uint16]:
        """For each of the first `count` rows, in how many signs it differs from `query`, large ones three times."""
        signs = self._packed(query[None, :] > 0)[0]
        large = self._packed(np.abs(query[None, :]) > _LARGE * np.sqrt(np.mean(query * query)))[0]
        total = np.zeros(count, np.uint16)
        mixed = np.empty(min(count, _BLOCK_ROWS), np.uint64)
        ones = np.empty(len(mixed), np.uint8)
        for start in range(0, count, _BLOCK_ROWS):
            end = min(start + _BLOCK_ROWS, count)
            some, counted, part = mixed[: end - start], ones[: end - start], total[start:end]
            for row, word, heavy in zip(self._rows, signs, large, strict=True):
                np.bitwise_xor(row[start:end], word, out=some)
                part += np.bitwise_count(some, out=counted)
                np.bitwise_and(some, heavy, out=some)
                np.bitwise_count(some, out=counted)
                counted *= np.uint8(_MORE)
                part += counted
        return total

    def _packed(self, bits: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
        packed = np.zeros((len(bits), self._words * _WORD_BITS // 8), np.uint8)
        some = np.packbits(bits, axis=1)
        packed[:, : some.shape[1]] = some
        return packed.view(np.uint64)
