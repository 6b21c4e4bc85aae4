"""Duplicates: groups of pictures that repeat one another, by kind, and what people said of them."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web
from pydantic import Field

from gateway.config import zone_name
from gateway.entities import DuplicateKind, Viewer
from gateway.errors import NotFound
from gateway.web.page import Page, render, viewer_of
from gateway.web.pages import duplicates_view, words
from gateway.web.pages.duplicates_view import GroupCard, KindChip, SaidLine
from gateway.web.pages.shell import layout
from gateway.web.parts import PARTS, Parts
from gateway.web.route import Model, checked

_PAGE = 20
_WHOLE = 200


class _Asked(Model):
    """What the address asks for."""

    kind: DuplicateKind | None = None
    of: str = Field(default="", max_length=64)
    show: str = Field(default="", pattern="^(|decided)$")
    cursor: str = Field(default="", max_length=64)


@dataclass(frozen=True, slots=True)
class DuplicatesPage:
    """Everything `duplicates.html` shows."""

    chips: tuple[KindChip, ...]
    about: str
    cards: tuple[GroupCard, ...]
    said: tuple[SaidLine, ...]
    decided: bool
    """What people said is shown in place of groups."""
    whole: bool
    """One group is shown with all its members."""
    empty: str
    """Of which kind there is nothing, as words; empty: of none."""
    next: str
    first: str
    bin_days: str


async def _show(request: web.Request) -> web.StreamResponse:
    parts, viewer = request.app[PARTS], viewer_of(request)
    names = ("kind", "of", "show", "cursor")
    asked = checked(_Asked, {name: request.query[name] for name in names if request.query.get(name)})
    view = await page_view(parts, viewer, asked)
    return await render(request, "duplicates.html", layout=layout(request), view=view)


async def page_view(parts: Parts, viewer: Viewer, asked: _Asked) -> DuplicatesPage:
    """Put the page together."""
    door, zone = parts.memories.duplicates, zone_name(parts.settings)
    places = {each.device.id: each.device.name for each in await parts.devices.all(viewer)}
    page = await door.groups(viewer, asked.kind, cursor=asked.cursor, limit=_PAGE)
    groups, decided, whole = page.items, asked.show == "decided", bool(asked.of)
    if whole:
        try:
            groups = (await door.group(viewer, asked.of, page.kind, limit=_WHOLE),)
        except NotFound:  # it was, when the page was opened: everything else went, or was said to be something else
            groups = ()
    said = await door.decisions(viewer) if decided else []
    return DuplicatesPage(
        chips=duplicates_view.chips(page.counts, None if decided else page.kind),
        about="" if decided else duplicates_view.ABOUT[page.kind],
        cards=() if decided else tuple(duplicates_view.card(each, places, zone=zone, whole=whole) for each in groups),
        said=tuple(duplicates_view.said(each, zone=zone) for each in said),
        decided=decided,
        whole=whole,
        empty=words.copy_badge(page.kind).text if any(page.counts.values()) else "",
        next=f"/duplicates?kind={page.kind.value}&cursor={page.next}" if page.next and not whole else "",
        first=f"/duplicates?kind={page.kind.value}" if asked.cursor or whole else "",
        bin_days=words.count(parts.settings.storage.bin_days, "day"),
    )


PAGE = Page(path="/duplicates", name="duplicates", handler=_show)
