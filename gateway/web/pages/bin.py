"""The bin: what one deleted and can still bring back."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from gateway.config import zone_name
from gateway.entities import Kind
from gateway.web.page import Page, render, viewer_of
from gateway.web.pages import words
from gateway.web.pages.shell import layout
from gateway.web.parts import PARTS

_ICONS = {Kind.IMAGE: "picture", Kind.AUDIO: "sound", Kind.TEXT: "text", Kind.VIDEO: "video"}


@dataclass(frozen=True, slots=True)
class BinLine:
    """One thing in the bin. Its picture is not shown: it is deleted."""

    uid: str
    icon: str
    title: str
    taken: str
    deleted: str


async def _show(request: web.Request) -> web.StreamResponse:
    parts = request.app[PARTS]
    zone, now_us = zone_name(parts.settings), parts.clock()
    found = await parts.memories.bin(viewer_of(request))
    lines = [
        BinLine(
            uid=each.capture.uid,
            icon=_ICONS[each.capture.kind],
            title=words.heading(words.title(each)),
            taken=words.short_when(each.capture.captured_at.at_us, now_us, zone),
            deleted=words.short_when(each.capture.deleted_at_us or now_us, now_us, zone),
        )
        for each in found
    ]
    days = words.count(parts.settings.storage.bin_days, "day")
    return await render(request, "bin.html", layout=layout(request), lines=lines, days=days)


PAGE = Page(path="/bin", name="bin", handler=_show)
