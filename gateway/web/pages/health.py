"""How the box is doing: the way of a frame from left to right, what it may use, and what was set aside."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from aiohttp import web
from markupsafe import Markup

from gateway.config import zone_name
from gateway.devices import DeviceCard
from gateway.entities import Priority
from gateway.health import Budget, Node, SetAside
from gateway.web.page import Page, render, viewer_of
from gateway.web.pages import svg, words
from gateway.web.pages.shell import layout
from gateway.web.pages.thumbs import media
from gateway.web.parts import PARTS

NODE_PX = 62
GAP_PX = 11
ASIDE_SHOWN = 12
_DAY_US = 86_400_000_000
_GAP_US = 700_000_000
"""More than two readings are missing: the box was off."""
_SORTED = frozenset({"quality", "dedupe"})
_FINDABLE = frozenset({"embed", "look"})
_LANES = {"record": "Arrival, record lane", "plain": "Arrival, plain lane", "folder": "Folder", "upload": "Upload"}
_FIRST = ((Priority.PERSON, "Asked for by a person"), (Priority.LIVE, "Live"), (Priority.BACKLOG, "Backlog"))


@dataclass(frozen=True, slots=True)
class Box:
    """One node of the picture."""

    name: str
    label: str
    waiting: str
    detail: str
    line: Markup | None
    slow: bool
    href: str


@dataclass(frozen=True, slots=True)
class Column:
    """One stage, and the curves to the next."""

    title: str
    boxes: tuple[Box, ...]
    links: Markup | None


@dataclass(frozen=True, slots=True)
class BudgetView:
    """One thing of which there is only so much."""

    label: str
    value: str
    of: str
    bar: Markup
    """Of now, or of the last day."""
    past: str
    """The line of the day in words; empty without one."""
    note: str


@dataclass(frozen=True, slots=True)
class AsideLine:
    """Something that was set aside."""

    id: str
    href: str
    src: str
    name: str
    when: str
    stopped: str
    why: str
    helps: str
    tries: int
    can_retry: bool


@dataclass(frozen=True, slots=True)
class Now:
    """What was counted today."""

    cards: Sequence[DeviceCard]
    memories: int
    now_us: int
    zone: str


async def _show(request: web.Request) -> web.StreamResponse:
    parts, viewer = request.app[PARTS], viewer_of(request)
    zone, now_us = zone_name(parts.settings), parts.clock()
    today: date = words.local(now_us, zone).date()
    health, cards, days = await asyncio.gather(
        parts.health.look(viewer), parts.devices.all(viewer), parts.memories.days(viewer, until=today, count=1)
    )
    now = Now(cards, days[-1].memories if days else 0, now_us, zone)
    step = request.query.get("step", "")
    only = [each for each in health.set_aside if not step or each.what == step]
    built = columns(health.nodes, now)
    return await render(
        request,
        "health.html",
        layout=layout(request),
        health=health,
        columns=built,
        height=height_px(built),
        legend=legend(health.nodes),
        first=[(label, f"{health.priorities.get(priority, 0):,}") for priority, label in _FIRST],
        budgets=[budget_view(each, now_us=now_us, zone=zone) for each in health.budgets],
        aside=[aside_line(each, now) for each in (only if "all" in request.query else only[:ASIDE_SHOWN])],
        aside_more=0 if "all" in request.query else max(0, len(only) - ASIDE_SHOWN),
        aside_count=len(health.set_aside),
        step=next((node.label for node in health.nodes if node.name == step), ""),
        can_retry=any(each.can_retry for each in only),
    )


def legend(nodes: Sequence[Node]) -> tuple[str, str, str]:
    """The figures of the busiest node, by which the picture's own are explained."""
    node = max(nodes, key=lambda each: (each.oldest_s or 0.0, each.waiting), default=None)
    if node is None:
        return "0", "0/min", ""
    oldest = words.seconds_span(node.oldest_s) if node.oldest_s is not None else ""
    return f"{node.waiting:,}", f"{words.number(round(node.per_minute, 1))}/min", oldest


def columns(nodes: Sequence[Node], now: Now) -> tuple[Column, ...]:
    """The stages from left to right."""
    frames = sum(card.frames_today for card in now.cards)
    lost = sum(card.lost_today for card in now.cards)
    cameras = Box("cameras", "Cameras", "", f"{frames:,} today", None, False, "/devices")
    stored = Box(
        "stored",
        "Stored",
        "",
        f"{frames:,} frames today, {f'{lost:,} lost' if lost else 'none lost'}",
        None,
        False,
        "/",
    )
    ready = Box(
        "ready", "In your log", "", words.count(now.memories, "memory today", "memories today"), None, False, "/"
    )
    stages = [
        ("Arrives", (cameras,)),
        ("Kept", (stored,)),
        ("Sorted", tuple(_box(node) for node in nodes if node.name in _SORTED)),
        ("Understood", tuple(_box(node) for node in nodes if node.name not in _SORTED | _FINDABLE)),
        ("Made findable", tuple(_box(node) for node in nodes if node.name in _FINDABLE)),
        ("Ready", (ready,)),
    ]
    shown = [(title, boxes) for title, boxes in stages if boxes]
    height = max(len(boxes) for _, boxes in shown) * (NODE_PX + GAP_PX) - GAP_PX
    return tuple(
        Column(title, boxes, _links(boxes, shown[n + 1][1], height) if n + 1 < len(shown) else None)
        for n, (title, boxes) in enumerate(shown)
    )


