"""What every page needs of a request: the frame around it, or only its middle."""

from __future__ import annotations

from aiohttp import web


def layout(request: web.Request) -> str:
    """The template to extend: the whole page, or with `?fragment=…` only what lives inside it (for live updates)."""
    return "fragment.html" if "fragment" in request.query else "page.html"
