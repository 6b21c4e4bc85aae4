"""Clock times, as people say them, and the day that they fall on."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from gateway.recall.phrases import Open, Phrase, compiled, midnight, word

_TIME = r"(?:[01]?\d|2[0-4])(?:[:.][0-5]\d)?(?:\s?[ap]m\b)?"
_SURE_TIME = r"(?:(?:[01]?\d|2[0-4])[:.][0-5]\d(?:\s?[ap]m\b)?|(?:1[0-2]|0?[1-9])\s?[ap]m\b)"

# Clock times: (from, to) on the first of January of year 1, put on a day afterwards.

_CLOCK_DAY = datetime(2000, 1, 1)


def _clock_span(match: re.Match[str], now: datetime) -> Open | None:
    first, last = _minutes(match["a"]), _minutes(match["b"])
    if first is None or last is None:
        return None
    if last <= first and not re.search("[ap]m|:", match["b"], re.IGNORECASE):
        last += 12 * 60
    if last <= first:
        last += 24 * 60
    return _CLOCK_DAY + timedelta(minutes=first), _CLOCK_DAY + timedelta(minutes=last)


def _clock_at(match: re.Match[str], now: datetime) -> Open | None:
    minutes = _minutes(match["a"])
    if minutes is None:
        return None
    at = _CLOCK_DAY + timedelta(minutes=minutes)
    if word(match, "how") in ("around", "about"):
        return at - timedelta(minutes=30), at + timedelta(minutes=30)
    exact = bool(re.search("[:.]", match["a"]))
    return at, at + (timedelta(minutes=1) if exact else timedelta(hours=1))


def _clock_bound(match: re.Match[str], now: datetime) -> Open | None:
    minutes = _minutes(match["a"])
    if minutes is None:
        return None
    at = _CLOCK_DAY + timedelta(minutes=minutes)
    if word(match, "how") in ("after", "since"):
        return at, None
    return None, at


CLOCKS: tuple[Phrase, ...] = (
    (compiled(rf"between (?P<a>{_TIME}) and (?P<b>{_TIME})"), _clock_span),
    (compiled(rf"from (?P<a>{_TIME}) (?:to|until|till) (?P<b>{_TIME})"), _clock_span),
    (compiled(rf"(?P<how>since|after|before|until|till) (?P<a>{_SURE_TIME})"), _clock_bound),
    (compiled(rf"(?P<how>at|around|about) (?P<a>{_TIME})(?: o'?clock)?"), _clock_at),
)


def at_clock(clock: Open, day: Open, now: datetime) -> Open:
    """A clock time on the day that was named, else on the last day on which it had begun."""
    lo, hi = clock
    first, last = day
    if first is None and last is None:
        base = midnight(now.date())
        if lo is not None and base + (lo - _CLOCK_DAY) > now:
            base -= timedelta(days=1)
        first, last = base, base + timedelta(days=1)
    on = first if first is not None else (last - timedelta(days=1) if last is not None else midnight(now.date()))
    on = midnight(on.date())
    starts = on + (lo - _CLOCK_DAY) if lo is not None else first
    ends = on + (hi - _CLOCK_DAY) if hi is not None else last
    return starts, ends


def _minutes(text: str) -> int | None:
    match = re.fullmatch(r"(\d{1,2})(?:[:.](\d\d))?\s?([ap]m)?", text, re.IGNORECASE)
    if match is None:
        return None
    hour, minute = int(match[1]), int(match[2] or 0)
    if match[3]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match[3].lower() == "pm" else 0)
    return hour * 60 + minute if hour * 60 + minute <= 24 * 60 else None
