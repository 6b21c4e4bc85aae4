"""The bytes of a memory."""

from __future__ import annotations

from aiohttp import web
from pydantic import Field

from gateway.web import media
from gateway.web.api.memories import UID
from gateway.web.route import Ask, Model, Nothing, Rules, reads


class Size(Model):
    """How large."""

    size: str = Field(default="original", max_length=8, description="`original`, `thumb`, or a width in pixels")


@reads(
    f"/memories/{UID}/media",
    query=Size,
    answer=Nothing,
    rules=Rules(media=(*media.SHOWN, "application/octet-stream")),
)
async def read_media(ask: Ask[Size]) -> web.StreamResponse:
    """The original, or a picture at most that wide (rounded up to one of a few sizes, as JPEG)."""
    asked = media.asked_from(ask.given.size)
    uid = ask.part("id")
    blob = await ask.parts.memories.blob(ask.viewer, uid)
    return await media.respond(ask.request, uid, blob, asked)


ROUTES = (read_media,)
