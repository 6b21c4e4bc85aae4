"""Turn a face into a vector by which faces are compared, with SFace (Zhong, Deng, Hu, Zhao, Li and Wen 2021).

Task `embed-face`, as the family `mobilefacenet` takes and answers it. File: one `.onnx` (data[1,3,112,112] RGB
0..255, its normalisation in the graph → 128 numbers).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gateway.inference.faces import face_vectors
from gateway.inference.family import Family, Options, Runner, the_file
from gateway.inference.runtime import OnnxModel


def load(files: Mapping[str, Path], options: Options) -> Runner:
    return face_vectors(OnnxModel(the_file(files, "*.onnx"), threads=options.threads))


FAMILY = Family(name="sface", tasks=("embed-face",), load=load)
