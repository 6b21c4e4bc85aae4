"""Turn what was said of a capture into a vector of its meaning. `data`: words (how many went in)."""

from __future__ import annotations

from gateway.entities import Annotation, Capture, Embedding, Kind
from gateway.errors import Skip
from gateway.pipeline.step import Context, Step

_ORDER = ("caption", "ocr", "asr", "sound", "note", "classify")


async def run(capture: Capture, ctx: Context) -> Annotation:
    words = text_of(ctx)
    if not words:
        raise Skip("nothing was said of it", code="no-words")
    answer = await ctx.embed(words)
    used = ctx.provenance()
    space = f"{used.model}@{used.revision}/{used.preprocessing}"
    return Annotation(
        data={"words": len(words.split())}, embedding=Embedding(space, answer["vectors"][0]), provenance=used
    )


def text_of(ctx: Context) -> str:
    """Caption, print, speech and labels, each once, in the order of their weight."""
    parts: list[str] = []
    for name in _ORDER:
        note = ctx.notes.get(name)
        if note is None:
            continue
        found = note.annotation
        said = (found.caption, found.text, found.transcript, ", ".join(found.tags))
        parts += [part for part in said if part and part not in parts]
    return ". ".join(parts)[:4_000]


STEP = Step(
    name="embed",
    version=1,
    takes=(Kind.IMAGE, Kind.AUDIO, Kind.TEXT),
    run=run,
    label="Meaning",
    after=_ORDER,
    tasks=("embed-text",),
    key_frames_only=True,
    lane="words",
)
