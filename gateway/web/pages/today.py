"""Today and any day: what happened, room by room and row by row."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date, timedelta

from aiohttp import web

from gateway.config import zone_name
from gateway.devices import DeviceCard
from gateway.entities import Viewer
from gateway.recall.answer import Query
from gateway.recall.day import Day, DayCount
from gateway.web.page import Page, render, viewer_of
from gateway.web.pages import day_view, log_view, words
from gateway.web.pages.cards import state_line
from gateway.web.pages.day_view import Asked, LedgerLine, Pill, Strips
from gateway.web.pages.log_view import LogRow
from gateway.web.pages.shell import layout
from gateway.web.pages.thumbs import Thumb, thumb
from gateway.web.pages.words import count
from gateway.web.parts import PARTS, Parts

DAYS_SHOWN = 7
FEW_MOMENTS = 3
"""Fewer are a day that has hardly begun."""


@dataclass(frozen=True, slots=True)
class Camera:
    """One picture of the live strip."""

    id: str
    name: str
    state: str
    line: str
    thumb: Thumb | None


@dataclass(frozen=True, slots=True)
class DayPage:
    """Everything `today.html` shows."""

    title: str
    counts: str
    href: str
    before: str
    after: str
    days: tuple[Pill, ...]
    strips: Strips
    people: int
    rows: tuple[LogRow, ...]
    ledger: tuple[LedgerLine, ...]
    cameras: tuple[Camera, ...]
    narrowed: str
    nothing_yet: bool
    quiet_title: str
    quiet_day: str
    show_all: str
    yesterday: str
    """A link to the day before, while this one is new: shortly after midnight there is little to see."""


async def show_today(request: web.Request) -> web.Response:
    """The day that it is in the home's zone."""
    parts = request.app[PARTS]
    return await show_day(request, words.local(parts.clock(), zone_name(parts.settings)).date())


async def show_day(request: web.Request, day: date) -> web.Response:
    """Any day."""
    parts, viewer = request.app[PARTS], viewer_of(request)
    zone = zone_name(parts.settings)
    today = words.local(parts.clock(), zone).date()
    until = today if today - day < timedelta(days=DAYS_SHOWN) else day + timedelta(days=3)
    found, days, cards = await asyncio.gather(
        parts.memories.day(viewer, day),
        parts.memories.days(viewer, until=until, count=DAYS_SHOWN),
        parts.devices.all(viewer),
    )
    asked = day_view.asked(request.query, request.query.getall("show", []), day=day, zone=zone)
    rows = await _open_rows(parts, viewer, found, asked)
    view = page_view(found, days, cards, rows=rows, asked=asked)
    return await render(request, "today.html", layout=layout(request), view=view)


async def _open_rows(parts: Parts, viewer: Viewer, day: Day, asked: Asked) -> tuple[LogRow, ...]:
    """The rows, those that are asked for with their still pictures."""
    made = []
    for each in log_view.rows(day, asked):
        if not each.open or each.kind != "quiet":
            made.append(each)
            continue
        answer = await parts.memories.search(
            viewer,
            Query(from_us=each.from_us, to_us=each.to_us + 1, folded=True, parse=False, limit=log_view.STILLS_SHOWN),
        )
        folded = (hit.memory for hit in answer.items if hit.memory.duplicate is not None)
        stills = sorted(folded, key=lambda memory: memory.capture.captured_at.at_us)
        made.append(log_view.opened(each, stills, more=answer.total - len(answer.items), zone=day.zone))
    return tuple(made)


def page_view(
    day: Day, days: list[DayCount], cards: list[DeviceCard], *, rows: tuple[LogRow, ...], asked: Asked
) -> DayPage:
    """Put the page together."""
    today = words.local(day.now_us, day.zone).date()
    cameras = len(day.strip)
    happened = any(row.kind != "quiet" for row in rows)
    moments = sum(1 for row in rows if row.kind == "moment")
    parts = [count(moments, "moment")] if moments else []
    parts.append(f"{day.memories:,} pictures and sounds")
    parts.append(count(cameras, "camera"))
    return DayPage(
        title=words.long_day(day.day),
        counts=" · ".join(parts),
        href=f"/day/{day.day}",
        before=f"/day/{day.day - timedelta(days=1)}",
        after=_after(day.day, today),
        days=day_view.pills(days, day.day),
        strips=day_view.strips(day),
        people=len(day.people),
        rows=rows,
        ledger=day_view.ledger(day.totals),
        cameras=tuple(_camera(card, day.now_us, day.zone) for card in cards) if day.day == today else (),
        narrowed=(
            f"{words.clock(asked.from_us, day.zone)} to {words.clock(asked.to_us, day.zone)}"
            if asked.from_us is not None and asked.to_us is not None
            else ""
        ),
        nothing_yet=not cards and not day.rows,
        quiet_title="A quiet day so far" if day.day == today else "A quiet day",
        quiet_day="" if happened else _quiet(day, cards, asked),
        yesterday=f"/day/{day.day - timedelta(days=1)}" if _is_new(day, today, moments, asked) else "",
        show_all=f"/day/{day.day}{asked.query(day.zone, show=frozenset({'all'}))}" if rows else "",
    )


def _is_new(day: Day, today: date, moments: int, asked: Asked) -> bool:
    return day.day == today and moments < FEW_MOMENTS and asked.from_us is None


def _after(day: date, today: date) -> str:
    if day >= today:
        return ""
    return "/" if day == today - timedelta(days=1) else f"/day/{day + timedelta(days=1)}"


def _quiet(day: Day, cards: list[DeviceCard], asked: Asked) -> str:
    """The sentence of a day on which nothing moved."""
    folded = count(day.totals.folded_static, "still frame is", "still frames are") + " folded."
    if not day.from_us <= day.now_us < day.to_us:
        return f"Nothing moved; {folded}"
    awake = count(sum(1 for card in cards if card.state == "awake"), "camera is", "cameras are")
    return f"{awake} awake. Nothing has moved since {words.clock(asked.from_us or day.from_us, day.zone)}; {folded}"


def _camera(card: DeviceCard, now_us: int, zone: str) -> Camera:
    return Camera(
        id=card.device.id,
        name=card.device.name,
        state=card.state,
        line=state_line(card, now_us, zone),
        thumb=thumb(card.last_memory, zone, here=True) if card.last_memory else None,
    )


PAGE = Page(path="/", name="today", handler=show_today, label="Today", order=1)
