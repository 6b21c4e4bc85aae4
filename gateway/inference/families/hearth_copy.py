"""Turn a picture into a vector that stays near itself whatever people do to the picture: our own network.

Task `copy-vector`, no params. File: one `.onnx` (pixels[1,3,128,128] RGB 0..255, squeezed into the square, its
normalisation, turns and mirrors in the graph → [2, 64]: in its colours, and in even light). Answers `{vector, dim}`:
float32 little-endian, one view after the other, each of `dim` numbers and L2-normalised, both halves alike: the whole
picture, then, where it shows one (a screenshot), the picture in it. Two pictures are as near as the nearest pair of
halves of their views. It names candidates for a copy; whether one is, the task `overlap` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.family import Family, Options, Request, Runner, the_file
from gateway.inference.framed import framed
from gateway.inference.pictures import picture_of
from gateway.inference.runtime import OnnxModel

SIDE_PX = 128
DIM = 128
"""Of a view: two halves."""


def load(files: Mapping[str, Path], options: Options) -> Runner:
    model = OnnxModel(the_file(files, "*.onnx"), threads=options.threads)

    def run(request: Request) -> Json:
        found = views(model, picture_of(request.the_blob()).image)
        return {"vector": found.astype("<f4").tobytes(), "dim": DIM}

    return run


def views(model: OnnxModel, image: Image.Image) -> npt.NDArray[np.float32]:
    """[1 or 2, 128]: of the whole, and of the picture that it shows."""
    shown = framed(image)
    return np.stack([described(model, each) for each in (image, shown) if each is not None])


def described(model: OnnxModel, image: Image.Image) -> npt.NDArray[np.float32]:
    """[128], of length 1. ModelBroken when the graph makes something else."""
    (raw,) = model.run({"pixels": prepared(image)})
    if raw.shape != (2, DIM // 2) or not np.isfinite(raw).all():
        raise ModelBroken("the copy model's output is no vector of 2 × 64")
    halves = raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-12)
    vector: npt.NDArray[np.float32] = (halves.ravel() / np.sqrt(2)).astype(np.float32)
    return vector


def prepared(image: Image.Image) -> npt.NDArray[np.float32]:
    """[1, 3, 128, 128], 0..255."""
    square = image.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.ascontiguousarray(np.asarray(square, dtype=np.float32).transpose(2, 0, 1)[None])


FAMILY = Family(name="hearth_copy", tasks=("copy-vector",), load=load)
