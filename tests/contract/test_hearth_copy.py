"""The copy vector of the product's own weights, and the task that lays pictures over one another."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from gateway.errors import ModelBroken, Rejected
from gateway.inference import quantise
from gateway.inference.families import hearth_copy, overlap
from gateway.inference.family import Options, Request
from gateway.inference.manifest import manifests_folder, read_manifests
from gateway.inference.models import Models, State
from gateway.inference.runtime import OnnxModel
from gateway.inference.worker import blob_to_map
from gateway.store.copies import nearness
from models.train.copy_pictures import procedural
from tests.bench.copy_suite import SCREENS, Change
from tests.contract.inference_house import sealed

pytestmark = pytest.mark.slow  # the real network, on pictures that are drawn

MANIFEST = read_manifests()["hearth-copy"]
WEIGHTS = manifests_folder() / "hearth-copy.onnx"
EXACT = Path(__file__).parents[2] / "models" / "train" / "hearth-copy-fp32.onnx"


def _jpeg(picture: Image.Image, quality: int = 85) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return list(procedural(6, seed=31, size=(320, 240)))


@pytest.fixture(scope="module")
def model() -> OnnxModel:
    return OnnxModel(WEIGHTS, threads=1)


def test_the_weights_come_with_the_program_within_their_size(tmp_path: Path) -> None:
    installed = Models(tmp_path).get("hearth-copy")
    assert installed.state is State.READY, installed.reason
    assert installed.files[0].path.stat().st_size <= 2_000_000
    assert MANIFEST.download_bytes == 0 and MANIFEST.licence == "Apache-2.0"


def test_a_vector_is_of_length_one_and_the_same_each_time(tmp_path: Path, pictures: list[Image.Image]) -> None:
    run = hearth_copy.load({WEIGHTS.name: WEIGHTS}, Options(1, {}))
    blob = sealed(tmp_path, _jpeg(pictures[0]))
    one, again = (np.frombuffer(run(Request(blob, {}))["vector"], "<f4") for _ in range(2))
    assert len(one) == hearth_copy.DIM and np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(one, again)


def test_mirrors_and_quarter_turns_change_next_to_nothing(model: OnnxModel, pictures: list[Image.Image]) -> None:
    one = hearth_copy.described(model, pictures[1])
    for turned in (ImageOps.mirror(pictures[1]), ImageOps.flip(pictures[1]), pictures[1].rotate(90, expand=True)):
        assert one @ hearth_copy.described(model, turned) > 0.97


def test_other_light_and_no_colours_are_near_in_one_half(model: OnnxModel, pictures: list[Image.Image]) -> None:
    one = hearth_copy.described(model, pictures[2])
    for changed in (pictures[2].convert("L").convert("RGB"), ImageEnhance.Brightness(pictures[2]).enhance(0.6)):
        assert nearness(hearth_copy.views(model, changed), one[None])[0] > 0.95


def test_a_copy_is_nearer_than_any_other_picture(model: OnnxModel, pictures: list[Image.Image]) -> None:
    others = np.stack([hearth_copy.described(model, each) for each in pictures])
    for place, picture in enumerate(pictures):
        for copy in (picture.resize((120, 90)), picture.crop((20, 10, 300, 230))):
            assert int(nearness(hearth_copy.views(model, copy), others).argmax()) == place


@pytest.mark.parametrize("screen", SCREENS, ids=lambda each: each.__name__)
def test_a_screenshot_is_nearest_the_picture_that_it_shows(
    model: OnnxModel, pictures: list[Image.Image], screen: Change
) -> None:
    whole = np.stack([hearth_copy.described(model, each) for each in pictures])
    for place, picture in enumerate(pictures):
        views = hearth_copy.views(model, screen(picture))
        assert views.shape == (2, hearth_copy.DIM)
        alike = nearness(views, whole)
        assert int(alike.argmax()) == place and alike[place] > 0.9


def test_int8_keeps_what_its_gate_asks_for(pictures: list[Image.Image]) -> None:
    assert MANIFEST.gate is not None
    feeds = [{"pixels": hearth_copy.prepared(each)} for each in pictures]
    kept = quantise.cosine(EXACT, WEIGHTS, feeds)
    quantise.refuse_what_fails(MANIFEST.name, MANIFEST.gate, kept)


def test_weights_of_another_shape_are_broken(tmp_path: Path, pictures: list[Image.Image]) -> None:
    class Wrong:
        def run(self, feeds: object) -> list[np.ndarray]:
            return [np.zeros((1, 3), np.float32)]

    with pytest.raises(ModelBroken):
        hearth_copy.described(Wrong(), pictures[0])  # type: ignore[arg-type]
    damaged = tmp_path / "hearth-copy.onnx"
    damaged.write_bytes(WEIGHTS.read_bytes()[:9_000])
    with pytest.raises(ModelBroken):
        hearth_copy.load({damaged.name: damaged}, Options(1, {}))


def test_a_picture_is_laid_over_several_and_what_is_gone_is_null(tmp_path: Path, pictures: list[Image.Image]) -> None:
    run = overlap.load({}, Options(1, {}))
    original, other = pictures[1], pictures[2]
    blobs = [sealed(tmp_path, _jpeg(each)) for each in (original, other, pictures[3])]
    Path(blobs[2].path).unlink()
    query = sealed(tmp_path, _jpeg(original.crop((10, 10, 300, 230)), 60))
    answer = run(Request(query, {"others": [blob_to_map(each) for each in blobs]}))["found"]
    assert answer[0]["pairs"] >= 10 and answer[0]["covered"] == pytest.approx(0.83, abs=0.05)
    assert answer[1] is None or answer[1]["correlation"] < 0.6
    assert answer[2] is None


@pytest.mark.parametrize("others", [None, [], [1], [{"path": "x"}], [{}] * 13, "others"])
def test_others_that_are_no_blobs_are_refused(tmp_path: Path, others: object, pictures: list[Image.Image]) -> None:
    run = overlap.load({}, Options(1, {}))
    with pytest.raises(Rejected):
        run(Request(sealed(tmp_path, _jpeg(pictures[0])), {"others": others}))
