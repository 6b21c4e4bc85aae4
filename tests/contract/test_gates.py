"""What ships in int8 is asked, at every change, whether it keeps of float32 what its manifest promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from gateway.errors import ModelBroken
from gateway.inference import quantise
from gateway.inference.manifest import Manifest, manifests_folder, read_manifests
from models import int8_page
from models.quantise import OWN, small_form_ships
from models.train.copy_pictures import procedural

TWINS = Path(__file__).parents[2] / "models" / "train"
MANIFESTS = read_manifests()


def graphs(manifest: Manifest) -> list[str]:
    return [
        each.name for each in manifest.files if any(s.shipped for s in each.sources) and each.name.endswith(".onnx")
    ]


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return list(procedural(8, seed=33, size=(320, 240)))


def test_every_network_that_ships_has_a_gate_and_somebody_who_asks_it() -> None:
    assert {name for name, manifest in MANIFESTS.items() if graphs(manifest)} == set(OWN)
    for name in OWN:
        assert MANIFESTS[name].gate is not None
        for file in graphs(MANIFESTS[name]):
            exact, small = TWINS / f"{Path(file).stem}-fp32.onnx", manifests_folder() / file
            assert small.stat().st_size < 0.5 * exact.stat().st_size


def test_every_model_is_in_the_table_of_int8_which_says_what_ships() -> None:
    both, alone = int8_page.read()
    weighty = {name for name, manifest in MANIFESTS.items() if manifest.files}
    assert {each.model for each in (*both, *alone)} == weighty
    assert {each.model for each in both} == {name for name, manifest in MANIFESTS.items() if manifest.gate is not None}
    for each in both:
        small = small_form_ships(MANIFESTS[each.model])
        assert each.ships == ("int8" if small else "fp32"), each.model
        assert each.passed or not small
        assert each.exact_ms[1] >= each.exact_ms[0] > 0 and each.small_ms[1] >= each.small_ms[0] > 0
    assert all(each.why and each.form in ("int8", "fp32", "") for each in alone)


def test_the_page_is_made_of_the_figures() -> None:
    assert int8_page.PAGE.read_text(encoding="utf-8") == int8_page.page(*int8_page.read())


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(OWN))
def test_int8_keeps_what_the_manifest_promises(name: str, pictures: list[Image.Image]) -> None:
    for each in OWN[name](MANIFESTS[name], pictures):
        quantise.refuse_what_fails(each.model, each.gate, each.quality)


@pytest.mark.slow
def test_int8_weights_that_lost_too_much_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: list[Image.Image]
) -> None:
    graph = onnx.load(str(manifests_folder() / "quality.onnx"))
    for held in graph.graph.initializer:
        values = numpy_helper.to_array(held)
        if values.dtype == np.int8 and values.ndim == 2:
            held.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(np.roll(values, 1, axis=0)), held.name))
    onnx.save(graph, str(tmp_path / "quality.onnx"))
    monkeypatch.setattr("models.quantise.manifests_folder", lambda: tmp_path)
    (spoilt,) = OWN["quality"](MANIFESTS["quality"], pictures)
    assert not spoilt.passed
    with pytest.raises(ModelBroken, match="stays float32"):
        quantise.refuse_what_fails(spoilt.model, spoilt.gate, spoilt.quality)
