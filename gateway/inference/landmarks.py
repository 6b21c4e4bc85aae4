"""Points of a picture that are found again after it was cut, turned, mirrored, made smaller or put on a screen.

Corners at several sizes (Harris and Stephens 1988), each described by the gradients around it in its own direction, as
SIFT does (Lowe 2004) with the square root of Arandjelović and Zisserman 2012. NumPy alone: some 300 points of a picture
of 256 px in about ten milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE_PX = 320
"""The longer side of what is looked at."""
_STEP = 2**0.5
_LEVELS = 5
_POINTS = (170, 120, 80, 60, 40)
"""The most of each level, the finest first."""
_LEAST_SIDE_PX = 24
_PATCH = 16
"""Samples on a side of a patch."""
_MARGIN = 6
_BINS = 8
_WEAKEST = 1e-3
"""Corners below this share of the strongest one are noise."""

Floats: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Points of one picture."""

    places: Floats
    """[n, 2]: x, y in pixels of `small`."""
    sizes: Floats
    """[n]: pixels of `small` to a sample."""
    angles: Floats
    """[n]: radians, where the gradients point."""
    words: Floats
    """[n, 128], of length 1."""


def small(image: Image.Image) -> Image.Image:
    """The picture's light, its longer side at most SIDE_PX."""
    ratio = min(1.0, SIDE_PX / max(image.size))
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    return image.resize(size, Image.Resampling.BOX, reducing_gap=None).convert("L")


def landmarks(light: Image.Image) -> Landmarks:
    """Of a picture as `small` makes it."""
    parts = []
    for level in range(_LEVELS):
        size_px = _STEP**level
        shape = (round(light.width / size_px), round(light.height / size_px))
        if min(shape) < _LEAST_SIDE_PX:
            break
        found = _of_level(np.asarray(light.resize(shape, Image.Resampling.BILINEAR), np.float32), _POINTS[level])
        ratio = (light.width / shape[0], light.height / shape[1])
        parts.append(
            Landmarks(
                ((found.places + 0.5) * np.array(ratio, np.float32) - 0.5).astype(np.float32),
                np.full(len(found.places), size_px, np.float32),
                found.angles,
                found.words,
            )
        )
    if not parts:
        nothing = np.zeros(0, np.float32)
        return Landmarks(np.zeros((0, 2), np.float32), nothing, nothing, np.zeros((0, 128), np.float32))
    return Landmarks(
        np.concatenate([each.places for each in parts]),
        np.concatenate([each.sizes for each in parts]),
        np.concatenate([each.angles for each in parts]),
        np.concatenate([each.words for each in parts]),
    )


def mirrored(words: Floats) -> Floats:
    """What the same places say in the mirror: the patch upside down along its own direction, and gradients with it."""
    cells = words.reshape(-1, 4, 4, _BINS)[:, ::-1]
    return np.ascontiguousarray(cells[..., (-np.arange(_BINS)) % _BINS]).reshape(len(words), -1)


def blurred(values: Floats) -> Floats:
    """With the binomial 1 4 6 4 1 in both directions."""
    padded = np.pad(values, 2, mode="edge")
    across = 6 * padded[:, 2:-2] + 4 * (padded[:, 1:-3] + padded[:, 3:-1]) + padded[:, :-4] + padded[:, 4:]
    down: Floats = 6 * across[2:-2] + 4 * (across[1:-3] + across[3:-1]) + across[:-4] + across[4:]
    return down / np.float32(256)


def gradients(values: Floats) -> tuple[Floats, Floats]:
    """Across and down, by central differences."""
    across, down = np.zeros_like(values), np.zeros_like(values)
    across[:, 1:-1] = (values[:, 2:] - values[:, :-2]) / 2
    down[1:-1] = (values[2:] - values[:-2]) / 2
    return across, down


def _of_level(values: Floats, most: int) -> Landmarks:
    across, down = gradients(blurred(values))
    places = _corners(across, down, most)
    coarse = blurred(blurred(across)), blurred(blurred(down))
    angles = _directions(coarse, places)
    return Landmarks(places, np.ones(len(places), np.float32), angles, _words((across, down), places, angles))


