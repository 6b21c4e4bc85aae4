"""Whether two pictures are the same but for what people do to pictures: what differs where the one covers the other.

They are laid over one another (`alignment`), the finer brought to the coarser. Light is fitted as a gain and an offset,
and what is left is told by cells and by solid spots. A copy leaves noise everywhere, and print leaves thin strokes;
another moment of the same place leaves a patch. NumPy and Pillow alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from gateway.inference.alignment import (
    BRIGHTEST,
    DARKEST,
    Floats,
    Mask,
    Matrix,
    aligned,
    inverse,
    laid_over,
    light_between,
    register,
    rescaled,
)
from gateway.inference.landmarks import Landmarks, blurred, landmarks, small

_CELL_PX = 8
_LEAST_CELLS = 24
_CELL, _SOLID = 5.0, 5.0
"""Luma by which a cell, and a spot, differ."""
_TIMES, _MOST_USUAL = 2.5, 15.0
"""… or so many times what is usual in these two, up to so much."""
_CONTRAST = 45.0
"""Deviation of the light of an ordinary picture."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A picture as it is compared."""

    light: Image.Image
    points: Landmarks


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two pictures laid over one another."""

    pairs: int
    """Landmarks that agree with the map."""
    share: float
    """Of the first picture that the second one covers, 0..1."""
    covered: float
    """Of the second picture that the first one covers."""
    scale: float
    """Pixels of the second to one of the first, both as `landmarks.small` makes them."""
    correlation: float
    """Of the light where they overlap, -1..1."""
    gain: float
    """Contrast of the first to one of the second."""
    noise: float
    """Mean of what is left, light taken out; in luma of a picture of ordinary contrast, as all below."""
    worst: float
    """The cell that differs most."""
    changed: float
    """Share of cells that differ."""
    patch: float
    """Share of the overlap in the largest patch of neighbouring cells that differ."""
    solid: float
    """Share of the overlap in which all pixels around differ the same way: a thing that came or went. Print has
    strokes too thin for it, and dark rims around bright letters."""
    turned: float
    """Degrees, 0..180."""
    mirrored: bool


@dataclass(frozen=True, slots=True)
class _Known:
    """What the map says by itself; as in `Overlap`."""

    pairs: int
    share: float
    covered: float
    scale: float
    turned: float
    mirrored: bool


def looked(image: Image.Image) -> Looked:
    """Make a picture ready for comparing: some ten milliseconds."""
    light = small(image)
    return Looked(light, landmarks(light))


def overlap(one: Looked, other: Looked) -> Overlap | None:
    """None where nothing of the one is found in the other. Some tens of milliseconds."""
    found = register(one.points, other.points)
    if found is None:
        return None
    pairs, matrix = found
    return _compared(one.light, other.light, matrix, pairs)


def _compared(one: Image.Image, other: Image.Image, matrix: Matrix, pairs: int) -> Overlap | None:
    """Lay the finer over the coarser and measure."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    # `to` is the picture whose pixels are kept; the map goes from its places to places of `of`.
    to, of, there = (one, other, matrix) if scale >= 1 else (other, one, inverse(matrix))
    fine = max(scale, 1 / scale)
    if fine > 1.25:
        shape = (max(8, round(of.width / fine)), max(8, round(of.height / fine)))
        ratio = np.array([shape[0] / of.width, shape[1] / of.height])
        of = of.resize(shape, Image.Resampling.BOX)
        there = rescaled(there, np.ones(2), ratio)
    base = np.asarray(to, np.float32)
    exact = aligned(to, of, there)
    if exact is None:
        return None
    moved, inside = laid_over(of, exact, to.size)
    if inside.sum() < _LEAST_CELLS * _CELL_PX**2 // 2:
        return None
    shares = (
        float(inside.mean()),
        abs(float(np.linalg.det(exact[:, :2]))) * float(inside.sum()) / (of.width * of.height),
    )
    share, covered = shares if scale >= 1 else shares[::-1]
    turned, mirrored = _turn(matrix)
    known = _Known(pairs, min(1.0, share), min(1.0, covered), scale, turned, mirrored)
    return _difference(base, moved, inside, known)


def _turn(matrix: Matrix) -> tuple[float, bool]:
    """Degrees between the two pictures, 0..180, and whether the one is in the mirror."""
    mirror = bool(np.linalg.det(matrix[:, :2]) < 0)
    return abs(float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))), mirror


