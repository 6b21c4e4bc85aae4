"""The families whose weights are not at hand, pulled from a mirror and run in real worker processes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gateway.inference.fetch import pull
from gateway.inference.manifest import Manifest, ModelFile, read_manifests
from gateway.inference.models import Models, State, file_sha256
from gateway.inference.workers import Budget, open_workers
from tests.contract import inference_house as house

TINY = Path(__file__).resolve().parent.parent / "fixtures/tiny"
FOLDERS = {
    "clip-vit-b32-vision": "clip",
    "clip-vit-b32-text": "clip",
    "vit-gpt2": "vit-gpt2",
    "dfine-n": "dfine",
    "moonshine-tiny-en": "moonshine",
    "campplus": "campplus",
}
FILES = {
    "clip-vit-b32-vision": ("vision_model.onnx",),
    "clip-vit-b32-text": ("text_model.onnx", "tokenizer.json"),
    "vit-gpt2": ("encoder_model.onnx", "decoder_model_merged.onnx", "tokenizer.json"),
    "dfine-n": ("model.onnx", "labels.txt"),
    "moonshine-tiny-en": ("encoder_model.onnx", "decoder_model_merged.onnx", "tokenizer.json"),
    "campplus": ("model.onnx",),
}
OWN = {
    "vit-gpt2": ("start_id", "end_id", "max_tokens"),
    "dfine-n": ("side_px", "min_score"),
    "moonshine-tiny-en": ("start_id", "end_id", "tokens_per_s"),
}


def tiny(name: str) -> Manifest:
    """The real manifest, with the tiny model's files and sizes."""
    manifest, folder = read_manifests()[name], TINY / FOLDERS[name]
    own = {"side_px": 32} if "side_px" in manifest.options else {}
    if name in OWN:
        expected = json.loads((folder / "expected.json").read_text())
        own |= {key: expected[key] for key in OWN[name]}
    return replace(
        manifest,
        options={**manifest.options, **own},
        files=tuple(
            ModelFile(each, file_sha256(folder / each), (folder / each).stat().st_size, ()) for each in FILES[name]
        ),
    )


@pytest.mark.slow
async def test_what_a_family_answers_comes_through_its_worker_with_its_provenance(tmp_path: Path) -> None:
    models = Models(tmp_path, {name: tiny(name) for name in FILES})
    for name in FILES:
        (look,) = await pull(models, name, mirror=TINY / FOLDERS[name])
        assert look.state is State.READY
    blob = house.sealed(tmp_path, (TINY / "pictures/00.jpeg").read_bytes())
    sound = house.sealed(tmp_path, (TINY / "sounds/5.wav").read_bytes(), "audio/wav")
    async with open_workers(models, Budget(default_s=120)) as workers:  # a busy machine is no fault
        said = await workers.run("caption", blob)
        found = await workers.run("detect", blob)
        heard = await workers.run("asr", sound)
        voice = await workers.run("embed-speaker", sound, params={"speech": [{"start_us": 0, "end_us": 900_000}]})
        seen = await workers.run("embed-image", blob)
        text = await workers.run("embed-text-for-images", params={"texts": ["a dog", ""]})
    expected = json.loads((TINY / "vit-gpt2/expected.json").read_text())["pictures"]["00.jpeg"]
    assert list(said.data["tokens"]) == expected["tokens"]
    assert said.provenance == models.manifests["vit-gpt2"].provenance
    assert seen.data["space"] == text.data["space"] == "clip-vit-b32"
    vectors = [np.frombuffer(each, "<f4") for each in (seen.data["vector"], *text.data["vectors"])]
    assert {len(vector) for vector in vectors} == {24}
    truth = {
        name: json.loads((TINY / name / "expected.json").read_text()) for name in ("dfine", "moonshine", "campplus")
    }
    wanted = truth["dfine"]["pictures"]["00.jpeg"]["boxes"]
    assert len(found.data["boxes"]) > 5
    for box in found.data["boxes"]:
        assert any(each["label"] == box["label"] and abs(each["score"] - box["score"]) < 1e-3 for each in wanted)
    assert heard.data["text"] == " ".join(truth["moonshine"]["sounds"]["5.wav"]["text"].split())
    vector = np.frombuffer(voice.data["vectors"][0], "<f4")
    assert float(vector @ np.array(truth["campplus"]["sounds"]["5.wav"]["vector"])) > 0.9999
    assert {each.provenance.model for each in (found, heard, voice)} == {"dfine-n", "moonshine-tiny-en", "campplus"}
