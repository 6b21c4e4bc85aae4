"""What of a picture tells that something is wrong with it: numbers that a small network judges.

Measured on a picture whose long side is at most 512 px, at four scales (each half of the one before) and on tiles of
32 px. Sharpness is told three ways that do not mistake a calm picture for a blurred one: how the gradient grows from
scale to scale (a blurred picture has no finer detail to lose), how steep the steepest step of a tile is beside the
tile's whole range, along four directions (motion leaves one of them steep), and the variance of the Laplacian. Colours
are not measured: those of made-up pictures are not the world's, and nothing learned of them holds.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from gateway.errors import ModelBroken
from gateway.inference.runtime import OnnxModel

FAULTS = ("", "dark", "blurred", "covered", "overexposed")
"""What the network tells apart, in the order of its output; nothing wrong is ""."""
TILE_PX = 32
LEAST_PX = 2 * TILE_PX
"""Smaller pictures are not judged."""
COUNT = 53
"""How many numbers `features` gives."""

_LEVELS = 4
_FLAT = 24
"""A tile that spans less has no step to measure."""

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def features(rgb: Bytes, luma: Bytes) -> Floats:
    """[COUNT] numbers of a picture [h, w, 3] and its luma [h, w], both sides at least LEAST_PX."""
    found = [
        *_light(luma),
        *_full(rgb[::2, ::2]),
        *_gradients(luma),
        *_steps(luma),
        *_tones(luma),
        *_fine(luma),
    ]
    return np.asarray(found, dtype=np.float32)


def judge(model: OnnxModel, numbers: Floats) -> Mapping[str, float]:
    """The network's share for each of FAULTS, which add up to 1. ModelBroken when its output has another shape."""
    (name,) = model.inputs
    shares = model.run({name: numbers[None]})[0].ravel()
    if len(shares) != len(FAULTS):
        raise ModelBroken("quality answers with another number of shares than there are faults")
    return {fault: float(share) for fault, share in zip(FAULTS, shares, strict=True)}


def _light(luma: Bytes) -> list[float]:
    """Percentiles, mean, deviation, and what lies at the ends."""
    counts = np.bincount(luma.ravel(), minlength=256) / luma.size
    below = np.cumsum(counts)
    levels = np.arange(256)
    mean = float(counts @ levels)
    deviation = float(np.sqrt(counts @ (levels - mean) ** 2))
    return [
        *(float(np.searchsorted(below, share)) / 255 for share in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)),
        mean / 255,
        deviation / 64,
        *(float(below[level - 1]) for level in (8, 16, 32, 64)),
        *(1 - float(below[level]) for level in (224, 240, 250)),
    ]


def _full(rgb: Bytes) -> list[float]:
    """Pixels of which one channel is full, and all."""
    return [float((rgb.max(axis=2) >= 253).mean()), float((rgb.min(axis=2) >= 250).mean())]


def _gradients(luma: Bytes) -> list[float]:
    """Mean gradients along both axes by scale, and how they grow: over all, and where most is to be seen."""
    found: list[float] = []
    means, strong = [], []
    level: Bytes | Floats = luma
    for _ in range(_LEVELS):
        across, down = _apart(level[:, 1:], level[:, :-1]), _apart(level[1:], level[:-1])
        found += [float(np.log1p(across.mean())), float(np.log1p(down.mean()))]
        both = across[:-1:2, ::2].astype(np.float32) + down[::2, :-1:2]
        means.append(float(both.mean()))
        strong.append(float(np.percentile(both, 97)))
        level = _halved(level)
    for values in (means, strong):
        found += [float(np.log((values[n + 1] + 0.5) / (values[n] + 0.5))) for n in range(_LEVELS - 1)]
    return found


def _steps(luma: Bytes) -> list[float]:
    """The steepest step of a tile beside its range: median and 90th percentile of the tiles that are not flat, from
    the least steep of four directions to the steepest; and how many tiles there are to tell it from."""
    span = (_tiled(luma, np.maximum) - _tiled(luma, np.minimum)).astype(np.float32)
    told = span > _FLAT
    inner = luma[1:-1, 1:-1]
    found = []
    for beside in (luma[1:-1, :-2], luma[:-2, 1:-1], luma[:-2, :-2], luma[:-2, 2:]):
        steps = np.zeros_like(luma)
        steps[1:-1, 1:-1] = _apart(inner, beside)
        steepest = _tiled(steps, np.maximum)[told] / span[told]
        found.append(np.percentile(steepest, (50, 90)) if steepest.size else np.zeros(2))
    ordered = np.sort(np.stack(found), axis=0)
    return [*ordered.ravel().tolist(), float(told.mean()), float((span > 60).mean())]


def _tones(luma: Bytes) -> list[float]:
    """How much the tiles hold, how their means differ, and the rim from the middle."""
    rows, columns = (side // TILE_PX for side in luma.shape)
    tiles = luma[: rows * TILE_PX : 2, : columns * TILE_PX : 2].astype(np.float32)
    half = TILE_PX // 2
    tiles = tiles.reshape(rows, half, columns, half).transpose(0, 2, 1, 3).reshape(rows, columns, half * half)
    means, held = tiles.mean(axis=2), np.log1p(np.percentile(tiles.std(axis=2), (10, 50, 90, 100)))
    rim = np.ones(means.shape, dtype=bool)
    rim[1:-1, 1:-1] = False
    middle = means[~rim].mean() if (~rim).any() else means.mean()
    low, high = float(means.min()), float(means.max())
    aside = float(means[rim].mean() - middle) / 64
    return [*held.tolist(), float(means.std()) / 64, low / 255, high / 255, (high - low) / 255, aside]


def _fine(luma: Bytes) -> list[float]:
    """The sensor's noise (median of a kernel that gradients do not move: Immerkær 1996) and the Laplacian's
    variance, at every other pixel of every other row."""
    rows, columns = ((side - 2) // 2 * 2 for side in luma.shape)
    at = [[luma[y : y + rows : 2, x : x + columns : 2].astype(np.int16) for x in range(3)] for y in range(3)]
    beside = at[0][1] + at[2][1] + at[1][0] + at[1][2]
    corners = at[0][0] + at[0][2] + at[2][0] + at[2][2]
    noise = np.median(np.abs(4 * at[1][1] - 2 * beside + corners))
    return [float(np.log1p(noise)), float(np.log1p((beside - 4 * at[1][1]).astype(np.float32).var()))]


def _apart(one: Bytes | Floats, other: Bytes | Floats) -> Bytes | Floats:
    """|one − other|, in bytes too."""
    apart: Bytes | Floats = np.maximum(one, other) - np.minimum(one, other)
    return apart


def _halved(level: Bytes | Floats) -> Floats:
    rows, columns = (side // 2 * 2 for side in level.shape)
    parts = [level[y:rows:2, x:columns:2].astype(np.float32) for y in (0, 1) for x in (0, 1)]
    half: Floats = (parts[0] + parts[1] + parts[2] + parts[3]) * np.float32(0.25)
    return half


def _tiled(values: Bytes, of: np.ufunc) -> Bytes:
    """The largest or the smallest of each tile."""
    rows, columns = (side // TILE_PX for side in values.shape)
    tiles = values[: rows * TILE_PX, : columns * TILE_PX].reshape(rows, TILE_PX, columns * TILE_PX)
    found: Bytes = of.reduce(of.reduce(tiles, axis=1).reshape(rows, columns, TILE_PX), axis=2)
    return found
