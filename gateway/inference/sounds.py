"""The one place where recordings are decoded, inside a worker process: WAV with 16-bit PCM → float32 mono, 16 kHz.

The last recording is kept, so that several tasks on one blob decode once.
"""

from __future__ import annotations

import struct
import threading
from dataclasses import dataclass
from math import gcd

import numpy as np
import numpy.typing as npt

from gateway.entities import BlobRef, Json
from gateway.errors import Rejected, Unreadable
from gateway.store.blobs import read_blob

RATE_HZ = 16_000
MAX_DURATION_S = 600
_RATES_HZ = range(4_000, 96_001)
_CHUNK_S = 20
_ZERO_CROSSINGS = 12
_PCM, _EXTENSIBLE = 1, 0xFFFE

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sound:
    """A decoded recording."""

    samples: Floats
    """Mono at RATE_HZ, −1..1. Shared: never changed in place."""
    duration_us: int


_recent: dict[bytes, Sound] = {}
_lock = threading.Lock()


def sound_of(blob: BlobRef) -> Sound:
    """The recording of a blob, decoded now or just before.

    Raises Unreadable with code `not-a-recording` or `too-long`, and what `read_blob` raises.
    """
    with _lock:
        known = _recent.get(blob.sha256)
        if known is None:
            _recent.clear()
            known = _recent[blob.sha256] = decode_sound(read_blob(blob))
        return known


def decode_sound(data: bytes) -> Sound:
    """Decode a WAV; raises Unreadable as `sound_of` does."""
    rate_hz, channels, start, size = _walk(data)
    frames = size // (2 * channels)
    if rate_hz not in _RATES_HZ or not frames:
        raise _unreadable(f"{frames} samples at {rate_hz} Hz")
    if frames > MAX_DURATION_S * rate_hz:
        raise Unreadable(f"a recording of over {MAX_DURATION_S} s", code="too-long", hint="Send it in parts")
    pcm = np.frombuffer(data, dtype="<i2", count=frames * channels, offset=start).reshape(frames, channels)
    return Sound(samples=_resampled(pcm, rate_hz), duration_us=frames * 1_000_000 // rate_hz)


def spans_of(params: Json, duration_us: int) -> list[tuple[int, int]]:
    """`params["speech"]` as samples [start, end), the whole recording when it is absent; Rejected when malformed.

    Takes what task `vad` answers: `[{start_us, end_us}]`.
    """
    spans = params.get("speech")
    if spans is None:
        return [(0, _sample(duration_us))]
    if not isinstance(spans, list) or len(spans) > 1000:
        raise Rejected("params.speech must be a list of at most 1000 spans", code="bad-params")
    found = []
    for span in spans:
        start, end = (span.get("start_us"), span.get("end_us")) if isinstance(span, dict) else (None, None)
        if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start <= end:
            raise Rejected("a span of speech has start_us <= end_us", code="bad-params")
        found.append((_sample(min(start, duration_us)), _sample(min(end, duration_us))))
    return found


def pcm16(samples: Floats) -> bytes:
    """Samples −1..1 as 16-bit little-endian PCM."""
    return bytes(np.clip(np.rint(samples * 32767.0), -32768, 32767).astype("<i2").tobytes())


def _sample(at_us: int) -> int:
    return at_us * RATE_HZ // 1_000_000


def _walk(data: bytes) -> tuple[int, int, int, int]:
    """Rate, channels, and offset and size of the samples."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise _unreadable("not a WAV file")
    at, layout = 12, None
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        at += 8
        if name == b"fmt " and 16 <= size <= len(data) - at:
            kind, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", data, at)
            if kind not in (_PCM, _EXTENSIBLE) or bits != 16 or channels not in (1, 2):
                raise _unreadable("not 16-bit PCM of one or two channels")
            layout = (rate_hz, channels)
        elif name == b"data":
            if layout is None:
                raise _unreadable("samples without a format")
            return (*layout, at, min(size, len(data) - at))
        at += size + (size & 1)
    raise _unreadable("no samples in it")


def _resampled(pcm: npt.NDArray[np.int16], rate_hz: int) -> Floats:
    """To mono at RATE_HZ, in pieces, so that the peak of memory stays near the result's own size.

    A windowed-sinc polyphase filter (Smith, "Digital Audio Resampling", 2002): output n lies at n·M/L input samples.
    """
    if rate_hz == RATE_HZ:
        return _mono(pcm)
    shared = gcd(rate_hz, RATE_HZ)
    up, down = RATE_HZ // shared, rate_hz // shared
    half = int(np.ceil(_ZERO_CROSSINGS * max(1.0, down / up)))
    out = np.empty(len(pcm) * up // down, dtype=np.float32)
    block = max(up, _CHUNK_S * RATE_HZ // up * up)
    filters = _filters(up, down, half)
    for first in range(0, len(out), block):
        count = min(block, len(out) - first)
        start = first * down // up  # exact: a block is a whole number of periods
        low, high = start - half, start + count * down // up + half + 1
        piece = _mono(pcm[max(0, low) : max(0, min(high, len(pcm)))])
        piece = np.pad(piece, (max(0, -low), max(0, high - len(pcm)) + down))
        for phase in range(min(up, count)):
            rows = (count - phase + up - 1) // up
            shift = phase * down // up
            windows = np.lib.stride_tricks.as_strided(
                piece[shift:], (rows, 2 * half + 1), (down * piece.itemsize, piece.itemsize), writeable=False
            )
            out[first + phase : first + count : up] = windows @ filters[phase]
    return out


def _filters(up: int, down: int, half: int) -> Floats:
    """[up, 2·half + 1]: for each phase the weights of the input samples around it."""
    cut = min(1.0, up / down) * 0.95
    offsets = np.arange(-half, half + 1)[None, :]
    fractions = (np.arange(up) * down % up / up)[:, None]
    t = offsets - fractions
    window = np.where(np.abs(t) <= half, np.cos(np.pi * t / (2 * (half + 1))) ** 2, 0.0)
    weights = np.sinc(t * cut) * window
    filters: Floats = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return filters


def _mono(pcm: npt.NDArray[np.int16]) -> Floats:
    mono: Floats = pcm.mean(axis=1, dtype=np.float32) / np.float32(32768.0)
    return mono


def _unreadable(why: str) -> Unreadable:
    return Unreadable(f"the recording cannot be decoded: {why}", code="not-a-recording")
