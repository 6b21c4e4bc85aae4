"""Every memory's filters as columns in memory, so that a filter over 100,000 memories takes a millisecond.

Derived from SQLite and brought up to date from the change log *before every use*, so an answer is never older than
the transaction that reads it. Who may see what is not decided here: `policy.visible` is asked, in SQL, once for all
rows a viewer and then for each row that changes.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.entities import Cursor, Device, Kind
from gateway.policy import Sql
from gateway.store import changes, columns, devices
from gateway.store.db import Connection

_VIEWERS = 32
_FOLLOW_AT_MOST = 20_000
KINDS = tuple(Kind)
NOT_FOLDED, STILL, COPY = 0, 1, 2
HAS_TEXT, HAS_PERSON = 1, 2


@dataclass(frozen=True, slots=True)
class Columns:
    """One row a memory, ascending by id. Arrays are never written to after they are made."""

    ids: npt.NDArray[np.int64]
    at_us: npt.NDArray[np.int64]
    device: npt.NDArray[np.int16]
    """Number of the device as the catalog counts them; 0: none."""
    kind: npt.NDArray[np.int8]
    """Index into KINDS."""
    folded: npt.NDArray[np.int8]
    """NOT_FOLDED, STILL or COPY."""
    has: npt.NDArray[np.uint8]
    """HAS_TEXT | HAS_PERSON."""

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, places: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Columns:
        """The rows at `places` (positions or a mask)."""
        at = np.flatnonzero(places) if places.dtype == np.bool_ else places
        return Columns(
            self.ids.take(at),
            self.at_us.take(at),
            self.device.take(at),
            self.kind.take(at),
            self.folded.take(at),
            self.has.take(at),
        )

    def picked(self, flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """One a row: `flags` at its id; False from the end of `flags` on."""
        if not len(self.ids):
            return np.zeros(0, bool)
        first, last = int(self.ids[0]), int(self.ids[-1])
        whole = np.zeros(last + 1, bool)
        whole[: len(flags)] = flags[: last + 1]
        if last - first + 1 == len(self.ids):  # none is missing: an id is its place
            return whole[first:]
        return whole.take(self.ids)

    def places(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Positions of those `ids` that are here, in the order given."""
        if not len(self.ids) or not len(ids):
            return np.empty(0, np.int64)
        first, last = int(self.ids[0]), int(self.ids[-1])
        ids = ids[(ids >= first) & (ids <= last)]
        if last - first + 1 == len(self.ids):  # none is missing: an id is its place
            return ids - first
        found = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        kept: npt.NDArray[np.int64] = found[self.ids[found] == ids]
        return kept


@dataclass(frozen=True, slots=True)
class View:
    """What one viewer may see, as of now."""

    columns: Columns
    visible: npt.NDArray[np.bool_]
    """One a row of `columns`."""
    devices: tuple[Device, ...]
    """All devices, by name; the viewer may not know all of them."""
    codes: dict[str, int]
    """Device id → its number in `columns.device`."""


_NOTHING = Columns(
    np.empty(0, np.int64),
    np.empty(0, np.int64),
    np.empty(0, np.int16),
    np.empty(0, np.int8),
    np.empty(0, np.int8),
    np.empty(0, np.uint8),
)


class Catalog:
    """Its methods block for milliseconds: call them where SQLite is read, in a thread of the pool."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._columns = _NOTHING
        self._cursor: Cursor | None = None
        self._codes: dict[str, int] = {"": 0}
        self._masks: OrderedDict[tuple[str, tuple[tuple[str, str], ...]], npt.NDArray[np.bool_]] = OrderedDict()
        self._devices: tuple[Device, ...] = ()

    @property
    def devices(self) -> tuple[Device, ...]:
        """All devices as of the last use, by name."""
        return self._devices

    def view(self, connection: Connection, seen: Sql) -> View:
        """What may be seen now."""
        with self._lock:
            self._refresh(connection)
            key = (seen.where, tuple(sorted(seen.params.items())))
            mask = self._masks.get(key)
            if mask is None:
                mask = np.isin(self._columns.ids, columns.visible_ids(connection, seen), assume_unique=True)
                self._masks[key] = mask
                if len(self._masks) > _VIEWERS:
                    self._masks.popitem(last=False)
            self._masks.move_to_end(key)
            return View(self._columns, mask, self._devices, dict(self._codes))

    def refresh(self, connection: Connection) -> None:
        """Bring it up to date, so that the next use finds less to do."""
        with self._lock:
            self._refresh(connection)

    def _refresh(self, connection: Connection) -> None:
        if self._cursor is None:
            self._load(connection)
            return
        lines, cursor = changes.after(connection, self._cursor, limit=_FOLLOW_AT_MOST)
        if cursor is None or len(lines) >= _FOLLOW_AT_MOST:
            self._load(connection)
            return
        if not lines:
            return
        if any(line.entity == "device" for line in lines):
            self._devices = tuple(devices.all_of(connection))
        uids = {line.entity_id for line in lines if line.entity == "memory"}
        if uids:
            self._merge(connection, uids)
        self._cursor = cursor

    def _load(self, connection: Connection) -> None:
        self._cursor = changes.head(connection)  # first: what changes while we read is read again
        self._masks.clear()
        self._devices = tuple(devices.all_of(connection))
        parts = [self._from_rows(rows) for rows in columns.all_rows(connection)]
        self._columns = _join(parts)

    def _merge(self, connection: Connection, uids: Iterable[str]) -> None:
        wanted = list(uids)
        rows = columns.rows_of(connection, wanted)
        fresh = self._from_rows(sorted(rows))
        old = self._columns
        keep = np.ones(len(old), dtype=bool)
        if len(rows) < len(wanted):  # something went for good, and its uid with it: see which rows are left
            keep = np.isin(old.ids, columns.ids(connection), assume_unique=True)
        keep[old.places(fresh.ids)] = False
        joined = _join([old.take(keep), fresh])
        order = np.argsort(joined.ids, kind="stable")
        self._columns = joined.take(order)
        ids = json.dumps(fresh.ids.tolist())
        for key, mask in self._masks.items():
            may = columns.visible_ids(connection, Sql(key[0], dict(key[1])), among=ids)
            changed = np.isin(fresh.ids, may, assume_unique=True)
            self._masks[key] = np.concatenate([mask[keep], changed])[order]

    def _from_rows(self, rows: Sequence[columns.Row]) -> Columns:
        codes = self._codes
        for row in rows:
            codes.setdefault(row[2], len(codes))
        count = len(rows)
        return Columns(
            np.fromiter((row[0] for row in rows), np.int64, count),
            np.fromiter((row[1] for row in rows), np.int64, count),
            np.fromiter((codes[row[2]] for row in rows), np.int16, count),
            np.fromiter((_KIND[row[3]] for row in rows), np.int8, count),
            np.fromiter((_folded(row[4]) for row in rows), np.int8, count),
            np.fromiter((HAS_TEXT * row[5] | HAS_PERSON * row[6] for row in rows), np.uint8, count),
        )


_KIND = {kind.value: number for number, kind in enumerate(KINDS)}


def _folded(word: str) -> int:
    return NOT_FOLDED if not word else STILL if word == "static" else COPY


def _join(parts: Sequence[Columns]) -> Columns:
    if not parts:
        return _NOTHING
    return Columns(
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.at_us for part in parts]),
        np.concatenate([part.device for part in parts]),
        np.concatenate([part.kind for part in parts]),
        np.concatenate([part.folded for part in parts]),
        np.concatenate([part.has for part in parts]),
    )
