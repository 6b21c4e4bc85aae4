"""What every vector index promises: the exact one, Chroma in its process, and the twin."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from gateway.errors import HearthlogError
from gateway.index.chroma import Chroma
from gateway.index.twin import TwinVectors
from gateway.index.vectors import Exact, Floats, VectorIndex

DIMENSIONS = 32


def unit(count: int, *, seed: int = 1) -> Floats:
    """Seeded unit vectors."""
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSIONS), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(params=["exact", "twin", pytest.param("chroma", marks=pytest.mark.slow)])
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[VectorIndex]:
    if request.param == "exact":
        exact = Exact("s", DIMENSIONS, capacity=4)
        yield exact
        exact.close()
    elif request.param == "twin":
        yield TwinVectors(DIMENSIONS)
    else:
        async with Chroma(tmp_path / "chroma", "s", DIMENSIONS) as chroma:
            yield chroma


async def test_nearest_are_the_true_ones_in_order(index: VectorIndex) -> None:
    vectors = unit(300)
    await index.put(list(range(1, 301)), vectors)
    query = unit(1, seed=9)[0]
    found = await index.nearest(query, limit=10)
    true = np.argsort(-(vectors @ query))[:10] + 1
    assert len({near.capture_id for near in found} & set(true.tolist())) >= 9
    assert [near.cosine for near in found] == sorted((near.cosine for near in found), reverse=True)
    assert found[0].cosine == pytest.approx(float(np.max(vectors @ query)), abs=0.01)


async def test_only_what_is_asked_about_is_found(index: VectorIndex) -> None:
    vectors = unit(50)
    await index.put(list(range(1, 51)), vectors)
    found = await index.nearest(vectors[3], limit=5, among=np.array([7, 8, 9, 99], np.int64))
    assert {near.capture_id for near in found} == {7, 8, 9}


async def test_an_id_that_is_put_again_has_the_new_vector(index: VectorIndex) -> None:
    vectors = unit(3)
    await index.put([5], vectors[:1])
    await index.put([5, 6], vectors[1:])
    found = await index.nearest(vectors[1], limit=5)
    assert [near.capture_id for near in found] == [5, 6]
    assert found[0].cosine == pytest.approx(1.0, abs=0.01)


async def test_what_was_dropped_is_never_found_again(index: VectorIndex) -> None:
    vectors = unit(20)
    await index.put(list(range(1, 21)), vectors)
    await index.drop([4, 999])
    assert 4 not in {near.capture_id for near in await index.nearest(vectors[3], limit=20)}
    assert await index.holds([3, 4, 5]) == [3, 5]
    await index.put([4], vectors[3:4])
    assert (await index.nearest(vectors[3], limit=1))[0].capture_id == 4


async def test_holds_tells_what_is_really_there(index: VectorIndex) -> None:
    assert await index.holds([1, 2]) == []
    await index.put([2], unit(1))
    assert await index.holds([1, 2]) == [2]


async def test_an_empty_index_finds_nothing(index: VectorIndex) -> None:
    assert await index.nearest(unit(1)[0], limit=3) == []
    assert await index.nearest(unit(1)[0], limit=3, among=np.array([1], np.int64)) == []


async def test_a_vector_of_another_length_is_refused(index: VectorIndex) -> None:
    with pytest.raises(HearthlogError) as caught:
        await index.put([1], np.ones((1, DIMENSIONS + 1), np.float32))
    assert caught.value.code == "vector-shape"


@pytest.mark.slow
async def test_chroma_reads_its_folder_again_after_its_process_died(tmp_path: Path) -> None:
    vectors = unit(10)
    async with Chroma(tmp_path / "chroma", "s", DIMENSIONS) as chroma:
        await chroma.put(list(range(1, 11)), vectors)
        await chroma.stop()
        assert (await chroma.nearest(vectors[6], limit=1))[0].capture_id == 7


@pytest.mark.slow
async def test_two_spaces_in_one_folder_are_apart(tmp_path: Path) -> None:
    async with Chroma(tmp_path / "chroma", "a", DIMENSIONS) as first:
        await first.put([1], unit(1))
    async with Chroma(tmp_path / "chroma", "b", DIMENSIONS) as second:
        assert await second.holds([1]) == []
    shutil.rmtree(tmp_path / "chroma")
