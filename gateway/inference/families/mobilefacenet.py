"""Turn a face into a vector by which faces are compared, with MobileFaceNet (Chen, Liu, Gao and Han 2018).

Task `embed-face`, params `{points: [[x, y] × 5]}` (as `detect-faces` answers). File: one `.onnx` (data[1,3,112,112]
RGB 0..255, its normalisation in the graph → 128 numbers). Answers `{vector, dim}`: float32 little-endian,
L2-normalised, of the face as `gateway.inference.faces` lays it upright. Points that span no face are Rejected
(`bad-points`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gateway.inference.faces import face_vectors
from gateway.inference.family import Family, Options, Runner, the_file
from gateway.inference.runtime import OnnxModel


def load(files: Mapping[str, Path], options: Options) -> Runner:
    return face_vectors(OnnxModel(the_file(files, "*.onnx"), threads=options.threads))


FAMILY = Family(name="mobilefacenet", tasks=("embed-face",), load=load)
