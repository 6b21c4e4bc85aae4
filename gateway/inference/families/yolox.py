"""Find things in a picture with YOLOX (Ge et al. 2021), exported without its decoder.

Task `detect`, no params. Files: one `.onnx` (images[1,3,S,S] BGR 0..255, letterboxed on 114, top left) and one
`.txt` of labels. Options: `side_px`, `min_score`, `max_overlap`.
Answers `{boxes: [{label, score, x, y, w, h}]}`, best first, at most 100; fractions 0..1 of the upright picture.
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
from gateway.inference.family import Family, Options, Runner, the_file
from gateway.inference.pictures import picture_of
from gateway.inference.runtime import OnnxModel, read_labels

_STRIDES = (8, 16, 32)
_MAX_BOXES = 100
_CANDIDATES = 1000
_PAPER = (114, 114, 114)

Floats = npt.NDArray[np.float32]


Finder: TypeAlias = Callable[[Image.Image], list[Json]]


def load(files: Mapping[str, Path], options: Options) -> Runner:
    find = finder(files, options)
    return lambda request: {"boxes": find(picture_of(request.the_blob()).image)}


def finder(files: Mapping[str, Path], options: Options) -> Finder:
    """What is found in a decoded picture, as the task answers it."""
    model = OnnxModel(the_file(files, "*.onnx"), threads=options.threads)
    # The list follows COCO's 90 numbers; the model has the 80 that are in use.
    labels = [label for label in read_labels(the_file(files, "*.txt")) if label != "n/a"]
    side_px = int(options.number("side_px", 416))
    min_score = options.number("min_score", 0.35)
    max_overlap = options.number("max_overlap", 0.45)
    grid, stride = _cells(side_px)

    def find(image: Image.Image) -> list[Json]:
        tensor, size = letterboxed(image, side_px)
        (raw,) = model.run({"images": tensor})
        if raw.shape != (1, len(grid), 5 + len(labels)):
            raise ModelBroken("the detector's output does not fit its labels")
        boxes, scores, kinds = _decoded(raw[0], grid, stride)
        keep = _best(boxes, scores, kinds, min_score=min_score, max_overlap=max_overlap)
        scale = np.array([size[0], size[1], size[0], size[1]], dtype=np.float32)
        corners = np.clip(boxes[keep] / scale, 0.0, 1.0)
        return [
            {"label": labels[kinds[i]], "score": float(scores[i])}
            | {"x": float(x0), "y": float(y0), "w": float(x1 - x0), "h": float(y1 - y0)}
            for i, (x0, y0, x1, y1) in zip(keep, corners, strict=True)
        ]

    return find


def letterboxed(image: Image.Image, side_px: int) -> tuple[Floats, tuple[int, int]]:
    """float32 [1, 3, S, S], BGR 0..255: the picture in the top left of grey paper; and its size there."""
    ratio = min(side_px / image.width, side_px / image.height)
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    paper = Image.new("RGB", (side_px, side_px), _PAPER)
    paper.paste(image.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0))
    bgr = np.asarray(paper, dtype=np.float32)[:, :, ::-1].transpose(2, 0, 1)[None]
    return np.ascontiguousarray(bgr), size


def _cells(side_px: int) -> tuple[Floats, Floats]:
    """Column and row of each output's cell, and its stride in pixels; in the order of the outputs."""
    cells, strides = [], []
    for stride in _STRIDES:
        count = side_px // stride
        rows, columns = np.mgrid[:count, :count]
        cells.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((count * count, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _decoded(raw: Floats, grid: Floats, stride: Floats) -> tuple[Floats, Floats, npt.NDArray[np.intp]]:
    """Corners in letterbox pixels [n, 4], score [n] = objectness × class, class [n]."""
    centre = (raw[:, :2] + grid) * stride
    half = np.exp(np.minimum(raw[:, 2:4], 20.0)) * stride / 2
    kinds = raw[:, 5:].argmax(axis=1)
    scores = raw[:, 4] * raw[np.arange(len(raw)), 5 + kinds]
    return np.concatenate([centre - half, centre + half], axis=1), scores, kinds


def _best(
    boxes: Floats, scores: Floats, kinds: npt.NDArray[np.intp], *, min_score: float, max_overlap: float
) -> list[int]:
    """Greedy non-maximum suppression within each class."""
    order = np.flatnonzero(scores >= min_score)
    order = order[np.argsort(-scores[order], kind="stable")][:_CANDIDATES]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    while len(order) and len(kept) < _MAX_BOXES:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.clip(high - low, 0, None).prod(axis=1)
        overlap = shared / np.maximum(area[best] + area[rest] - shared, 1e-9)
        order = rest[(overlap <= max_overlap) | (kinds[rest] != kinds[best])]
    return kept


FAMILY = Family(name="yolox", tasks=("detect",), load=load)
