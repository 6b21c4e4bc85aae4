"""Write down what is said. A good recogniser where its model is, else a draft that says it is one.

`data`: words [{word, start_us, end_us, confidence}], confidence (0–1), draft (a low-confidence recogniser wrote it).
"""

from __future__ import annotations

from gateway.entities import Annotation, Capture, Kind
from gateway.errors import ModelMissing, Skip
from gateway.pipeline.step import Context, Step


async def run(capture: Capture, ctx: Context) -> Annotation:
    voices = ctx.said("vad")
    if voices is not None and not voices["speech"]:
        raise Skip("nobody speaks", code="no-speech")
    where = {"speech": voices["speech"]} if voices is not None else {}
    try:
        heard, draft = await ctx.infer("asr", capture, where), False
    except ModelMissing:
        heard, draft = await ctx.infer("asr-draft", capture, where), True
    if not heard["text"].strip():
        raise Skip("no words could be made out", code="no-words")
    data = {"words": heard["words"], "confidence": heard["confidence"], "draft": draft}
    return Annotation(data=data, transcript=heard["text"].strip(), provenance=ctx.provenance())


STEP = Step(
    name="asr",
    version=1,
    takes=(Kind.AUDIO,),
    run=run,
    label="Speech",
    after=("vad",),
    tasks=("asr", "asr-draft"),
    lane="listen",
)
