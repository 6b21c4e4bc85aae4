"""Live events."""

from __future__ import annotations

from aiohttp import web
from pydantic import Field

from gateway.web.route import Ask, Model, Nothing, Rules, reads
from gateway.web.sse import stream


class Since(Model):
    """Where to go on. The header Last-Event-ID, which browsers send by themselves, comes before it."""

    cursor: str = Field(default="", max_length=100, description="The id of the last event seen; empty: from now")


@reads("/events", query=Since, answer=Nothing, rules=Rules(media=("text/event-stream",)))
async def follow_events(ask: Ask[Since]) -> web.StreamResponse:
    """Follow what changes, as server-sent events: `change` with {entity, id, operation}, `reset` to start over, `over`
    when one was signed out. Only what one may see."""
    after = ask.request.headers.get("Last-Event-ID", "") or ask.given.cursor
    return await stream(ask.request, ask.parts, ask.caller, after)


ROUTES = (follow_events,)
