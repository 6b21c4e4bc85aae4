"""Days, weeks, months and parts of a day, as people say them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import TypeAlias

from gateway.recall.phrases import Open, Phrase, Span, compiled, midnight, word

_MONTHS = "january february march april may june july august september october november december".split()  # noqa: SIM905
_WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()  # noqa: SIM905
_PARTS = {"morning": (5, 12), "afternoon": (12, 18), "evening": (18, 23), "night": (20, 30)}
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}

_MONTH = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"  # noqa: E501
_WEEKDAY = r"(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
_SHORT_DAY = r"(?:mon|tues?|wed|thu(?:rs)?|fri|sat|sun)"
_PART = r"(?:morning|afternoon|evening|night)"
_NUMBER = r"(?:\d{1,3}|an?|one|two|three|four|five|six|seven|ten|twelve|few)"
_COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7} | {
    "ten": 10,
    "twelve": 12,
    "few": 3,
}


# Atoms: phrases that name a stretch of days by themselves.


def _days(day: date, count: int = 1) -> Span:
    return midnight(day), midnight(day + timedelta(days=count))


def _relative(match: re.Match[str], now: datetime) -> Span | None:
    back = {"today": 0, "yesterday": 1}.get(word(match), 2)
    return _days(now.date() - timedelta(days=back))


def _weekday(match: re.Match[str], now: datetime) -> Span | None:
    wanted = next(n for n, name in enumerate(_WEEKDAYS) if name.startswith(word(match, 2)[:3]))
    back = (now.weekday() - wanted) % 7
    if word(match, 1).strip() == "last" and back == 0:
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
    last = word(match, "which") in ("last", "past")
    unit = word(match, "unit")
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
    count, unit = _count(match["count"]), word(match, "unit")
    if unit.startswith(("minute", "hour")):
        length = timedelta(minutes=count) if unit.startswith("minute") else timedelta(hours=count)
        return now - length, now + timedelta(minutes=1)
    days = count * (7 if unit.startswith("week") else 30 if unit.startswith("month") else 1)
    return midnight(now.date() - timedelta(days=days - (1 if unit.startswith("day") else 0))), _days(now.date())[1]


def _ago(match: re.Match[str], now: datetime) -> Span | None:
    count, unit = _count(match["count"]), word(match, "unit")
    if unit.startswith(("minute", "hour")):
        step = timedelta(minutes=1) if unit.startswith("minute") else timedelta(hours=1)
        middle = now - count * step
        return middle - step / 2, middle + step / 2
    day = now.date() - timedelta(days=count * (7 if unit.startswith("week") else 1))
    return _days(day)


def _night(match: re.Match[str], now: datetime) -> Span | None:
    evening = now.date() - timedelta(days=1)
    return midnight(evening) + timedelta(hours=20), midnight(evening) + timedelta(hours=30)


def _tonight(match: re.Match[str], now: datetime) -> Span | None:
    return midnight(now.date()) + timedelta(hours=18), midnight(now.date()) + timedelta(hours=28)


def _this_part(match: re.Match[str], now: datetime) -> Span | None:
    return _part(_days(now.date()), word(match, 1))


def _day_part(match: re.Match[str], now: datetime) -> Span | None:
    day = _atom(match["day_"], now)
    return _part(day, word(match, "part")) if day else None


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


def _between_days(match: re.Match[str], now: datetime) -> Open | None:
    first, last = _atom(match["a"], now), _atom(match["b"], now)
    if first is None or last is None:
        return None
    if first[0] > last[0] and match["a"].lower().startswith(tuple(_WEEKDAYS)):
        first = (first[0] - timedelta(days=7), first[1] - timedelta(days=7))
    return min(first[0], last[0]), max(first[1], last[1])


def _bounded(match: re.Match[str], now: datetime) -> Open | None:
    span = _atom(match["a"], now)
    if span is None:
        return None
    how = word(match, "how")
    if how == "since":
        return span[0], None
    if how == "after":
        return span[1], None
    return None, span[0] if how == "before" else span[1]


def _plain(match: re.Match[str], now: datetime) -> Open | None:
    return _atom(match["a"], now)


DAYS: tuple[Phrase, ...] = (
    (compiled(rf"between (?P<a>{_LED_ANY}) and (?P<b>{_LED_ANY})"), _between_days),
    (compiled(rf"from (?P<a>{_LED_ANY}) (?:to|until|till) (?P<b>{_LED_ANY})"), _between_days),
    (compiled(rf"(?P<how>since|after|(?<!day )before|until|till) (?P<a>{_LED_ANY})"), _bounded),
    (compiled(rf"(?:on|in|during|over|from|of) (?:the )?(?P<a>{_LED_ANY})"), _plain),
    (compiled(rf"(?P<a>{_FREE_ANY})"), _plain),
)


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
    return midnight(date(year, month, 1)), midnight(date(end // 12, end % 12 + 1, 1))
