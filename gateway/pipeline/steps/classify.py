"""Name what a picture is mostly of. `data`: labels [{label, score}], best first."""

from __future__ import annotations

from gateway.entities import Annotation, Capture, Kind
from gateway.pipeline.step import Context, Step

SURE = 0.6


async def run(capture: Capture, ctx: Context) -> Annotation:
    seen = await ctx.infer("classify", capture)
    labels = sorted(seen["labels"], key=lambda label: -label["score"])
    tags = tuple(label["label"] for label in labels if label["score"] >= SURE)
    return Annotation(data={"labels": labels}, tags=tags, provenance=ctx.provenance())


STEP = Step(
    name="classify",
    version=1,
    takes=(Kind.IMAGE,),
    run=run,
    label="What it is of",
    after=("dedupe",),
    tasks=("classify",),
    key_frames_only=True,
    lane="look",
)
