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
        has=tuple((has, int(((rows.has[ranked.places] & bit) != 0).sum())) for has, bit in having),
        folded=(("static", found.still), ("copies", found.copies)),
    )


def _days(at_us: npt.NDArray[np.int64], zone: str) -> tuple[tuple[date, int], ...]:
    if not len(at_us):
        return ()
    last = day_of(int(at_us.max()), zone)
    first = max(day_of(int(at_us.min()), zone), last - timedelta(days=20 * _DAYS))
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    edges = np.array([day_bounds(day, zone)[0] for day in days], np.int64)
    numbers = np.bincount(np.maximum(np.searchsorted(edges, at_us, side="right") - 1, 0), minlength=len(days))
    if int(at_us.min()) < edges[0]:
        numbers[0] = int(((at_us >= edges[0]) & (at_us < day_bounds(first, zone)[1])).sum())
    full = [(day, int(number)) for day, number in zip(days, numbers, strict=True) if number]
    return tuple(full[-_DAYS:])
