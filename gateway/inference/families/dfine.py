"""Find things in a picture with D-FINE (Peng et al. 2024), which says each thing once: nothing is to be suppressed.

Task `detect`, no params. Files: one `.onnx` (pixel_values [1, 3, S, S] RGB 0..1, the picture stretched to a square →
logits [1, Q, K], pred_boxes [1, Q, 4]: middle and sides, fractions) and one `.txt` of labels. Options: `side_px`,
`min_score`. Answers as the family `yolox` does. Of Q times K likelihoods the Q highest count, as the models were
published: one place may be two things.
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
from gateway.inference.pictures import picture_of
from gateway.inference.prepare import Preparation, pixel_values
from gateway.inference.runtime import Array, OnnxModel, read_labels

_MAX_BOXES = 100
_MAX_SIDE_PX = 1024
_LEAST_SIDE = 1e-3
"""Of what is left of a box inside of the picture, as a fraction of it: less is nothing that is seen."""

Floats = npt.NDArray[np.float64]


def load(files: Mapping[str, Path], options: Options) -> Runner:
    # The list follows COCO's 90 numbers; the model has the 80 that are in use.
    labels = [label for label in read_labels(the_file(files, "*.txt")) if label != "n/a"]
    side_px = int(options.number("side_px", 640))
    if not 32 <= side_px <= _MAX_SIDE_PX:
        raise ModelBroken(f"side_px must be 32 to {_MAX_SIDE_PX}")
    min_score = options.number("min_score", 0.5)
    model = OnnxModel(the_file(files, "*.onnx"), threads=options.threads)
    if not {"logits", "pred_boxes"} <= set(model.outputs):
        raise ModelBroken("the detector says neither what there is nor where")
    how = Preparation(side_px, False, Image.Resampling.BILINEAR, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

    def run(request: Request) -> Json:
        image = picture_of(request.the_blob()).image
        outputs = dict(zip(model.outputs, model.run({"pixel_values": pixel_values(image, how)}), strict=True))
        logits, places = outputs["logits"], outputs["pred_boxes"]
        if logits.ndim != 3 or logits.shape[::2] != (1, len(labels)) or places.shape != (1, logits.shape[1], 4):
            raise ModelBroken("the detector's output does not fit its labels")
        return {"boxes": _read(logits[0], places[0], labels, min_score)}

    return run


def _read(logits: Array, places: Array, labels: list[str], min_score: float) -> list[Json]:
    scores = 1.0 / (1.0 + np.exp(-np.clip(logits.astype(np.float64).ravel(), -50.0, 50.0)))
    best = np.argsort(-scores, kind="stable")[: min(len(places), _MAX_BOXES)]
    boxes: list[Json] = []
    for at in best[scores[best] > min_score]:
        place, kind = divmod(int(at), len(labels))
        middle, sides = np.split(places[place].astype(np.float64), 2)
        low: Floats = np.clip(middle - sides / 2, 0.0, 1.0)
        size = np.clip(middle + sides / 2, 0.0, 1.0) - low
        if np.isfinite(size).all() and min(size) > _LEAST_SIDE:
            (x, y), (w, h) = low.tolist(), size.tolist()
            boxes.append({"label": labels[kind], "score": float(scores[at]), "x": x, "y": y, "w": w, "h": h})
    return boxes


FAMILY = Family(name="dfine", tasks=("detect",), load=load)
