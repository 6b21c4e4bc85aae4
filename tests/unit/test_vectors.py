"""The exact index: int8, in blocks, by capture id. What all indexes share is in tests/contract."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gateway.errors import HearthlogError
from gateway.index.indexer import Held
from gateway.index.vectors import ABSENT, LOOKED_AT, Exact, Floats, from_bytes, quantise, top

DIMENSIONS = 384


def unit(count: int, *, seed: int = 3, dimensions: int = DIMENSIONS) -> Floats:
    """Seeded unit vectors."""
    vectors = np.random.default_rng(seed).standard_normal((count, dimensions), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def exact() -> Iterator[Exact]:
    made = Exact("s", DIMENSIONS, capacity=8)
    yield made
    made.close()


def test_int8_keeps_a_cosine_to_five_thousandths() -> None:
    vectors = unit(500)
    codes, scales = quantise(vectors)
    again = codes.astype(np.float32) * scales[:, None]
    assert np.abs(again @ vectors[0] - vectors @ vectors[0]).max() < 0.005


def test_a_vector_of_nothing_is_no_error() -> None:
    codes, scales = quantise(np.zeros((1, 8), np.float32))
    assert not codes.any() and not scales.any()


def test_asking_for_few_and_for_all_gives_the_same_cosines(exact: Exact) -> None:
    vectors = unit(1_000)
    exact.insert(np.arange(1, 1_001), vectors)
    everything = exact.cosines(vectors[0], np.arange(1, 1_001, dtype=np.int64))
    few = exact.cosines(vectors[0], np.array([5, 500, 1_000], np.int64))
    np.testing.assert_allclose(few, everything[[4, 499, 999]], atol=1e-5)


def test_what_has_no_vector_is_absent_and_never_on_top(exact: Exact) -> None:
    exact.insert([2], unit(1))
    asked = np.array([1, 2, 3, 10_000], np.int64)
    cosines = exact.cosines(unit(1)[0], asked)
    assert (cosines == ABSENT).tolist() == [True, False, True, True]
    assert top(cosines, asked, 10).tolist() == [1]


def around(centres: Floats, count: int, *, spread: float = 0.9) -> Floats:
    """Unit vectors around given ones, as captions lie around what they speak of."""
    which = np.random.default_rng(5).integers(0, len(centres), count)
    vectors = centres[which] + np.float32(spread) * unit(count, seed=8)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_first_look_keeps_the_nearest_of_every_group(exact: Exact) -> None:
    centres, ids = unit(300), np.arange(1, 20_001, dtype=np.int64)
    vectors = around(centres, len(ids))
    exact.insert(ids, vectors)
    few = np.zeros(len(ids), bool)
    few[::50] = True
    for query in centres[:5]:
        found = exact.closely(query, ids, [~few, few], limit=600)
        assert 600 <= np.count_nonzero(found > LOOKED_AT) < 3_000
        for group in (few, ~few):
            true = np.argsort(np.where(group, -(vectors @ query), 9))[:10]
            assert np.isin(true, top(np.where(group, found, np.float32(ABSENT)), ids, 30)).mean() >= 0.97


def test_what_was_not_looked_at_closely_comes_after_all_that_was(exact: Exact) -> None:
    vectors = unit(8_000)
    exact.insert(np.arange(1, 8_001), vectors)
    ids = np.arange(1, 8_101, dtype=np.int64)
    found = exact.closely(vectors[3], ids, [np.ones(len(ids), bool)], limit=500)
    close, rough = found > LOOKED_AT, (found < LOOKED_AT) & (found > ABSENT)
    np.testing.assert_allclose(found[close], exact.cosines(vectors[3], ids)[close], atol=1e-6)
    assert close[3] and rough.sum() == 8_000 - close.sum() and (found[8_000:] == ABSENT).all()
    assert np.corrcoef(found[rough], exact.cosines(vectors[3], ids)[rough])[0, 1] > 0.5


def test_equal_vectors_are_never_cut_apart(exact: Exact) -> None:
    exact.insert(np.arange(1, 9_001), np.repeat(unit(9), 1_000, axis=0))
    found = exact.closely(unit(9)[4], exact.ids(), [np.ones(9_000, bool)], limit=10)
    assert (found[4_000:5_000] > 0.99).all()


def test_signs_go_and_grow_with_their_vectors(exact: Exact) -> None:
    vectors = unit(12_000)
    exact.insert(np.arange(1, 12_001), vectors)
    exact.remove(np.arange(1, 3_001))
    exact.insert(np.arange(12_001, 13_001), vectors[:1_000])
    ids = exact.ids()
    found = exact.closely(vectors[500], ids, [np.ones(len(ids), bool)], limit=100)
    assert ids[top(found, ids, 1)[0]] == 12_501


def test_it_grows_and_ids_may_come_in_any_order(exact: Exact) -> None:
    vectors = unit(200)
    order = np.random.default_rng(1).permutation(200)
    for chunk in np.array_split(order, 7):
        exact.insert(chunk + 1, vectors[chunk])
    best = top(exact.cosines(vectors[42]), exact.ids(), 1)
    assert exact.ids()[best[0]] == 43
    assert len(exact) == 200


def test_equal_scores_go_by_falling_id() -> None:
    scores = np.array([0.5, 0.5, 0.9, 0.5], np.float32)
    assert top(scores, np.array([1, 2, 3, 4], np.int64), 3).tolist() == [2, 3, 1]


def test_long_vectors_are_held_as_a_projection_that_keeps_neighbours() -> None:
    vectors = unit(400, dimensions=1_024)
    near = vectors[7] + 0.2 * unit(1, seed=9, dimensions=1_024)[0]
    held = Held("looks", 1_024)
    held.take([(n + 1, vector.tobytes()) for n, vector in enumerate(vectors)])
    assert held.exact.dimensions == 256
    cosines = held.exact.cosines(held.seen(near[None, :])[0])
    assert held.exact.ids()[top(cosines, held.exact.ids(), 1)[0]] == 8
    held.exact.close()


def test_a_vector_of_another_length_is_never_taken() -> None:
    with pytest.raises(HearthlogError):
        from_bytes(b"\0" * 12, 4)
    held = Held("s", 4)
    held.take([(1, b"\0" * 12)])
    assert len(held.exact) == 0
    held.exact.close()
