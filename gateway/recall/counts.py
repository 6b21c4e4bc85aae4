"""Facets: how the hits are spread over days, cameras and kinds."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from gateway.index.catalog import HAS_PERSON, HAS_TEXT, KINDS
from gateway.index.vectors import Floats
from gateway.recall import rank
from gateway.recall.answer import Facets, Has
from gateway.recall.candidates import Candidates
from gateway.recall.dates import day_bounds, day_of
from gateway.recall.understand import Parsed

_DAYS = 62


def facets(found: Candidates, near: Floats | None, ranked: rank.Ranked, asked: Parsed, *, zone: str) -> Facets:
    """Count. Devices and kinds each leave their own filter out."""
    rows = found.rows
    hits = np.zeros(len(rows), bool)
    hits[ranked.places] = True
    words_asked = bool(asked.rest)

    def without(mask: rank.Mask, filtered: bool) -> rank.Mask:
        if not filtered:
            return hits
        return rank.hits(found.words, near, rows.ids, mask) if words_asked else mask

    by_device = np.bincount(rows.device[without(found.in_kinds, bool(asked.query.devices))])
    by_kind = np.bincount(rows.kind[without(found.in_devices, bool(asked.query.kinds))], minlength=len(KINDS))
    names = {device.id: device.name for device in found.devices}
    having: tuple[tuple[Has, int], ...] = (("text", HAS_TEXT), ("person", HAS_PERSON))
    devices = [
        (name, names.get(name, name), int(by_device[code]))
        for name, code in found.codes.items()
        if code < len(by_device) and by_device[code]
    ]
    return Facets(
        when=_days(rows.at_us[ranked.places], zone),
        devices=tuple(sorted(devices, key=lambda entry: (-entry[2], entry[1], entry[0]))),
        kinds=tuple((kind, int(by_kind[n])) for n, kind in enumerate(KINDS)),
        has=tuple((has, int(np.count_nonzero(hits & ((rows.has & bit) != 0)))) for has, bit in having),
        folded=(("static", found.still), ("copies", found.copies)),
    )


def _days(at_us: npt.NDArray[np.int64], zone: str) -> tuple[tuple[date, int], ...]:
    """The newest days that have hits. Looks back as far as it has to, twice as far each time."""
    if not len(at_us):
        return ()
    last, oldest_us = day_of(int(at_us.max()), zone), int(at_us.min())
    back = _DAYS
    while True:
        days = [last - timedelta(days=n) for n in reversed(range(back))]
        edges = np.array([day_bounds(day, zone)[0] for day in (*days, last + timedelta(days=1))], np.int64)
        numbers = np.bincount(np.searchsorted(edges, at_us[at_us >= edges[0]], side="right") - 1, minlength=back)
        full = [(day, int(number)) for day, number in zip(days, numbers, strict=True) if number]
        if len(full) >= _DAYS or oldest_us >= edges[0] or back >= 20 * _DAYS:
            return tuple(full[-_DAYS:])
        back *= 2
