"""Live events: a browser follows the log of changes with a cursor, and is told what its viewer may see.

Each event's id is `<epoch>-<sequence>`: a browser that comes back sends the last one and misses nothing. `reset`
tells it to load everything anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from aiohttp import hdrs, web

from gateway.entities import Change, Cursor
from gateway.errors import Rejected, Retryable
from gateway.web.auth import still_in
from gateway.web.parts import Caller, Parts

_MOST_STREAMS = 64
_MOST_OF_ONE = 12
_SLOW_S = 20.0
_RETRY_MS = 3_000


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a stream says something."""

    heartbeat_s: float = 15.0
    least_s: float = 0.25
    """Changes closer together than this go out together."""


@dataclass(slots=True)
class Streams:
    """The streams that are open."""

    pace: Pace = field(default_factory=Pace)
    open: dict[asyncio.Task[object], str] = field(default_factory=dict)
    """The task that feeds it → the person who reads it."""
    requests: dict[asyncio.Task[object], web.Request] = field(default_factory=dict)
    """The task that feeds it → what asked for it: a browser that went on to another page is seen by its connection."""


STREAMS = web.AppKey("streams", Streams)


async def end_all(app: web.Application) -> None:
    """At shutdown: streams end, so that the rest can."""
    for task in list(app[STREAMS].open):
        task.cancel()


async def stream(request: web.Request, parts: Parts, caller: Caller, after: str) -> web.StreamResponse:
    """Follow the changes after an event's id (empty: from now) until the browser leaves, the sender is signed out or
    the house shuts down. Raises Rejected for an id that is not ours, Retryable when too many streams are open.
    """
    cursor = cursor_from(after)
    streams = request.app[STREAMS]
    with _one_more(streams, request, caller.viewer.user):
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "text/event-stream", "X-Accel-Buffering": "no"})
        await response.prepare(request)
        try:
            await _send(response, f"retry: {_RETRY_MS}\n\n")
            async for text in _told(parts, caller, cursor, streams.pace):
                await _send(response, text)
            await _send(response, "event: over\ndata: {}\n\n")
        except (ConnectionError, TimeoutError):
            pass  # the browser left, or does not read: it comes back with the id of the last event it saw
    return response


def cursor_from(text: str) -> Cursor | None:
    """An event's id; None for none. Raises Rejected when it is not one of ours."""
    if not text:
        return None
    epoch, dash, sequence = text[:100].rpartition("-")
    if not dash or not epoch.isalnum() or not (sequence.isascii() and sequence.isdigit()) or len(sequence) > 18:
        raise Rejected("this is not the id of an event", code="bad-cursor", hint="Leave it out to start from now")
    return Cursor(epoch, int(sequence))


def event(change: Change, epoch: str) -> str:
    """One change on the wire. It carries ids, never content."""
    data = json.dumps({"entity": change.entity, "id": change.entity_id, "operation": change.operation})
    return f"id: {epoch}-{change.sequence}\nevent: change\ndata: {data}\n\n"


async def _told(parts: Parts, caller: Caller, cursor: Cursor | None, pace: Pace) -> AsyncIterator[str]:
    """What to send, for as long as the caller may hear it."""
    memories, viewer = parts.memories, caller.viewer
    loop = asyncio.get_running_loop()
    spoke_s = 0.0
    while await still_in(caller, parts):
        commits, before = memories.commits, cursor
        changes, cursor, over = await memories.changes(viewer, cursor)
        text = _text(changes, cursor, over)
        if text or loop.time() - spoke_s >= pace.heartbeat_s:
            yield text or ": beat\n\n"
            spoke_s = loop.time()
        await asyncio.sleep(pace.least_s)
        if memories.commits == commits and (before is None or cursor == before):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pace.heartbeat_s):
                    await memories.wait_for_changes()


def _text(changes: list[Change], cursor: Cursor, over: bool) -> str:
    place = f"id: {cursor.epoch}-{cursor.sequence}\n"
    if over:
        return f"{place}event: reset\ndata: {{}}\n\n"
    if not changes:
        return ""
    return "".join(event(change, cursor.epoch) for change in changes) + f"{place}event: here\ndata: {{}}\n\n"


@contextlib.contextmanager
def _one_more(streams: Streams, request: web.Request, person: str) -> Iterator[None]:
    task = asyncio.current_task()
    assert task is not None
    for other, asked in list(streams.requests.items()):
        if asked.transport is None or asked.transport.is_closing():
            other.cancel()
            _forget(streams, other)
    if len(streams.open) >= _MOST_STREAMS or Counter(streams.open.values())[person] >= _MOST_OF_ONE:
        raise Retryable("too many live views are open", code="too-many-streams", hint="Close some", retry_ms=10_000)
    streams.open[task] = person
    streams.requests[task] = request
    try:
        yield
    finally:
        _forget(streams, task)


def _forget(streams: Streams, task: asyncio.Task[object]) -> None:
    streams.open.pop(task, None)
    streams.requests.pop(task, None)


async def _send(response: web.StreamResponse, text: str) -> None:
    async with asyncio.timeout(_SLOW_S):
        await response.write(text.encode())
