"""When was it? Pure arithmetic from what is known of a camera's clock, and whether this box's own can be trusted.

A boot is dated by its ties (its microseconds paired with UTC), the nearest and surest first. A boot that was never
tied lies between its neighbours, and says that it is uncertain. Sequence orders records, never these instants.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from gateway.entities import CapturedAt, Json, TimeSource
from gateway.store.boots import Span, Tie

DRIFT_PPM = 50
"""What a camera's crystal may lose or gain (ESP32 hardware design guidelines: ± 10 ppm, and temperature)."""
UNKNOWN_ERROR_US = 86_400_000_000
UNCERTAIN_US = 120_000_001
"""The least error that counts as uncertain."""
OLDEST_US = 1_577_836_800_000_000
"""2020: what a camera says before it is a clock that was never set."""
FIRST_US = -4_544_208_000_000_000
"""1826: the first photograph that is kept."""
AHEAD_US = 86_400_000_000
"""A camera further ahead of this box than a day is not believed."""
META_ERROR_US = 1_000_000
HELLO_ERROR_US = 2_000_000
"""A hello takes a moment to arrive."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMED = re.compile(
    r"(?<!\d)(20\d\d)[-_. ]?([01]\d)[-_. ]?([0-3]\d)[-_. T]{1,4}(?:at )?"
    r"([0-2]\d)[-_.:]?([0-5]\d)[-_.:]?([0-5]\d)(?!\d{4})"
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a record says of its own time."""

    mono_us: int
    received_at_us: int
    utc_us: int | None = None
    utc_err_us: int = META_ERROR_US

    @classmethod
    def of(cls, meta: Json, *, mono_us: int, received_at_us: int) -> Told:
        """From a record's checked meta."""
        error_us = int(meta.get("utc_err_us", META_ERROR_US))
        return cls(mono_us, received_at_us, utc_us=meta.get("utc_us"), utc_err_us=max(1, error_us))


def date_record(told: Told, ties: Sequence[Tie], span: Span, *, zone: str) -> CapturedAt:
    """The surest date there is: the record's own, by its boot's ties, or between the boot's neighbours."""
    choices: list[CapturedAt] = []
    if told.utc_us is not None and plausible(told.utc_us, told.received_at_us):
        choices.append(CapturedAt(told.utc_us, TimeSource.DEVICE_SYNCED, told.utc_err_us, zone))
    for tie in ties:
        away_us = told.mono_us - tie.mono_us
        error_us = tie.error_us + abs(away_us) * DRIFT_PPM // 1_000_000
        choices.append(CapturedAt(tie.utc_us + away_us, tie.source, max(1, error_us), zone))
    possible = [choice for choice in choices if can_be(choice.at_us, told.received_at_us)]
    if possible:
        return min(possible, key=lambda choice: (choice.error_us, choice.at_us))
    between = _between(told, span, zone)
    if can_be(between.at_us, told.received_at_us):
        return between
    return CapturedAt(told.received_at_us, TimeSource.ARRIVAL, UNKNOWN_ERROR_US, zone)


def _between(told: Told, span: Span, zone: str) -> CapturedAt:
    """The boot began after the boot before had ended, and every record was taken before it arrived.

    Without a later boot the newest moment is the likeliest (the camera sends as it takes); with one, the middle.
    """
    latest_us = told.received_at_us - told.mono_us
    if span.latest_us is not None:
        latest_us = min(latest_us, span.latest_us)
    earliest_us = span.earliest_us
    if earliest_us is None or earliest_us > latest_us:
        return CapturedAt(latest_us + told.mono_us, TimeSource.ARRIVAL, UNKNOWN_ERROR_US, zone)
    width_us = latest_us - earliest_us
    begin_us = earliest_us + width_us // 2 if span.followed else latest_us
    error_us = width_us // 2 if span.followed else width_us
    return CapturedAt(begin_us + told.mono_us, TimeSource.ARRIVAL, max(error_us, UNCERTAIN_US), zone)


def plausible(utc_us: int, received_at_us: int) -> bool:
    """Whether a camera's clock can be believed at all."""
    return OLDEST_US <= utc_us <= received_at_us + AHEAD_US


def can_be(at_us: int, received_at_us: int) -> bool:
    """Whether something received then can have been taken at `at_us`: a picture may be old, but neither of the future
    nor of a year that no calendar writes, however a camera counts or a file is dated."""
    return FIRST_US <= at_us <= received_at_us + AHEAD_US


def settle(captured: CapturedAt, zone: str) -> CapturedAt:
    """Give an hour on the wall its place: a date without a zone is read in the home's zone."""
    if captured.zone:
        return captured
    wall = (_EPOCH + timedelta(microseconds=captured.at_us)).replace(tzinfo=ZoneInfo(zone))
    return replace(captured, at_us=(wall - _EPOCH) // timedelta(microseconds=1), zone=zone)


def named_time(name: str, zone: str) -> CapturedAt | None:
    """The time in a file's name, as phones and cameras write it: IMG_20260924_110642.jpg, 2026-09-24 11.06.42.png."""
    found = _NAMED.search(name[-255:])
    if found is None:
        return None
    try:
        wall = datetime.strptime("".join(found.groups()), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    at_us = (wall - _EPOCH) // timedelta(microseconds=1)
    return settle(CapturedAt(at_us, TimeSource.FILE_NAME, 120_000_000, ""), zone)


def synchronised(trust: Literal["auto", "yes", "no"], *, kernel: Callable[[], bool] | None = None) -> bool:
    """Whether this box's clock may be given to cameras: as set, or as systemd and the kernel say."""
    if trust != "auto":
        return trust == "yes"
    return (kernel or _kernel_synchronised)()


def _kernel_synchronised() -> bool:
    """adjtimex(2) with no modes reads the clock's state; 5 (TIME_ERROR) means that nobody disciplines it."""
    if Path("/run/systemd/timesync/synchronized").exists():
        return True
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return False
    return 0 <= int(state) < 5
