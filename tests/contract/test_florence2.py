"""Florence-2 against the reference implementation, on a tiny model with random weights (fixtures/tiny)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.entities import Json
from gateway.errors import ModelBroken, Rejected
from gateway.inference.families import florence2
from gateway.inference.families.florence2 import PROMPTS, boxes_of
from gateway.inference.family import Options, Request, Runner
from gateway.inference.manifest import read_manifests
from gateway.inference.words import read_words
from tests.contract import inference_house as house

pytestmark = pytest.mark.slow  # graphs are run

TINY = Path(__file__).resolve().parent.parent / "fixtures/tiny"
FOLDER = TINY / "florence2"
EXPECTED: Any = json.loads((FOLDER / "expected.json").read_text())  # Any: the shape is that of our own file
OWN = ("start_id", "end_id", "first_id", "last_id", "no_repeat")
ASKED = {"caption": "<CAPTION>", "detailed_caption": "<DETAILED_CAPTION>", "objects": "<OD>"}
WIDTH_PX, HEIGHT_PX = 640, 480


def files() -> dict[str, Path]:
    return {path.name: path for path in FOLDER.iterdir() if path.name != "expected.json"}


@pytest.fixture(scope="module")
def captioner() -> Runner:
    """The tiny model, with the options of the manifest but for its size."""
    return florence2.load(files(), Options(threads=1, table=options()))


def options(**over: object) -> Json:
    manifest = read_manifests()["florence2-base"]
    assert {key: manifest.options[key] for key in OWN} == {key: EXPECTED[key] for key in OWN}
    return {**manifest.options, "side_px": 32, "max_tokens": EXPECTED["max_tokens"], "budget_s": 60, **over}


def ask(runner: Runner, folder: Path, name: str, **params: object) -> Json:
    blob = house.sealed(folder, (TINY / "pictures" / name).read_bytes())
    return runner(Request(blob=blob, params=params))


@pytest.mark.parametrize("prompt", ASKED)
def test_twenty_pictures_are_answered_token_for_token_as_the_reference_does(
    captioner: Runner, tmp_path: Path, prompt: str
) -> None:
    assert len(EXPECTED["pictures"]) == 20
    for name, answers in EXPECTED["pictures"].items():
        truth = answers[ASKED[prompt]]
        answer = ask(captioner, tmp_path, name, prompt=prompt)
        assert answer["tokens"] == truth["tokens"], name
        if prompt == "objects":
            assert isinstance(answer["boxes"], list)
        else:
            assert answer["caption"] == " ".join(truth["text"].split()), name


@pytest.mark.parametrize("prompt", ASKED)
def test_a_question_has_the_pieces_that_the_reference_gives(prompt: str) -> None:
    words = read_words(FOLDER / "tokenizer.json")
    assert words.ids(PROMPTS[prompt], most=64) == EXPECTED["prompts"][ASKED[prompt]]


def test_a_caption_is_asked_for_when_nothing_is_said(captioner: Runner, tmp_path: Path) -> None:
    usual, said = ask(captioner, tmp_path, "00.jpeg"), ask(captioner, tmp_path, "00.jpeg", prompt="caption")
    assert usual["tokens"] == said["tokens"]


@pytest.mark.parametrize("written", EXPECTED["written"], ids=lambda written: written["text"][:20] or "nothing")
def test_places_are_read_as_the_reference_reads_them(written: Json) -> None:
    ours = [
        (
            box["label"],
            [
                int(box["x"] * WIDTH_PX + 1e-6),
                int(box["y"] * HEIGHT_PX + 1e-6),
                int((box["x"] + box["w"]) * WIDTH_PX + 1e-6),
                int((box["y"] + box["h"]) * HEIGHT_PX + 1e-6),
            ],
        )
        for box in boxes_of(written["text"])
    ]
    assert ours == list(zip(written["labels"], written["bboxes"], strict=True))


def test_boxes_are_bounded() -> None:
    assert len(boxes_of("cat" + "<loc_1><loc_2><loc_3><loc_4>" * 500)) == 100
    (box,) = boxes_of("c" * 5000 + "<loc_1><loc_2><loc_3><loc_4>")
    assert len(box["label"]) == 100
    assert boxes_of("cat<loc_1000><loc_2><loc_3><loc_4>") == []


def test_another_question_is_refused(captioner: Runner, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="prompt"):
        ask(captioner, tmp_path, "00.jpeg", prompt="<CAPTION>")
    with pytest.raises(ModelBroken, match="prompt"):
        florence2.load(files(), Options(threads=1, table=options(prompt="sing")))


def test_a_model_without_one_of_its_files_is_refused() -> None:
    some = {name: path for name, path in files().items() if not name.startswith("embed")}
    with pytest.raises(ModelBroken, match="embed_tokens"):
        florence2.load(some, Options(threads=1, table=options()))