def _difference(base: Floats, moved: Floats, inside: Mask, known: _Known) -> Overlap | None:
    light = light_between(base[inside], moved[inside])
    left, rough = _left(base, moved, inside, light)
    rows, columns = base.shape[0] // _CELL_PX, base.shape[1] // _CELL_PX
    cut = (slice(0, rows * _CELL_PX), slice(0, columns * _CELL_PX))

    def cells(values: Floats) -> Floats:
        told: Floats = values[cut].reshape(rows, _CELL_PX, columns, _CELL_PX).mean((1, 3))
        return told

    weight = cells(inside.astype(np.float32))
    whole = weight > 0.6
    if whole.sum() < _LEAST_CELLS:
        return None
    # What is told of a picture with little contrast tells as much.
    least = min(1.0, max(0.2, float(base[inside].std()) / _CONTRAST))
    mean = np.abs(cells(left)) / np.maximum(weight, 0.1) / least
    # A poor save leaves something everywhere; a thing that came or went is told against that.
    usual = min(_MOST_USUAL, _TIMES * float(np.quantile(np.abs(left[inside]), 0.7)) / least)
    differs = whole & (mean > max(_CELL, usual))
    b, m = base[inside], moved[inside]
    area = float(inside.sum())
    return Overlap(
        pairs=known.pairs,
        share=known.share,
        covered=known.covered,
        scale=known.scale,
        correlation=float(np.corrcoef(b, m)[0, 1]) if b.std() > 0.5 and m.std() > 0.5 else 0.0,
        gain=light[0] if known.scale >= 1 else 1 / light[0],
        noise=float(np.abs(left[inside]).mean() / least),
        worst=float(mean[whole].max()),
        changed=float(differs.sum() / whole.sum()),
        patch=float(_largest(differs) / whole.sum()),
        solid=_solid(left / least, np.maximum(rough / least, max(_SOLID, usual))) / area,
        turned=known.turned,
        mirrored=known.mirrored,
    )


def _left(base: Floats, moved: Floats, inside: Mask, light: tuple[float, float]) -> tuple[Floats, Floats]:
    """What of `base` the other picture does not explain, light and noise taken out, and how rough it is there.

    It is 0 wherever `base` lies between the darkest and the brightest of the neighbouring pixels, so that an edge may
    be half a pixel beside itself. Rough: the deviation among neighbours of the plain difference.
    """
    plain = base - (light[0] * moved + light[1])
    rough = np.sqrt(np.maximum(blurred(plain * plain) - blurred(plain) ** 2, 0))
    base, moved = blurred(base), blurred(moved)
    lit = light[0] * moved + light[1]
    low, high = (np.clip(_ranked(lit, lowest=lowest), 0, 255) for lowest in (True, False))
    # What was too bright or too dark for the other picture may be anything beyond.
    high = np.where(moved >= BRIGHTEST, 255, high)
    low = np.where(moved <= DARKEST, 0, low)
    left: Floats = np.where(inside, base - np.clip(base, low, high), 0).astype(np.float32)
    return left, rough


def _ranked(picture: Floats, *, lowest: bool) -> Floats:
    """The lowest or highest of each pixel and its eight neighbours."""
    values = np.pad(picture, 1, mode="edge")
    pick = np.minimum if lowest else np.maximum
    across = pick(pick(values[:, :-2], values[:, 1:-1]), values[:, 2:])
    down: Floats = pick(pick(across[:-2], across[1:-1]), across[2:])
    return down


def _solid(left: Floats, least: Floats) -> float:
    """Pixels in whose whole neighbourhood of 5 × 5 the one picture is brighter by `least`, or darker."""
    count = 0
    for mask in (left > least, left < -least):
        if mask.any():
            across = mask[:, :-4] & mask[:, 1:-3] & mask[:, 2:-2] & mask[:, 3:-1] & mask[:, 4:]
            count += int((across[:-4] & across[1:-3] & across[2:-2] & across[3:-1] & across[4:]).sum())
    return float(count)


def _largest(cells: Mask) -> int:
    """How many cells the largest patch of neighbours has, corners too."""
    left = {(int(row), int(column)) for row, column in np.argwhere(cells)}
    most = 0
    while left:
        front = [left.pop()]
        count = 1
        while front:
            row, column = front.pop()
            for near in ((row + dy, column + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)):
                if near in left:
                    left.remove(near)
                    front.append(near)
                    count += 1
        most = max(most, count)
    return most
