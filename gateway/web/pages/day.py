"""A day by its date: `/day/2026-09-24`."""

from __future__ import annotations

from datetime import date

from aiohttp import web

from gateway.errors import NotFound
from gateway.web.page import Page
from gateway.web.pages.today import show_day


async def _show(request: web.Request) -> web.Response:
    try:
        day = date.fromisoformat(request.match_info["day"])
    except ValueError as error:
        raise NotFound("there is no such day", hint="A day is written like 2026-09-24") from error
    if not 1971 <= day.year <= 9_000:
        raise NotFound("there is no such day")
    return await show_day(request, day)


PAGE = Page(path="/day/{day}", name="day", handler=_show)
