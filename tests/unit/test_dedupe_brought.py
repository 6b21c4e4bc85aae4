"""Copies among what people bring: the real models of the step on real pictures, in a real store."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import io
from collections.abc import AsyncIterator, Callable
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
    Provenance,
    Stored,
    TimeSource,
)
from gateway.inference.families import hearth_copy, overlap, pixels
from gateway.inference.family import Options, Request, Runner
from gateway.inference.manifest import manifests_folder
from gateway.pipeline import runner
from gateway.pipeline.plan import find_steps, queue_plan
from gateway.pipeline.runner import House
from gateway.store import captures, duplicates, jobs, understood
from gateway.store.db import Connection
from gateway.testing import TwinWorkers
from tests.unit.conftest import SmallHouse, open_small_house
from tests.unit.test_overlap import SCENE, _scene

pytestmark = pytest.mark.slow  # the real models

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


_SEEN: dict[tuple[str, bytes, tuple[bytes, ...]], Json] = {}
"""What the models said of these pictures: they say the same each time, and most tests show them the same ones."""


def _seen(task: str, blob: BlobRef, params: Json) -> Json:
    key = (task, blob.sha256, tuple(other["sha256"] for other in params.get("others", ())))
    if key not in _SEEN:
        _SEEN[key] = _models()[task](Request(blob, params))
    return copy.deepcopy(_SEEN[key])


class _Eyes(TwinWorkers):
    """The twin, but with the models themselves for what the step asks."""

    async def answer(self, task: str, request: Request, used: Provenance) -> Json:
        if request.blob is None or task not in _models():
            return await super().answer(task, request, used)
        return _seen(task, request.blob, request.params)


class _Held(_Eyes):
    """The same, but one picture is not looked at before it is let go: others pass it."""

    def __init__(self, sha256: bytes) -> None:
        super().__init__(missing=("detect",))
        self.let_go = asyncio.Event()
        self._sha256 = sha256

    async def answer(self, task: str, request: Request, used: Provenance) -> Json:
        if task == "pixels" and request.blob is not None and request.blob.sha256 == self._sha256:
            await self.let_go.wait()
        return await super().answer(task, request, used)


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[SmallHouse]:
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
    async with _working(home, workers or _Eyes()):
        await _until(home, _all_is_done)
    return await _said(home)


async def _passing(home: SmallHouse, held: int) -> list[Stored]:
    """The same, where one capture is first looked at when all others are judged."""
    count = await home.count("capture")
    last = await home.db.read(lambda c: captures.get(c, held))
    assert last is not None
    eyes = _Held(last.sha256)
    async with _working(home, eyes):
        await _until(home, lambda c: len(_judged(c, count)) == count - 1)
        eyes.let_go.set()
        await _until(home, _all_is_done)
    return await _said(home)


@contextlib.asynccontextmanager
async def _working(home: SmallHouse, workers: TwinWorkers) -> AsyncIterator[None]:
    working = runner.Runner(House(home.db, home.spool, home.shelf, workers, STEPS, lambda: NOON_US + HOUR_US))
    task = asyncio.create_task(working.run())
    try:
        async with asyncio.timeout(60):
            yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _until(home: SmallHouse, holds: Callable[[Connection], bool]) -> None:
    while True:
        wake = asyncio.create_task(home.db.next_commit())
        await asyncio.sleep(0)
        if await home.db.read(holds):
            wake.cancel()
            return
        await wake


def _all_is_done(connection: Connection) -> bool:
    return not any(each.waiting + each.running for each in jobs.backlogs(connection))


def _judged(connection: Connection, count: int) -> list[Stored]:
    said = [understood.notes(connection, number) for number in range(1, count + 1)]
    return [note for notes in said for note in notes if note.step == "dedupe"]


async def _said(home: SmallHouse) -> list[Stored]:
    count = await home.count("capture")
    return await home.db.read(lambda c: _judged(c, count))


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


@pytest.mark.parametrize("held", [1, 2])
async def test_of_two_copies_that_pass_each_other_the_later_is_folded_whichever_is_judged_first(
    home: SmallHouse, held: int
) -> None:
    await _brought(home, SCENE)
    await _brought(home, SCENE.resize((480, 360)), quality=60)
    said = await _passing(home, held)
    assert [_claim(note) for note in said] == [None, (DuplicateKind.REENCODED, 1)]
    assert await home.count("annotation WHERE step = 'dedupe'") == 2  # judged again, it speaks in its own place


@pytest.mark.parametrize("held", [1, 2])
async def test_a_copy_that_passes_a_cameras_frame_is_found_and_other_moments_stand(home: SmallHouse, held: int) -> None:
    await home.put(_jpeg(_scene(40)), seq=1)
    await home.put(_jpeg(SCENE), seq=2, at_us=60_000_000)
    await _brought(home, SCENE.crop((90, 50, 560, 420)), quality=50)
    await _brought(home, _other_moment())
    said = await _passing(home, held + 1)
    assert [_claim(note) for note in said] == [None, None, (DuplicateKind.EDITED, 2), None]


@pytest.mark.parametrize("held", [2, 3])
async def test_of_a_cameras_frames_that_pass_each_other_the_later_is_the_still_one(home: SmallHouse, held: int) -> None:
    await home.put(_jpeg(_scene(40)), seq=1)
    await home.put(_jpeg(SCENE), seq=2, at_us=60_000_000)
    await home.put(_jpeg(_taken_again()), seq=3, at_us=90_000_000)
    assert [_claim(note) for note in await _passing(home, held)] == [None, None, (DuplicateKind.STATIC, 2)]


async def test_what_was_said_to_be_apart_stays_so_when_the_first_of_two_is_judged_last(home: SmallHouse) -> None:
    await _brought(home, SCENE)
    await _brought(home, SCENE.crop((90, 50, 560, 420)))
    claim = Duplicate(DuplicateKind.EDITED, 1, {})
    await home.db.write(lambda c: duplicates.decide(c, (2, claim), PairVerdict.APART, person=home.owner, at_us=NOON_US))
    assert [_claim(note) for note in await _passing(home, 1)] == [None, None]


async def test_a_picture_that_is_known_already_has_nobody_judged_again(home: SmallHouse) -> None:
    await _brought(home, SCENE)
    await _brought(home, SCENE.resize((480, 360)), quality=60)
    await _understood(home)
    told = "change WHERE entity_id = (SELECT uid FROM capture WHERE id = 2)"
    before = await home.count(told)
    await home.db.write(lambda c: home.spool.requeue(c, capture_id=1, step="dedupe", at_us=NOON_US))
    await _understood(home)
    assert await home.count(told) == before


def test_one_picture_is_judged_at_a_time() -> None:
    assert runner.PLACES[STEPS["dedupe"].lane] == 1
