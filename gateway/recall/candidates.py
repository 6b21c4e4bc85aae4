"""What passes a query's filters, and how well it answers to the words. Filters first: nothing is ever cut off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.entities import Device
from gateway.index import text
from gateway.index.catalog import COPY, HAS_PERSON, HAS_TEXT, KINDS, NOT_FOLDED, STILL, Columns
from gateway.index.indexer import Index
from gateway.index.vectors import Floats
from gateway.policy import Sql
from gateway.recall.answer import Query
from gateway.recall.rank import Mask
from gateway.recall.understand import Parsed
from gateway.recall.words import share_of_words
from gateway.store.db import Connection


@dataclass(frozen=True, slots=True)
class Candidates:
    """Everything that may be seen and passes the filters of time, content and folding."""

    rows: Columns
    words: Floats
    """One a row: 0, or the share of the query's words that it answers to."""
    in_devices: Mask
    """One a row: passes the filter of devices. Apart, because its own facet leaves it out."""
    in_kinds: Mask
    still: int
    """Folded still scenes that pass every filter, and the words."""
    copies: int
    devices: tuple[Device, ...]
    codes: dict[str, int]


def gather(connection: Connection, index: Index, seen: Sql, asked: Parsed) -> Candidates:
    """Apply the filters. Blocks: call it where SQLite is read."""
    view = index.catalog.view(connection, seen)
    rows = view.columns
    wanted = text.words(asked.query.text, leave_out=asked.spans)
    words = share_of_words(connection, index.postings, view, wanted) if wanted else np.zeros(len(rows), np.float32)
    base = view.visible & _passes(rows, asked.query)
    in_devices = _among(rows.device, [view.codes.get(device, -1) for device in asked.query.devices])
    in_kinds = _among(rows.kind, [KINDS.index(kind) for kind in asked.query.kinds])
    away = base & in_devices & in_kinds & (rows.folded != NOT_FOLDED)
    if wanted:
        away &= words > 0
    stands = np.flatnonzero(base if asked.query.folded else base & (rows.folded == NOT_FOLDED))
    return Candidates(
        rows=rows.take(stands),
        words=words.take(stands),
        in_devices=in_devices.take(stands),
        in_kinds=in_kinds.take(stands),
        still=int(np.count_nonzero(away & (rows.folded == STILL))),
        copies=int(np.count_nonzero(away & (rows.folded == COPY))),
        devices=view.devices,
        codes=view.codes,
    )


def _passes(rows: Columns, query: Query) -> Mask:
    mask: Mask = np.ones(len(rows), bool)
    if query.from_us is not None:
        mask &= rows.at_us >= query.from_us
    if query.to_us is not None:
        mask &= rows.at_us < query.to_us
    if "text" in query.has:
        mask &= (rows.has & HAS_TEXT) != 0
    if "person" in query.has:
        mask &= (rows.has & HAS_PERSON) != 0
    return mask


def _among(column: np.typing.NDArray[np.integer], allowed: list[int]) -> Mask:
    if not allowed:
        return np.ones(len(column), bool)
    mask: Mask = column == allowed[0]
    for value in allowed[1:]:
        mask |= column == value
    return mask
