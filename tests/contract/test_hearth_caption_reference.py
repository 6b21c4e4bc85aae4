"""Our own captioner against PyTorch: its own modules, made small, with random weights (fixtures/tiny)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.entities import Json
from gateway.inference.families import hearth_caption
from gateway.inference.families.hearth_caption import ABSTAINED
from gateway.inference.family import Options, Request, Runner
from gateway.inference.manifest import read_manifests
from tests.contract import inference_house as house

pytestmark = pytest.mark.slow  # graphs are run

TINY = Path(__file__).resolve().parent.parent / "fixtures/tiny"
FOLDER = TINY / "hearth-caption"
EXPECTED: Any = json.loads((FOLDER / "expected.json").read_text())  # Any: the shape is that of our own file
NAMES = ("encoder.onnx", "decoder.onnx", "tokenizer.json")
PICTURES = sorted(EXPECTED["pictures"])
OPEN: Json = {"least_logit": -1e6, "most_distance": 1e6}
"""A gate that lets everything through."""


def captioner(limits: Json) -> Runner:
    """The tiny model, with the options of the manifest but for its size and its limits."""
    known = read_manifests()["hearth-caption"].options
    assert {key: known[key] for key in ("start_id", "end_id")} == {key: EXPECTED[key] for key in ("start_id", "end_id")}
    own = {key: EXPECTED[key] for key in ("side_px", "max_tokens")}
    table: Json = {**known, "budget_s": 60, **own, **limits}
    return hearth_caption.load({name: FOLDER / name for name in NAMES}, Options(threads=1, table=table))


def ask(runner: Runner, folder: Path, name: str) -> Json:
    return runner(Request(blob=house.sealed(folder, (TINY / "pictures" / name).read_bytes()), params={}))


def test_twenty_pictures_are_described_token_for_token_as_pytorch_does(tmp_path: Path) -> None:
    runner = captioner(OPEN)
    assert len(PICTURES) == 20
    for name in PICTURES:
        truth, answer = EXPECTED["pictures"][name], ask(runner, tmp_path, name)
        assert answer["tokens"] == truth["tokens"], name
        assert answer["caption"] == truth["text"], name
        assert answer["stopped"] == ("end" if truth["tokens"][-1] == EXPECTED["end_id"] else "length")
        assert [answer["gate"][key] for key in ("logit", "distance")] == pytest.approx(truth["gate"], rel=1e-3)
    assert {tuple(EXPECTED["pictures"][name]["tokens"])[-1] == EXPECTED["end_id"] for name in PICTURES} == {True, False}


@pytest.mark.parametrize(("limit", "place"), [("least_logit", 0), ("most_distance", 1)])
def test_a_limit_between_two_pictures_parts_those_that_pytorch_puts_on_either_side(
    tmp_path: Path, limit: str, place: int
) -> None:
    numbers = sorted(EXPECTED["pictures"][name]["gate"][place] for name in PICTURES)
    middle = (numbers[9] + numbers[10]) / 2
    runner = captioner({**OPEN, limit: middle})
    known = {name for name in PICTURES if ask(runner, tmp_path, name)["stopped"] != ABSTAINED}
    gates = {name: EXPECTED["pictures"][name]["gate"][place] for name in PICTURES}
    assert known == {name for name in PICTURES if (gates[name] > middle) == (limit == "least_logit")}
    assert len(known) == 10
