"""Why a browser warns of this address, and how it comes to trust it."""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.web import tls
from gateway.web.page import Page, render
from gateway.web.parts import PARTS


async def _show(request: web.Request) -> web.StreamResponse:
    fingerprint = await asyncio.to_thread(tls.authority_fingerprint, request.app[PARTS].settings.home)
    pairs = fingerprint.split(":") if fingerprint else []
    lines = [" ".join(pairs[start : start + 8]) for start in range(0, len(pairs), 8)]
    return await render(request, "trust.html", lines=lines)


PAGE = Page(path="/trust", name="trust", handler=_show, public=True)
