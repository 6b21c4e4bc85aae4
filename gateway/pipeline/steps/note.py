"""Take in the words of a written note: they are searched as they stand. `data`: characters."""

from __future__ import annotations

import asyncio

from gateway.entities import Annotation, Capture, Kind
from gateway.errors import Skip
from gateway.pipeline.step import Context, Step
from gateway.store.blobs import read_blob

MAX_CHARACTERS = 100_000


async def run(capture: Capture, ctx: Context) -> Annotation:
    if capture.blob is None:
        raise Skip("the original is no longer kept", code="original-gone")
    body = await asyncio.to_thread(read_blob, capture.blob)
    words = body.decode("utf-8", "replace")[:MAX_CHARACTERS]
    return Annotation(data={"characters": len(words)}, text=words)


STEP = Step(name="note", version=1, takes=(Kind.TEXT,), run=run, label="Notes", lane="words")
