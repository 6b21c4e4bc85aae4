"""Days and instants as people and programs write them in an address."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gateway.errors import Rejected

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


def edge_us(text: str, zone: str, *, end: bool) -> int | None:
    """Microseconds since 1970 UTC of an instant or of a day's edge; None for nothing.

    `end`: the first instant that counts no more: a day is then included whole. Raises Rejected (`bad-time`).
    """
    if not text:
        return None
    try:
        if len(text) == len("2026-11-20"):
            day = date.fromisoformat(text) + timedelta(days=1 if end else 0)
            found = datetime.combine(day, time(), ZoneInfo(zone))
        else:
            found = datetime.fromisoformat(text)
            found = found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))
        return (found.astimezone(UTC) - _EPOCH) // _US
    except (ValueError, OverflowError) as error:
        raise Rejected("this is no time", code="bad-time", hint="As 2026-11-20 or 2026-11-20T18:00:00Z") from error


def day_of(text: str, zone: str, now_us: int) -> date:
    """A day of the home's calendar; today for nothing. Raises Rejected (`bad-time`)."""
    if not text:
        return (_EPOCH + timedelta(microseconds=now_us)).astimezone(ZoneInfo(zone)).date()
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Rejected("this is no day", code="bad-time", hint="As 2026-11-20") from error
