"""Faces as models of their vectors take them: upright, 112 × 112, with the eyes where they were in training.

A face is turned, scaled and moved, never sheared, so that its five points fall as near as they can to those of the
ArcFace family of models (Umeyama 1991).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from gateway.entities import Json
from gateway.errors import ModelBroken, Rejected
from gateway.inference.family import Request, Runner
from gateway.inference.pictures import picture_of
from gateway.inference.runtime import OnnxModel

SIDE_PX = 112
DIM = 128
TEMPLATE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
"""Where the five points of a face fall in a picture of 112 × 112, of the ArcFace family of models."""
_FARTHEST = 4.0
"""In sides of the picture: what is farther out is no point of a face in it."""
_SMALLEST_PX = 2.0

Floats = npt.NDArray[np.float64]


def face_vectors(model: OnnxModel) -> Runner:
    """The task `embed-face` with a graph of data[1,3,112,112] RGB 0..255, its normalisation inside, → 128 numbers.
    ModelBroken for another graph.
    """
    if "data" not in model.inputs or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelBroken("the face model takes or gives something else")

    def run(request: Request) -> Json:
        image = picture_of(request.the_blob()).image
        face = aligned(image, points_of(request.params.get("points")) * np.array(image.size))
        pixels = np.asarray(face, dtype=np.float32).transpose(2, 0, 1)[None]
        (raw,) = model.run({"data": np.ascontiguousarray(pixels)})
        if raw.shape != (1, DIM):
            raise ModelBroken("the face model's output has another size")
        vector = raw[0] / max(float(np.linalg.norm(raw[0])), 1e-12)
        return {"vector": vector.astype("<f4").tobytes(), "dim": DIM}

    return run


def aligned(image: Image.Image, points: Floats) -> Image.Image:
    """112 × 112: the face whose five points ([5, 2], pixels of `image`) lie on TEMPLATE as nearly as can be. What is
    outside of the picture is black."""
    matrix = similarity(points, np.array(TEMPLATE))
    scale = float(np.hypot(*matrix[0, :2]))
    if not 1 / 64 <= scale <= SIDE_PX / _SMALLEST_PX:
        raise Rejected("the points span no face", code="bad-points")
    if scale < 0.5:  # else the resampling would skip pixels
        smaller = (max(1, round(image.width * 2 * scale)), max(1, round(image.height * 2 * scale)))
        shrunk = image.resize(smaller, Image.Resampling.BILINEAR, reducing_gap=3.0)
        matrix = similarity(points * np.array(shrunk.size) / np.array(image.size), np.array(TEMPLATE))
        image = shrunk
    back = np.linalg.inv(np.vstack([matrix, [0.0, 0.0, 1.0]]))
    # Pillow asks for the source of a pixel's middle; points are counted from the middle of the first one.
    shift = back[:2, :2] @ (-0.5, -0.5) + back[:2, 2] + 0.5
    data = (back[0, 0], back[0, 1], shift[0], back[1, 0], back[1, 1], shift[1])
    return image.transform((SIDE_PX, SIDE_PX), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)


def similarity(source: Floats, target: Floats) -> Floats:
    """[2, 3]: rotation, one scale and translation that take points [n, 2] to points, least squares (Umeyama 1991,
    equations 40 to 42). Rejected when the source's points lie on one spot."""
    from_mean, to_mean = source.mean(axis=0), target.mean(axis=0)
    variance = float(((source - from_mean) ** 2).sum() / len(source))
    if not variance > 1e-9:
        raise Rejected("the points span no face", code="bad-points")
    left, spread, right = np.linalg.svd((target - to_mean).T @ (source - from_mean) / len(source))
    upright = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right)) or 1.0])
    turn = left @ np.diag(upright) @ right
    scale = float((spread * upright).sum() / variance)
    return np.column_stack([scale * turn, to_mean - scale * turn @ from_mean])


def points_of(given: object) -> Floats:
    """[5, 2], fractions; Rejected for anything else."""
    good = isinstance(given, list) and len(given) == len(TEMPLATE)
    good = good and all(isinstance(each, list) and len(each) == 2 for each in given)  # type: ignore[attr-defined]
    numbers = [value for each in given for value in each] if good else []  # type: ignore[attr-defined]
    if not good or any(isinstance(value, bool) or not isinstance(value, int | float) for value in numbers):
        raise Rejected("params.points must be five pairs of numbers", code="bad-params")
    points = np.array(given, dtype=np.float64)
    if not np.isfinite(points).all() or np.abs(points).max() > _FARTHEST:
        raise Rejected("the points span no face", code="bad-points")
    return points
