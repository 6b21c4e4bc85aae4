"""Phrases that name a time: what the grammars of days and of clock times share."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time
from typing import TypeAlias

Span: TypeAlias = tuple[datetime, datetime]
"""[from, to) in local time without zone."""

Open: TypeAlias = tuple[datetime | None, datetime | None]
"""The same, open at either end."""

Phrase: TypeAlias = tuple[re.Pattern[str], Callable[[re.Match[str], datetime], Open | None]]
"""A pattern, and what a match of it means now; None: nothing after all."""


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern that stands between words."""
    return re.compile(rf"(?<!\w){pattern}(?!\w)", re.IGNORECASE)


def first(
    phrases: tuple[Phrase, ...], text: str, now: datetime, *, besides: tuple[int, int] = (0, 0)
) -> tuple[int, int, Open] | None:
    """(start, end, interval) of the first phrase, in the order of `phrases`, that stands outside of `besides`."""
    for pattern, handler in phrases:
        for match in pattern.finditer(text):
            if match.start() < besides[1] and besides[0] < match.end():
                continue
            span = handler(match, now)
            if span is not None:
                return match.start(), match.end(), span
    return None


def word(match: re.Match[str], group: int | str = 0) -> str:
    """A group in lower case; empty when it did not take part."""
    return (match[group] or "").lower()


def midnight(day: date) -> datetime:
    """The beginning of a day."""
    return datetime.combine(day, time())
