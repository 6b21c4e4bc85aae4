"""Sound: WAV with 16-bit PCM, 8 to 48 kHz, one or two channels, up to ten minutes (RIFF, Microsoft 1994).

The record lane sends bare PCM16 mono; `wav_from_pcm` gives it the header under which it is stored.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from gateway.decoders.decoder import Decoder
from gateway.entities import Decoded, Kind
from gateway.errors import Rejected

MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 48_000
MAX_DURATION_S = 600
MAX_BYTES = MAX_RATE_HZ * 2 * 2 * MAX_DURATION_S + 65_536

MAX_PARTS = 4_096

_PCM, _EXTENSIBLE = 1, 0xFFFE
_PCM_GUID = bytes.fromhex("0100000000001000800000aa00389b71")


@dataclass(frozen=True, slots=True)
class _Layout:
    channels: int
    rate_hz: int


def sniff(head: bytes) -> bool:
    """True for the first bytes of a WAV."""
    return head[:4] == b"RIFF" and head[8:12] == b"WAVE"


def decode(data: bytes) -> Decoded:
    """Check a whole WAV. Raises `Rejected`: empty, too-big, bad-wav, truncated, trailing-data, unsupported-audio,
    too-long."""
    if not data:
        raise Rejected("the file is empty", code="empty")
    if len(data) > MAX_BYTES:
        raise Rejected(f"a recording of {len(data)} bytes; the limit is {MAX_BYTES}", code="too-big")
    if not sniff(data):
        raise Rejected("not a WAV file", code="bad-wav", hint="Send WAV with 16-bit PCM")
    layout, samples_bytes = _walk(data)
    frame_bytes = 2 * layout.channels
    if not samples_bytes or samples_bytes % frame_bytes:
        raise Rejected("the WAV's samples are not whole", code="bad-wav")
    duration_us = samples_bytes // frame_bytes * 1_000_000 // layout.rate_hz
    if duration_us > MAX_DURATION_S * 1_000_000:
        raise Rejected(f"a recording of over {MAX_DURATION_S} s", code="too-long", hint="Send it in parts")
    return Decoded(
        kind=Kind.AUDIO,
        media_type="audio/wav",
        body=data,
        sha256=hashlib.sha256(data).digest(),
        duration_us=duration_us,
        extra={"rate_hz": layout.rate_hz, "channels": layout.channels},
    )


def wav_from_pcm(body: bytes, rate_hz: int) -> bytes:
    """A WAV around PCM16 mono samples. Raises `Rejected("bad-pcm")` when they are not whole or the rate is odd."""
    if not body or len(body) % 2:
        raise Rejected("the recording's samples are not whole", code="bad-pcm")
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise Rejected(f"a sample rate of {rate_hz} Hz", code="bad-pcm")
    layout = struct.pack("<HHIIHH", _PCM, 1, rate_hz, rate_hz * 2, 2, 16)
    head = struct.pack("<4sI4s4sI", b"RIFF", 36 + len(body), b"WAVE", b"fmt ", len(layout))
    return head + layout + struct.pack("<4sI", b"data", len(body)) + body


def _walk(data: bytes) -> tuple[_Layout, int]:
    """The layout, and the bytes of samples."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise Rejected("the WAV is shorter than it says", code="truncated")
    if data[end:].strip(b"\0"):
        raise Rejected(f"{len(data) - end} bytes follow the recording's end", code="trailing-data")
    at, parts = 12, 0
    layout: _Layout | None = None
    samples_bytes: int | None = None
    while at < end:
        parts += 1
        if at + 8 > end or parts > MAX_PARTS:
            raise Rejected("the WAV ends inside a chunk, or has too many", code="truncated")
        name, length = struct.unpack_from("<4sI", data, at)
        if length > end - at - 8:
            raise Rejected("a WAV chunk is longer than its file", code="truncated")
        if name == b"fmt ":
            if layout is not None:
                raise Rejected("two format chunks in one WAV", code="bad-wav")
            layout = _read_format(data[at + 8 : at + 8 + min(length, 40)])
        elif name == b"data":
            if layout is None or samples_bytes is not None:
                raise Rejected("the WAV's chunks are out of order", code="bad-wav")
            samples_bytes = length
        at += 8 + length + (length & 1)
    if layout is None or samples_bytes is None:
        raise Rejected("a WAV without samples", code="bad-wav")
    return layout, samples_bytes


def _read_format(chunk: bytes) -> _Layout:
    if len(chunk) < 16:
        raise Rejected("a WAV format chunk of the wrong length", code="bad-wav")
    code, channels, rate_hz, byte_rate, frame_bytes, bits = struct.unpack_from("<HHIIHH", chunk)
    if code == _EXTENSIBLE and chunk[24:40] == _PCM_GUID:
        code = _PCM
    if code != _PCM or bits != 16 or channels not in (1, 2) or not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise Rejected(
            f"a WAV of format {code}, {bits} bits, {channels} channels, {rate_hz} Hz",
            code="unsupported-audio",
            hint="Send 16-bit PCM, one or two channels, 8 to 48 kHz",
        )
    if frame_bytes != 2 * channels or byte_rate != rate_hz * frame_bytes:
        raise Rejected("a WAV whose format contradicts itself", code="bad-wav")
    return _Layout(channels=channels, rate_hz=rate_hz)


DECODER = Decoder(name="audio", media_types=("audio/wav", "audio/x-wav"), sniff=sniff, decode=decode)
