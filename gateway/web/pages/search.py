"""Search: words and filters in, memories and the reasons for them out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from aiohttp import web
from markupsafe import Markup

from gateway.config import zone_name
from gateway.entities import Device
from gateway.recall.answer import Answer, Drop
from gateway.web.api.search import SearchQuery, query_of
from gateway.web.page import Page, render, viewer_of
from gateway.web.pages import search_view, svg, words
from gateway.web.pages.search_view import Address, Card, Chip, Choice, Pieces
from gateway.web.pages.shell import layout
from gateway.web.parts import PARTS
from gateway.web.route import checked

PAGE_SIZE = 30
_MANY = ("device", "kind", "has")
_ONE = ("q", "from", "to", "folded", "parse", "cursor")


@dataclass(frozen=True, slots=True)
class DayBar:
    """One day of the filter When."""

    href: str
    label: str


@dataclass(frozen=True, slots=True)
class Way:
    """One way on from nothing."""

    label: str
    href: str


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Everything `search.html` shows."""

    q: str
    under: Pieces
    chips: tuple[Chip, ...]
    groups: tuple[tuple[str, tuple[Choice, ...]], ...]
    chosen: int
    days: tuple[DayBar, ...]
    bars: Markup | None
    count: str
    detail: str
    cards: tuple[Card, ...]
    nothing: str
    nothing_why: str
    ways: tuple[Way, ...]
    next: str
    first: str
    rebuilding: str
    meaning_off: str
    hidden: tuple[tuple[str, str], ...]
    """Filters that no checkbox holds: kept when the form is sent."""


def asked(request: web.Request) -> SearchQuery:
    """What an address asks for. Raises Invalid for what cannot be."""
    values: dict[str, object] = {name: request.query.getall(name) for name in _MANY if name in request.query}
    values |= {name: request.query[name] for name in _ONE if request.query.get(name)}
    return checked(SearchQuery, {**values, "limit": PAGE_SIZE})


async def _show(request: web.Request) -> web.StreamResponse:
    parts, viewer = request.app[PARTS], viewer_of(request)
    zone = zone_name(parts.settings)
    given = asked(request)
    answer = await parts.memories.search(viewer, query_of(given, zone))
    devices = [card.device for card in await parts.devices.all(viewer)]
    at = request.query.get("at", "")
    first = int(at) if at.isdecimal() and len(at) < 7 and given.cursor else 1
    view = page_view(answer, given, devices, zone=zone, first=first)
    return await render(request, "search.html", layout=layout(request), view=view)


def page_view(answer: Answer, given: SearchQuery, devices: list[Device], *, zone: str, first: int = 1) -> SearchPage:
    """Put the page together."""
    address = Address(given)
    days = answer.facets.when[-search_view.DAYS_SHOWN :]
    chosen = len(given.device) + len(given.kind) + len(given.has) + given.folded + bool(given.from_ or given.to)
    looked = "" if not given.q else f" · all {answer.looked_at:,} that pass the filters were looked at"
    return SearchPage(
        q=given.q,
        under=search_view.underlined(given.q, answer.understood),
        chips=search_view.chips(answer, given, devices),
        groups=search_view.groups(answer, given),
        chosen=chosen,
        days=tuple(DayBar(address.of(from_=str(day), to=str(day)), _day_label(day)) for day, _ in days),
        bars=svg.columns([n for _, n in days]) if days else None,
        count=words.count(answer.total, "memory", "memories"),
        detail=f" · {words.number(round(answer.took_ms))} ms{looked}",
        cards=search_view.cards(answer, devices, zone=zone, first=first),
        nothing=f"Nothing for “{given.q}”"
        if given.q
        else "Nothing passes these filters"
        if chosen
        else "Nothing here yet",
        nothing_why=_why_nothing(answer),
        ways=_ways(answer, given),
        next=address.of(cursor=answer.next, at=first + len(answer.items)) if answer.next else "",
        first=address.of() if given.cursor else "",
        rebuilding="" if answer.rebuilding is None else f"The index is being rebuilt, {answer.rebuilding:.0%}.",
        meaning_off=words.sentences(answer.meaning_off, answer.meaning_hint) if given.q else "",
        hidden=tuple((name, value) for name, value in (("from", given.from_), ("to", given.to)) if value)
        + (() if given.parse else (("parse", "0"),)),
    )


def _day_label(day: date) -> str:
    return f"{words.weekday(day)} {day.day}"


def _why_nothing(answer: Answer) -> str:
    if answer.drop:
        best = answer.drop[0]
        verb = "is" if best.total == 1 else "are"
        return f"Without “{best.label}” there {verb} {best.total:,}."
    if answer.looked_at:
        return f"All {answer.looked_at:,} memories that pass the filters were looked at. Try other words."
    return "There is nothing to look through yet."


def _ways(answer: Answer, given: SearchQuery) -> tuple[Way, ...]:
    ways = [Way(f"Drop “{drop.label}”", search_view.dropped(drop, answer, given)) for drop in answer.drop[:2]]
    if given.from_ or given.to or any(item.kind == "when" for item in answer.understood):
        when = next((drop for drop in answer.drop if drop.kind == "when"), None)
        if when is None:
            ways.append(Way("All time", search_view.dropped(Drop("when", "", 0), answer, given)))
    if given.q:
        ways.append(Way("Start over", "/search"))
    return tuple(ways)


PAGE = Page(path="/search", name="search", handler=_show, label="Search", order=2)
