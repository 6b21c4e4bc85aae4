"""Moonshine against the reference implementation, on a tiny model with random weights (fixtures/tiny)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.entities import Json
from gateway.errors import ModelBroken, Rejected
from gateway.inference.families import moonshine
from gateway.inference.families.moonshine import pieces_of
from gateway.inference.family import Options, Request, Runner
from gateway.inference.manifest import read_manifests
from tests.contract import inference_house as house

pytestmark = pytest.mark.slow  # graphs are run

TINY = Path(__file__).resolve().parent.parent / "fixtures/tiny"
FOLDER = TINY / "moonshine"
EXPECTED: Any = json.loads((FOLDER / "expected.json").read_text())  # Any: the shape is that of our own file
NAMES = ("encoder_model.onnx", "decoder_model_merged.onnx", "tokenizer.json")
RATE_HZ = 16_000


def options(**over: object) -> Options:
    """The options of the manifest, whose numbers of pieces are the reference's own."""
    known = read_manifests()["moonshine-tiny-en"].options
    assert {key: known[key] for key in ("start_id", "end_id")} == {key: EXPECTED[key] for key in ("start_id", "end_id")}
    return Options(threads=1, table={**known, "tokens_per_s": EXPECTED["tokens_per_s"], **over})


@pytest.fixture(scope="module")
def listener() -> Runner:
    return moonshine.load({name: FOLDER / name for name in NAMES}, options())


def hear(runner: Runner, folder: Path, body: bytes, params: Json | None = None) -> Json:
    return runner(Request(house.sealed(folder, body, "audio/wav"), params or {}))


def test_eight_recordings_are_written_down_as_the_reference_does(listener: Runner, tmp_path: Path) -> None:
    assert len(EXPECTED["sounds"]) == 8
    for name, truth in EXPECTED["sounds"].items():
        answer = hear(listener, tmp_path, (TINY / "sounds" / name).read_bytes())
        assert answer["text"] == " ".join(truth["text"].split()), name
        assert 0 < answer["confidence"] <= 1 and answer["heard_us"] > 290_000


def test_pieces_are_those_of_the_reference_token_for_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Asked of the decoder itself, because two runs of pieces may read the same."""
    said: list[tuple[int, ...]] = []
    greedy = moonshine.Decoder.greedy

    def listening(self: Any, *given: Any, **named: Any) -> Any:  # Any: handed on as it is
        answer = greedy(self, *given, **named)
        said.append(answer.tokens)
        return answer

    monkeypatch.setattr(moonshine.Decoder, "greedy", listening)
    runner = moonshine.load({name: FOLDER / name for name in NAMES}, options())
    for name in EXPECTED["sounds"]:
        hear(runner, tmp_path, (TINY / "sounds" / name).read_bytes())
    assert [list(tokens) for tokens in said] == [truth["tokens"] for truth in EXPECTED["sounds"].values()]
    assert {tokens[-1] == EXPECTED["end_id"] for tokens in said} == {True, False}


def test_each_stretch_of_speech_is_heard_by_itself_and_gives_its_words_its_times(
    listener: Runner, tmp_path: Path
) -> None:
    one, other = ((TINY / "sounds" / f"{n}.wav").read_bytes()[44:] for n in (4, 7))
    samples = np.frombuffer(one + bytes(RATE_HZ) + other, "<i2") / 32767
    spans = [
        {"start_us": 0, "end_us": len(one) * 1_000_000 // 32_000},
        {"start_us": (len(one) + RATE_HZ) * 1_000_000 // 32_000, "end_us": len(samples) * 1_000_000 // RATE_HZ},
    ]
    answer = hear(listener, tmp_path, house.recording(samples), {"speech": spans})
    parts = [" ".join(EXPECTED["sounds"][f"{n}.wav"]["text"].split()) for n in (4, 7)]
    assert answer["text"] == " ".join(parts)
    assert {(word["start_us"], word["end_us"]) for word in answer["words"]} <= {
        (span["start_us"], span["end_us"]) for span in spans
    }


def test_nothing_is_heard_when_nobody_speaks_or_the_time_is_over(listener: Runner, tmp_path: Path) -> None:
    body = (TINY / "sounds/7.wav").read_bytes()
    assert hear(listener, tmp_path, body, {"speech": []})["text"] == ""
    assert hear(listener, tmp_path, body, {"speech": [{"start_us": 0, "end_us": 50_000}]})["heard_us"] == 0
    hasty = moonshine.load({name: FOLDER / name for name in NAMES}, options(budget_s=0))
    assert hear(hasty, tmp_path, body) == {"text": "", "words": [], "confidence": 0.0, "heard_us": 0}
    with pytest.raises(Rejected):
        hear(listener, tmp_path, body, {"speech": "all of it"})


def test_long_speech_is_cut_where_it_is_quietest() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 70 * RATE_HZ).astype(np.float32)
    for quiet_s in (25, 48):
        samples[quiet_s * RATE_HZ : quiet_s * RATE_HZ + 3_200] = 0
    pieces = list(pieces_of(samples, [(0, len(samples)), (5, 9)]))
    assert [start for start, _ in pieces] == [0, *(end for _, end in pieces[:-1])]
    assert pieces[-1][1] == len(samples)
    assert [round(end / RATE_HZ) for _, end in pieces[:-1]] == [25, 48]
    assert all(end - start <= 30 * RATE_HZ for start, end in pieces)


@pytest.mark.parametrize("over", [{"tokens_per_s": 0}, {"tokens_per_s": 400}, {"start_id": -1}])
def test_options_out_of_range_are_refused(over: Json) -> None:
    with pytest.raises(ModelBroken):
        moonshine.load({}, options(**over))
