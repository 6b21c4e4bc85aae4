"""Files that people bring, one request each."""

from __future__ import annotations

import asyncio

from aiohttp import web
from pydantic import Field

from gateway.config import zone_name
from gateway.decoders.audio import MAX_BYTES
from gateway.entities import Lane
from gateway.errors import Forbidden, HearthlogError, Rejected, Retryable
from gateway.ingest.accept import Outcome, Receipt, Sender
from gateway.ingest.folders import Item, safe_name, take_item
from gateway.shapes import Shape
from gateway.web.auth import refuse_guest
from gateway.web.parts import CALLER, PARTS
from gateway.web.route import Model, Nothing, Route, Rules, checked

TAKEN = ("image/jpeg", "image/png", "image/webp", "audio/wav", "text/plain", "application/octet-stream")
"""What the body may be called; what it is, its own bytes say."""
_SLOW_S = 30.0
"""No part of a file takes longer than this on a network that still works."""


class About(Model):
    """What is known of the file besides its bytes."""

    name: str = Field(default="", max_length=1_024, description="Its name; may hold the time it was taken")
    modified_us: int = Field(default=0, ge=0, le=32_503_680_000_000_000, description="When it was last written")
    folder: bool = Field(default=False, description="It is one of many: it waits behind what is happening now")


class BroughtOut(Shape):
    """What became of it."""

    outcome: Outcome = Field(description="`stored`, or `repeated` when the same bytes were here before")
    id: str


async def bring(request: web.Request) -> web.StreamResponse:
    """Bring a picture, a recording (WAV) or a note: the body is the file and nothing else. Stored when answered."""
    viewer = request[CALLER].viewer
    refuse_guest(viewer.role)
    about = checked(About, dict(request.query))
    parts = request.app[PARTS]
    if parts.gate is None:
        raise Forbidden("nothing is taken in here", code="no-way-in")
    item = Item(name=safe_name(about.name), data=await _received(request), modified_us=about.modified_us)
    receipt = await take_item(
        parts.gate,
        item,
        sender=Sender(owner=viewer.user),
        zone=zone_name(parts.settings),
        lane=Lane.FOLDER if about.folder else Lane.UPLOAD,
    )
    if receipt.outcome in (Outcome.REFUSED, Outcome.LATER):
        raise _error(receipt)
    answer = BroughtOut(outcome=receipt.outcome, id=receipt.uid)
    return web.Response(text=answer.model_dump_json(), status=201, content_type="application/json")


async def _received(request: web.Request) -> bytes:
    data = bytearray()
    try:
        while True:
            async with asyncio.timeout(_SLOW_S):
                part = await request.content.readany()
            if not part:
                return bytes(data)
            data += part
            if len(data) > MAX_BYTES:
                raise Rejected(f"a file of more than {MAX_BYTES} bytes", code="too-big")
    except TimeoutError as error:
        raise Retryable("the file came too slowly", code="slow-request") from error


def _error(receipt: Receipt) -> HearthlogError:
    if receipt.outcome is Outcome.REFUSED:
        return Rejected(receipt.reason, code=receipt.code, hint=receipt.hint)
    return Retryable(receipt.reason, code=receipt.code, hint=receipt.hint, retry_ms=receipt.retry_ms or 5_000)


ROUTES = (
    Route(
        "POST",
        "/memories",
        "bring",
        " ".join((bring.__doc__ or "").split()),
        About,
        Nothing,
        BroughtOut,
        Rules(scope="write", status=201, takes=TAKEN),
        bring,
    ),
)
