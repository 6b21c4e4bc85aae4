"""Is this picture a copy of an earlier one, and of which kind?

- `exact`: the same bytes.
- `static`: the same camera, and nothing moved since its last picture that stands. The two luma grids (32 × 24) are
  compared after the overall change of light (gain and offset, least squares) is taken out: no cell may differ by more
  than `CELL`, and no thing may be in one that is surely not in the other. So a small parcel keeps a frame, dusk does
  not. Of pictures that people bring: whole and alike, at two moments by their own clocks.
- `burst`: the same camera within two seconds, with little change; of pictures that people bring, by their own clocks.
- `reencoded`: another file, the same picture, whole and upright.
- `edited`: a part of it, or turned, mirrored, framed, written on, in other light, in a screenshot.

What people bring is looked for twice: by 64-bit pHash, and by the copy vector; each names the nearest few. Each that
was found is laid over the picture, and what differs decides (`doubt`); where that cannot be done, hash and grid do.
Time is evidence: of two pictures whose own clocks say different moments much less may differ.
Without the copy vector's model only the hash names candidates, and `data` says so.

Two different moments that matter are never called a copy: whatever is in doubt stands by itself.
`data`: compared_with (uid or null), cells (share of changed cells), distance (of pHash), new (labels that came or
went); of pictures laid over one another also overlap (share of this one), of_original, landmarks, doubt, turned
(degrees), mirrored, apart_us; without (the task whose model was missing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.entities import Annotation, Capture, Duplicate, DuplicateKind, Embedding, Json, Kind, TimeSource
from gateway.errors import ModelBroken, ModelMissing, NotFound, Unreadable
from gateway.inference.worker import blob_to_map
from gateway.pipeline.step import Context, Known, Step
from gateway.pipeline.turn import Grid, grid_of, turned

CELL = 9.0
"""Luma by which a cell must differ, light taken out, to count as changed."""
BURST_US = 2_000_000
BURST_CELLS = 0.12
STATIC_US = 6 * 3_600_000_000
"""A still scene is begun anew after so long: a day has several frames even of an empty room."""
SURELY = 0.6
PHASH_BITS = 3
EDITED_CELLS = 0.25
MOST_DOUBT = 4.0
"""Of a copy. Set on homes and pictures made for it (models/train/copy_limits.py), never on those that measure."""
_OTHER_TIME, _SAME_TIME = 0.25, 1.5
"""Times `MOST_DOUBT`, where two clocks say different moments, or the same one."""
_WHOLE = 0.93
_SAME_VIEW = 0.8
_SAME_LIGHT = 0.08
_UPRIGHT = 2.0
"""Degrees."""
_OWN_CLOCK = frozenset({TimeSource.EXIF, TimeSource.DEVICE_SYNCED})

_VECTOR, _OVERLAP = "copy-vector", "overlap"
_HASHED, _NEAR_BITS = 3, 12
"""Candidates by hash that are laid over the picture, beside those by vector, and how far their hashes may be."""


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
    here = Known(capture, ctx.notes)
    standing = await ctx.before(capture, limit=1) if capture.device is not None else []
    found = _same_camera(here, standing[0]) if standing else Annotation(data={"compared_with": None})
    if found.duplicate is not None:
        return found
    vector = await _vector(capture, ctx)
    copy = None if standing else await _copy_of(here, ctx, vector)
    data = found.data if copy is None else copy.evidence
    if vector is None and capture.blob is not None:
        data = {**data, "without": _VECTOR}
    return Annotation(
        data=data,
        duplicate=copy,
        likeness=likeness,
        copy_vector=vector,
        again=await _overtook(here, ctx, likeness, vector),
        provenance=ctx.provenance(),
    )


async def _vector(capture: Capture, ctx: Context) -> Embedding | None:
    """None without the model, or an original to show it."""
    if capture.blob is None:
        return None
    try:
        answer = await ctx.infer(_VECTOR, capture)
    except (ModelMissing, ModelBroken):
        return None  # the hash does not need it
    used = ctx.used[-1]
    return Embedding(f"{used.model}@{used.revision}/{used.preprocessing}", answer["vector"])


async def _overtook(here: Known, ctx: Context, likeness: bytes, vector: Embedding | None) -> tuple[int, ...]:
    """Later pictures that were judged before this one could be found, and repeat it, or show that their camera was
    turned after it: they are to be judged again.

    One of two that pass each other always sees the other so: this lane has one place, so that whoever is judged second
    finds what was said of the first.
    """
    found = []
    for later in await ctx.overtook(here.capture, likeness, vector):
        if later.capture.device is not None:
            said = _same_camera(later, here)
            is_wrong = said.duplicate is not None or bool(said.data.get("camera_turned"))
        else:
            try:
                is_wrong = await _named(later, ctx, [here.capture], [here]) is not None
            except (NotFound, Unreadable):
                continue  # it went since: that is nothing to this one
        if is_wrong:
            found.append(later.capture.id)
    return tuple(found)


async def _copy_of(here: Known, ctx: Context, vector: Embedding | None) -> Duplicate | None:
    """The earlier picture that it is a copy of."""
    seen = _measured(here) or {}
    alike = await ctx.alike(here.capture, bytes.fromhex(seen["phash"]))
    measured = [(each, found) for each in alike if (found := _measured(each)) is not None]
    near = nearest_by_hash(str(seen["phash"]), [str(found["phash"]) for _, found in measured])
    hashed = [measured[place][0] for place in near]
    others = await ctx.near(here.capture, vector, also=[each.capture.id for each in hashed])
    return await _named(here, ctx, others, hashed)


async def _named(here: Known, ctx: Context, others: list[Capture], hashed: list[Known]) -> Duplicate | None:
    """The one of `others` that it is a copy of, with the least doubt; in one burst with it otherwise. What could not be
    looked at is told by its hash, where it is of `hashed`."""
    capture = here.capture
    laid = await _laid_over(capture, ctx, others)
    judged = []
    for other in others:
        over = laid.get(other.id)
        if over is not None:
            judged.append((doubt(over) / _patience(capture, other), other, over))
    for doubted, other, over in sorted(judged, key=lambda each: each[0]):
        kind = kind_of(over, _apart_us(capture, other)) if doubted <= MOST_DOUBT else None
        if kind is not None:
            return Duplicate(kind, other.id, _evidence(capture, other, over, doubted))
    for doubted, other, over in judged:
        if _burst(capture, other, over):
            return Duplicate(DuplicateKind.BURST, other.id, _evidence(capture, other, over, doubted))
    # What could not be laid over one another, for want of an original or of anything to hold on to.
    for each in hashed:
        one, two = _measured(each), _measured(here)
        said = by_hash(one, two) if one and two and laid.get(each.capture.id) is None else None
        if said is not None:
            return Duplicate(said[0], each.capture.id, {"compared_with": each.capture.uid, **said[1]})
    return None


async def _laid_over(capture: Capture, ctx: Context, others: list[Capture]) -> dict[int, Json | None]:
    """By capture; nothing where it cannot be asked."""
    kept = [(other.id, blob_to_map(other.blob)) for other in others if other.blob is not None]
    if capture.blob is None or not kept:
        return {}
    try:
        answer = await ctx.infer(_OVERLAP, capture, {"others": [blob for _, blob in kept]})
    except (ModelMissing, ModelBroken):
        return {}
    return {number: over for (number, _), over in zip(kept, answer["found"], strict=False)}


def nearest_by_hash(phash: str, others: Sequence[str]) -> list[int]:
    """Places of the few whose hashes are near enough to look at, the nearest first."""
    bits = [distance(phash, other) for other in others]
    near = [place for place in range(len(bits)) if bits[place] <= _NEAR_BITS]
    return sorted(near, key=lambda place: bits[place])[:_HASHED]


def by_hash(earlier: Json, seen: Json) -> tuple[DuplicateKind, Json] | None:
    """What hash and grid say of two pictures, as `quality` measured them: the kind and the evidence, if a copy."""
    bits = distance(str(earlier["phash"]), str(seen["phash"]))
    if bits > PHASH_BITS:
        return None
    change = changed(grid_of(earlier), grid_of(seen), {}, {})
    if change.cells > EDITED_CELLS:
        return None
    kind = DuplicateKind.REENCODED if change.cells == 0 else DuplicateKind.EDITED
    return kind, {"cells": round(change.cells, 4), "distance": bits}


def doubt(laid: Json) -> float:
    """How much speaks against a picture being a copy of the one that it was laid over: 0 is nothing.

    A thing that came or went weighs most: a patch of cells that differ a little, or a solid spot. Print on a picture
    differs much in thin strokes: it weighs little. `laid` holds the fields of `inference.overlap.Overlap`.
    """
    faint_patch = 100 * laid["patch"] * float(np.exp(-laid["worst"] / 25))
    unlike = 1 - laid["correlation"]
    return float(
        1e4 * laid["solid"]
        + 2 * faint_patch
        + laid["noise"] / 2
        + 10 * unlike
        + 20 * max(0.0, unlike - 0.2)
        + max(0, 10 - laid["pairs"])
    )


def kind_of(laid: Json, apart_us: int | None) -> DuplicateKind | None:
    """Of a copy by what was done to it; `apart_us` by the pictures' own clocks. What two clocks put at two moments, and
    nothing was done to, is one still scene; None where that would be begun anew."""
    whole = min(laid["share"], laid["covered"]) >= _WHOLE
    if not whole or laid["mirrored"] or laid["turned"] >= _UPRIGHT:
        return DuplicateKind.EDITED
    if apart_us is not None and apart_us > BURST_US:
        return DuplicateKind.STATIC if apart_us <= STATIC_US else None
    untouched = laid["changed"] == 0 and abs(laid["gain"] - 1) <= _SAME_LIGHT
    return DuplicateKind.REENCODED if untouched else DuplicateKind.EDITED


def _patience(capture: Capture, other: Capture) -> float:
    """What two clocks say, as a factor: two moments are two pictures, unless they are alike to the last pixel."""
    apart_us = _apart_us(capture, other)
    if apart_us is None:
        return 1.0
    return _SAME_TIME if apart_us <= BURST_US else _OTHER_TIME


def _apart_us(capture: Capture, other: Capture) -> int | None:
    """Between two moments that the devices which took the pictures knew; None where one of them did not."""
    times = capture.captured_at, other.captured_at
    if any(each.source not in _OWN_CLOCK for each in times):
        return None
    return abs(times[0].at_us - times[1].at_us)


def _burst(capture: Capture, other: Capture, laid: Json) -> bool:
    apart_us = _apart_us(capture, other)
    if apart_us is None or apart_us > BURST_US or laid["correlation"] < _SAME_VIEW:
        return False
    return bool(laid["changed"] <= BURST_CELLS and min(laid["share"], laid["covered"]) >= _WHOLE)


def _evidence(capture: Capture, other: Capture, laid: Json, doubted: float) -> Json:
    evidence: dict[str, object] = {
        "compared_with": other.uid,
        "cells": round(laid["changed"], 4),
        "overlap": round(laid["share"], 3),
        "of_original": round(laid["covered"], 3),
        "landmarks": laid["pairs"],
        "doubt": round(doubted, 2),
        "turned": round(laid["turned"]),
        "mirrored": laid["mirrored"],
    }
    apart_us = _apart_us(capture, other)
    return evidence if apart_us is None else {**evidence, "apart_us": apart_us}


def _same_camera(here: Known, before: Known) -> Annotation:
    capture, earlier, seen = here.capture, _measured(before), _measured(here)
    if seen is None or earlier is None:
        return Annotation(data={"compared_with": None})
    change = changed(
        grid_of(earlier), grid_of(seen), _things(before.notes.get("detect")), _things(here.notes.get("detect"))
    )
    apart_us = capture.captured_at.at_us - before.capture.captured_at.at_us
    evidence: dict[str, object] = {
        "compared_with": before.capture.uid,
        "cells": round(change.cells, 4),
        "worst": round(change.worst, 1),
        "distance": distance(str(earlier["phash"]), str(seen["phash"])),
        "apart_us": apart_us,
        "new": list(change.labels),
        "camera_turned": turned(grid_of(earlier), grid_of(seen)),
    }
    kind = None
    if not change.labels and change.cells == 0 and apart_us <= STATIC_US:
        kind = DuplicateKind.STATIC
    elif not change.labels and apart_us <= BURST_US and change.cells <= BURST_CELLS:
        kind = DuplicateKind.BURST
    duplicate = Duplicate(kind, before.capture.id, evidence) if kind else None
    return Annotation(data=evidence, duplicate=duplicate)


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


def distance(one: str, other: str) -> int:
    """Bits in which two hashes (16 hex digits) differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def _measured(picture: Known) -> Json | None:
    note = picture.notes.get("quality")
    return None if note is None or note.skipped else note.annotation.data


def _things(note: object) -> dict[str, float]:
    data = getattr(getattr(note, "annotation", None), "data", {})
    best: dict[str, float] = {}
    for box in data.get("boxes", []):
        best[box["label"]] = max(best.get(box["label"], 0.0), box["score"])
    return best


STEP = Step(
    name="dedupe",
    version=2,
    takes=(Kind.IMAGE,),
    run=run,
    label="Duplicates",
    after=("quality", "detect"),
    tasks=(_VECTOR, _OVERLAP),
    lane="sort",
)
