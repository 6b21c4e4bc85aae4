"""What machines ask: alive, ready, metrics, the document of the API. Outside `/api/v1`, but for the document."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiohttp import web

from gateway import metrics
from gateway.errors import HearthlogError, NotFound
from gateway.web import auth, tls
from gateway.web.parts import CALLER, PARTS
from gateway.web.route import BASE

log = logging.getLogger(__name__)


def mount(app: web.Application, document: Callable[[], str]) -> None:
    """Add the addresses. `document` gives the OpenAPI text and may block."""

    async def openapi(request: web.Request) -> web.StreamResponse:
        return web.json_response(text=await asyncio.to_thread(document))

    app.router.add_get("/livez", auth.protect(_alive, auth.Access(scope="")))
    app.router.add_get("/readyz", auth.protect(_ready, auth.Access(scope="")))
    app.router.add_get("/metrics", auth.protect(_metrics, auth.Access(scope="")))
    app.router.add_get("/ca.pem", auth.protect(_authority, auth.Access(scope="")))
    app.router.add_get(f"{BASE}/openapi.json", auth.protect(openapi, auth.Access(scope="")))


async def _alive(request: web.Request) -> web.StreamResponse:
    return web.Response(text="alive\n")


async def _ready(request: web.Request) -> web.StreamResponse:
    reasons = list(request.app[PARTS].unready())
    return web.json_response({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)


async def _authority(request: web.Request) -> web.StreamResponse:
    pem = await asyncio.to_thread(tls.authority_pem, request.app[PARTS].settings.home)
    if pem is None:
        raise NotFound("this box speaks no HTTPS yet", hint="Set http.host to an address of the LAN")
    headers = {
        "Content-Type": "application/x-x509-ca-cert",
        "Content-Disposition": 'attachment; filename="hearthlog-ca.pem"',
    }
    return web.Response(body=pem, headers=headers)


async def _metrics(request: web.Request) -> web.StreamResponse:
    if not auth.is_plain_loopback(request):
        auth.refuse(request.get(CALLER), auth.Access(scope="read"))
    try:
        await request.app[PARTS].devices.measure()
    except HearthlogError as error:  # a disk that fails is when the other figures are wanted most
        log.warning("cameras not measured", extra={"code": error.code})
    return web.Response(body=metrics.exposition(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
