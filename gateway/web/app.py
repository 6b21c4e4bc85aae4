"""The application: addresses, what every answer carries, and how an error is told."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Sequence

from aiohttp import hdrs, web

from gateway.errors import HearthlogError
from gateway.web import auth, sse
from gateway.web.api import (
    cameras,
    devices,
    duplicates,
    events,
    incoming,
    jobs,
    media,
    memories,
    pairing,
    people,
    probes,
    search,
    session,
    timeline,
)
from gateway.web.media import THUMBS, Thumbs
from gateway.web.openapi import document
from gateway.web.page import DRAWING, STATIC, Handler, Page, open_drawing, render
from gateway.web.parts import PARTS, Parts
from gateway.web.problem import from_http, problem, status_of
from gateway.web.route import BASE, BODY_BYTES, Route

log = logging.getLogger(__name__)

ROUTES: tuple[Route, ...] = (
    *session.ROUTES,
    *people.ROUTES,
    *memories.ROUTES,
    *media.ROUTES,
    *duplicates.ROUTES,
    *search.ROUTES,
    *timeline.ROUTES,
    *pairing.ROUTES,
    *cameras.ROUTES,
    *devices.ROUTES,
    *jobs.ROUTES,
    *incoming.ROUTES,
    *events.ROUTES,
)
"""Every way of the API."""
HOSTS = web.AppKey("hosts", frozenset)

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self'; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "manifest-src 'self'"
)
_HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), gyroscope=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_FOR_EVER = "public, max-age=31536000, immutable"


def make_app(parts: Parts) -> web.Application:
    """Blocks for a moment (templates and static files are looked through): make it once, at start."""
    app = web.Application(middlewares=[_outermost], client_max_size=BODY_BYTES)
    app[PARTS] = parts
    app[DRAWING] = open_drawing()
    app[HOSTS] = auth.allowed_hosts(parts.settings)
    app[THUMBS] = Thumbs(parts.workers)
    app[sse.STREAMS] = sse.Streams()
    app.on_response_prepare.append(_add_headers)
    app.on_shutdown.append(sse.end_all)
    mount_routes(app, ROUTES)
    mount_pages(app, app[DRAWING].pages)
    probes.mount(app, document_text)
    STATIC.mkdir(exist_ok=True)
    app.router.add_static("/static", STATIC)
    return app


@functools.cache
def document_text() -> str:
    """The OpenAPI document, made when it is first asked for. Blocks for a moment."""
    return json.dumps(document(ROUTES), ensure_ascii=False, separators=(",", ":"))


def mount_routes(app: web.Application, routes: Sequence[Route]) -> None:
    """Under `/api/v1`, each behind its checks."""
    for route in routes:
        handler = auth.protect(route.handler, auth.Access(scope=route.rules.scope))
        app.router.add_route(route.method, BASE + route.path, handler)


def mount_pages(app: web.Application, pages: Sequence[Page]) -> None:
    """At their own addresses, each behind its checks."""
    for page in pages:
        handler = auth.protect(page.handler, auth.Access(scope="" if page.public else "read", page=page.name))
        app.router.add_get(page.path, handler)


@web.middleware
async def _outermost(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The place where errors become answers."""
    try:
        auth.refuse_host(request, request.app[HOSTS])
        return await handler(request)
    except HearthlogError as error:
        return await _tell(request, error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return await _tell(request, from_http(error))
    except Exception:  # a fault of ours: one request fails, the others and the rest of the house go on
        log.exception("request failed", extra={"method": request.method, "route": _route_name(request)})
        return await _tell(request, HearthlogError("this is a fault of the box", code="fault", hint="See its log"))


async def _tell(request: web.Request, error: HearthlogError) -> web.StreamResponse:
    html = "text/html" in request.headers.get(hdrs.ACCEPT, "") and not request.path.startswith(BASE)
    if html and _has_template(request, "error.html"):
        return await render(request, "error.html", status=status_of(error), error=error)
    return problem(error)


def _has_template(request: web.Request, name: str) -> bool:
    loader = request.app[DRAWING].environment.loader
    return loader is not None and name in loader.list_templates()


def _route_name(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    kept = "no-store"
    if request.path.startswith("/static/") and response.status in (200, 206, 304):
        kept = _FOR_EVER if "v" in request.query else "no-cache"
    response.headers.setdefault(hdrs.CACHE_CONTROL, kept)
    response.headers.pop(hdrs.SERVER, None)
