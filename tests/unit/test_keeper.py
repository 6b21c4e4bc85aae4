"""The keeper of the large index outlives whatever befalls its folder."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway import metrics
from gateway.index.keeper import Keeper, Pace
from tests.unit.conftest import SmallHouse


async def test_a_folder_that_cannot_be_made_is_tried_again_and_ends_nothing(house: SmallHouse, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_bytes(b"a file where a folder should be")
    tries = metrics.index_rebuilds.labels("chroma", "missing")
    before = tries._value.get()
    keeper = Keeper(house.db, blocked / "chroma", space="words", dimensions=4, pace=Pace(retry_s=0.0))
    task = asyncio.create_task(keeper.follow())
    async with asyncio.timeout(10):
        while tries._value.get() < before + 2:
            assert not task.done()
            await asyncio.sleep(0)
    assert not keeper.good
    task.cancel()
