"""The small bodies of a record that are not captures: telemetry, time anchor, gap (docs/wire.md).

Telemetry: {name: scalar, …}, flat, at most 32, such as `battery_mv`, `rssi_dbm`, `spool_fill`.
Anchor:    {"boot": 8 bytes, "mono_us": …, "utc_us": …, "err_us": …}: at `mono_us` since that boot it was `utc_us`.
Gap:       {"ranges": [[first, last], …], "why": "card-full", "from_us": …, "to_us": …}: sequences that were dropped;
           the two times are microseconds since the record's own boot, and may be absent together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.decoders.cbor import Value, read_cbor
from gateway.decoders.record import LATEST_UTC_US, MAX_MONO_US, MAX_SEQUENCE, check_flat_map
from gateway.entities import Json
from gateway.errors import Rejected

MAX_BODY_BYTES = 4_096
MAX_RANGES = 64
_WHY = re.compile(r"[a-z][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class Anchor:
    """A pair of clocks read together."""

    boot_id: bytes
    mono_us: int
    utc_us: int
    err_us: int
    """Half the round trip in which the device learnt the time; at least 1."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What a gap record says."""

    ranges: tuple[tuple[int, int], ...]
    """Inclusive, ascending, not touching."""
    why: str
    from_us: int | None
    """Microseconds since boot; absent with `to_us` when the device does not know."""
    to_us: int | None


def decode_telemetry(body: bytes) -> Json:
    """A flat map of bounded scalars. Raises `Rejected("bad-telemetry")`."""
    try:
        return check_flat_map(_read(body))
    except Rejected as error:
        raise Rejected(f"telemetry: {error.what}", code="bad-telemetry") from None


def decode_anchor(body: bytes) -> Anchor:
    """Raises `Rejected("bad-anchor")`."""
    try:
        value = _map(body, {"boot", "mono_us", "utc_us", "err_us"})
        boot_id = value.get("boot")
        if not isinstance(boot_id, bytes) or len(boot_id) != 8:
            raise Rejected("boot is not 8 bytes")
        return Anchor(
            boot_id=boot_id,
            mono_us=_whole(value, "mono_us", MAX_MONO_US),
            utc_us=_whole(value, "utc_us", LATEST_UTC_US),
            err_us=max(1, _whole(value, "err_us", LATEST_UTC_US)),
        )
    except Rejected as error:
        raise Rejected(f"time anchor: {error.what}", code="bad-anchor") from None


def decode_gap(body: bytes) -> Lost:
    """Raises `Rejected("bad-gap")`."""
    try:
        value = _map(body, {"ranges", "why", "from_us", "to_us"})
        why = value.get("why")
        if not isinstance(why, str) or not _WHY.fullmatch(why):
            raise Rejected("why is not a short lower-case word")
        from_us = _whole(value, "from_us", MAX_MONO_US) if "from_us" in value else None
        to_us = _whole(value, "to_us", MAX_MONO_US) if "to_us" in value else None
        if (from_us is None) != (to_us is None) or (from_us is not None and to_us is not None and from_us > to_us):
            raise Rejected("from_us and to_us do not make a stretch of time")
        return Lost(ranges=_ranges(value.get("ranges")), why=why, from_us=from_us, to_us=to_us)
    except Rejected as error:
        raise Rejected(f"gap: {error.what}", code="bad-gap") from None


def _ranges(value: Value) -> tuple[tuple[int, int], ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_RANGES:
        raise Rejected(f"ranges is not a list of 1 to {MAX_RANGES}")
    result: list[tuple[int, int]] = []
    after = -1
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2:
            raise Rejected("a range that is not a pair")
        first, last = pair
        if type(first) is not int or type(last) is not int or not after < first <= last <= MAX_SEQUENCE:
            raise Rejected("ranges are not ascending pairs of sequences")
        result.append((first, last))
        after = last + 1
    return tuple(result)


def _map(body: bytes, names: set[str]) -> dict[str, Value]:
    value = _read(body)
    if not isinstance(value, dict):
        raise Rejected("not a CBOR map")
    if not value.keys() <= names:
        raise Rejected("a key that is not known")
    return value


def _read(body: bytes) -> Value:
    if len(body) > MAX_BODY_BYTES:
        raise Rejected(f"{len(body)} bytes; the limit is {MAX_BODY_BYTES}")
    return read_cbor(body)


def _whole(value: dict[str, Value], name: str, most: int) -> int:
    item = value.get(name)
    if not isinstance(item, int) or isinstance(item, bool) or not 0 <= item <= most:
        raise Rejected(f"{name} is not a whole number from 0 to {most}")
    return item
