"""Name what a picture is mainly of, with a quantised MobileNet (Sandler et al. 2018) on LiteRT.

Task `classify`, no params. Files: one `.tflite` (uint8 [1,224,224,3]) and `imagenet_labels.txt` (1,001 lines, the
first is `background`). Answers `{labels: [{label, score}]}`: the best five of score 0.01..1; a label is the first of
ImageNet's synonyms.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.family import Family, Options, Request, Runner
from gateway.inference.pictures import picture_of
from gateway.inference.runtime import LiteModel, read_labels

SIDE_PX = 224
_TOP = 5
_MIN_SCORE = 0.01


def load(files: Mapping[str, Path], options: Options) -> Runner:
    model = LiteModel(next(path for name, path in files.items() if name.endswith(".tflite")), threads=options.threads)
    labels = [line.split(",")[0].strip() for line in read_labels(files["imagenet_labels.txt"])]

    def run(request: Request) -> Json:
        scores = model.run(centre_square(picture_of(request.the_blob()).image))
        if len(scores) != len(labels):
            raise ModelBroken("the classifier's output does not fit its labels")
        best = np.argsort(-scores, kind="stable")[:_TOP]
        said = [i for i in best if scores[i] >= _MIN_SCORE and labels[i] != "background"]
        return {"labels": [{"label": labels[i], "score": float(scores[i])} for i in said]}

    return run


def centre_square(image: Image.Image) -> npt.NDArray[np.uint8]:
    """uint8 [1, 224, 224, 3]: the middle 87.5 % square, as these models were evaluated."""
    side = min(image.size) * 0.875
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    small = image.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
    return np.asarray(small, dtype=np.uint8)[None]


FAMILY = Family(name="mobilenet", tasks=("classify",), load=load)
