"""Where one is signed in."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from gateway.config import zone_name
from gateway.web.page import Page, render, viewer_of
from gateway.web.pages import words
from gateway.web.parts import CALLER, PARTS

_BROWSERS = ("Edg", "OPR", "Firefox", "Chrome", "Safari")
_NAMES = {"Edg": "Edge", "OPR": "Opera"}
_SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Macintosh", "Linux")


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One browser."""

    id: str
    name: str
    since: str
    seen: str
    current: bool


def browser(agent: str) -> str:
    """`Firefox on Linux`, from what a browser calls itself; its first words when that says nothing to us."""
    name = next((each for each in _BROWSERS if each in agent), "")
    system = next((each for each in _SYSTEMS if each in agent), "")
    if not name:
        return agent[:40] or "A browser that does not say its name"
    return f"{_NAMES.get(name, name)} on {'Mac' if system == 'Macintosh' else system or 'another system'}"


async def _show(request: web.Request) -> web.StreamResponse:
    parts = request.app[PARTS]
    zone, now_us = zone_name(parts.settings), parts.clock()
    found = await parts.accounts.sessions(viewer_of(request), current=request[CALLER].session)
    lines = [
        SessionLine(
            id=each.id,
            name=browser(each.agent),
            since=words.short_when(each.created_at_us, now_us, zone),
            seen=words.short_when(each.seen_at_us, now_us, zone),
            current=each.current,
        )
        for each in found
    ]
    return await render(request, "sessions.html", sessions=lines, count=words.count(len(lines), "browser"))


PAGE = Page(path="/sessions", name="sessions", handler=_show)
