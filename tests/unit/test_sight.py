"""A camera that was turned, covered or smeared is told by its own pictures, through the real steps that judge them."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from gateway.devices import Devices, Sight
from gateway.entities import Json, Privacy, Provenance, Role, Viewer
from gateway.inference.families.pixels import measure
from gateway.inference.family import Request
from gateway.inference.pictures import picture_of
from gateway.jobs.home_assistant import announcement, state
from gateway.pipeline.plan import find_steps, queue_plan
from gateway.pipeline.runner import House, Runner
from gateway.store.db import Connection, Database
from gateway.testing import TwinWorkers
from tests.unit.conftest import SmallHouse, open_small_house
from tests.unit.recall_home import MINUTE_US, ZONE, us

BEGAN_US = us(2026, 9, 24, 14)
STEPS = {name: step for name, step in find_steps().items() if name in ("quality", "detect", "dedupe")}


class _Measuring(TwinWorkers):
    """A twin that measures pictures in earnest."""

    async def answer(self, task: str, request: Request, used: Provenance) -> Json:
        if task != "pixels":
            return await super().answer(task, request, used)
        return measure(picture_of(request.the_blob()))


class _Passed(_Measuring):
    """The same, but one picture waits until another one was judged."""

    def __init__(self, db: Database, sha256: bytes) -> None:
        super().__init__()
        self._db = db
        self._sha256 = sha256

    async def answer(self, task: str, request: Request, used: Provenance) -> Json:
        if task == "pixels" and request.the_blob().sha256 == self._sha256:
            while not await self._db.read(_judged):
                await self._db.next_commit()
        return await super().answer(task, request, used)


def _judged(connection: Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM annotation WHERE step = 'dedupe'").fetchone()[0])


class _Porch:
    """A camera and what it shows, a minute apart."""

    def __init__(self, house: SmallHouse) -> None:
        self.house = house
        self.shown = 0
        self.viewer = Viewer(house.owner, "Nora", Role.ADMIN)
        self.devices = Devices(house.db, clock=lambda: BEGAN_US + self.shown * MINUTE_US, zone=ZONE)

    async def show(self, *pictures: Image.Image, passed: bool = False) -> str:
        """Take these in and judge them, the first after another one when it is `passed`; the uid of the last."""
        uid = ""
        workers = _Measuring()
        for picture in pictures:
            self.shown += 1
            out = io.BytesIO()
            picture.save(out, "JPEG", quality=90, comment=str(self.shown).encode())
            at_us = BEGAN_US + self.shown * MINUTE_US
            if passed and picture is pictures[0]:
                workers = _Passed(self.house.db, hashlib.sha256(out.getvalue()).digest())
            uid = (await self.house.put(out.getvalue(), seq=self.shown, at_us=at_us)).uid
        runner = Runner(House(self.house.db, self.house.spool, self.house.shelf, workers, STEPS, lambda: 10**16))
        task = asyncio.create_task(runner.run(), name="runner")
        await self.house.until_idle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return uid

    async def sight(self) -> Sight | None:
        return (await self.devices.get(self.viewer, "porch")).sight


@pytest.fixture
async def porch(tmp_path: Path) -> AsyncIterator[_Porch]:
    house = await open_small_house(tmp_path, plan=queue_plan(STEPS))
    async with house.stack:
        yield _Porch(house)


@pytest.fixture
def room() -> Image.Image:
    chance = np.random.default_rng(8)
    coarse = Image.fromarray(chance.integers(20, 236, (9, 12, 3), dtype=np.uint8)).resize(
        (320, 240), Image.Resampling.NEAREST
    )
    grain = chance.normal(0, 9, (240, 320, 1))
    return Image.fromarray((np.asarray(coarse) + grain).clip(0, 255).astype(np.uint8))


def moved(picture: Image.Image, by_px: int) -> Image.Image:
    """So much otherwise that it is not folded."""
    return Image.fromarray(np.roll(np.asarray(picture), by_px, axis=1))


async def test_a_turned_camera_is_told_since_when_with_the_picture_that_shows_it(
    porch: _Porch, room: Image.Image
) -> None:
    await porch.show(room)
    assert await porch.sight() is None
    turned = await porch.show(room.rotate(180))
    await porch.show(room.rotate(180))
    assert await porch.sight() == Sight("turned", BEGAN_US + 2 * MINUTE_US, turned)
    card = await porch.devices.get(porch.viewer, "porch")
    assert (card.look, card.state) == ("Looks another way since 14:02", "look")
    assert '"view":"turned"' in state(card).decode()
    assert "Covered or turned" in announcement(card).decode()
    await porch.show(room)  # turned back
    card = await porch.devices.get(porch.viewer, "porch")
    assert (card.sight, card.look) == (None, "")
    assert '"view":"ok"' in state(card).decode()


async def test_a_turned_cameras_picture_that_passed_the_one_before_is_told_all_the_same(
    porch: _Porch, room: Image.Image
) -> None:
    turned = await porch.show(room, room.rotate(180), passed=True)
    assert await porch.sight() == Sight("turned", BEGAN_US + 2 * MINUTE_US, turned)


async def test_after_a_day_it_is_no_news(porch: _Porch, room: Image.Image) -> None:
    await porch.show(room, room.rotate(180))
    porch.shown += 24 * 60 + 1
    assert await porch.sight() is None


async def test_a_covered_camera_is_told_from_the_third_picture_and_since_the_first(
    porch: _Porch, room: Image.Image
) -> None:
    dark = Image.new("RGB", room.size, (30, 28, 25))
    await porch.show(room)
    first = await porch.show(dark)
    await porch.show(dark)
    assert await porch.sight() is None
    await porch.show(dark, dark)
    assert await porch.sight() == Sight("covered", BEGAN_US + 2 * MINUTE_US, first)
    assert (await porch.devices.get(porch.viewer, "porch")).look == "Sees next to nothing since 14:02"
    await porch.show(room)
    assert await porch.sight() is None


async def test_a_smeared_lens_is_told(porch: _Porch, room: Image.Image) -> None:
    smeared = room.filter(ImageFilter.GaussianBlur(14))
    first = await porch.show(smeared)
    await porch.show(moved(smeared, 60), moved(smeared, 120))
    assert await porch.sight() == Sight("blurred", BEGAN_US + MINUTE_US, first)


async def test_what_one_may_not_see_is_not_told(porch: _Porch, room: Image.Image) -> None:
    await porch.show(room, room.rotate(180))
    await porch.house.db.write(lambda c: c.execute("UPDATE device SET privacy = 'circle'"))
    circle = Viewer("p-tomas", "Tomas", Role.MEMBER)
    assert (await porch.devices.get(circle, "porch")).sight is None
    shared = (Privacy.CIRCLE.value,)
    await porch.house.db.write(lambda c: c.execute("UPDATE capture SET privacy = ?", shared))
    assert (await porch.devices.get(circle, "porch")).sight is not None
