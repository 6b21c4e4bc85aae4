"""Times as people say them: a small grammar of intervals in the home's own zone.

"on tuesday" is the last Tuesday, today included; "last tuesday" the last one before today; "since monday" is open
at its end. A day and a clock time combine: "yesterday between 8 and 9". Words that are only perhaps a time ("may",
"sun") need a word before them that makes them one ("in may", "on sun").
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from gateway.recall.clock_phrases import CLOCKS, at_clock
from gateway.recall.day_phrases import DAYS
from gateway.recall.phrases import first


@dataclass(frozen=True, slots=True)
class When:
    """A stretch of text that names a time. None: open at that end."""

    start: int
    end: int
    from_us: int | None
    to_us: int | None
    label: str


def day_of(at_us: int, zone: str) -> date:
    """The home's calendar day of an instant."""
    return _local(at_us, zone).date()


@lru_cache(maxsize=4_096)
def day_bounds(day: date, zone: str) -> tuple[int, int]:
    """[from_us, to_us) of a calendar day: 23 to 25 hours."""
    return _instant(datetime.combine(day, time()), zone), _instant(datetime.combine(day + timedelta(1), time()), zone)


def find(text: str, *, now_us: int, zone: str) -> list[When]:
    """The times that `text` names: at most one day and one clock time, combined into one interval.

    With two stretches of text the interval is told twice, once for each, so that both can be underlined.
    """
    now = _local(now_us, zone).replace(tzinfo=None)
    day = first(DAYS, text, now)
    taken = (day[0], day[1]) if day else (0, 0)
    clock = first(CLOCKS, text, now, besides=taken)
    spans: list[tuple[int, int]] = []
    lo: datetime | None = None
    hi: datetime | None = None
    if day:
        spans.append((day[0], day[1]))
        lo, hi = day[2]
    if clock:
        spans.append((clock[0], clock[1]))
        lo, hi = at_clock(clock[2], (lo, hi), now)
    from_us = _instant(lo, zone) if lo else None
    to_us = _instant(hi, zone) if hi else None
    shown = label(from_us, to_us, now_us=now_us, zone=zone)
    return [When(start, end, from_us, to_us, shown) for start, end in sorted(spans)]


def label(from_us: int | None, to_us: int | None, *, now_us: int, zone: str) -> str:
    """An interval for people: `Mon 21 to Thu 24 Sep`, `Thu 24 Sep, 08:00 to 09:00`, `until Sun 20 Sep`."""
    now = _local(now_us, zone)
    lo = _local(from_us, zone) if from_us is not None else None
    last = _local(to_us - 1, zone) if to_us is not None else None
    if lo is None and last is None:
        return "any time"
    if lo is None:
        assert last is not None
        return f"until {_day_label(last, now)}{_clock_label(last)}"
    if last is None:
        if lo > now:
            return f"from {_day_label(lo, now)}"
        last = now.replace(hour=23, minute=59, second=59, microsecond=999_999)
    whole = lo.time() == time() and last.time() >= time(23, 59, 59)
    if lo.date() == last.date():
        return _day_label(lo, now) if whole else f"{_day_label(lo, now)}, {_clock(lo)}{_until(lo, last)}"
    if whole:
        same_month = (lo.year, lo.month) == (last.year, last.month)
        first = f"{lo:%a} {lo.day}" if same_month else _day_label(lo, now)
        return f"{first} to {_day_label(last, now)}"
    return f"{_day_label(lo, now)}, {_clock(lo)} to {_day_label(last, now)}, {_clock(last + timedelta(seconds=1))}"


def _local(at_us: int, zone: str) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)).astimezone(ZoneInfo(zone))


def _instant(local: datetime, zone: str) -> int:
    aware = local.replace(tzinfo=ZoneInfo(zone))
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _day_label(at: datetime, now: datetime) -> str:
    return f"{at:%a} {at.day} {at:%b}" + (f" {at.year}" if at.year != now.year else "")


def _clock(at: datetime) -> str:
    return f"{at:%H:%M}"


def _clock_label(last: datetime) -> str:
    return "" if last.time() >= time(23, 59, 59) else f", {_clock(last + timedelta(seconds=1))}"


def _until(lo: datetime, last: datetime) -> str:
    return "" if last - lo < timedelta(minutes=1) else f" to {_clock(last + timedelta(seconds=1))}"
