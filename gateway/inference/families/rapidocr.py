"""Read printed text with the PP-OCR models of RapidOCR.

Task `ocr`, no params. Files: `*det*.onnx`, `*rec*.onnx`, `*cls*.onnx`. Answers
`{lines: [{text, score, x, y, w, h}], partial}`, lines in reading order, at most 60 of at most 500 characters; score
0..1, the box around the line in fractions 0..1 of the upright picture. `partial`: only the largest letters were read,
the first 60 lines or what four seconds of the processor allow. Spaces that the recogniser drops are measured back in.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.family import Family, Options, Request, Runner, the_file
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
_BUDGET_S = 3.8
"""Of the processor, for reading what was found. What stands in the largest letters is read first."""
_WALL_SHARE = 0.25
"""On a busy box a second may hold little of the processor: so much of one counts in any case, because the caller's
own deadline is the clock's."""
_BATCH_PX, _BATCH_LINES = 3_000, 6
"""Width of all lines that are read at once, at the recogniser's height: that bounds its memory and its time."""
_WINDOW = 12
"""Lines of about one size, among which those of about one width are read together."""
_S_A_PX = 0.0004
"""What reading takes before it was measured, for each pixel of a batch's width."""
_SHORT_SIDE_PX, _LONG_SIDE_PX, _PIXELS = 736, 1280, 1_000_000
"""A picture is searched for lines at the size at which its short side has so many pixels, unless its long side or
its area would have more than this; what was found is read at the picture's own size."""


def load(files: Mapping[str, Path], options: Options) -> Runner:
    from rapidocr_onnxruntime import RapidOCR  # noqa: PLC0415  (heavy)

    try:
        engine = RapidOCR(
            det_model_path=str(the_file(files, "*_det_*")),
            rec_model_path=str(the_file(files, "*_rec_*")),
            cls_model_path=str(the_file(files, "*_cls_*")),
            det_limit_type="max",
            intra_op_num_threads=options.threads,
            inter_op_num_threads=1,
        )
    except Exception as error:  # the runtime's own classes derive from Exception alone
        raise ModelBroken("the models for reading cannot be loaded", hint="hearthlog models verify") from error

    def run(request: Request) -> Json:
        image = picture_of(request.the_blob()).image
        boxes = _find(engine, image)
        budget = _Budget()
        largest = boxes[:_MAX_LINES]
        crops = engine.get_crop_img_list(np.asarray(image)[:, :, ::-1], largest) if len(largest) else []
        readings = _read(engine, crops, budget)
        size = np.array([image.width, image.height], dtype=np.float32)
        lines = []
        for place, (text, score, details) in readings.items():
            if score < (_MIN_SCORE if len(text.strip()) > 2 else _MIN_SHORT_SCORE) or not text.strip():
                continue
            box = largest[place]
            (x0, y0), (x1, y1) = box.min(axis=0) / size, box.max(axis=0) / size
            where = {"x": float(x0), "y": float(y0), "w": float(x1 - x0), "h": float(y1 - y0)}
            said = {"text": _line(text, details, crops[place])[:_MAX_CHARACTERS], "score": float(score)}
            lines.append(said | where)
        return {"lines": in_reading_order(lines), "partial": len(readings) < len(boxes)}

    return run


def in_reading_order(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows from the top, each from the left. Lines that stand beside each other, and whose middles lie within each
    other's height, share a row; those of a tilted label are tall boxes, but lie below each other."""
    rows: list[list[dict[str, Any]]] = []
    for line in sorted(lines, key=lambda each: each["y"] + each["h"] / 2):
        middle = line["y"] + line["h"] / 2
        row = rows[-1] if rows else None
        near = row is not None and abs(middle - (row[0]["y"] + row[0]["h"] / 2)) < 0.5 * min(line["h"], row[0]["h"])
        if row is not None and near and all(_beside(line, each) for each in row):
            row.append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda each: each["x"])]


def _beside(one: dict[str, Any], other: dict[str, Any]) -> bool:
    shared = min(one["x"] + one["w"], other["x"] + other["w"]) - max(one["x"], other["x"])
    return bool(shared < 0.5 * min(one["w"], other["w"]))


