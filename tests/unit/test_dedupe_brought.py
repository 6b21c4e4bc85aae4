"""Copies among what people bring: the real models of the step on real pictures, in a real store."""

from __future__ import annotations

import asyncio
import functools
import io
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gateway.entities import (
    BlobRef,
    CapturedAt,
    Duplicate,
    DuplicateKind,
    Json,
    Lane,
    PairVerdict,
    Priority,
    Stored,
    TimeSource,
)
from gateway.inference.families import hearth_copy, overlap, pixels
from gateway.inference.family import Options, Request, Runner
from gateway.inference.manifest import manifests_folder
from gateway.inference.workers import Reply
from gateway.pipeline import runner
from gateway.pipeline.plan import find_steps, queue_plan
from gateway.pipeline.runner import House
from gateway.store import captures, duplicates, jobs
from gateway.testing import TwinWorkers
from tests.unit.conftest import SmallHouse, open_small_house
from tests.unit.test_overlap import SCENE, _scene

HOUR_US = 3_600_000_000
NOON_US = 10**15
STEPS = {name: step for name, step in find_steps().items() if name in ("quality", "detect", "dedupe")}


@functools.cache
def _models() -> dict[str, Runner]:
    weights = manifests_folder() / "hearth-copy.onnx"
    return {
        "pixels": pixels.load({}, Options(1, {})),
        "copy-vector": hearth_copy.load({weights.name: weights}, Options(1, {})),
        "overlap": overlap.load({}, Options(1, {})),
    }


class _Eyes(TwinWorkers):
    """The twin, but with the models themselves for what the step asks."""

    def __init__(self, *, missing: tuple[str, ...] = ()) -> None:
        super().__init__(missing=missing)
        self._models = _models()

    async def run(
        self,
        task: str,
        blob: BlobRef | None = None,
        *,
        params: Json | None = None,
        priority: Priority = Priority.BACKLOG,
        space: str = "",
    ) -> Reply:
        reply = await super().run(task, blob, params=params or {}, priority=priority, space=space)
        if task not in self._models:
            return reply
        return Reply(self._models[task](Request(blob, params or {})), reply.provenance, 1.0)


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SmallHouse]:
    # Two that come at once may pass each other before they are compared (docs/decisions/024): here they come in turn.
    monkeypatch.setattr(runner, "PLACES", {})
    house = await open_small_house(tmp_path, plan=queue_plan(STEPS))
    async with house.stack:
        yield house


def _jpeg(picture: Image.Image, quality: int = 85) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def _other_moment(picture: Image.Image = SCENE) -> Image.Image:
    changed = picture.copy()
    ImageDraw.Draw(changed).ellipse((260, 180, 360, 330), fill=(12, 12, 14))
    return changed


def _taken_again(picture: Image.Image = SCENE) -> Image.Image:
    """The same still scene with another noise."""
    noise = np.random.default_rng(9).normal(0, 2, (480, 640, 3))
    return Image.fromarray((np.asarray(picture, np.float32) + noise).clip(0, 255).astype(np.uint8))


async def _brought(home: SmallHouse, picture: Image.Image, *, quality: int = 85, exif_us: int | None = None) -> None:
    """By a person: without a device, and with a time only where the file says one."""
    source = TimeSource.ARRIVAL if exif_us is None else TimeSource.EXIF
    at = CapturedAt(NOON_US if exif_us is None else exif_us, source, 1_000)
    await home.put(_jpeg(picture, quality), device=None, captured_at=at, lane=Lane.UPLOAD)


async def _understood(home: SmallHouse, workers: TwinWorkers | None = None) -> list[Stored]:
    """What `dedupe` said of each capture, in their order, when all is done."""
    working = runner.Runner(
        House(home.db, home.spool, home.shelf, workers or _Eyes(), STEPS, lambda: NOON_US + HOUR_US)
    )
    task = asyncio.create_task(working.run())
    async with asyncio.timeout(30):
        while True:
            wake = asyncio.create_task(home.db.next_commit())
            await asyncio.sleep(0)
            if not any(each.waiting + each.running for each in await home.db.read(jobs.backlogs)):
                wake.cancel()
                break
            await wake
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    count = await home.count("capture")
    said = await home.db.read(lambda c: [captures.notes(c, number) for number in range(1, count + 1)])
    return [next(note for note in notes if note.step == "dedupe") for notes in said]


def _claim(note: Stored) -> tuple[DuplicateKind, int] | None:
    copy = note.annotation.duplicate
    return None if copy is None else (copy.kind, copy.of)


