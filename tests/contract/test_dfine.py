"""D-FINE against the reference implementation, on a tiny model with random weights (fixtures/tiny)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.families import dfine
from gateway.inference.family import Options, Request, Runner
from gateway.inference.manifest import read_manifests
from tests.contract import inference_house as house

pytestmark = pytest.mark.slow  # graphs are run

TINY = Path(__file__).resolve().parent.parent / "fixtures/tiny"
FOLDER = TINY / "dfine"
EXPECTED: Any = json.loads((FOLDER / "expected.json").read_text())  # Any: the shape is that of our own file
FILES = {name: FOLDER / name for name in ("model.onnx", "labels.txt")}


def detector(**over: object) -> Runner:
    """The tiny model, with the options of the manifest but for its size and threshold."""
    own = {key: EXPECTED[key] for key in ("side_px", "min_score")}
    return dfine.load(FILES, Options(threads=1, table={**read_manifests()["dfine-n"].options, **own, **over}))


@pytest.fixture(scope="module")
def usual() -> Runner:
    return detector()


def boxes(runner: Runner, folder: Path, name: str) -> list[Json]:
    found: list[Json] = runner(Request(house.sealed(folder, (TINY / "pictures" / name).read_bytes()), {}))["boxes"]
    return found


def test_things_are_found_box_for_box_as_the_reference_finds_them(usual: Runner, tmp_path: Path) -> None:
    compared = 0
    assert len(EXPECTED["pictures"]) == 20
    for name, truth in EXPECTED["pictures"].items():
        width, height = truth["size"]
        edges = np.array([width, height, width, height])
        kept = [box for box in truth["boxes"] if seen(box["corners"], edges)]
        found = boxes(usual, tmp_path, name)
        assert [box["label"] for box in found] == [box["label"] for box in kept], name
        for box, wanted in zip(found, kept, strict=True):
            assert abs(box["score"] - wanted["score"]) < 1e-3, name
            corners = np.array([box["x"], box["y"], box["x"] + box["w"], box["y"] + box["h"]]) * edges
            assert np.abs(corners - np.clip(wanted["corners"], 0, edges)).max() < 0.1, name
            compared += 1
    assert compared > 60


def seen(corners: list[float], edges: np.ndarray) -> bool:
    """Whether any of a box lies inside of the picture: others are none for us."""
    x0, y0, x1, y1 = np.clip(corners, 0, edges) / edges
    return bool(min(x1 - x0, y1 - y0) > 1e-3)


def test_boxes_lie_within_the_picture_best_first(tmp_path: Path) -> None:
    all_of_them = detector(min_score=0.0)
    for name in ("00.jpeg", "05.png", "19.png"):
        found = boxes(all_of_them, tmp_path, name)
        assert [box["score"] for box in found] == sorted((box["score"] for box in found), reverse=True)
        for box in found:
            assert 0 <= box["x"] <= box["x"] + box["w"] <= 1.000001 and 0 <= box["y"] <= box["y"] + box["h"] <= 1.000001


def test_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("person\ndog\n")
    runner = dfine.load({**FILES, "labels.txt": tmp_path / "labels.txt"}, Options(1, {"side_px": 64}))
    with pytest.raises(ModelBroken, match="labels"):
        boxes(runner, tmp_path, "00.jpeg")


@pytest.mark.parametrize("side_px", [0, 9_999])
def test_a_size_out_of_range_is_refused(side_px: int) -> None:
    with pytest.raises(ModelBroken, match="side_px"):
        detector(side_px=side_px)


def test_another_graph_is_not_taken_for_a_detector() -> None:
    with pytest.raises(ModelBroken, match="where"):
        dfine.load({**FILES, "model.onnx": TINY / "clip/vision_model.onnx"}, Options(1, {}))
