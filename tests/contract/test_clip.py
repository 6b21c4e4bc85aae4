"""CLIP and SigLIP 2 against the reference implementation, on tiny models with random weights (fixtures/tiny)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.families import clip
from gateway.inference.family import Options, Request, Runner
from gateway.inference.manifest import read_manifests
from gateway.inference.prepare import pixel_values, preparation
from gateway.inference.words import read_words
from tests.contract import inference_house as house

pytestmark = pytest.mark.slow  # graphs are run

TINY = Path(__file__).resolve().parent.parent / "fixtures/tiny"
KINDS = {"clip": "clip-vit-b32", "siglip2": "siglip2-base"}


def half(kind: str, which: str, **over: object) -> Runner:
    """One half of a tiny model, with the options of its manifest but for the picture's side."""
    manifest = read_manifests()[f"{KINDS[kind]}-{which}"]
    names = {"vision": ("vision_model.onnx",), "text": ("text_model.onnx", "tokenizer.json")}[which]
    table: Json = {**manifest.options, **({"side_px": 32} if which == "vision" else {}), **over}
    return clip.load({name: TINY / kind / name for name in names}, Options(threads=1, table=table))


def expected(kind: str) -> Any:  # Any: the shape is that of our own file
    return json.loads((TINY / kind / "expected.json").read_text())


def cosine(ours: bytes, theirs: list[float]) -> float:
    one, other = np.frombuffer(ours, "<f4").astype(np.float64), np.array(theirs)
    assert abs(np.linalg.norm(one) - 1) < 1e-5
    return float(one @ other / np.linalg.norm(other))


@pytest.fixture
def look(tmp_path: Path) -> Callable[[Runner, Path], Json]:
    def one(runner: Runner, path: Path) -> Json:
        return runner(Request(blob=house.sealed(tmp_path, path.read_bytes()), params={}))

    return one


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_has_the_vector_that_the_reference_gives(kind: str, look: Callable[[Runner, Path], Json]) -> None:
    runner = half(kind, "vision")
    theirs = expected(kind)["pictures"]
    assert len(theirs) == 20
    for name, vector in theirs.items():
        answer = look(runner, TINY / "pictures" / name)
        assert answer["dim"] == len(vector)
        assert cosine(answer["vector"], vector) >= 0.9999, name


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_has_the_pieces_and_the_vector_that_the_reference_gives(kind: str) -> None:
    manifest = read_manifests()[f"{KINDS[kind]}-text"]
    words = read_words(TINY / kind / "tokenizer.json")
    runner = half(kind, "text")
    texts = expected(kind)["texts"]
    for each in texts:
        text = each["text"].lower() if manifest.options.get("lowercase") else each["text"]
        ids = words.ids(text, most=int(manifest.options["tokens"]))
        pad = int(manifest.options.get("pad_id", -1))
        assert ids + [pad] * (len(each["ids"]) - len(ids)) == each["ids"], each["text"]
    answer = runner(Request(blob=None, params={"texts": [each["text"] for each in texts]}))
    for each, vector in zip(texts, answer["vectors"], strict=True):
        assert cosine(vector, each["vector"]) >= 0.9999, each["text"]


@pytest.mark.parametrize("over", [{"crop": False}, {"resample": "bilinear"}, {"mean": [0.4, 0.5, 0.5]}])
def test_another_preparation_would_be_noticed(over: Json, look: Callable[[Runner, Path], Json]) -> None:
    runner = half("clip", "vision", **over)
    theirs = expected("clip")["pictures"]
    assert min(cosine(look(runner, TINY / "pictures" / name)["vector"], theirs[name]) for name in theirs) < 0.9999


def test_a_likelihood_is_the_sigmoid_that_the_reference_gives(look: Callable[[Runner, Path], Json]) -> None:
    truth = expected("siglip2")
    name = next(iter(truth["pictures"]))
    seen = np.frombuffer(look(half("siglip2", "vision"), TINY / "pictures" / name)["vector"], "<f4")
    texts = [each["text"] for each in truth["texts"]]
    runner = half("siglip2", "text", scale=truth["scale"], bias=truth["bias"])
    answer = runner(Request(blob=None, params={"texts": texts}))
    cosines = np.array([np.frombuffer(vector, "<f4") @ seen for vector in answer["vectors"]])
    likelihoods = 1 / (1 + np.exp(-(answer["scale"] * cosines + answer["bias"])))
    assert np.abs(likelihoods - truth["likelihoods_of_first"]).max() < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_both_halves_are_of_one_space(kind: str, look: Callable[[Runner, Path], Json]) -> None:
    seen = look(half(kind, "vision"), TINY / "pictures/00.jpeg")
    said = half(kind, "text")(Request(blob=None, params={"texts": ["a dog"]}))
    assert seen["space"] == said["space"] and seen["dim"] == said["dim"]
    vision, text = (read_manifests()[f"{KINDS[kind]}-{which}"].provenance for which in ("vision", "text"))
    assert (vision.revision, vision.preprocessing) == (text.revision, text.preprocessing)


def test_a_text_does_not_depend_on_its_neighbours() -> None:
    runner = half("clip", "text")
    alone = runner(Request(blob=None, params={"texts": ["a dog"]}))["vectors"][0]
    beside = runner(Request(blob=None, params={"texts": ["word " * 200, "a dog"]}))["vectors"][1]
    assert alone == beside
    assert runner(Request(blob=None, params={"texts": []}))["vectors"] == []


def test_a_long_strip_is_cropped_before_it_is_enlarged() -> None:
    how = preparation(Options(threads=1, table={"crop": True, "resample": "bicubic"}))
    values = pixel_values(Image.new("RGB", (1, 1920), (255, 0, 0)), how)
    assert values.shape == (1, 3, 224, 224)
    assert np.allclose(values[0, 0], 1) and np.allclose(values[0, 1:], -1)


@pytest.mark.parametrize(
    ("which", "over", "word"),
    [
        ("vision", {"side_px": 4096}, "side_px"),
        ("vision", {"mean": [0.5, 0.5]}, "mean"),
        ("vision", {"std": [0, 1, 1]}, "std"),
        ("vision", {"resample": "nearest"}, "resample"),
        ("vision", {"space": ""}, "space"),
        ("text", {"tokens": "many"}, "tokens"),
    ],
)
def test_options_out_of_shape_are_refused(which: str, over: dict[str, object], word: str) -> None:
    with pytest.raises(ModelBroken, match=word):
        half("clip", which, **over)


def test_a_model_that_gives_no_vector_is_refused(tmp_path: Path, look: Callable[[Runner, Path], Json]) -> None:
    import onnx

    graph = onnx.load(TINY / "clip/vision_model.onnx")
    graph.graph.output[0].name = "logits"
    for node in graph.graph.node:
        for at, name in enumerate(node.output):
            if name == "image_embeds":
                node.output[at] = "logits"
    onnx.save(graph, tmp_path / "other.onnx")
    runner = clip.load({"m.onnx": tmp_path / "other.onnx"}, Options(threads=1, table={"space": "s", "side_px": 32}))
    with pytest.raises(ModelBroken, match="image_embeds"):
        look(runner, TINY / "pictures/00.jpeg")
