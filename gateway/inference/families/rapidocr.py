"""Read printed text with the PP-OCR models of RapidOCR.

Task `ocr`, no params. Files: `*det*.onnx`, `*rec*.onnx`, `*cls*.onnx`. Answers
`{lines: [{text, score, x, y, w, h}]}` in reading order, at most 60 lines of at most 500 characters; score 0..1, the
box around the line in fractions 0..1 of the upright picture. Spaces that the recogniser drops are measured back in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.family import Family, Options, Request, Runner
from gateway.inference.pictures import picture_of
from gateway.inference.runtime import Array
from gateway.inference.spaces import HEIGHT_PX, spaced

_MIN_SCORE = 0.5
_MIN_SHORT_SCORE = 0.85
"""One or two characters are what a texture is most easily taken for."""
_TURN_BELOW = 0.7
"""Upright print reads better than this; upside down it does not."""
_MAX_LINES = 60
_MAX_CHARACTERS = 500
_SHORT_SIDE_PX, _LONG_SIDE_PX, _PIXELS = 736, 1280, 1_000_000
"""A picture is searched for lines at the size at which its short side has so many pixels, unless its long side or
its area would have more than this; what was found is read at the picture's own size."""


def load(files: Mapping[str, Path], options: Options) -> Runner:
    from rapidocr_onnxruntime import RapidOCR  # noqa: PLC0415  (heavy)

    try:
        engine = RapidOCR(
            det_model_path=str(_part(files, "det")),
            rec_model_path=str(_part(files, "rec")),
            cls_model_path=str(_part(files, "cls")),
            det_limit_type="max",
            intra_op_num_threads=options.threads,
            inter_op_num_threads=1,
        )
    except Exception as error:  # the runtime's own classes derive from Exception alone
        raise ModelBroken("the models for reading cannot be loaded", hint="hearthlog models verify") from error

    def run(request: Request) -> Json:
        image = picture_of(request.the_blob()).image
        boxes = _find(engine, image)
        if not len(boxes):
            return {"lines": []}
        crops = engine.get_crop_img_list(np.asarray(image)[:, :, ::-1], boxes)
        crops, readings = _read(engine, crops)
        size = np.array([image.width, image.height], dtype=np.float32)
        lines = []
        for box, crop, (text, score, details) in zip(boxes, crops, readings, strict=True):
            if score < (_MIN_SCORE if len(text.strip()) > 2 else _MIN_SHORT_SCORE) or not text.strip():
                continue
            (x0, y0), (x1, y1) = box.min(axis=0) / size, box.max(axis=0) / size
            place = {"x": float(x0), "y": float(y0), "w": float(x1 - x0), "h": float(y1 - y0)}
            lines.append({"text": _line(text, details, crop)[:_MAX_CHARACTERS], "score": float(score)} | place)
        return {"lines": in_reading_order(lines)}

    return run


def in_reading_order(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows from the top, each from the left. Lines whose middles lie within each other's height share a row."""
    rows: list[list[dict[str, Any]]] = []
    for line in sorted(lines, key=lambda each: each["y"] + each["h"] / 2):
        middle = line["y"] + line["h"] / 2
        row = rows[-1] if rows else None
        if row is not None and abs(middle - (row[0]["y"] + row[0]["h"] / 2)) < 0.5 * min(line["h"], row[0]["h"]):
            row.append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda each: each["x"])]


def _find(engine: Any, image: Image.Image) -> Array:  # `Any`: the library has no types
    """Corners of the lines, float32 [n, 4, 2], in pixels of `image`."""
    ratio = max(1.0, _SHORT_SIDE_PX / min(image.size))
    ratio = min(ratio, _LONG_SIDE_PX / max(image.size), (_PIXELS / (image.width * image.height)) ** 0.5)
    size = (max(32, round(image.width * ratio)), max(32, round(image.height * ratio)))
    searched = image if size == image.size else image.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
    found, _ = engine.text_det(np.ascontiguousarray(np.asarray(searched)[:, :, ::-1]))
    if found is None or len(found) == 0:
        return np.empty((0, 4, 2), dtype=np.float32)
    boxes = np.asarray(found, dtype=np.float32) * (np.array(image.size) / np.array(size)).astype(np.float32)
    area = np.ptp(boxes[:, :, 0], axis=1) * np.ptp(boxes[:, :, 1], axis=1)
    largest: Array = boxes[np.argsort(-area, kind="stable")[:_MAX_LINES]]
    return largest


def _read(engine: Any, crops: list[Array]) -> tuple[list[Array], list[Any]]:  # `Any`: the library has no types
    """Each line, and what it says. One that reads badly is turned by half a turn, and kept so where that reads better.

    The library's own classifier of direction is not asked: it turns words that look alike both ways (ONIONS).
    """
    readings, _ = engine.text_rec(crops, True)
    poor = [place for place, reading in enumerate(readings) if reading[1] < _TURN_BELOW]
    if poor:
        turned = [np.ascontiguousarray(crops[place][::-1, ::-1]) for place in poor]
        again, _ = engine.text_rec(turned, True)
        for place, crop, reading in zip(poor, turned, again, strict=True):
            if reading[1] > readings[place][1]:
                crops[place], readings[place] = crop, reading
    return crops, readings


def _line(text: str, details: Sequence[Any], crop: Array) -> str:
    columns, _, positions = details[:3]
    height, width = crop.shape[:2]
    at = [column for word in positions for column in word]
    if not columns or not height or len(at) != len(text):
        return str(text)
    scale = HEIGHT_PX / height
    line = Image.fromarray(np.ascontiguousarray(crop[:, :, ::-1])).convert("L")
    line = line.resize((max(1, round(width * scale)), HEIGHT_PX), Image.Resampling.BICUBIC)
    centres = [(column + 0.5) / columns * line.width for column in at]
    return spaced(str(text), centres, np.asarray(line))


def _part(files: Mapping[str, Path], part: str) -> Path:
    matching = [path for name, path in files.items() if f"_{part}_" in name]
    if len(matching) != 1:
        raise ModelBroken(f"reading needs exactly one {part} file")
    return matching[0]


FAMILY = Family(name="rapidocr", tasks=("ocr",), load=load)
