"""Signing in."""

from __future__ import annotations

from aiohttp import web

from gateway.web.page import FIRST_RUN, SIGN_IN, Page, render
from gateway.web.parts import PARTS

_FAULTS = {
    "wrong-password": "Name and password do not go together. Try again.",
    "too-many-tries": "Too many tries. Wait {wait} s, then try again.",
    "cross-site": "That came from another page. Sign in here.",
}


async def _show(request: web.Request) -> web.StreamResponse:
    if await request.app[PARTS].accounts.first_run():
        raise web.HTTPSeeOther(FIRST_RUN)
    code = request.query.get("error", "")
    fault = _FAULTS.get(code, "That did not work. Try again." if code else "")
    wait = request.query.get("wait_s", "")
    return await render(
        request,
        "sign_in.html",
        next=request.query.get("next", "")[:1_000],
        fault=fault.format(wait=wait if wait.isdecimal() and len(wait) < 6 else "a few"),
    )


PAGE = Page(path=SIGN_IN, name="sign-in", handler=_show, public=True)
