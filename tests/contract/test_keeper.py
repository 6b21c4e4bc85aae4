"""Chroma's folder deleted, truncated, zeroed while it runs: search stays right, and the index is made again."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest

from gateway.index.keeper import Keeper
from gateway.recall.answer import Query
from gateway.store import captures, changes, vectors
from tests.unit.recall_home import DIMENSIONS, SPACE, RecallHome, bag, open_home, uids

pytestmark = pytest.mark.slow


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[RecallHome]:
    async with open_home(tmp_path) as made:
        for n in range(40):
            await made.see(f"A parcel number {n} on the mat")
        await made.ready()
        yield made


@pytest.fixture
async def keeper(home: RecallHome, tmp_path: Path) -> AsyncIterator[Keeper]:
    keeper = Keeper(home.house.db, tmp_path / "index" / "chroma", space=SPACE, dimensions=DIMENSIONS)
    await keeper.check()
    home.index.keeper = keeper
    home.index.exact_up_to = 0
    yield keeper
    await keeper.chroma.stop()


def _database(folder: Path) -> Path:
    return folder / "chroma.sqlite3"


def _zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "folder deleted": shutil.rmtree,
    "database deleted": lambda folder: _database(folder).unlink(),
    "truncated": lambda folder: os.truncate(_database(folder), 4_096),
    "emptied": lambda folder: os.truncate(_database(folder), 0),
    "zeroed": lambda folder: _zero(_database(folder)),
}


@pytest.mark.parametrize("how", DAMAGE)
async def test_damage_while_running_is_seen_and_mended(
    home: RecallHome, keeper: Keeper, tmp_path: Path, how: str
) -> None:
    before = uids((await home.memories.search(home.nora, Query("parcel number 7"))).items)
    DAMAGE[how](tmp_path / "index" / "chroma")
    during = await home.memories.search(home.nora, Query("parcel number 7"))
    assert uids(during.items) == before
    assert not await keeper.check()
    assert keeper.good
    assert await keeper.check()
    after = await home.memories.search(home.nora, Query("parcel number 7"))
    assert uids(after.items) == before
    ids = [number for number, _ in await home.house.db.read(lambda c: vectors.sample(c, SPACE, count=40))]
    assert await keeper.chroma.holds(ids) == ids


async def test_a_killed_process_costs_one_answer_of_its_own_and_none_of_ours(home: RecallHome, keeper: Keeper) -> None:
    right = uids((await home.memories.search(home.nora, Query("parcel"))).items)
    assert keeper.chroma.pid is not None
    os.kill(keeper.chroma.pid, signal.SIGKILL)
    assert uids((await home.memories.search(home.nora, Query("parcel"))).items) == right
    assert await keeper.check()


async def test_a_vector_that_disagrees_with_sqlite_is_found_out(home: RecallHome, keeper: Keeper) -> None:
    newest = (await home.house.db.read(lambda c: vectors.sample(c, SPACE, count=2)))[-1][0]
    await keeper.chroma.put([newest], np.frombuffer(bag("something else"), "<f4")[None, :])
    assert not await keeper.check()
    assert await keeper.check()


async def test_what_comes_later_is_fed_and_the_cursor_is_kept(home: RecallHome, keeper: Keeper) -> None:
    uid = await home.see("A kite over the roof")
    await keeper.feed()
    number = (await home.memories.get(home.nora, uid)).capture.id
    assert await keeper.chroma.holds([number]) == [number]
    head = await home.house.db.read(changes.head)
    assert await home.house.db.read(lambda c: changes.load_cursor(c, f"index-chroma:{SPACE}")) == head


async def test_beyond_the_limit_the_answer_says_that_it_is_approximate_and_agrees(
    home: RecallHome, keeper: Keeper
) -> None:
    for n in range(100):
        await home.see(f"A parcel again {n} on the mat")
    await home.ready()
    await keeper.feed()
    large = await home.memories.search(home.nora, Query("parcel 7", limit=10))
    home.index.exact_up_to = 150_000
    small = await home.memories.search(home.nora, Query("parcel 7", limit=10))
    assert large.approximate
    assert not small.approximate
    assert uids(large.items) == uids(small.items)


async def test_after_an_erasure_the_vector_is_in_no_file(home: RecallHome, keeper: Keeper, tmp_path: Path) -> None:
    uid = await home.see("A secret kite over the roof")
    await keeper.feed()
    needle = bag("A secret kite over the roof")
    await home.memories.forget(home.nora, uid)
    await home.house.db.write(lambda c: captures.erase_deleted(c, before_us=2**62))
    await keeper.feed()
    await keeper.chroma.stop()
    files = [path for path in (tmp_path / "index").rglob("*") if path.is_file()]
    assert files
    assert not any(needle in path.read_bytes() for path in files)
