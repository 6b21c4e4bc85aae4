"""Read printed text in a picture. `data`: lines [{text, score, x, y, w, h}] in reading order, partial."""

from __future__ import annotations

from gateway.entities import Annotation, Capture, Kind
from gateway.errors import Skip
from gateway.pipeline.step import Context, Step

SURE = 0.6
MIN_WIDTH_PX = 64


async def run(capture: Capture, ctx: Context) -> Annotation:
    if (capture.width_px or 0) < MIN_WIDTH_PX:
        raise Skip("too small to read", code="too-small")
    quality = ctx.said("quality")
    if quality is not None and quality["fault"] == "covered":
        raise Skip("the camera sees next to nothing", code="poor-picture")
    page = await ctx.infer("ocr", capture)
    lines = [line for line in page["lines"] if line["score"] >= SURE and line["text"].strip()]
    text = "\n".join(line["text"].strip() for line in lines)
    return Annotation(data={"lines": lines, "partial": page["partial"]}, text=text, provenance=ctx.provenance())


STEP = Step(
    name="ocr",
    version=1,
    takes=(Kind.IMAGE,),
    run=run,
    label="Printed text",
    after=("quality", "dedupe"),
    tasks=("ocr",),
    key_frames_only=True,
    lane="read",
)
