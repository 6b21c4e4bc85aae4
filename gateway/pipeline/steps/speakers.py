"""Tell who spoke when, without names. `data`: turns [{start_us, end_us, speaker}], speakers (how many).

A speaker is S1, S2, … in the order in which they are first heard, within this recording alone: the vectors of the
voices are compared and forgotten.
"""

from __future__ import annotations

import asyncio

import numpy as np

from gateway.entities import Annotation, Capture, Json, Kind
from gateway.errors import Skip
from gateway.pipeline.speakers import Floats, Span, groups, turns, windows
from gateway.pipeline.step import Context, Step

_AT_ONCE = 64
"""Windows a request."""


async def run(capture: Capture, ctx: Context) -> Annotation:
    voices = ctx.said("vad")
    if voices is None:
        raise Skip("it is not known where somebody speaks", code="no-voices")
    if not voices["speech"]:
        raise Skip("nobody speaks", code="no-speech")
    spoken = windows([Span(part["start_us"], part["end_us"]) for part in voices["speech"]])
    vectors, same = await _vectors(capture, ctx, [span for some in spoken for span in some])
    heard = [[span for span in some if span in vectors] for some in spoken]
    numbers = await asyncio.to_thread(groups, [vectors[span] for some in heard for span in some], same=same)
    found = turns(heard, numbers)
    if not found:
        raise Skip("too little is said to tell voices apart", code="no-voices")
    data = {
        "turns": [
            {"start_us": each.start_us, "end_us": each.end_us, "speaker": f"S{each.speaker + 1}"} for each in found
        ],
        "speakers": len(set(numbers)),
    }
    return Annotation(data=data, provenance=ctx.provenance())


async def _vectors(capture: Capture, ctx: Context, spans: list[Span]) -> tuple[dict[Span, Floats], float]:
    """Of each window that is long enough, and the cosine from which two voices are one."""
    found: dict[Span, Floats] = {}
    same = 1.0
    for at in range(0, len(spans), _AT_ONCE):
        some = spans[at : at + _AT_ONCE]
        params: Json = {"speech": [{"start_us": span.start_us, "end_us": span.end_us} for span in some]}
        answer = await ctx.infer("embed-speaker", capture, params)
        same = float(answer["same"])
        for span, body in zip(some, answer["vectors"], strict=True):
            if body:
                found[span] = np.frombuffer(body, "<f4").astype(np.float64)
    return found, same


STEP = Step(
    name="speakers",
    version=1,
    takes=(Kind.AUDIO,),
    run=run,
    label="Who spoke",
    after=("vad",),
    tasks=("embed-speaker",),
    lane="listen",
)