def _find(engine: Any, image: Image.Image) -> Array:  # `Any`: the library has no types
    """Corners of the lines, float32 [n, 4, 2], in pixels of `image`; the largest letters first."""
    ratio = max(1.0, _SHORT_SIDE_PX / min(image.size))
    ratio = min(ratio, _LONG_SIDE_PX / max(image.size), (_PIXELS / (image.width * image.height)) ** 0.5)
    size = (max(32, round(image.width * ratio)), max(32, round(image.height * ratio)))
    searched = image if size == image.size else image.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
    found, _ = engine.text_det(np.ascontiguousarray(np.asarray(searched)[:, :, ::-1]))
    if found is None or len(found) == 0:
        return np.empty((0, 4, 2), dtype=np.float32)
    boxes = np.asarray(found, dtype=np.float32) * (np.array(image.size) / np.array(size)).astype(np.float32)
    edges = np.linalg.norm(boxes - np.roll(boxes, -1, axis=1), axis=2)
    by_size: Array = boxes[np.argsort(-edges.min(axis=1), kind="stable")]
    return by_size


class _Budget:
    """The seconds that are left of a reading, and how many a batch is likely to take."""

    def __init__(self) -> None:
        self._began_s = self._now_s()
        self._spent_s, self._done_px = 0.0, 0

    def allows(self, width_px: int) -> bool:
        """Whether a batch of so many pixels is likely to end in time."""
        a_px_s = self._spent_s / self._done_px if self._done_px else _S_A_PX
        return self._elapsed_s() + width_px * a_px_s <= _BUDGET_S

    def took(self, width_px: int, seconds: float) -> None:
        self._done_px += width_px
        self._spent_s += seconds

    def _elapsed_s(self) -> float:
        cpu_s, wall_s = self._now_s()
        return max(cpu_s - self._began_s[0], _WALL_SHARE * (wall_s - self._began_s[1]))

    @staticmethod
    def _now_s() -> tuple[float, float]:
        return time.process_time(), time.monotonic()


def _read(engine: Any, crops: list[Array], budget: _Budget) -> dict[int, Any]:  # `Any`: the library has no types
    """What the lines say, by their places, as far as the budget goes. A line that reads badly is turned by half a
    turn, and kept so in `crops` where that reads better.

    The library's own classifier of direction is not asked: it turns words that look alike both ways (ONIONS).
    """
    readings: dict[int, Any] = {}
    for places, width_px in _batches(crops):
        if readings and not budget.allows(width_px):
            break
        found = _timed(engine, [crops[place] for place in places], budget, width_px)
        readings.update(zip(places, found, strict=True))
        poor = [place for place in places if readings[place][1] < _TURN_BELOW]
        if poor and budget.allows(width_px):
            turned = [np.ascontiguousarray(crops[place][::-1, ::-1]) for place in poor]
            again = _timed(engine, turned, budget, len(poor) * max(_width_px(each) for each in turned))
            for place, crop, reading in zip(poor, turned, again, strict=True):
                if reading[1] > readings[place][1]:
                    crops[place], readings[place] = crop, reading
    return readings


def _batches(crops: Sequence[Array]) -> Iterator[tuple[list[int], int]]:
    """Places of lines that are read together, the largest lines first, and the width that this fills."""
    for begin in range(0, len(crops), _WINDOW):
        window = range(begin, min(begin + _WINDOW, len(crops)))
        batch: list[int] = []
        for place in sorted(window, key=lambda each: _width_px(crops[each])):
            width_px = _width_px(crops[place]) * (len(batch) + 1)  # the last is the widest, and the others are padded
            if batch and (width_px > _BATCH_PX or len(batch) == _BATCH_LINES):
                yield batch, _width_px(crops[batch[-1]]) * len(batch)
                batch = []
            batch.append(place)
        yield batch, _width_px(crops[batch[-1]]) * len(batch)


def _width_px(crop: Array) -> int:
    """At the recogniser's height, of which it takes no less than a width of about seven."""
    height, width = crop.shape[:2]
    return max(320, int(HEIGHT_PX * width / max(1, height)))


def _timed(engine: Any, crops: list[Array], budget: _Budget, width_px: int) -> list[Any]:  # `Any`: as above
    began_s = time.process_time()
    readings, _ = engine.text_rec(crops, True)
    budget.took(width_px, time.process_time() - began_s)
    return list(readings)


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


FAMILY = Family(name="rapidocr", tasks=("ocr",), load=load)
