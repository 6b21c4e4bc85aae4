"""Turn how a picture looks into a vector, by which similar pictures are found. `data`: dimensions."""

from __future__ import annotations

from gateway.entities import Annotation, Capture, Embedding, Kind
from gateway.pipeline.step import Context, Step


async def run(capture: Capture, ctx: Context) -> Annotation:
    answer = await ctx.infer("embed-image", capture)
    used = ctx.provenance()
    # A model that is one half of a pair names the space that both halves share.
    space = f"{answer.get('space', used.model)}@{used.revision}/{used.preprocessing}"
    return Annotation(data={"dimensions": answer["dim"]}, embedding=Embedding(space, answer["vector"]), provenance=used)


STEP = Step(
    name="look",
    version=1,
    takes=(Kind.IMAGE,),
    run=run,
    label="Look",
    after=("dedupe",),
    tasks=("embed-image",),
    key_frames_only=True,
    lane="look",
)
