"""Our own network for what is wrong with a picture: it ships, it tells, and int8 keeps what it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from gateway.demo.home import SECOND_US, Home
from gateway.demo.render import render
from gateway.errors import ModelBroken
from gateway.inference import quantise
from gateway.inference.families import pixels
from gateway.inference.family import Options, Request
from gateway.inference.faults import COUNT, FAULTS, features, judge
from gateway.inference.manifest import manifests_folder, read_manifests
from gateway.inference.models import Models, State
from gateway.inference.pictures import Picture
from gateway.inference.runtime import OnnxModel
from gateway.pipeline.steps.quality import fault_of
from tests.contract.inference_house import picture, sealed

pytestmark = pytest.mark.slow  # graphs are run

MANIFEST = read_manifests()["quality"]
WEIGHTS = manifests_folder() / "quality.onnx"
EXACT = Path(__file__).parents[2] / "models" / "train" / "quality-fp32.onnx"


@pytest.fixture(scope="module")
def frames() -> list[Image.Image]:
    """Of a home that nothing was learned from, each camera by day."""
    shots = Home(77, ends_at_us=1_780_000_000 * SECOND_US).shots
    lit = [shot for shot in shots if shot.scene.light.day > 0.6]
    chosen = {shot.camera: shot for shot in lit}
    return [render(shot.scene, shot.camera, shot.at_us) for shot in chosen.values()]


def fault(picture: Image.Image) -> str:
    return fault_of(pixels.measure(Picture(picture, *picture.size), OnnxModel(WEIGHTS, threads=1)))


def test_the_weights_come_with_the_program_and_serve_before_the_rules(tmp_path: Path) -> None:
    models = Models(tmp_path)
    assert models.get("quality").state is State.READY, models.get("quality").reason
    assert models.for_task("pixels").manifest.name == "quality"
    assert WEIGHTS.stat().st_size < 200_000 and MANIFEST.download_bytes == 0


def test_sound_frames_are_sound(frames: list[Image.Image]) -> None:
    assert [fault(each) for each in frames] == [""] * len(frames)


def test_each_fault_is_told(frames: list[Image.Image]) -> None:
    for frame in frames:
        assert fault(frame.filter(ImageFilter.GaussianBlur(9))) == "blurred"
        assert fault(ImageEnhance.Brightness(frame).enhance(0.06)) == "dark"
        assert fault(Image.new("RGB", frame.size, (150, 100, 80))) == "covered"
        full = np.asarray(frame, np.float32) * 6
        assert fault(Image.fromarray(np.clip(full, 0, 255).astype(np.uint8))) == "overexposed"


def test_it_answers_through_the_task_with_shares(tmp_path: Path) -> None:
    blob = sealed(tmp_path, picture())
    seen = pixels.load({WEIGHTS.name: WEIGHTS}, Options(1, {}))(Request(blob, {}))
    assert set(seen["faults"]) == set(FAULTS[1:]) and 0 <= sum(seen["faults"].values()) <= 1.0001
    assert "faults" not in pixels.load({}, Options(1, {}))(Request(blob, {}))


def test_a_tiny_picture_is_not_judged() -> None:
    assert fault(Image.new("RGB", (63, 400))) == ""


def test_numbers_are_finite_whatever_the_picture() -> None:
    for level in (0, 255):
        for size in ((64, 64), (512, 65), (65, 512), (67, 99)):
            luma = np.full(size, level, np.uint8)
            numbers = features(np.repeat(luma[..., None], 3, axis=2), luma)
            assert numbers.shape == (COUNT,) and np.isfinite(numbers).all()


def test_a_network_of_another_shape_is_broken() -> None:
    class Wrong:
        inputs = ("numbers",)

        def run(self, feeds: object) -> list[np.ndarray]:
            return [np.zeros((1, 3), np.float32)]

    with pytest.raises(ModelBroken):
        judge(Wrong(), np.zeros(COUNT, np.float32))  # type: ignore[arg-type]


def test_int8_keeps_what_its_gate_asks_for(frames: list[Image.Image]) -> None:
    assert MANIFEST.gate is not None
    chance = np.random.default_rng(3)
    rows = []
    for frame in frames:
        for sigma in (0, 1, 2, 4, 8):
            for light in (0.05, 0.3, 1.0, 3.0):
                changed = ImageEnhance.Brightness(frame.filter(ImageFilter.GaussianBlur(sigma))).enhance(light)
                small = changed.resize((320, 240))
                rows.append(features(np.asarray(small), np.asarray(small.convert("L"))))
    shaken = [row + 0.02 * chance.standard_normal(COUNT).astype(np.float32) for row in rows]
    kept = quantise.agreement(EXACT, WEIGHTS, [{"numbers": row[None]} for row in [*rows, *shaken]])
    quantise.refuse_what_fails(MANIFEST.name, MANIFEST.gate, kept)
    with pytest.raises(ModelBroken):
        quantise.refuse_what_fails(MANIFEST.name, replace(MANIFEST.gate, least=1.0), kept - 0.01)
