"""What cameras say besides their records: hello, status, a question for the time. JSON from outside, checked here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.decoders.record import MAX_MONO_US, MAX_SEQUENCE
from gateway.entities import Json
from gateway.errors import Rejected

MAX_BYTES = 8_192
MAX_BOOTS = 64
MAX_KEYS = 32
MAX_TEXT = 128
_BOOT = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Held:
    """Records that a device still holds of one boot."""

    boot_id: bytes
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Hello:
    """A device has come, or come back."""

    boot_id: bytes
    mono_us: int
    spool: tuple[Held, ...]
    about: Json = field(default_factory=dict)
    """firmware, board: for people."""


def read_hello(payload: bytes) -> Hello:
    """Raises `Rejected("bad-hello")`."""
    value = _object(payload, "bad-hello")
    spool = value.get("spool", [])
    if not isinstance(spool, list) or len(spool) > MAX_BOOTS:
        raise Rejected(f"spool is not a list of at most {MAX_BOOTS} boots", code="bad-hello")
    return Hello(
        boot_id=_boot(value.get("boot")),
        mono_us=_whole(value.get("mono_us"), MAX_MONO_US),
        spool=tuple(_held(item) for item in spool),
        about={name: str(value[name])[:MAX_TEXT] for name in ("firmware", "board") if name in value},
    )


def read_status(payload: bytes) -> Json:
    """A flat object of bounded scalars. Raises `Rejected("bad-status")`."""
    value = _object(payload, "bad-status")
    if len(value) > MAX_KEYS:
        raise Rejected(f"more than {MAX_KEYS} keys", code="bad-status")
    for name, item in value.items():
        if len(name) > 32 or not name.isprintable():
            raise Rejected("a key that is too long or not printable", code="bad-status")
        if isinstance(item, list | dict) or (isinstance(item, str) and len(item) > MAX_TEXT):
            raise Rejected("a value that is not a short scalar", code="bad-status")
        if isinstance(item, int) and not -(1 << 63) <= item < 1 << 63:
            raise Rejected("a number beyond 64 bits", code="bad-status")
        if isinstance(item, float) and not math.isfinite(item):
            raise Rejected("a number that is none", code="bad-status")  # 1e999 is read as infinity
        if isinstance(item, str) and not item.isprintable():
            raise Rejected("a text that is not printable", code="bad-status")  # half of a surrogate pair is no text
    return value


def read_time_question(payload: bytes) -> int | None:
    """`t0_us` of a question for the time; None for any other event. Raises `Rejected("bad-event")`."""
    value = _object(payload, "bad-event")
    question = value.get("time")
    if question is None:
        return None
    t0_us = question.get("t0_us") if isinstance(question, dict) else None
    if type(t0_us) is not int or not 0 <= t0_us <= MAX_MONO_US:
        raise Rejected("a question for the time without t0_us", code="bad-event")
    return t0_us


def time_answer(t0_us: int, utc_us: int | None) -> bytes:
    """`dn/time`. `utc_us` None: this box does not know the time itself."""
    return json.dumps({"t0_us": t0_us, "utc_us": utc_us, "synced": utc_us is not None}).encode()


def _object(payload: bytes, code: str) -> Mapping[str, Any]:  # Any: JSON values, checked by who reads them
    if len(payload) > MAX_BYTES:
        raise Rejected(f"{len(payload)} bytes of JSON; the limit is {MAX_BYTES}", code=code)
    try:
        value = json.loads(payload, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Rejected("not JSON", code=code) from None
    if not isinstance(value, dict):
        raise Rejected("not a JSON object", code=code)
    return value


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _held(item: object) -> Held:
    if not isinstance(item, dict):
        raise Rejected("a boot of the spool that is not an object", code="bad-hello")
    held = Held(
        _boot(item.get("boot")), _whole(item.get("first"), MAX_SEQUENCE), _whole(item.get("last"), MAX_SEQUENCE)
    )
    if held.first > held.last:
        raise Rejected("a boot of the spool that ends before it begins", code="bad-hello")
    return held


def _boot(value: object) -> bytes:
    if not isinstance(value, str) or not _BOOT.fullmatch(value):
        raise Rejected("boot is not 16 hex digits", code="bad-hello")
    return bytes.fromhex(value)


def _whole(value: object, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise Rejected("a number that is not whole or out of range", code="bad-hello")
    return value