async def test_a_part_of_a_cameras_frame_that_a_person_brings_is_an_edited_copy_of_it(home: SmallHouse) -> None:
    await home.put(_jpeg(_scene(40)), seq=1)
    await home.put(_jpeg(SCENE), seq=2, at_us=60_000_000)
    await _brought(home, SCENE.crop((90, 50, 560, 420)), quality=50)
    said = await _understood(home)
    assert [_claim(note) for note in said] == [None, None, (DuplicateKind.EDITED, 2)]
    evidence = said[2].annotation.duplicate
    assert evidence is not None
    assert evidence.evidence["of_original"] == pytest.approx(0.57, abs=0.05)
    assert evidence.evidence["landmarks"] >= 10 and evidence.evidence["doubt"] <= 4
    assert said[2].annotation.provenance.model == "twin-copy-vector"


@pytest.mark.slow
async def test_the_whole_picture_saved_smaller_and_worse_is_reencoded_and_a_mirrored_one_edited(
    home: SmallHouse,
) -> None:
    await _brought(home, SCENE)
    await _brought(home, SCENE.resize((480, 360)), quality=60)
    await _brought(home, SCENE.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    said = await _understood(home)
    assert [_claim(note) for note in said[:2]] == [None, (DuplicateKind.REENCODED, 1)]
    mirrored = said[2].annotation.duplicate
    assert mirrored is not None and mirrored.kind is DuplicateKind.EDITED and mirrored.evidence["mirrored"] is True


async def test_another_moment_of_the_same_place_stands_by_itself(home: SmallHouse) -> None:
    await home.put(_jpeg(SCENE), seq=1)
    await _brought(home, _other_moment())
    assert [_claim(note) for note in await _understood(home)] == [None, None]


@pytest.mark.slow
async def test_two_clocks_tell_a_burst_and_a_still_scene_from_copies(home: SmallHouse) -> None:
    await _brought(home, SCENE, exif_us=NOON_US)
    await _brought(home, _other_moment(), exif_us=NOON_US + 1_000_000)
    await _brought(home, _taken_again(), exif_us=NOON_US + HOUR_US)
    await _brought(home, _taken_again(), quality=84, exif_us=NOON_US + 12 * HOUR_US)
    said = [_claim(note) for note in await _understood(home)]
    assert said == [None, (DuplicateKind.BURST, 1), (DuplicateKind.STATIC, 1), None]


async def test_without_the_model_the_hash_goes_on_and_the_step_says_so(home: SmallHouse) -> None:
    await _brought(home, SCENE)
    await _brought(home, SCENE.resize((480, 360)), quality=60)
    await _brought(home, SCENE.rotate(30, expand=True))
    said = await _understood(home, _Eyes(missing=("copy-vector",)))
    assert [_claim(note) for note in said] == [None, (DuplicateKind.REENCODED, 1), None]
    assert {note.annotation.data["without"] for note in said} == {"copy-vector"}
    assert await home.count("copy_vector") == 0


async def test_without_anything_to_look_with_hash_and_grid_decide(home: SmallHouse) -> None:
    await _brought(home, SCENE)
    await _brought(home, SCENE.resize((480, 360)), quality=60)
    said = await _understood(home, _Eyes(missing=("copy-vector", "overlap")))
    assert _claim(said[1]) == (DuplicateKind.REENCODED, 1)
    assert said[1].annotation.data["distance"] <= 3


async def test_what_a_person_kept_apart_is_not_named_again(home: SmallHouse) -> None:
    await _brought(home, SCENE)
    await _brought(home, SCENE.crop((90, 50, 560, 420)))
    assert _claim((await _understood(home))[1]) == (DuplicateKind.EDITED, 1)
    claim = Duplicate(DuplicateKind.EDITED, 1, {})
    await home.db.write(lambda c: duplicates.decide(c, (2, claim), PairVerdict.APART, person=home.owner, at_us=NOON_US))
    await home.db.write(lambda c: home.spool.requeue(c, capture_id=2, step="dedupe", at_us=NOON_US))
    assert _claim((await _understood(home))[1]) is None


async def test_folded_frames_have_no_vector_and_a_vector_goes_with_its_capture(home: SmallHouse) -> None:
    await home.put(_jpeg(SCENE), seq=1, at_us=1_000_000)
    await home.put(_jpeg(_taken_again()), seq=2, at_us=60_000_000)
    said = await _understood(home)
    assert _claim(said[1]) in ((DuplicateKind.STATIC, 1), None)
    folded = sum(_claim(note) is not None for note in said)
    assert await home.count("copy_vector") == 2 - folded
    await home.db.write(lambda c: c.execute("DELETE FROM capture WHERE id = 1"))
    assert await home.count("copy_vector") == 1 - folded
