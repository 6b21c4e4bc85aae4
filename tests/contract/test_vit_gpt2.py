"""ViT-GPT2 against the reference implementation, on a tiny model with random weights (fixtures/tiny)."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.families import vit_gpt2
from gateway.inference.family import Options, Request, Runner
from gateway.inference.generate import Decoder, Rules, rules
from gateway.inference.manifest import read_manifests
from gateway.inference.runtime import OnnxModel
from tests.contract import inference_house as house

pytestmark = pytest.mark.slow  # graphs are run

TINY = Path(__file__).resolve().parent.parent / "fixtures/tiny"
FOLDER = TINY / "vit-gpt2"
EXPECTED: Any = json.loads((FOLDER / "expected.json").read_text())  # Any: the shape is that of our own file
NAMES = ("encoder_model.onnx", "decoder_model_merged.onnx", "tokenizer.json")
PICTURES = sorted(EXPECTED["pictures"])


def captioner(**over: object) -> Runner:
    """The tiny model, with the options of the manifest but for its size."""
    own = {key: EXPECTED[key] for key in ("start_id", "end_id", "max_tokens")}
    table: Json = {**read_manifests()["vit-gpt2"].options, "side_px": 32, "budget_s": 60, **own, **over}
    return vit_gpt2.load({name: FOLDER / name for name in NAMES}, Options(threads=1, table=table))


def ask(runner: Runner, folder: Path, name: str) -> Json:
    return runner(Request(blob=house.sealed(folder, (TINY / "pictures" / name).read_bytes()), params={}))


def test_twenty_pictures_are_described_token_for_token_as_the_reference_does(tmp_path: Path) -> None:
    runner = captioner()
    assert len(PICTURES) == 20
    for name in PICTURES:
        truth, answer = EXPECTED["pictures"][name], ask(runner, tmp_path, name)
        assert answer["tokens"] == truth["tokens"], name
        assert answer["caption"] == " ".join(truth["text"].split()), name
        assert answer["stopped"] == ("end" if truth["tokens"][-1] == EXPECTED["end_id"] else "length")
        assert 0 < answer["confidence"] <= 1
    assert {tuple(EXPECTED["pictures"][name]["tokens"])[-1] == EXPECTED["end_id"] for name in PICTURES} == {True, False}


def test_an_answer_is_cut_where_its_length_ends(tmp_path: Path) -> None:
    (long,) = [name for name in PICTURES if len(EXPECTED["pictures"][name]["tokens"]) == 12][:1]
    answer = ask(captioner(max_tokens=4), tmp_path, long)
    assert (answer["tokens"], answer["stopped"]) == (EXPECTED["pictures"][long]["tokens"][:4], "length")


def test_no_piece_is_asked_for_when_the_time_is_over() -> None:
    clock = itertools.count().__next__
    decoder = Decoder(OnnxModel(FOLDER / "decoder_model_merged.onnx", threads=1), clock=lambda: float(clock()))
    seen = {"encoder_hidden_states": np.zeros((1, 17, 32), np.float32)}
    said = decoder.greedy(seen, Rules(start_id=296, end_id=-2, max_tokens=12, budget_s=3.5))
    assert (len(said.tokens), said.stopped) == (3, "time")
    none = decoder.greedy(seen, Rules(start_id=296, end_id=-2, max_tokens=12, budget_s=0))
    assert (none.tokens, none.stopped, none.confidence) == ((), "time", 0.0)


def test_nothing_is_said_twice_when_it_may_not() -> None:
    decoder = Decoder(OnnxModel(FOLDER / "decoder_model_merged.onnx", threads=1))
    seen = {"encoder_hidden_states": np.ones((1, 17, 32), np.float32)}
    how = Rules(start_id=296, end_id=-2, max_tokens=20, budget_s=60, no_repeat=2, first_id=5, last_id=7)
    said = decoder.greedy(seen, how).tokens
    pairs = list(itertools.pairwise((296, *said[:-1])))
    assert len(set(pairs)) == len(pairs)
    assert said[0] == 5 and said[-1] == 7 and len(said) == 20


@pytest.mark.parametrize(
    ("over", "word"),
    [({"start_id": -1}, "start_id"), ({"max_tokens": 0}, "max_tokens"), ({"max_tokens": 99_999}, "max_tokens")],
)
def test_rules_out_of_range_are_refused(over: Json, word: str) -> None:
    with pytest.raises(ModelBroken, match=word):
        rules(Options(threads=1, table={"start_id": 1, "end_id": 2, **over}))


def test_a_forced_piece_that_the_decoder_does_not_have_is_refused() -> None:
    decoder = Decoder(OnnxModel(FOLDER / "decoder_model_merged.onnx", threads=1))
    seen = {"encoder_hidden_states": np.ones((1, 17, 32), np.float32)}
    with pytest.raises(ModelBroken, match="piece"):
        decoder.greedy(seen, Rules(start_id=296, end_id=296, max_tokens=3, budget_s=60, first_id=99_999))


def test_a_graph_of_another_kind_is_no_decoder() -> None:
    with pytest.raises(ModelBroken, match="cache"):
        Decoder(OnnxModel(FOLDER / "encoder_model.onnx", threads=1))


def test_a_captioner_without_one_of_its_files_is_refused() -> None:
    with pytest.raises(ModelBroken, match="tokenizer"):
        vit_gpt2.load({name: FOLDER / name for name in NAMES[:2]}, Options(threads=1, table={}))
