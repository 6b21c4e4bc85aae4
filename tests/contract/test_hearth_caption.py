"""The captioner that comes with the program: it describes homes that it has never seen, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from gateway.demo.render import jpeg, render
from gateway.entities import Annotation, Json, Kind, Priority, Stored
from gateway.errors import ModelBroken
from gateway.inference.families import hearth_caption
from gateway.inference.family import Options
from gateway.inference.manifest import manifests_folder, read_manifests
from gateway.inference.models import Models, State
from gateway.inference.workers import open_workers
from gateway.pipeline.plan import find_steps
from gateway.pipeline.step import Context
from models.train.caption_elsewhere import KEPT_BACK
from models.train.caption_scenes import UNSEEN_SEEDS, View, of_a_day
from models.train.copy_pictures import procedural
from tests.bench import captions
from tests.bench.captions import Ask
from tests.contract import inference_house as house

pytestmark = pytest.mark.slow  # the real network, on homes that are drawn

MANIFEST = read_manifests()["hearth-caption"]
FILES = {each.name: manifests_folder() / each.sources[0].shipped for each in MANIFEST.files}
MOST_BYTES = 8_000_000


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    return captions.captioner(tmp_path_factory.mktemp("captions"))


def test_it_comes_with_the_program_and_within_its_size(tmp_path: Path) -> None:
    found = Models(tmp_path).for_task("caption")
    assert (found.manifest.name, found.state) == ("hearth-caption", State.READY)
    assert sum(each.bytes for each in MANIFEST.files) <= MOST_BYTES
    assert MANIFEST.download_bytes == 0


def _a_few() -> Iterator[View]:
    """Breakfast, and what goes on at the door, in an unseen home."""
    day = of_a_day(UNSEEN_SEEDS[-1])
    for camera in ("kitchen", "porch"):
        mine = [view for view in day if view.camera == camera and len(view.scene.items) >= 3]
        yield from mine[:: len(mine) // 4][:4]


def test_an_unseen_home_is_described(ask: Ask) -> None:
    tally = captions.of_views(ask, _a_few())["all"]
    assert tally.frames == 8 and tally.true >= 20
    assert tally.f1 >= 0.9, (tally.missed, tally.made_up)


def test_pictures_of_no_home_are_not_described(ask: Ask) -> None:
    plain = list(procedural(6, seed=78))
    chance = np.random.default_rng(78)
    pictures = [*plain, *(paint(chance, plain) for paint in KEPT_BACK), Image.new("RGB", (64, 48), "grey")]
    answers = [ask(captions.png(each), "image/png") for each in pictures]
    assert [(each["stopped"], each["caption"], each["tokens"]) for each in answers] == [("abstained", "", [])] * 9


def test_no_real_picture_is_described(ask: Ask, media: Path) -> None:
    found = captions.of_media(ask, media)
    assert len(found) >= 15
    assert {name: answer["caption"] for name, answer in found if answer["stopped"] != "abstained"} == {}


async def test_a_frame_s_caption_names_what_is_seen_and_quotes_what_is_read(tmp_path: Path) -> None:
    view = next(view for view in of_a_day(UNSEEN_SEEDS[-1]) if _parcel_at_the_door(view))
    body = jpeg(render(view.scene, view.camera, view.at_us))
    capture: Any = SimpleNamespace(kind=Kind.IMAGE, blob=house.sealed(tmp_path, body))  # Any: as much as steps read
    parcel = next(item for item in view.scene.items if item.what == "parcel")
    lines = [{"text": line, "score": 0.9} for line in parcel.lines]
    note = Stored(1, "ocr", 1, "f", 0, 0.0, Annotation(data={"lines": lines}), "", "", "")
    async with open_workers(Models(tmp_path)) as workers:
        no_database: Any = None  # Any: no step here asks it
        context = Context(no_database, workers, {"ocr": note}, Priority.LIVE)
        found = await find_steps()["caption"].run(capture, context)
        other = SimpleNamespace(kind=Kind.IMAGE, blob=house.sealed(tmp_path, house.picture()))
        composed = await find_steps()["caption"].run(cast(Any, other), replace(context, used=[], notes={}))
    assert found.caption == f"A parcel on the porch. It reads “{' / '.join(parcel.lines)}”."
    assert found.provenance == MANIFEST.provenance
    assert composed.provenance.model == ""
    assert composed.data["captioner"] == "hearth-caption does not know this place"


def _parcel_at_the_door(view: View) -> bool:
    """In a quiet daylit moment."""
    kinds = [item.what for item in view.scene.items]
    return view.camera == "porch" and "parcel" in kinds and "person" not in kinds and view.scene.light.day > 0.8


@pytest.mark.parametrize("name", ["least_logit", "most_distance"])
def test_a_gate_without_its_limits_is_refused(name: str) -> None:
    table: Json = {key: value for key, value in MANIFEST.options.items() if key != name}
    with pytest.raises(ModelBroken, match=name):
        hearth_caption.load(FILES, Options(1, table))


def test_a_gate_that_gives_no_number_lets_nothing_through() -> None:
    assert hearth_caption.gate_of(np.array([[np.nan, 1.0]], np.float32)) == (-1e9, 1e9)
    with pytest.raises(ModelBroken, match="two numbers"):
        hearth_caption.gate_of(np.zeros((1, 3), np.float32))
