"""A page, and the means to draw one: templates, addresses of static files, what every page shows."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.discover import discover
from gateway.entities import Viewer
from gateway.errors import Forbidden
from gateway.health import Busy
from gateway.web.parts import PAGE_NAME, PARTS, VIEWER

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
SIGN_IN = "/sign-in"
"""Where a visitor without a session is sent, with `?next=<path>`."""
FIRST_RUN = "/first-run"
"""Where everyone is sent until the first admin has a name."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Page:
    """One address that answers with HTML. A module under `web/pages` holds one as `PAGE`."""

    path: str
    """As aiohttp takes it: `/memory/{id}`."""
    name: str
    """Unique; `PAGE.name == active` marks the place in the navigation."""
    handler: Handler
    public: bool = False
    """Shown without a session: sign-in and first run only."""
    label: str = ""
    """What the navigation calls it; empty: it is not in the navigation."""
    order: int = 0
    """Its place in the navigation."""


@dataclass(frozen=True, slots=True)
class NavItem:
    """One line of the navigation."""

    name: str
    label: str
    path: str
    active: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """What turns a template and values into a page."""

    environment: Environment
    pages: tuple[Page, ...]


DRAWING = web.AppKey("drawing", Drawing)


def open_drawing() -> Drawing:
    """Find the pages and the templates. Blocks for a moment: static files are hashed."""
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        enable_async=False,
        auto_reload=False,
    )
    hashes = static_hashes()
    environment.globals["static"] = lambda name: static_url(hashes, name)
    pages = discover("gateway.web.pages", "PAGE", Page)
    return Drawing(environment, tuple(sorted(pages.values(), key=lambda page: (page.order, page.name))))


def static_hashes() -> dict[str, str]:
    """Relative path → the first 12 hex digits of its SHA-256, for every static file."""
    files = [path for path in STATIC.rglob("*") if path.is_file()]
    return {str(path.relative_to(STATIC)): hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in files}


def static_url(hashes: Mapping[str, str], name: str) -> str:
    """The address of a static file: it changes with the content, so it may be kept for ever. KeyError if none."""
    return f"/static/{name}?v={hashes[name]}"


async def render(
    request: web.Request, template: str, *, status: int = 200, **values: Any
) -> web.Response:  # Any: a template takes what its page gives
    """Draw a template. Every template also has: viewer (Viewer or None), nav (list of NavItem), active (page name),
    busy (Busy or None), path (this page's own path), secure (it came by HTTPS), static(name) and the page's `values`.
    """
    drawing = request.app[DRAWING]
    viewer: Viewer | None = request.get(VIEWER)
    active = current(request)
    common: dict[str, object] = {
        "viewer": viewer,
        "nav": [NavItem(page.name, page.label, page.path, page.name == active) for page in drawing.pages if page.label],
        "active": active,
        "busy": await _busy(request, viewer),
        "path": request.path,
        "secure": request.secure,
    }
    text = drawing.environment.get_template(template).render(**{**common, **values})
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")


def viewer_of(request: web.Request) -> Viewer:
    """Who is signed in. Raises Forbidden when nobody is, which a page that is not public never meets."""
    viewer: Viewer | None = request.get(VIEWER)
    if viewer is None:
        raise Forbidden("nobody is signed in", code="signed-out", hint="Sign in")
    return viewer


def current(request: web.Request) -> str:
    """The name of the page that this request asks for; empty elsewhere."""
    name: str = request.get(PAGE_NAME, "")
    return name


async def _busy(request: web.Request, viewer: Viewer | None) -> Busy | None:
    return await request.app[PARTS].health.busy() if viewer is not None else None
