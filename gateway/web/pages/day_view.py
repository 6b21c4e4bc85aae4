"""A day as a page shows it: the strip, the log, and where every frame went, as values for the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from markupsafe import Markup

from gateway.recall.day import Day, DayCount, Where
from gateway.web.pages import svg, words
from gateway.web.pages.svg import Marks, StripLine
from gateway.web.pages.words import count


@dataclass(frozen=True, slots=True)
class Line:
    """One room beside the strip, and its row in the table."""

    name: str
    total: str
    hours: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pill:
    """One day to change to."""

    href: str
    weekday: str
    number: int
    label: str
    bar: Markup
    current: bool


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One line of where every frame went."""

    label: str
    value: str
    kind: str
    """`sum`, `part` or empty."""


@dataclass(frozen=True, slots=True)
class Strips:
    """The strip twice, for a wide and a narrow screen, with what stands beside it."""

    lines: tuple[Line, ...]
    hour_names: tuple[str, ...]
    quarters: Markup
    hours: Markup


def midnight_us(day: date, zone: str) -> int:
    """The instant at which the day begins in that zone."""
    return int(datetime.combine(day, time(), tzinfo=ZoneInfo(zone)).timestamp() * 1_000_000)


def span_us(day: date, zone: str) -> tuple[int, int]:
    """[from, to) of a day: 23 or 25 hours long when the clocks change."""
    return midnight_us(day, zone), midnight_us(day + timedelta(days=1), zone)


def strips(day: Day) -> Strips:
    """Draw the day by room."""
    start, end = day.from_us, day.to_us

    def share(at_us: int) -> float:
        return max(0.0, min(1.0, (at_us - start) / (end - start)))

    drawn = [
        StripLine(
            name=row.device.name,
            counts=row.counts,
            lost=tuple((share(a), share(b), f"{row.device.name}: {count(n, 'frame')} lost") for a, b, n in row.lost),
            off=tuple((share(a), share(b)) for a, b in row.off),
        )
        for row in day.strip
    ]
    hours = range(start, end, words.HOUR_US)
    marks = Marks(
        people=tuple(share(at_us) for at_us, _ in day.people),
        hours=tuple((share(at), words.clock(at, day.zone)) for at in hours if words.local(at, day.zone).hour % 3 == 0),
        now=share(day.now_us) if start <= day.now_us < end else None,
        now_label=f"now {words.clock(day.now_us, day.zone)}",
    )
    return Strips(
        lines=tuple(
            Line(
                row.device.name,
                f"{row.total:,}",
                tuple(sum(row.counts[n * 4 : n * 4 + 4]) for n in range(len(hours))),
            )
            for row in day.strip
        ),
        hour_names=tuple(words.clock(at, day.zone)[:2] for at in hours),
        quarters=svg.strip(drawn, marks),
        hours=svg.strip(drawn, marks, per=4),
    )


def pills(days: Sequence[DayCount], shown: date) -> tuple[Pill, ...]:
    """The days beside the strip; a bar is that day's share of the fullest one."""
    most = max([each.memories for each in days], default=0) or 1
    return tuple(
        Pill(
            href=f"/day/{each.day}",
            weekday=words.weekday(each.day),
            number=each.day.day,
            label=f"{words.long_day(each.day)}, {count(each.memories, 'memory', 'memories')}",
            bar=svg.bar(each.memories / most),
            current=each.day == shown,
        )
        for each in days
    )


def ledger(totals: Where) -> tuple[LedgerLine, ...]:
    """Where every frame went: taken − lost = stored, and stored is the sum of its parts."""
    lines = [LedgerLine("Taken by the cameras", f"{totals.taken:,}", "")]
    lines.append(LedgerLine("Lost", f"−{totals.lost:,}" if totals.lost else "0", ""))
    lines.append(LedgerLine("Stored here", f"{totals.stored:,}", "sum"))
    lines.append(LedgerLine("Same still scene, folded", f"{totals.folded_static:,}", "part"))
    lines.append(LedgerLine("Other duplicates, folded", f"{totals.folded_copies:,}", "part"))
    lines.append(LedgerLine("Set aside, could not be read", f"{totals.set_aside:,}", "part"))
    lines.append(LedgerLine("Shown as memories", f"{totals.shown:,}", "part"))
    return tuple(line for line in lines if line.value != "0" or not line.label.startswith(("Other", "Set", "Lost")))


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address of a day asks for."""

    from_us: int | None = None
    to_us: int | None = None
    show: frozenset[str] = frozenset()
    """Keys of folded rows to open; `all` opens every one."""

    def query(self, zone: str, *, show: frozenset[str]) -> str:
        """The address again, with these rows open."""
        parts = []
        if self.from_us is not None and self.to_us is not None:
            parts += [f"from={words.clock(self.from_us, zone)}", f"to={words.clock(self.to_us, zone)}"]
        parts += [f"show={key}" for key in sorted(show)]
        return "?" + "&".join(parts) if parts else ""


def asked(query: Mapping[str, str], shows: Sequence[str], *, day: date, zone: str) -> Asked:
    """Read `from`, `to` (HH:MM) and `show`. What cannot be read counts as not asked."""
    start, end = span_us(day, zone)
    from_us = _clock_us(query.get("from", ""), day, zone)
    to_us = end if query.get("to") in {"24:00", "00:00"} else _clock_us(query.get("to", ""), day, zone)
    if from_us is None or to_us is None or not start <= from_us < to_us <= end:
        from_us = to_us = None
    return Asked(from_us, to_us, frozenset(show[:40] for show in shows[:50]))


def _clock_us(text: str, day: date, zone: str) -> int | None:
    hours, _, minutes = text[:5].partition(":")
    if not (hours.isdecimal() and minutes.isdecimal() and int(hours) < 24 and int(minutes) < 60):
        return None
    return int(datetime.combine(day, time(int(hours), int(minutes)), tzinfo=ZoneInfo(zone)).timestamp() * 1_000_000)
