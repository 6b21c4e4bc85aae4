"""The time in a picture's EXIF, and nothing else of it.

A reader of our own of the three tags that matter (TIFF 6.0; EXIF 2.32, 4.6.5): a general parser copies every tag's
value before it is asked for one, and 64 KB of hostile EXIF then name hundreds of megabytes.
"""

from __future__ import annotations

import re
import struct
from datetime import UTC, datetime, timedelta, timezone

from gateway.entities import CapturedAt, TimeSource

MAX_ENTRIES = 512
NO_ZONE = ""
"""`CapturedAt.zone` when the picture tells the hour on the wall but not where: the gate reads it in the home's zone."""

_EXIF_IFD, _TAKEN, _TAKEN_OFFSET = 0x8769, 0x9003, 0x9011
_ASCII, _LONG = 2, 4
_WHEN = re.compile(rb"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")
_OFFSET = re.compile(rb"([+-])(\d\d):(\d\d)")


def read_exif_time(tiff: bytes) -> CapturedAt | None:
    """When the picture was taken: DateTimeOriginal with OffsetTimeOriginal.

    `tiff` is the EXIF block after its `Exif\\0\\0`. Absent when there is no such tag or when the block cannot be
    followed: a picture with broken EXIF is still a picture, only without a time of its own.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return None
    root = _entries(tiff, struct.unpack_from(order + "I", tiff, 4)[0], order)
    if _EXIF_IFD not in root or root[_EXIF_IFD][0] != _LONG:
        return None
    inner = _entries(tiff, root[_EXIF_IFD][2], order)
    taken = _WHEN.match(_text(tiff, inner.get(_TAKEN)))
    if taken is None:
        return None
    try:
        wall = datetime.strptime(taken[0].decode("ascii"), "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    offset = _OFFSET.match(_text(tiff, inner.get(_TAKEN_OFFSET)))
    if offset is None:
        return CapturedAt(at_us=_to_us(wall), source=TimeSource.EXIF, error_us=120_000_000, zone=NO_ZONE)
    shift = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
    if shift > timedelta(hours=14):
        return None
    zone = timezone(shift if offset[1] == b"+" else -shift)
    return CapturedAt(at_us=_to_us(wall.replace(tzinfo=zone)), source=TimeSource.EXIF, error_us=2_000_000)


def _entries(tiff: bytes, at: int, order: str) -> dict[int, tuple[int, int, int, int]]:
    """Tag → (type, count, value or offset, place of the value's four bytes), of one directory."""
    if at < 8 or at + 2 > len(tiff):
        return {}
    count = min(struct.unpack_from(order + "H", tiff, at)[0], MAX_ENTRIES, (len(tiff) - at - 2) // 12)
    found: dict[int, tuple[int, int, int, int]] = {}
    for n in range(count):
        place = at + 2 + n * 12
        tag, kind, length, value = struct.unpack_from(order + "HHII", tiff, place)
        found.setdefault(tag, (kind, length, value, place + 8))
    return found


def _text(tiff: bytes, entry: tuple[int, int, int, int] | None) -> bytes:
    """At most 32 bytes of an ASCII value; empty when absent."""
    if entry is None or entry[0] != _ASCII:
        return b""
    _, count, value, place = entry
    start = place if count <= 4 else value
    return tiff[start : start + min(count, 32)]


def _to_us(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
