"""Find faces in a picture with YuNet (Wu, Peng and Yu 2023), exported without its decoder.

Task `detect-faces`, no params. File: one `.onnx` (input[1,3,H,W] BGR 0..255, H and W multiples of 32; of each stride
8, 16, 32: `cls`, `obj` [1,n,1] after the sigmoid, `bbox` [1,n,4], `kps` [1,n,10]). Options: `side_px`, `min_score`,
`max_overlap`. Answers `{faces: [{score, x, y, w, h, points: [[x, y] × 5]}]}`, best first, at most 50; fractions of the
upright picture, boxes within 0..1, points as they fall. The points are right eye, left eye, nose, right and left
corner of the mouth, the person's own right and left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.family import Family, Options, Runner
from gateway.inference.pictures import picture_of
from gateway.inference.runtime import Array, OnnxModel

POINTS = 5
_STRIDES = (8, 16, 32)
_OUTPUTS = ("cls", "obj", "bbox", "kps")
_WIDTHS = (1, 1, 4, 2 * POINTS)
_MAX_FACES = 50
_CANDIDATES = 1000
_LONGEST_PX = 1280

Floats = npt.NDArray[np.float32]
Finder: TypeAlias = Callable[[Image.Image], list[Json]]


def load(files: Mapping[str, Path], options: Options) -> Runner:
    find = finder(files, options)
    return lambda request: {"faces": find(picture_of(request.the_blob()).image)}


def finder(files: Mapping[str, Path], options: Options) -> Finder:
    """The faces in a decoded picture, as the task answers them."""
    if len(files) != 1:
        raise ModelBroken("a face detector is exactly one file")
    model = OnnxModel(next(iter(files.values())), threads=options.threads)
    side_px = int(options.number("side_px", 640))
    if not 32 <= side_px <= _LONGEST_PX:
        raise ModelBroken(f"side_px must be 32 to {_LONGEST_PX}")
    min_score = options.number("min_score", 0.6)
    max_overlap = options.number("max_overlap", 0.3)

    def find(image: Image.Image) -> list[Json]:
        tensor, size = tensor_of(image, side_px)
        boxes, points, scores = _decoded(model.run({"input": tensor}), tensor.shape[2], tensor.shape[3])
        keep = _best(boxes, scores, min_score=min_score, max_overlap=max_overlap)
        scale = np.array(size, dtype=np.float32)
        faces: list[Json] = []
        for i in keep:
            (x0, y0), (x1, y1) = np.clip(boxes[i].reshape(2, 2) / scale, 0.0, 1.0).tolist()
            place = {"x": x0, "y": y0, "w": x1 - x0, "h": y1 - y0}
            faces.append({"score": float(scores[i]), "points": (points[i] / scale).tolist()} | place)
        return faces

    return find


def tensor_of(image: Image.Image, side_px: int) -> tuple[Floats, tuple[int, int]]:
    """The picture at a long side of at most `side_px` in the top left of black paper, whose sides are the next
    multiples of 32; and its size there. A smaller picture keeps its pixels."""
    ratio = min(1.0, side_px / max(image.size))
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    small = image if size == image.size else image.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
    paper = np.zeros((3, -(-size[1] // 32) * 32, -(-size[0] // 32) * 32), dtype=np.float32)
    paper[:, : size[1], : size[0]] = np.asarray(small, dtype=np.float32)[:, :, ::-1].transpose(2, 0, 1)
    return paper[None], size


def _decoded(outputs: list[Array], height_px: int, width_px: int) -> tuple[Floats, Floats, Floats]:
    """Corners [n, 4] and points [n, 5, 2] in pixels of the paper, score [n] = √(class × objectness)."""
    if len(outputs) != len(_OUTPUTS) * len(_STRIDES):
        raise ModelBroken("the face detector has other outputs")
    boxes, points, scores = [], [], []
    for place, stride in enumerate(_STRIDES):
        rows, columns = np.mgrid[: height_px // stride, : width_px // stride]
        cells = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float32)
        parts = outputs[place :: len(_STRIDES)]
        if any(part.shape != (1, len(cells), wide) for part, wide in zip(parts, _WIDTHS, strict=True)):
            raise ModelBroken("the face detector's outputs have other sizes")
        kind, sure, box, dots = (part[0] for part in parts)
        centre = (box[:, :2] + cells) * stride
        half = np.exp(np.minimum(box[:, 2:], 8.0)) * stride / 2
        boxes.append(np.concatenate([centre - half, centre + half], axis=1))
        points.append((dots.reshape(-1, POINTS, 2) + cells[:, None]) * stride)
        scores.append(np.sqrt(np.clip(kind[:, 0], 0, 1) * np.clip(sure[:, 0], 0, 1)))
    return np.concatenate(boxes), np.concatenate(points), np.concatenate(scores)


def _best(boxes: Floats, scores: Floats, *, min_score: float, max_overlap: float) -> list[int]:
    """Greedy non-maximum suppression."""
    order = np.flatnonzero(scores >= min_score)
    order = order[np.argsort(-scores[order], kind="stable")][:_CANDIDATES]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    while len(order) and len(kept) < _MAX_FACES:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.clip(high - low, 0, None).prod(axis=1)
        order = rest[shared / np.maximum(area[best] + area[rest] - shared, 1e-9) <= max_overlap]
    return kept


FAMILY = Family(name="yunet", tasks=("detect-faces",), load=load)
