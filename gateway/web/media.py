"""The bytes of a memory: the original, or a picture made smaller.

Smaller pictures are made by a worker process and kept in memory alone: on the disk only sealed blobs lie.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from dataclasses import dataclass

from aiohttp import hdrs, web

from gateway.entities import BlobRef, Priority
from gateway.errors import HearthlogError, NotFound, Rejected
from gateway.inference.workers import Workers
from gateway.store.blobs import read_blob

CACHE_BYTES = 32 * 1024 * 1024
THUMB_PX = 320
_LEAST_PX = 16
_MOST_PX = 1_920
_STEPS_PX = (64, 96, 160, 240, 320, 480, 640, 960, 1_280, 1_920)
"""Sizes that are made: what is asked for is rounded up, so that few are kept."""
SHOWN: tuple[str, ...] = (
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/gif",
    "audio/wav",
    "audio/mpeg",
    "audio/ogg",
    "audio/flac",
    "audio/mp4",
    "video/mp4",
    "video/webm",
    "text/plain",
)
"""Media types that a browser may show. Anything else is offered as a file of unknown kind."""
_EXTENSIONS = {
    "image/jpeg": "jpg",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "text/plain": "txt",
}
_CSP = "default-src 'none'; sandbox"
_KEEP = "private, max-age=86400"
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which bytes."""

    width_px: int | None
    """None: the original."""


class Thumbs:
    """Pictures made smaller, the ones used last, up to `CACHE_BYTES`. Two that want the same one wait for one work."""

    def __init__(self, workers: Workers, limit_bytes: int = CACHE_BYTES) -> None:
        self._workers = workers
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[tuple[bytes, int], bytes] = OrderedDict()
        self._kept_bytes = 0
        self._turns: dict[tuple[bytes, int], asyncio.Lock] = {}

    async def get(self, blob: BlobRef, width_px: int) -> bytes:
        """A JPEG at most that wide. Raises what a worker raises (Unreadable, WorkerFailed, NotFound…)."""
        key = (blob.sha256, width_px)
        turn = self._turns.setdefault(key, asyncio.Lock())
        try:
            async with turn:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
                reply = await self._workers.run(
                    "thumbnail", blob, params={"width_px": width_px}, priority=Priority.PERSON
                )
                jpeg = reply.data.get("jpeg")
                if not isinstance(jpeg, bytes):
                    raise HearthlogError("the worker made no picture", code="bad-reply")
                self._keep(key, jpeg)
                return jpeg
        finally:
            if not turn.locked():
                self._turns.pop(key, None)

    def _keep(self, key: tuple[bytes, int], jpeg: bytes) -> None:
        if len(jpeg) > self._limit_bytes // 8:
            return
        self._kept[key] = jpeg
        self._kept_bytes += len(jpeg)
        while self._kept_bytes > self._limit_bytes:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1])


THUMBS = web.AppKey("thumbs", Thumbs)


def asked_from(size: str) -> Asked:
    """`original`, `thumb` or a width in pixels. Raises Rejected."""
    if size in ("", "original"):
        return Asked(None)
    if size == "thumb":
        return Asked(THUMB_PX)
    if size.isascii() and size.isdigit() and _LEAST_PX <= int(size[:6]) <= _MOST_PX:
        return Asked(next(step for step in _STEPS_PX if step >= int(size)))
    raise Rejected("there is no such size", code="bad-size", hint=f"original, thumb, or {_LEAST_PX} to {_MOST_PX}")


def tag_of(blob: BlobRef, asked: Asked) -> str:
    """The ETag: the content's hash and the size."""
    return f'"{blob.sha256.hex()[:32]}-{asked.width_px or 0}"'


async def respond(request: web.Request, uid: str, blob: BlobRef, asked: Asked) -> web.StreamResponse:
    """The bytes, with what keeps a hostile file harmless in a browser. Raises NotFound (`no-picture`) when a smaller
    picture is asked of something else, and what reading and shrinking raise."""
    if asked.width_px is not None and not blob.media_type.startswith("image/"):
        raise NotFound("this memory has no picture", code="no-picture")
    tag = tag_of(blob, asked)
    headers = {
        hdrs.ETAG: tag,
        hdrs.CACHE_CONTROL: _KEEP,
        "Content-Security-Policy": _CSP,
        hdrs.VARY: "Cookie, Authorization",
    }
    if tag in request.headers.get(hdrs.IF_NONE_MATCH, ""):
        return web.Response(status=304, headers=headers)
    if asked.width_px is not None:
        body = await request.app[THUMBS].get(blob, asked.width_px)
        return web.Response(body=body, headers={**headers, hdrs.CONTENT_TYPE: "image/jpeg"})
    body = await asyncio.to_thread(read_blob, blob)
    media_type = blob.media_type if blob.media_type in SHOWN else "application/octet-stream"
    headers[hdrs.CONTENT_TYPE] = "text/plain; charset=utf-8" if media_type == "text/plain" else media_type
    headers[hdrs.ACCEPT_RANGES] = "bytes"
    headers[hdrs.CONTENT_DISPOSITION] = _disposition(uid, media_type)
    found = _range(request.headers.get(hdrs.RANGE, ""), len(body))
    if found is None:
        return web.Response(body=body, headers=headers)
    start, stop = found
    headers[hdrs.CONTENT_RANGE] = f"bytes {start}-{stop - 1}/{len(body)}"
    return web.Response(status=206, body=body[start:stop], headers=headers)


def _disposition(uid: str, media_type: str) -> str:
    """A name made of our own id: the file's own name is hostile text."""
    kind, _, sub = media_type.partition("/")
    extension = _EXTENSIONS.get(media_type, sub if kind in ("image", "audio", "video") else "bin")
    how = "inline" if media_type in SHOWN else "attachment"
    return f'{how}; filename="hearthlog-{uid}.{extension}"'


def _range(header: str, length: int) -> tuple[int, int] | None:
    """[start, stop) of a single range; None to send everything. Raises Rejected (`range`) when it lies outside."""
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(0, length - int(last)), length
    else:
        start, stop = int(first), min(length, int(last) + 1 if last else length)
    if start >= stop:
        raise Rejected("the range lies outside", code="range")
    return start, stop
