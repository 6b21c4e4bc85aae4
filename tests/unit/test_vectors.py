"""The exact index: int8, in blocks, by capture id. What all indexes share is in tests/contract."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gateway.errors import HearthlogError
from gateway.index.indexer import Held
from gateway.index.vectors import ABSENT, Exact, Floats, from_bytes, quantise, top

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