def _corners(across: Floats, down: Floats, most: int) -> Floats:
    xx, yy, xy = (blurred(one) for one in (across * across, down * down, across * down))
    strength = xx * yy - xy * xy - np.float32(0.05) * (xx + yy) ** 2
    inner = strength[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    if inner.size == 0:
        return np.zeros((0, 2), np.float32)
    peak = np.full(inner.shape, _WEAKEST * max(float(inner.max()), 1.0), np.float32)
    height, width = inner.shape
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            if dy or dx:
                top, left = _MARGIN + dy, _MARGIN + dx
                np.maximum(peak, strength[top : top + height, left : left + width], out=peak)
    rows, columns = np.nonzero(inner > peak)
    order = np.argsort(-inner[rows, columns])[: most * 3]
    rows, columns = rows[order] + _MARGIN, columns[order] + _MARGIN
    rows, columns = _spread(rows, columns, strength.shape, most)
    # Between the pixels, where the parabola through the neighbours has its top.
    places = np.stack([columns, rows], axis=1).astype(np.float32)
    middle = strength[rows, columns]
    for axis, (dy, dx) in enumerate(((0, 1), (1, 0))):
        before, behind = strength[rows - dy, columns - dx], strength[rows + dy, columns + dx]
        bend = before + behind - 2 * middle
        places[:, axis] += np.clip(np.where(bend < 0, (before - behind) / (2 * np.minimum(bend, -1e-6)), 0), -0.5, 0.5)
    return places


def _spread(
    rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], shape: tuple[int, ...], most: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The strongest, but from all over the picture: none of 6 × 6 fields gives more than its share while others can."""
    field = (rows * 6 // shape[0]) * 6 + columns * 6 // shape[1]
    order = np.argsort(field, kind="stable")
    starts = np.searchsorted(field[order], field[order])
    rank = np.empty(len(field), np.int64)
    rank[order] = np.arange(len(field)) - starts  # how many stronger ones its field has
    chosen = np.argsort(rank, kind="stable")[:most]
    return rows[chosen], columns[chosen]


def _directions(coarse: tuple[Floats, Floats], places: Floats) -> Floats:
    """The strongest of 36 directions among the gradients around each place, between the bins."""
    offsets = np.arange(-6, 7, dtype=np.float32)
    dx, dy = np.meshgrid(offsets, offsets)
    weight = np.exp(-(dx**2 + dy**2) / (2 * 3.0**2)).ravel()
    rows, columns = _clipped(
        places[:, 1, None] + dy.ravel()[None], places[:, 0, None] + dx.ravel()[None], coarse[0].shape
    )
    gx, gy = coarse[0][rows, columns], coarse[1][rows, columns]
    bins = np.floor(np.arctan2(gy, gx) * (36 / (2 * np.pi))).astype(np.int64) % 36
    count = len(places)
    flat = (np.arange(count)[:, None] * 36 + bins).ravel()
    strength = (np.hypot(gx, gy) * weight).ravel()
    histogram = np.bincount(flat, strength, count * 36).reshape(count, 36).astype(np.float64)
    for _ in range(2):
        histogram = (np.roll(histogram, 1, 1) + 2 * histogram + np.roll(histogram, -1, 1)) / 4
    best, each = histogram.argmax(1), np.arange(count)
    left, middle, right = histogram[each, best - 1], histogram[each, best], histogram[each, (best + 1) % 36]
    shift = (left - right) / np.minimum(2 * (left + right - 2 * middle), -1e-9)
    angles: Floats = ((best + 0.5 + np.clip(shift, -0.5, 0.5)) * (2 * np.pi / 36)).astype(np.float32)
    return angles


_AXIS = np.arange(_PATCH, dtype=np.float32) - (_PATCH - 1) / 2
_U, _V = (each.ravel() for each in np.meshgrid(_AXIS, _AXIS))
_FALL = np.exp(-(_U**2 + _V**2) / (2 * (_PATCH / 2) ** 2)).astype(np.float32)


def _shares() -> Floats:
    """[256, 16]: what each sample gives to each of 4 × 4 cells, bilinear."""
    centres = (np.arange(4) - 1.5) * _PATCH / 4
    near = [np.clip(1 - np.abs(each[:, None] - centres[None]) / (_PATCH / 4), 0, 1) for each in (_V, _U)]
    shares: Floats = (near[0][:, :, None] * near[1][:, None, :]).reshape(len(_U), 16).astype(np.float32)
    return shares


_SHARES = _shares()


def _words(fine: tuple[Floats, Floats], places: Floats, angles: Floats) -> Floats:
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    rows, columns = _clipped(
        places[:, 1, None] + sin * _U + cos * _V, places[:, 0, None] + cos * _U - sin * _V, fine[0].shape
    )
    gx, gy = fine[0][rows, columns], fine[1][rows, columns]
    along, aside = cos * gx + sin * gy, cos * gy - sin * gx
    turn = np.arctan2(aside, along) * np.float32(_BINS / (2 * np.pi))
    strength = np.hypot(along, aside) * _FALL
    low = np.floor(turn)
    high_share = turn - low
    bins = low.astype(np.int64) % _BINS
    spread = np.zeros((*bins.shape, _BINS), np.float32)
    np.put_along_axis(spread, bins[..., None], (strength * (1 - high_share))[..., None], 2)
    # The two bins of a sample differ, so the second is added to zero.
    np.put_along_axis(spread, ((bins + 1) % _BINS)[..., None], (strength * high_share)[..., None], 2)
    words = np.einsum("npb,pc->ncb", spread, _SHARES, optimize=True).reshape(len(places), 16 * _BINS)
    words /= np.maximum(np.linalg.norm(words, axis=1, keepdims=True), 1e-6)
    np.minimum(words, 0.2, out=words)
    words /= np.maximum(words.sum(1, keepdims=True), 1e-6)
    rooted: Floats = np.sqrt(words)
    return rooted


def _clipped(
    rows: Floats, columns: Floats, shape: tuple[int, ...]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return (
        np.clip(np.rint(rows), 0, shape[0] - 1).astype(np.int64),
        np.clip(np.rint(columns), 0, shape[1] - 1).astype(np.int64),
    )
