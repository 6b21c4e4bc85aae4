"""CAM++ against the reference implementation, on a tiny model with random weights (fixtures/tiny)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.entities import Json
from gateway.errors import ModelBroken, Rejected
from gateway.inference.families import campplus
from gateway.inference.family import Options, Request, Runner
from gateway.inference.fbank import fbank
from gateway.inference.manifest import read_manifests
from gateway.inference.sounds import decode_sound
from tests.contract import inference_house as house

pytestmark = pytest.mark.slow  # graphs are run

TINY = Path(__file__).resolve().parent.parent / "fixtures/tiny"
FOLDER = TINY / "campplus"
EXPECTED: Any = json.loads((FOLDER / "expected.json").read_text())  # Any: the shape is that of our own file
RATE_HZ = 16_000


@pytest.fixture(scope="module")
def voices() -> Runner:
    options = Options(threads=1, table=read_manifests()["campplus"].options)
    return campplus.load({"model.onnx": FOLDER / "model.onnx"}, options)


def ask(runner: Runner, folder: Path, body: bytes, params: Json | None = None) -> Json:
    return runner(Request(house.sealed(folder, body, "audio/wav"), params or {}))


def test_bands_are_those_of_kaldi() -> None:
    """Each band's mean over the recording; row by row the two were compared when the fixture was made."""
    for name, truth in EXPECTED["sounds"].items():
        rows = fbank(decode_sound((TINY / "sounds" / name).read_bytes()).samples)
        assert rows.shape == (truth["rows"], 80)
        assert np.abs(rows.mean(axis=0) - truth["bands"]).max() < 1e-4, name


def test_a_voices_vector_is_that_of_the_reference(voices: Runner, tmp_path: Path) -> None:
    vectors = []
    for name, truth in EXPECTED["sounds"].items():
        answer = ask(voices, tmp_path, (TINY / "sounds" / name).read_bytes())
        (body,) = answer["vectors"]
        vectors.append(np.frombuffer(body, "<f4"))
        assert len(vectors[-1]) == answer["dim"] == EXPECTED["dim"] and answer["same"] == 0.5
        assert float(vectors[-1] @ np.array(truth["vector"])) > 0.9999, name
        assert np.abs(vectors[-1] - truth["vector"]).max() < 1e-3, name
    alike = np.array(vectors) @ np.array(vectors).T
    assert alike[~np.eye(len(alike), dtype=bool)].min() < 0.9  # so that the wrong one would be noticed


def test_each_stretch_has_its_own_vector_and_a_blink_has_none(voices: Runner, tmp_path: Path) -> None:
    one, other = (decode_sound((TINY / f"sounds/{n}.wav").read_bytes()).samples for n in (4, 7))
    body = house.recording(np.concatenate([one, other]).astype(np.float64) * 32768 / 32767)
    edge_us, end_us = len(one) * 1_000_000 // RATE_HZ, (len(one) + len(other)) * 1_000_000 // RATE_HZ
    spans = [{"start_us": 0, "end_us": edge_us}, {"start_us": edge_us, "end_us": end_us}]
    answer = ask(voices, tmp_path, body, {"speech": [*spans, {"start_us": 0, "end_us": 100_000}]})
    for found, n in zip(answer["vectors"][:2], (4, 7), strict=True):
        truth = np.array(EXPECTED["sounds"][f"{n}.wav"]["vector"])
        assert float(np.frombuffer(found, "<f4") @ truth) > 0.9999
    assert answer["vectors"][2] == b""
    with pytest.raises(Rejected, match="64"):
        ask(voices, tmp_path, body, {"speech": spans * 33})


def test_a_long_recording_is_one_of_blocks_without_seams() -> None:
    samples = np.random.default_rng(1).normal(0, 0.1, 25 * RATE_HZ).astype(np.float32)
    assert np.array_equal(fbank(samples)[1_990:2_010], fbank(samples[1_990 * 160 :])[:20])
    assert fbank(samples[:399]).shape == (0, 80) and fbank(samples[:400]).shape == (1, 80)


def test_another_graph_is_not_taken_for_a_model_of_voices() -> None:
    with pytest.raises(ModelBroken, match="something else"):
        campplus.load({"model.onnx": TINY / "moonshine/encoder_model.onnx"}, Options(1, {}))
