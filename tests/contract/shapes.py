"""What an answer of each task looks like, as the families' docstrings promise it: for real workers and their twin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

import numpy as np

from gateway.entities import Json

Value = Any
"""Of an answer: it is looked at here."""


def _number(value: Value, low: float = 0.0, high: float = 1.0) -> bool:
    return isinstance(value, int | float) and isfinite(value) and low - 1e-5 <= value <= high + 1e-5


def _unit(body: Value, dim: int) -> None:
    """Float32 little-endian, finite, of length 1."""
    assert isinstance(body, bytes) and len(body) == 4 * dim
    vector = np.frombuffer(body, "<f4")
    assert np.isfinite(vector).all() and abs(float(np.linalg.norm(vector)) - 1) < 1e-4


def _box(box: Json) -> None:
    assert all(_number(box[side]) for side in "xywh"), box
    assert box["x"] + box["w"] <= 1.0001 and box["y"] + box["h"] <= 1.0001


def _labels(found: Value, *, most: int) -> None:
    assert isinstance(found, list) and len(found) <= most
    for each in found:
        assert isinstance(each["label"], str) and 0 < len(each["label"]) <= 100 and _number(each["score"])


def _vector(data: Json) -> None:
    """One, or the same of several views, one after the other."""
    dim = data["dim"]
    assert dim > 0 and len(data["vector"]) % (4 * dim) == 0
    for at in range(0, max(1, len(data["vector"])), 4 * dim):
        _unit(data["vector"][at : at + 4 * dim], dim)


def _vectors(data: Json) -> None:
    for each in data["vectors"]:
        if each:
            _unit(each, data["dim"])


def _boxes(data: Json) -> None:
    _labels(data["boxes"], most=100)
    for each in data["boxes"]:
        _box(each)


def _faces(data: Json) -> None:
    assert len(data["faces"]) <= 50
    for each in data["faces"]:
        _box(each)
        assert _number(each["score"]) and len(each["points"]) == 5
        assert all(len(point) == 2 and all(_number(place, -9, 9) for place in point) for point in each["points"])


def _lines(data: Json) -> None:
    assert isinstance(data["partial"], bool) and len(data["lines"]) <= 60
    for each in data["lines"]:
        _box(each)
        assert 0 < len(each["text"]) <= 500 and _number(each["score"])


def _caption(data: Json) -> None:
    assert isinstance(data["caption"], str) and all(isinstance(each, int) for each in data["tokens"])
    assert data["stopped"] in ("end", "length", "time", "abstained") and _number(data["confidence"])


def _spans(found: Value, *, most: int) -> None:
    assert len(found) <= most
    assert all(isinstance(each[edge], int) for each in found for edge in ("start_us", "end_us"))
    assert all(0 <= each["start_us"] <= each["end_us"] for each in found)


def _speech(data: Json) -> None:
    _spans(data["speech"], most=1_000)
    assert all(each["end_us"] <= data["duration_us"] for each in data["speech"])


def _words(data: Json) -> None:
    _spans(data["words"], most=100_000)
    assert data["text"] == " ".join(each["word"] for each in data["words"])
    assert all(0 < len(each["word"]) <= 100 and _number(each["confidence"]) for each in data["words"])
    assert _number(data["confidence"]) and data["heard_us"] >= 0


def _events(data: Json) -> None:
    _labels(data["events"], most=100)
    _spans(data["events"], most=100)


def _measures(data: Json) -> None:
    assert data["width_px"] > 0 and data["height_px"] > 0
    assert all(_number(data[each], 0, 255) for each in ("luma_mean", "luma_std"))
    assert all(_number(data[each]) for each in ("dark_share", "bright_share"))
    assert all(_number(data[each], 0, 1e6) for each in ("sharpness", "colourfulness"))
    assert len(data["phash"]) == 16 and int(data["phash"], 16) >= 0
    assert len(data["grid"]) == 32 * 24 and len(data["grid_colour"]) == 8 * 6 * 3
    assert all(_number(share) for share in data.get("faults", {}).values())


def _laid(data: Json) -> None:
    assert 0 < len(data["found"]) <= 12
    assert all(each is None or isinstance(each, Mapping) for each in data["found"])


def _jpeg(data: Json) -> None:
    assert data["jpeg"][:3] == b"\xff\xd8\xff" and data["jpeg"][-2:] == b"\xff\xd9"


SHAPES: Mapping[str, Callable[[Json], None]] = {
    "asr": _words,
    "asr-draft": _words,
    "caption": _caption,
    "classify": lambda data: _labels(data["labels"], most=5),
    "copy-vector": _vector,
    "detect": _boxes,
    "detect-faces": _faces,
    "embed-face": _vector,
    "embed-image": _vector,
    "embed-speaker": _vectors,
    "embed-text": _vectors,
    "embed-text-for-images": _vectors,
    "ocr": _lines,
    "overlap": _laid,
    "pixels": _measures,
    "sound": _events,
    "thumbnail": _jpeg,
    "vad": _speech,
}
"""By task: fails where an answer is not what was promised."""
