"""Read printed text in a picture. `data`: lines [{text, score, x, y, w, h}] in reading order, partial."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

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
    told = believed([line["text"] for line in lines])
    lines = [line for line, is_believed in zip(lines, told, strict=True) if is_believed]
    text = "\n".join(line["text"].strip() for line in lines)
    return Annotation(data={"lines": lines, "partial": page["partial"]}, text=text, provenance=ctx.provenance())


def believed(texts: Sequence[str]) -> list[bool]:
    """For each line of a page: is it print? A reader of Chinese takes a plant in its pot for 业 and a lantern for 口,
    and is sure of it (.86 to .99 on the demo's porch): a sign that stands alone counts only where the page has more of
    its script, in a line of two or more.
    """
    written = any(sum(map(_is_sign, text)) > 1 for text in texts)
    return [written or not (len(text.strip()) == 1 and _is_sign(text.strip())) for text in texts]


def _is_sign(letter: str) -> bool:
    """A letter of a script without cases that stands for a syllable or a word: Chinese, Japanese, Korean."""
    return unicodedata.category(letter) == "Lo" and unicodedata.east_asian_width(letter) == "W"


STEP = Step(
    name="ocr",
    version=2,
    takes=(Kind.IMAGE,),
    run=run,
    label="Printed text",
    after=("quality", "dedupe"),
    tasks=("ocr",),
    key_frames_only=True,
    lane="read",
)