def height_px(built: Sequence[Column]) -> int:
    """How tall the picture is."""
    return max(len(column.boxes) for column in built) * (NODE_PX + GAP_PX) - GAP_PX


def _links(left: Sequence[Box], right: Sequence[Box], height: int) -> Markup:
    slow = frozenset(n for n, box in enumerate(right) if box.slow)
    return svg.links(_centres(len(left), height), _centres(len(right), height), height=height, slow=slow)


def _centres(n: int, height: int) -> list[float]:
    tall = n * (NODE_PX + GAP_PX) - GAP_PX
    return [(height - tall) / 2 + k * (NODE_PX + GAP_PX) + NODE_PX / 2 for k in range(n)]


def _box(node: Node) -> Box:
    rate = f"{words.number(round(node.per_minute, 1))}/min"
    waits = f" · {words.seconds_span(node.oldest_s)}" if node.oldest_s is not None and node.waiting else ""
    return Box(
        name=node.name,
        label=node.label or words.step_name(node.name),
        waiting=f"{node.waiting:,}",
        detail=rate + waits,
        line=svg.line(node.line),
        slow=node.slow,
        href=f"/health?step={node.name}#set-aside",
    )


def budget_view(budget: Budget, *, now_us: int, zone: str) -> BudgetView:
    """One budget in words; MB become GB where there are many."""
    used, limit, unit = budget.used, budget.limit, budget.unit
    scale = 1_000 if unit == "MB" and limit >= 1_000 else 1
    if scale > 1:
        used, limit, unit = used / scale, limit / scale, "GB"
    past = ""
    if budget.past:
        at_us, highest = max((*budget.past, (now_us, budget.used)), key=lambda each: each[1])
        figure = f"{highest / scale:.1f}" if budget.name == "memory" else f"{highest:.0f}"
        past = f"Last 24 h. Highest {figure} {unit} at {words.clock(at_us, zone)}."
    over = " ".join(part for part in ("Over its limit." if budget.over else "", budget.note) if part)
    if budget.name == "temperature":
        return BudgetView(
            budget.label,
            f"{used:.0f}",
            f"{unit}, slows down at {limit:.0f}",
            _day_line(budget, now_us) or svg.bar(used / 100, limit=limit / 100, look=budget.over),
            past,
            over,
        )
    if budget.name == "disk":
        part = used / limit if limit else 0.0
        return BudgetView(
            budget.label,
            f"{part:.0%}".rstrip("%"),
            f"% of {limit:,.0f} {unit}",
            svg.bar(part, look=budget.over),
            past,
            over,
        )
    part = used / limit if limit else 0.0
    drawn = _day_line(budget, now_us) or svg.bar(part, look=budget.over)
    return BudgetView(budget.label, f"{used:.1f}", f"of {limit:.1f} {unit} allowed", drawn, past, over)


def _day_line(budget: Budget, now_us: int) -> Markup | None:
    """The last 24 hours from left to right; where the box was off, nothing."""
    runs: list[list[tuple[float, float]]] = []
    before_us = 0
    for at_us, value in budget.past:
        if at_us - before_us > _GAP_US:
            runs.append([])
        runs[-1].append((max(0.0, 1 - (now_us - at_us) / _DAY_US), value))
        before_us = at_us
    return svg.history(runs, limit=budget.limit) if runs else None


def aside_line(each: SetAside, now: Now) -> AsideLine:
    """One thing that was set aside, in words."""
    names = {card.device.id: card.device.name for card in now.cards}
    reason = each.reason[:1].upper() + each.reason[1:]
    return AsideLine(
        id=each.id,
        href=f"/memory/{each.memory}" if each.memory else "",
        src=media(each.memory, 160) if each.memory else "",
        name=names.get(each.device, each.device) or each.source_name or "Something",
        when=words.short_when(each.at_us, now.now_us, now.zone),
        stopped=_LANES.get(each.what, words.step_name(each.what)),
        why=reason,
        helps=each.hint or ("Trying again will not help this one." if not each.can_retry else ""),
        tries=each.tries,
        can_retry=each.can_retry,
    )


PAGE = Page(path="/health", name="health", handler=_show, label="Health", order=4)
