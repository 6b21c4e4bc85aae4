"""Times as people say them: a small grammar of intervals in the home's own zone.

"on tuesday" is the last Tuesday, today included; "last tuesday" the last one before today; "since monday" is open
at its end. A day and a clock time combine: "yesterday between 8 and 9". Words that are only perhaps a time ("may",
"sun") need a word before them that makes them one ("in may", "on sun").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo

_MONTHS = "january february march april may june july august september october november december".split()  # noqa: SIM905
_WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()  # noqa: SIM905
_PARTS = {"morning": (5, 12), "afternoon": (12, 18), "evening": (18, 23), "night": (20, 30)}
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}

_MONTH = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"  # noqa: E501
_WEEKDAY = r"(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
_SHORT_DAY = r"(?:mon|tues?|wed|thu(?:rs)?|fri|sat|sun)"
_PART = r"(?:morning|afternoon|evening|night)"
_TIME = r"(?:[01]?\d|2[0-4])(?:[:.][0-5]\d)?(?:\s?[ap]m\b)?"
_SURE_TIME = r"(?:(?:[01]?\d|2[0-4])[:.][0-5]\d(?:\s?[ap]m\b)?|(?:1[0-2]|0?[1-9])\s?[ap]m\b)"
_NUMBER = r"(?:\d{1,3}|an?|one|two|three|four|five|six|seven|ten|twelve|few)"
_COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7} | {
    "ten": 10,
    "twelve": 12,
    "few": 3,
}

Span: TypeAlias = tuple[datetime, datetime]
"""[from, to) in local time without zone."""


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
    day = _first(_DAYS, text, now)
    taken = (day[0], day[1]) if day else (0, 0)
    clock = _first(_CLOCKS, text, now, besides=taken)
    spans: list[tuple[int, int]] = []
    lo: datetime | None = None
    hi: datetime | None = None
    if day:
        spans.append((day[0], day[1]))
        lo, hi = day[2]
    if clock:
        spans.append((clock[0], clock[1]))
        lo, hi = _at_clock(clock[2], (lo, hi), now)
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


# Atoms: phrases that name a stretch of days by themselves.


def _word(match: re.Match[str], group: int | str = 0) -> str:
    return (match[group] or "").lower()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())


def _days(day: date, count: int = 1) -> Span:
    return _midnight(day), _midnight(day + timedelta(days=count))


def _relative(match: re.Match[str], now: datetime) -> Span | None:
    back = {"today": 0, "yesterday": 1}.get(_word(match), 2)
    return _days(now.date() - timedelta(days=back))


def _weekday(match: re.Match[str], now: datetime) -> Span | None:
    wanted = next(n for n, name in enumerate(_WEEKDAYS) if name.startswith(_word(match, 2)[:3]))
    back = (now.weekday() - wanted) % 7
    if _word(match, 1).strip() == "last" and back == 0:
        back = 7
    return _days(now.date() - timedelta(days=back))


def _iso(match: re.Match[str], now: datetime) -> Span | None:
    return _calendar(int(match[1]), int(match[2]), int(match[3]))


def _numeric(match: re.Match[str], now: datetime) -> Span | None:
    return _calendar(int(match[3]), int(match[2]), int(match[1]))


def _day_month(match: re.Match[str], now: datetime) -> Span | None:
    return _dated(match["month"], int(match["day"]), match["year"], now)


def _dated(month_name: str, day: int, year: str | None, now: datetime) -> Span | None:
    month = _month_number(month_name)
    if year:
        return _calendar(int(year), month, day)
    for candidate in (now.year, now.year - 1, now.year - 2, now.year - 3, now.year - 4):  # 29 February: four back
        span = _calendar(candidate, month, day)
        if span is not None and span[0] <= now:
            return span
    return None


def _month(match: re.Match[str], now: datetime) -> Span | None:
    month = _month_number(match["month"])
    year = int(match["year"]) if match["year"] else now.year if month <= now.month else now.year - 1
    return _months(year, month, 1)


def _year(match: re.Match[str], now: datetime) -> Span | None:
    return _months(int(match["year"]), 1, 12)


def _named(match: re.Match[str], now: datetime) -> Span | None:
    last = _word(match, "which") in ("last", "past")
    unit = _word(match, "unit")
    today = now.date()
    monday = today - timedelta(days=today.weekday())
    if unit == "hour":
        return now - timedelta(hours=1), now + timedelta(minutes=1)
    if unit == "week":
        return _days(monday - timedelta(days=7 * last), 7)
    if unit == "weekend":
        begun = today.weekday() >= 5
        back = 7 if last or not begun else 0
        return _days(monday + timedelta(days=5 - back), 2)
    if unit == "month":
        month = (today.year * 12 + today.month - 1) - last
        return _months(month // 12, month % 12 + 1, 1)
    if unit == "year":
        return _months(today.year - last, 1, 12)
    first = _SEASONS[unit]
    year = today.year
    while _months(year, first, 3)[0 if not last else 1] > now:
        year -= 1
    return _months(year, first, 3)


def _last_some(match: re.Match[str], now: datetime) -> Span | None:
    count, unit = _count(match["count"]), _word(match, "unit")
    if unit.startswith(("minute", "hour")):
        length = timedelta(minutes=count) if unit.startswith("minute") else timedelta(hours=count)
        return now - length, now + timedelta(minutes=1)
    days = count * (7 if unit.startswith("week") else 30 if unit.startswith("month") else 1)
    return _midnight(now.date() - timedelta(days=days - (1 if unit.startswith("day") else 0))), _days(now.date())[1]


def _ago(match: re.Match[str], now: datetime) -> Span | None:
    count, unit = _count(match["count"]), _word(match, "unit")
    if unit.startswith(("minute", "hour")):
        step = timedelta(minutes=1) if unit.startswith("minute") else timedelta(hours=1)
        middle = now - count * step
        return middle - step / 2, middle + step / 2
    day = now.date() - timedelta(days=count * (7 if unit.startswith("week") else 1))
    return _days(day)


def _night(match: re.Match[str], now: datetime) -> Span | None:
    evening = now.date() - timedelta(days=1)
    return _midnight(evening) + timedelta(hours=20), _midnight(evening) + timedelta(hours=30)


def _tonight(match: re.Match[str], now: datetime) -> Span | None:
    return _midnight(now.date()) + timedelta(hours=18), _midnight(now.date()) + timedelta(hours=28)


def _this_part(match: re.Match[str], now: datetime) -> Span | None:
    return _part(_days(now.date()), _word(match, 1))


def _day_part(match: re.Match[str], now: datetime) -> Span | None:
    day = _atom(match["day_"], now)
    return _part(day, _word(match, "part")) if day else None


def _part(day: Span, name: str) -> Span:
    first, last = _PARTS[name]
    return day[0] + timedelta(hours=first), day[0] + timedelta(hours=last)


_Handler: TypeAlias = Callable[[re.Match[str], datetime], Span | None]
_YEAR = r"(?:,?\s(?P<year>(?:19|20)\d\d))?"
_SIMPLE: tuple[tuple[str, _Handler], ...] = (
    (r"(?:the )?day before yesterday|yesterday|today", _relative),
    (rf"(last |this )?({_WEEKDAY})\b", _weekday),
    (r"((?:19|20)\d\d)-(0?[1-9]|1[0-2])-(0?[1-9]|[12]\d|3[01])(?!\d)", _iso),
    (r"(0?[1-9]|[12]\d|3[01])[./](0?[1-9]|1[0-2])[./]((?:19|20)\d\d)(?!\d)", _numeric),
    (rf"(?P<day>0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?(?: of)? (?P<month>{_MONTH})\b{_YEAR}", _day_month),
    (rf"(?P<month>{_MONTH}) (?P<day>0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?(?!\d|:){_YEAR}", _day_month),
)
_WIDE: tuple[tuple[str, _Handler], ...] = (
    (r"last night", _night),
    (r"tonight", _tonight),
    (rf"this ({_PART})\b", _this_part),
    (
        r"(?:the )?(?P<which>last|past|this) (?P<unit>hour|weekend|week|month|year|spring|summer|autumn|fall|winter)\b",
        _named,
    ),
    (rf"(?:the )?(?:last|past) (?P<count>{_NUMBER}) (?P<unit>minutes?|hours?|days?|weeks?|months?)\b", _last_some),
    (rf"(?P<count>{_NUMBER}) (?P<unit>minutes?|hours?|days?|weeks?) ago\b", _ago),
    (rf"(?P<month>{_MONTH}) (?P<year>(?:19|20)\d\d)\b", _month),
)
_LED: tuple[tuple[str, _Handler], ...] = (
    (rf"(last |this )?({_SHORT_DAY})\b", _weekday),
    (rf"(?P<month>{_MONTH})\b(?P<year>)", _month),
    (r"(?P<year>(?:19|20)\d\d)\b", _year),
)
"""Only after a word that makes them a time."""


def _bare(pattern: str) -> str:
    return re.sub(r"\((?!\?)", "(?:", re.sub(r"\(\?P<\w+>", "(?:", pattern))


_SIMPLE_ANY = "|".join(f"(?:{_bare(pattern)})" for pattern, _ in _SIMPLE)
_DAY_PART = rf"(?P<day_>{_SIMPLE_ANY})(?: in the| at)? (?P<part>{_PART})\b"
_ATOMS = tuple(
    (re.compile(pattern, re.IGNORECASE), handler)
    for pattern, handler in ((_DAY_PART, _day_part), *_WIDE, *_SIMPLE, *_LED)
)
_FREE_ANY = "|".join(f"(?:{_bare(pattern)})" for pattern in (_DAY_PART, *(p for p, _ in (*_WIDE, *_SIMPLE))))
_LED_ANY = "|".join((_FREE_ANY, *(f"(?:{_bare(pattern)})" for pattern, _ in _LED)))


def _atom(phrase: str, now: datetime) -> Span | None:
    for pattern, handler in _ATOMS:
        match = pattern.fullmatch(phrase)
        if match:
            return handler(match, now)
    return None


# Phrases: atoms with the words around them. Each gives (from, to), either open.

_Open: TypeAlias = tuple[datetime | None, datetime | None]


def _between_days(match: re.Match[str], now: datetime) -> _Open | None:
    first, last = _atom(match["a"], now), _atom(match["b"], now)
    if first is None or last is None:
        return None
    if first[0] > last[0] and match["a"].lower().startswith(tuple(_WEEKDAYS)):
        first = (first[0] - timedelta(days=7), first[1] - timedelta(days=7))
    return min(first[0], last[0]), max(first[1], last[1])


def _bounded(match: re.Match[str], now: datetime) -> _Open | None:
    span = _atom(match["a"], now)
    if span is None:
        return None
    word = _word(match, "how")
    if word == "since":
        return span[0], None
    if word == "after":
        return span[1], None
    return None, span[0] if word == "before" else span[1]


def _plain(match: re.Match[str], now: datetime) -> _Open | None:
    return _atom(match["a"], now)


_Phrase: TypeAlias = tuple[re.Pattern[str], Callable[[re.Match[str], datetime], _Open | None]]


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){pattern}(?!\w)", re.IGNORECASE)


_DAYS: tuple[_Phrase, ...] = (
    (_compiled(rf"between (?P<a>{_LED_ANY}) and (?P<b>{_LED_ANY})"), _between_days),
    (_compiled(rf"from (?P<a>{_LED_ANY}) (?:to|until|till) (?P<b>{_LED_ANY})"), _between_days),
    (_compiled(rf"(?P<how>since|after|(?<!day )before|until|till) (?P<a>{_LED_ANY})"), _bounded),
    (_compiled(rf"(?:on|in|during|over|from|of) (?:the )?(?P<a>{_LED_ANY})"), _plain),
    (_compiled(rf"(?P<a>{_FREE_ANY})"), _plain),
)


def _first(
    phrases: tuple[_Phrase, ...], text: str, now: datetime, *, besides: tuple[int, int] = (0, 0)
) -> tuple[int, int, _Open] | None:
    for pattern, handler in phrases:
        for match in pattern.finditer(text):
            if match.start() < besides[1] and besides[0] < match.end():
                continue
            span = handler(match, now)
            if span is not None:
                return match.start(), match.end(), span
    return None


# Clock times: (from, to) on the first of January of year 1, put on a day afterwards.

_CLOCK_DAY = datetime(2000, 1, 1)


def _clock_span(match: re.Match[str], now: datetime) -> _Open | None:
    first, last = _minutes(match["a"]), _minutes(match["b"])
    if first is None or last is None:
        return None
    if last <= first and not re.search("[ap]m|:", match["b"], re.IGNORECASE):
        last += 12 * 60
    if last <= first:
        last += 24 * 60
    return _CLOCK_DAY + timedelta(minutes=first), _CLOCK_DAY + timedelta(minutes=last)


def _clock_at(match: re.Match[str], now: datetime) -> _Open | None:
    minutes = _minutes(match["a"])
    if minutes is None:
        return None
    at = _CLOCK_DAY + timedelta(minutes=minutes)
    if _word(match, "how") in ("around", "about"):
        return at - timedelta(minutes=30), at + timedelta(minutes=30)
    exact = bool(re.search("[:.]", match["a"]))
    return at, at + (timedelta(minutes=1) if exact else timedelta(hours=1))


def _clock_bound(match: re.Match[str], now: datetime) -> _Open | None:
    minutes = _minutes(match["a"])
    if minutes is None:
        return None
    at = _CLOCK_DAY + timedelta(minutes=minutes)
    if _word(match, "how") in ("after", "since"):
        return at, None
    return None, at


_CLOCKS: tuple[_Phrase, ...] = (
    (_compiled(rf"between (?P<a>{_TIME}) and (?P<b>{_TIME})"), _clock_span),
    (_compiled(rf"from (?P<a>{_TIME}) (?:to|until|till) (?P<b>{_TIME})"), _clock_span),
    (_compiled(rf"(?P<how>since|after|before|until|till) (?P<a>{_SURE_TIME})"), _clock_bound),
    (_compiled(rf"(?P<how>at|around|about) (?P<a>{_TIME})(?: o'?clock)?"), _clock_at),
)


def _at_clock(clock: _Open, day: _Open, now: datetime) -> _Open:
    """A clock time on the day that was named, else on the last day on which it had begun."""
    lo, hi = clock
    first, last = day
    if first is None and last is None:
        base = _midnight(now.date())
        if lo is not None and base + (lo - _CLOCK_DAY) > now:
            base -= timedelta(days=1)
        first, last = base, base + timedelta(days=1)
    on = first if first is not None else (last - timedelta(days=1) if last is not None else _midnight(now.date()))
    on = _midnight(on.date())
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


def _count(text: str) -> int:
    return _COUNTS.get(text.lower()) or int(text)


def _month_number(name: str) -> int:
    return next(n for n, month in enumerate(_MONTHS, 1) if month.startswith(name.lower()[:3]))


def _calendar(year: int, month: int, day: int) -> Span | None:
    try:
        return _days(date(year, month, day))
    except ValueError:
        return None


def _months(year: int, month: int, count: int) -> Span:
    end = year * 12 + month - 1 + count
    return _midnight(date(year, month, 1)), _midnight(date(end // 12, end % 12 + 1, 1))


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
