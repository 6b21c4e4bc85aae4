"""What a record carries: a capture, or one of the small notes a camera writes about itself."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TypeAlias

from gateway.decoders import audio, image
from gateway.decoders.notes import Anchor, Lost, decode_anchor, decode_gap, decode_telemetry
from gateway.decoders.record import BadRecord, Record, RecordKind
from gateway.entities import Decoded, Json, Kind
from gateway.errors import Rejected

DEFAULT_RATE_HZ = 16_000
_NOT_SHOWN = {"utc_us", "utc_err_us", "rate_hz", "first_sample"}


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What a camera measured of itself."""

    values: Json
    """Flat, bounded scalars."""


Contents: TypeAlias = Decoded | Telemetry | Anchor | Lost


def read_contents(record: Record) -> Contents:
    """Check the body by its kind. Raises `BadRecord` with the record's key and the body's code.

    A capture's `captured_at` is absent: a record is dated by its meta, its boot's anchors or its neighbours.
    """
    try:
        match record.kind:
            case RecordKind.JPEG:
                return _picture(record)
            case RecordKind.AUDIO:
                return _sound(record)
            case RecordKind.TELEMETRY:
                return Telemetry(decode_telemetry(record.body))
            case RecordKind.ANCHOR:
                return decode_anchor(record.body)
            case RecordKind.GAP:
                return decode_gap(record.body)
    except BadRecord:
        raise
    except Rejected as error:
        raise BadRecord(error.what, code=error.code, key=record.key) from None


def _picture(record: Record) -> Decoded:
    decoded = image.decode(record.body, sha256=record.body_sha256) if _is_jpeg(record.body) else None
    if decoded is None:
        raise Rejected("the body of a picture's record is not a JPEG", code="bad-jpeg")
    return replace(decoded, captured_at=None, extra=_settings(record))


def _is_jpeg(body: bytes) -> bool:
    return not body or body[:2] == b"\xff\xd8"


def _sound(record: Record) -> Decoded:
    rate_hz = int(record.meta.get("rate_hz", DEFAULT_RATE_HZ))
    wav = audio.wav_from_pcm(record.body, rate_hz)
    first_sample = record.meta.get("first_sample")
    return Decoded(
        kind=Kind.AUDIO,
        media_type="audio/wav",
        body=wav,
        sha256=hashlib.sha256(wav).digest(),
        duration_us=len(record.body) // 2 * 1_000_000 // rate_hz,
        first_sample=None if first_sample is None else int(first_sample),
        extra={"rate_hz": rate_hz, "channels": 1, **_settings(record)},
    )


def _settings(record: Record) -> Json:
    return {name: value for name, value in record.meta.items() if name not in _NOT_SHOWN}
