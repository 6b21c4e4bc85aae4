"""Turn a picture into a vector by which similar pictures are found: MobileNet without its last layer, on LiteRT.

Task `embed-image`, no params. File: one `.tflite` (uint8 [1,224,224,3] → 1,024 numbers). Answers `{vector, dim}`:
float32 little-endian, L2-normalised. Near-duplicates have a cosine ≥ .93, different pictures ≤ .64.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gateway.entities import Json
from gateway.inference.families.mobilenet import centre_square
from gateway.inference.family import Family, Options, Request, Runner
from gateway.inference.pictures import picture_of
from gateway.inference.runtime import LiteModel


def load(files: Mapping[str, Path], options: Options) -> Runner:
    model = LiteModel(next(path for name, path in files.items() if name.endswith(".tflite")), threads=options.threads)

    def run(request: Request) -> Json:
        vector = model.run(centre_square(picture_of(request.the_blob()).image))
        vector /= max(float(np.linalg.norm(vector)), 1e-12)
        return {"vector": vector.astype("<f4").tobytes(), "dim": len(vector)}

    return run


FAMILY = Family(name="mobilenet_embed", tasks=("embed-image",), load=load)
