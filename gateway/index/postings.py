"""Which memories hold a word, remembered as bits: who asks for a word asks again, with a filter more or a page on.

FTS5 needs 130 ns a match, and a common word stands in tens of thousands of captions. What is remembered of a word
belongs to a place in the change log, and is brought up to the text index's own place before every use by asking again
for the stretch of memories that changed since. So it is never older than the text index.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.entities import Cursor
from gateway.index.vectors import Ids, Mask
from gateway.store import changes, words
from gateway.store.db import Connection

CURSOR = "index-words"
"""The name of the text index's place in the log."""
_EXPRESSIONS = 64
"""12 kB each for 100,000 memories."""
_LINES = 500
_STRETCH = 10_000
"""Above so many changes, or so far apart, a word is asked for anew."""


@dataclass(frozen=True, slots=True)
class _Known:
    bits: npt.NDArray[np.uint8]
    """Packed, one a capture id."""
    at: Cursor


class Postings:
    """Its methods block for milliseconds: call them where SQLite is read, in a thread of the pool."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._generation = 0

    def of(self, connection: Connection, expression: str) -> Mask:
        """Whether a capture matches an FTS5 expression, by its id; ids from the end on do not."""
        with self._lock:
            generation, known = self._generation, self._known.get(expression)
        with _snapshot(connection):
            now = changes.load_cursor(connection, CURSOR)
            if now is None:  # it is being made anew
                return np.unpackbits(_packed(words.postings(connection, expression))).view(np.bool_)
            if known is not None and known.at.epoch == now.epoch and known.at.sequence >= now.sequence:
                bits = known.bits
            else:
                bits = self._followed(connection, expression, known, now)
        with self._lock:
            if generation == self._generation:
                self._known[expression] = _Known(bits, now)
                self._known.move_to_end(expression)
                if len(self._known) > _EXPRESSIONS:
                    self._known.popitem(last=False)
        return np.unpackbits(bits).view(np.bool_)

    def forget(self) -> None:
        """Everything, also what is being read just now: the text index was thrown away."""
        with self._lock:
            self._generation += 1
            self._known.clear()

    def _followed(
        self, connection: Connection, expression: str, known: _Known | None, now: Cursor
    ) -> npt.NDArray[np.uint8]:
        """The bits as of `now`."""
        if known is not None and known.at.epoch == now.epoch:
            lines, cursor = changes.after(connection, known.at, limit=_LINES)
            if cursor is not None and len(lines) < _LINES:
                ids = words.numbers_of(connection, [line.entity_id for line in lines if line.entity == "memory"])
                if not ids:  # of what went for good no row is left that could be found
                    return known.bits
                first, last = min(ids), max(ids)
                if last - first <= _STRETCH:
                    old = np.flatnonzero(np.unpackbits(known.bits))
                    fresh = words.postings(connection, expression, between=(first, last))
                    return _packed(np.concatenate([old[(old < first) | (old > last)], fresh]))
        return _packed(words.postings(connection, expression))


def _packed(ids: Ids) -> npt.NDArray[np.uint8]:
    flags = np.zeros(int(ids.max(initial=-1)) + 1, bool)
    flags[ids] = True
    return np.packbits(flags)


@contextlib.contextmanager
def _snapshot(connection: Connection) -> Iterator[None]:
    """All reads inside see one state of the database."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
