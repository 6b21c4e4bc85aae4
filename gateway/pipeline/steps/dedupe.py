"""Is this picture a copy of an earlier one, and of which kind?

- `exact`: the same bytes.
- `static`: the same camera, and nothing moved since its last picture that stands. The two luma grids (32 × 24) are
  compared after the overall change of light (gain and offset, least squares) is taken out: no cell may differ by more
  than `CELL`, and no thing may be in one that is surely not in the other. So a small parcel keeps a frame, dusk does
  not.
- `burst`: the same camera within two seconds, with little change.
- `reencoded`: another file, the same picture: 64-bit pHash at a distance of at most 3, and the same grid.
- `edited`: the same, but the grids differ in places (text, a border).

Two different moments that matter are never called a copy: whatever is in doubt stands by itself.
`data`: compared_with (uid or null), cells (share of changed cells), distance (of pHash), new (labels that came or
went).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.entities import Annotation, Capture, Duplicate, DuplicateKind, Json, Kind
from gateway.pipeline.step import Before, Context, Step

CELL = 9.0
"""Luma by which a cell must differ, light taken out, to count as changed."""
BURST_US = 2_000_000
BURST_CELLS = 0.12
STATIC_US = 6 * 3_600_000_000
"""A still scene is begun anew after so long: a day has several frames even of an empty room."""
SURELY = 0.6
PHASH_BITS = 3
EDITED_CELLS = 0.25

Grid = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Change:
    """What lies between two pictures of one camera."""

    cells: float
    """Share of cells that changed beyond a change of light."""
    worst: float
    """The largest change of a cell, in luma."""
    labels: tuple[str, ...]
    """Things surely in one and not at all in the other."""


async def run(capture: Capture, ctx: Context) -> Annotation:
    seen = ctx.said("quality")
    twin = await ctx.same_bytes(capture)
    if twin is not None:
        evidence = {"bytes": capture.body_bytes}
        return Annotation(data={"compared_with": twin.uid}, duplicate=Duplicate(DuplicateKind.EXACT, twin.id, evidence))
    if seen is None:
        return Annotation(data={"compared_with": None})
    likeness = bytes.fromhex(seen["phash"])
    if capture.device is not None:
        standing = await ctx.before(capture, limit=1)
        if standing:
            found = _same_camera(capture, ctx, standing[0])
            if found.duplicate is not None:
                return found
            return Annotation(data=found.data, likeness=likeness)
    copy = _same_picture(seen, await ctx.alike(capture, likeness))
    if copy is not None:
        return Annotation(data=copy.evidence, duplicate=copy, likeness=likeness)
    return Annotation(data={"compared_with": None}, likeness=likeness)


def _same_camera(capture: Capture, ctx: Context, before: Before) -> Annotation:
    quality = before.notes.get("quality")
    seen = ctx.said("quality")
    if seen is None or quality is None or quality.skipped:
        return Annotation(data={"compared_with": None})
    earlier = quality.annotation.data
    change = changed(
        grid_of(earlier), grid_of(seen), _things(before.notes.get("detect")), _things(ctx.notes.get("detect"))
    )
    apart_us = capture.captured_at.at_us - before.capture.captured_at.at_us
    evidence: dict[str, object] = {
        "compared_with": before.capture.uid,
        "cells": round(change.cells, 4),
        "worst": round(change.worst, 1),
        "distance": distance(str(earlier["phash"]), str(seen["phash"])),
        "apart_us": apart_us,
        "new": list(change.labels),
    }
    kind = None
    if not change.labels and change.cells == 0 and apart_us <= STATIC_US:
        kind = DuplicateKind.STATIC
    elif not change.labels and apart_us <= BURST_US and change.cells <= BURST_CELLS:
        kind = DuplicateKind.BURST
    duplicate = Duplicate(kind, before.capture.id, evidence) if kind else None
    return Annotation(data=evidence, duplicate=duplicate)


def _same_picture(seen: Json, candidates: list[Before]) -> Duplicate | None:
    for other in candidates:
        quality = other.notes.get("quality")
        if quality is None or quality.skipped:
            continue
        earlier = quality.annotation.data
        bits = distance(str(earlier["phash"]), str(seen["phash"]))
        if bits > PHASH_BITS:
            continue
        change = changed(grid_of(earlier), grid_of(seen), {}, {})
        evidence = {"compared_with": other.capture.uid, "cells": round(change.cells, 4), "distance": bits}
        if change.cells == 0:
            return Duplicate(DuplicateKind.REENCODED, other.capture.id, evidence)
        if change.cells <= EDITED_CELLS:
            return Duplicate(DuplicateKind.EDITED, other.capture.id, evidence)
    return None


def changed(before: Grid, now: Grid, things_before: dict[str, float], things_now: dict[str, float]) -> Change:
    """Compare two luma grids (24 × 32, 0–255) and what was found in the pictures (label → best score).

    The light's change is fitted twice, the second time without the cells that changed, so that a person walking in
    does not pass for a change of light.
    """
    a, b = before.ravel(), now.ravel()
    keep = np.ones(a.size, dtype=bool)
    residual = b - a
    for _ in range(2):
        spread = float(np.var(a[keep]))
        gain = float(np.cov(a[keep], b[keep], bias=True)[0, 1] / spread) if spread > 1 else 1.0
        gain = min(max(gain, 0.25), 4.0)
        offset = float(np.mean(b[keep]) - gain * np.mean(a[keep]))
        residual = np.abs(b - (gain * a + offset))
        keep = residual < max(CELL, float(np.median(residual)) * 3)
        if keep.sum() < a.size // 2:
            keep = np.ones(a.size, dtype=bool)
    came = {label for label, score in things_now.items() if score >= SURELY and label not in things_before}
    went = {label for label, score in things_before.items() if score >= SURELY and label not in things_now}
    return Change(cells=float(np.mean(residual > CELL)), worst=float(residual.max()), labels=tuple(sorted(came | went)))


def grid_of(quality: Json) -> Grid:
    """The luma grid that `quality` keeps."""
    raw = np.frombuffer(base64.b64decode(quality["grid"]), dtype=np.uint8)
    return raw.astype(np.float32).reshape(24, 32)


def distance(one: str, other: str) -> int:
    """Bits in which two hashes (16 hex digits) differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def _things(note: object) -> dict[str, float]:
    data = getattr(getattr(note, "annotation", None), "data", {})
    best: dict[str, float] = {}
    for box in data.get("boxes", []):
        best[box["label"]] = max(best.get(box["label"], 0.0), box["score"])
    return best


STEP = Step(
    name="dedupe",
    version=1,
    takes=(Kind.IMAGE,),
    run=run,
    label="Copies",
    after=("quality", "detect"),
    lane="sort",
)
