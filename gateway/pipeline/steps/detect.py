"""Find objects. `data`: boxes [{label, score, x, y, w, h}], fractions of the picture, best first."""

from __future__ import annotations

from gateway.entities import Annotation, Capture, Kind
from gateway.pipeline.step import Context, Step

SURE = 0.5
"""Below it a box is kept as evidence and never said."""


async def run(capture: Capture, ctx: Context) -> Annotation:
    seen = await ctx.infer("detect", capture)
    boxes = sorted(seen["boxes"], key=lambda box: -box["score"])
    tags = dict.fromkeys(box["label"] for box in boxes if box["score"] >= SURE)
    return Annotation(data={"boxes": boxes}, tags=tuple(tags), provenance=ctx.provenance())


STEP = Step(
    name="detect",
    version=1,
    takes=(Kind.IMAGE,),
    run=run,
    label="Objects",
    after=("quality",),
    tasks=("detect",),
    lane="look",
)
