"""Where two pictures meet: the affine map that takes places of the one to places of the other.

Landmarks are paired (nearest both ways, or by Lowe's ratio), as they are and mirrored. Each pair names a turn, a size
and a shift by itself; the one that most other pairs agree with is taken and fitted to them. Then the pixels have the
last word (Lucas and Kanade 1981, with gain and offset; Baker and Matthews 2004).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from gateway.inference.landmarks import Landmarks, blurred, gradients, mirrored

_RATIO = 0.92
_NEAR_PX = 14.0
_PAIRS = 160
_ROUGH_PX = 16.0
_TOLERANCES_PX = (9.0, 5.0, 3.0)
_LEAST_PAIRS = 7
_ROUNDS = 6
_SIDES_PX = (96, 160)
_SAMPLES = 2_500
_SURE_PAIRS = 45
DARKEST, BRIGHTEST = 8.0, 246.0
"""Beyond it a picture does not tell how dark or bright something was."""

Floats: TypeAlias = npt.NDArray[np.float32]
Mask: TypeAlias = npt.NDArray[np.bool_]
Matrix: TypeAlias = npt.NDArray[np.float64]
"""[2, 3]: x' = M · (x, y, 1). Places are counted from the middle of the first pixel."""


def register(one: Landmarks, other: Landmarks) -> tuple[int, Matrix] | None:
    """How many landmarks agree, and the map from places of `one` to places of `other`. None where too few do."""
    best: tuple[int, Matrix] | None = None
    for mirror in (False, True):
        found = _register(one, other, mirror=mirror)
        if found is not None and (best is None or found[0] > best[0]):
            best = found
        if best is not None and best[0] >= _SURE_PAIRS:
            break
    return best


def aligned(to: Image.Image, of: Image.Image, matrix: Matrix) -> Matrix | None:
    """`matrix` with the pixels' word: Gauss-Newton on six numbers, gain and offset, first coarse, then fine."""
    for side_px in _SIDES_PX:
        ratio = min(1.0, side_px / max(to.size))
        shape = (max(16, round(to.width * ratio)), max(16, round(to.height * ratio)))
        to_ratio = np.array([shape[0] / to.width, shape[1] / to.height])
        of_shape = (max(16, round(of.width * ratio)), max(16, round(of.height * ratio)))
        of_ratio = np.array([of_shape[0] / of.width, of_shape[1] / of.height])
        small_to, small_of = to.resize(shape, Image.Resampling.BOX), of.resize(of_shape, Image.Resampling.BOX)
        found = _lucas_kanade(small_to, small_of, rescaled(matrix, to_ratio, of_ratio))
        if found is None:
            return None
        matrix = rescaled(found, 1 / to_ratio, 1 / of_ratio)
    return matrix


def laid_over(of: Image.Image, matrix: Matrix, size: tuple[int, int]) -> tuple[Floats, Mask]:
    """`of` at the places of a picture of `size`, and where it has any."""
    # Pillow counts from the corner of a pixel, we from its middle.
    shift = matrix[:, :2] @ (-0.5, -0.5) + matrix[:, 2] + 0.5
    data = (matrix[0, 0], matrix[0, 1], shift[0], matrix[1, 0], matrix[1, 1], shift[1])
    moved = np.asarray(of.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR), np.float32)
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    px = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    py = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    return moved, (px >= 2) & (py >= 2) & (px <= of.width - 3) & (py <= of.height - 3)


