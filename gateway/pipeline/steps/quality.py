"""Measure a picture: light, sharpness, and a coarse grid by which changes are seen.

`data`: width_px, height_px, luma (mean, 0–255), contrast (its deviation), sharpness (variance of the Laplacian),
light (`night`, `dim`, `day`, `bright`), fault (`dark`, `covered`, `blurred`, `overexposed` or ""), phash (16 hex
digits), grid (base64 of 32 × 24 bytes of luma, row by row). Faults are told by our own network (docs/decisions/026),
and by rules, which know no `dark`, where its weights are broken.
"""

from __future__ import annotations

import base64

from gateway.entities import Annotation, Capture, Json, Kind
from gateway.pipeline.step import Context, Step

COVERED_CONTRAST = 6.0
BLURRED_SHARPNESS = 12.0
OVEREXPOSED_SHARE = 0.6
PAGE_SHARPNESS = 150.0
"""A page of print is as bright, and sharp."""


async def run(capture: Capture, ctx: Context) -> Annotation:
    seen = await ctx.infer("pixels", capture)
    data: dict[str, object] = {
        "width_px": seen["width_px"],
        "height_px": seen["height_px"],
        "luma": round(seen["luma_mean"], 1),
        "contrast": round(seen["luma_std"], 1),
        "sharpness": round(seen["sharpness"], 1),
        "light": light_of(seen),
        "fault": fault_of(seen),
        "phash": seen["phash"],
        "grid": base64.b64encode(seen["grid"]).decode(),
    }
    return Annotation(data=data, provenance=ctx.provenance())


def light_of(seen: Json) -> str:
    """A word for the light. Infra-red pictures are grey and dark at the rims: they count as night."""
    luma = seen["luma_mean"]
    if luma < 45 or (seen["colourfulness"] < 4 and luma < 95):
        return "night"
    if luma < 85:
        return "dim"
    return "bright" if luma > 205 else "day"


def fault_of(seen: Json) -> str:
    """What is wrong with the picture; empty when nothing is."""
    shares: Json | None = seen.get("faults")
    if shares is not None:
        worst = max(shares, key=lambda fault: float(shares[fault]))
        return worst if shares[worst] > 1 - sum(shares.values()) and any(shares.values()) else ""
    if seen["bright_share"] > OVEREXPOSED_SHARE and seen["sharpness"] < PAGE_SHARPNESS:
        return "overexposed"
    if seen["luma_std"] < COVERED_CONTRAST:
        return "covered"
    return "blurred" if seen["sharpness"] < BLURRED_SHARPNESS else ""


STEP = Step(
    name="quality", version=2, takes=(Kind.IMAGE,), run=run, label="Read the file", tasks=("pixels",), lane="look"
)
