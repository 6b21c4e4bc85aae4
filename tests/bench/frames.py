"""Pictures and records by number: real JPEGs of about 50 KB, each with bytes of its own."""

from __future__ import annotations

import functools
import io

import numpy
from PIL import Image

from gateway.decoders.record import RecordKind, encode_record
from gateway.entities import RecordKey

FRAME_BYTES = 50_000


@functools.cache
def _base(size_bytes: int) -> bytes:
    """A noisy picture whose file is a little smaller than `size_bytes`."""
    side = 64
    best = b""
    while True:
        noise = numpy.random.default_rng(side).integers(0, 255, (side * 3 // 4, side, 3), dtype=numpy.uint8)
        out = io.BytesIO()
        Image.fromarray(noise).save(out, "JPEG", quality=80)
        if out.tell() > size_bytes - 64:
            return best
        best = out.getvalue()
        side += 16


def frame(number: int, *, size_bytes: int = FRAME_BYTES) -> bytes:
    """A JPEG of exactly `size_bytes`, different for every number: comments fill it up."""
    base = _base(min(size_bytes, FRAME_BYTES))
    fill = size_bytes - len(base)
    parts = [base[:2]]
    text = f"frame {number} ".encode()
    while fill:
        take = min(fill, 65_537)
        if 0 < fill - take < 16:
            take -= 16
        parts.append(b"\xff\xfe" + (take - 2).to_bytes(2, "big") + text[: take - 4].ljust(take - 4, b"."))
        fill -= take
    return b"".join([*parts, base[2:]])


def record(body: bytes, *, boot: bytes, sequence: int, counter: int = 1) -> bytes:
    """The record of a picture, as a camera writes it."""
    key = RecordKey(boot, counter, sequence, sequence * 1_000)
    return encode_record(kind=RecordKind.JPEG, key=key, meta={}, body=body)