def light_between(base: Floats, moved: Floats) -> tuple[float, float]:
    """Gain and offset that take `moved` to `base`, without what changed and what is too dark or bright to tell."""
    every = max(1, len(base) // _SAMPLES)
    base, moved = base[::every], moved[::every]
    keep = (base > DARKEST) & (base < BRIGHTEST) & (moved > DARKEST) & (moved < BRIGHTEST)
    if keep.sum() < 100:
        return 1.0, float(np.median(base) - np.median(moved))
    b, m = base[keep].astype(np.float64), moved[keep].astype(np.float64)
    weight = np.ones(len(b))
    gain, offset = 1.0, 0.0
    for _ in range(6):
        total = weight.sum()
        mb, mm = (weight * b).sum() / total, (weight * m).sum() / total
        spread = (weight * (m - mm) ** 2).sum() / total
        gain = float((weight * (m - mm) * (b - mb)).sum() / total / spread) if spread > 4 else 1.0
        gain = min(max(gain, 0.2), 5.0)
        offset = mb - gain * mm
        left = np.abs(b - gain * m - offset)
        far = max(3.0, 2.0 * float(np.median(left)))
        weight = 1 / (1 + (left / far) ** 2)
    return gain, float(offset)


def rescaled(matrix: Matrix, to_ratio: Matrix, of_ratio: Matrix) -> Matrix:
    """The same map when both pictures are resized; places are counted from the middle of the first pixel."""
    linear = of_ratio[:, None] * matrix[:, :2] / to_ratio[None]
    # x_old + .5 = (x_new + .5) / ratio
    old_zero = 0.5 / to_ratio - 0.5
    shift = (matrix[:, :2] @ old_zero + matrix[:, 2] + 0.5) * of_ratio - 0.5
    return np.column_stack([linear, shift])


def inverse(matrix: Matrix) -> Matrix:
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def _register(one: Landmarks, other: Landmarks, *, mirror: bool) -> tuple[int, Matrix] | None:
    """How many pairs agree, and the map from places of `one` to places of `other`."""
    if min(len(one.places), len(other.places)) < _LEAST_PAIRS:
        return None
    alike = one.words @ (mirrored(other.words) if mirror else other.words).T
    nearest = alike.argmax(1)
    row = np.arange(len(nearest))
    score = alike[row, nearest]
    # The second nearest of another place: the same corner stands at several sizes.
    near = np.abs(np.subtract.outer(other.places[nearest, 0], other.places[:, 0])) < _NEAR_PX
    near &= np.abs(np.subtract.outer(other.places[nearest, 1], other.places[:, 1])) < _NEAR_PX
    second = np.where(near, -1, alike).max(1)
    far, second_far = np.sqrt(np.maximum(2 - 2 * score, 0)), np.sqrt(np.maximum(2 - 2 * second, 1e-9))
    ratio = far / second_far
    good = np.flatnonzero((ratio < _RATIO) | ((alike.argmax(0)[nearest] == row) & (ratio < 1)))
    good = good[np.argsort(ratio[good])][:_PAIRS]
    if len(good) < _LEAST_PAIRS:
        return None
    a, b = one.places[good], other.places[nearest[good]]
    size = other.sizes[nearest[good]] / one.sizes[good]
    turn_a, turn_b = one.angles[good], other.angles[nearest[good]]
    flip = -1.0 if mirror else 1.0
    # x' = size · R(turn) · diag(1, flip) · x; in the mirror an angle counts the other way round.
    turn = turn_b - flip * turn_a
    cos, sin = size * np.cos(turn), size * np.sin(turn)
    linear = np.stack([np.stack([cos, -sin * flip], 1), np.stack([sin, cos * flip], 1)], 1)
    shift = b - np.einsum("nij,nj->ni", linear, a)
    away = a @ linear.transpose(0, 2, 1) + (shift[:, None] - b[None])
    votes = _different((away**2).sum(2) < _ROUGH_PX**2, a)
    best: tuple[int, Matrix] | None = None
    for place in np.argsort(-votes)[:3]:
        if votes[place] < _LEAST_PAIRS - 1:
            break
        matrix = np.column_stack([linear[place], shift[place]]).astype(np.float64)
        found = _refined(matrix, a, b)
        if found is not None and (best is None or found[0] > best[0]):
            best = found
    return best


def _different(agree: Mask, places: Floats) -> npt.NDArray[np.int64]:
    """How many different places agree: those that stand within one field of 6 px count once."""
    field = (places[:, 0] // 6).astype(np.int64) * 64 + (places[:, 1] // 6).astype(np.int64)
    _, names = np.unique(field, return_inverse=True)
    onto = np.zeros((len(field), int(names.max()) + 1), np.float32)
    onto[np.arange(len(field)), names] = 1
    counted: npt.NDArray[np.int64] = ((agree @ onto) > 0).sum(1)
    return counted


def _refined(matrix: Matrix, a: Floats, b: Floats) -> tuple[int, Matrix] | None:
    full = np.column_stack([a, np.ones(len(a))])
    agree = np.zeros(len(a), dtype=bool)
    for tolerance in (_ROUGH_PX, *_TOLERANCES_PX):
        agree = np.hypot(*(full @ matrix.T - b).T) < tolerance
        if agree.sum() < _LEAST_PAIRS:
            return None
        if agree.sum() >= 8:
            matrix = np.linalg.lstsq(full[agree], b[agree], rcond=None)[0].T
        else:
            matrix = _similar(a[agree], b[agree], mirror=bool(np.linalg.det(matrix[:, :2]) < 0))
    stretch = np.linalg.svd(matrix[:, :2], compute_uv=False)
    if not (stretch[1] > 0.12 and stretch[0] < 8 and stretch[0] < 1.8 * stretch[1]):
        return None
    agree = np.hypot(*(full @ matrix.T - b).T) < _TOLERANCES_PX[-1]
    count = int(_different(agree[None], a)[0])
    return (count, matrix) if count >= _LEAST_PAIRS else None


def _similar(a: Floats, b: Floats, *, mirror: bool) -> Matrix:
    """Least squares of a turn, one size and a shift (Umeyama 1991), of complex numbers."""
    p = a[:, 0] + 1j * a[:, 1] * (-1 if mirror else 1)
    q = b[:, 0] + 1j * b[:, 1]
    p_mean, q_mean = p.mean(), q.mean()
    turn = np.vdot(p - p_mean, q - q_mean) / max(float(np.vdot(p - p_mean, p - p_mean).real), 1e-9)
    shift = q_mean - turn * p_mean
    flip = -1 if mirror else 1
    return np.array([[turn.real, -turn.imag * flip, shift.real], [turn.imag, turn.real * flip, shift.imag]])


def _lucas_kanade(to: Image.Image, of: Image.Image, matrix: Matrix) -> Matrix | None:
    base = blurred(np.asarray(to, np.float32))
    soft = Image.fromarray(blurred(np.asarray(of, np.float32)))
    y, x = np.mgrid[0 : base.shape[0], 0 : base.shape[1]].astype(np.float32)
    middle = np.array([base.shape[1], base.shape[0]]) / 2
    unit = max(base.shape) / 2
    u, v = (x - middle[0]) / unit, (y - middle[1]) / unit
    best, best_error = matrix, np.inf
    for turn in range(_ROUNDS + 1):
        moved, inside = laid_over(soft, matrix, to.size)
        if inside.sum() < 300:
            return best if turn else None
        gain, offset = light_between(base[inside], moved[inside])
        left = base - gain * moved - offset
        error = float(np.median(np.abs(left[inside])))
        if error < best_error:
            best, best_error = matrix, error
        if turn == _ROUNDS:
            break
        gx, gy = gradients(moved)
        far = max(4.0, 2.5 * error)
        weight = np.where(inside, 1 / (1 + (left / far) ** 2), 0) * gain
        gx, gy = gx[inside], gy[inside]
        uu, vv = u[inside], v[inside]
        jacobian = np.stack([gx * uu, gx * vv, gx, gy * uu, gy * vv, gy], 1) * gain
        w = weight[inside][:, None]
        normal = (jacobian * w).T @ jacobian
        normal[np.diag_indices(6)] += 1e-3 * np.trace(normal) / 6 + 1e-6
        step = np.linalg.solve(normal, (jacobian * w).T @ left[inside])
        step = np.clip(step, -3, 3)
        # moved(x) = of(M x); a shift d of places within `moved` is M (x + d).
        change = np.array([[step[0], step[1], step[2]], [step[3], step[4], step[5]]])
        add = np.column_stack([change[:, :2] / unit, change[:, 2] - change[:, :2] @ middle / unit])
        matrix = matrix @ (np.vstack([np.eye(2, 3), [0, 0, 1]]) + np.vstack([add, [0, 0, 0]]))
        if float(np.abs(step).max()) < 0.02:
            moved, inside = laid_over(soft, matrix, to.size)
            best = matrix
            break
    return best
