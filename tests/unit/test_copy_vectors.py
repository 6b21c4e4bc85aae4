"""The few nearest pictures by their copy vectors."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.entities import Capture, Duplicate, DuplicateKind, Embedding, PairVerdict
from gateway.store import captures, copies, duplicates
from gateway.store.db import Connection
from tests.unit.conftest import SmallHouse

SPACE = "hearth-copy@1/p"
CHANCE = np.random.default_rng(6)


def _vector(colours: np.ndarray, light: np.ndarray, space: str = SPACE) -> Embedding:
    halves = [half / np.linalg.norm(half) for half in (colours, light)]
    return Embedding(space, (np.concatenate(halves) / np.sqrt(2)).astype("<f4").tobytes())


def _any() -> np.ndarray:
    return CHANCE.standard_normal(64)


async def _home_of(house: SmallHouse, *vectors: Embedding) -> Capture:
    """A picture for each vector, and the capture behind all of them."""
    for n, vector in enumerate(vectors, start=1):
        await house.put(b"\xff\xd8" + bytes([n]) * 40, seq=n)
        await house.db.write(lambda c, n=n, vector=vector: copies.put(c, n, vector))  # type: ignore[misc]
    await house.put(b"\xff\xd8last", seq=99)
    last = await house.db.read(lambda c: captures.get(c, len(vectors) + 1))
    assert last is not None
    return last


async def test_the_nearer_half_counts_and_the_nearest_come_first(house: SmallHouse) -> None:
    colours, light = _any(), _any()
    last = await _home_of(
        house,
        _vector(_any(), _any()),
        _vector(_any(), light + 0.1 * _any()),
        _vector(colours, _any()),
        _vector(_any(), _any()),
    )

    def look(connection: Connection) -> list[tuple[float, int]]:
        return copies.near(connection, last, _vector(colours, light), limit=2)

    found = await house.db.read(look)
    assert [number for _, number in found] == [3, 2]
    assert found[0][0] == pytest.approx(1.0, abs=1e-3) and found[1][0] > 0.95


async def test_what_is_of_another_space_in_the_bin_or_kept_apart_is_left_out(house: SmallHouse) -> None:
    one = _any(), _any()
    last = await _home_of(house, _vector(*one, space="other@1/p"), _vector(*one), _vector(*one), _vector(*one))
    await house.db.write(lambda c: c.execute("UPDATE capture SET deleted_at_us = 5 WHERE id = 2"))
    apart = last.id, Duplicate(DuplicateKind.EDITED, 3, {})
    await house.db.write(lambda c: duplicates.decide(c, apart, PairVerdict.APART, person=house.owner, at_us=1))
    found = await house.db.read(lambda c: copies.near(c, last, _vector(*one), limit=9))
    assert [number for _, number in found] == [4]


async def test_all_rows_are_looked_at_however_few_are_held_at_once(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "_AT_ONCE", 2)
    vectors = [_vector(_any(), _any()) for _ in range(7)]
    last = await _home_of(house, *vectors)
    for place, vector in enumerate(vectors, start=1):
        found = await house.db.read(lambda c, vector=vector: copies.near(c, last, vector, limit=1))  # type: ignore[misc]
        assert [number for _, number in found] == [place]


async def test_a_picture_is_found_by_any_of_its_views_and_named_once(house: SmallHouse) -> None:
    whole, shown, other = ((_any(), _any()) for _ in range(3))
    both = Embedding(SPACE, _vector(*whole).vector + _vector(*shown).vector)
    last = await _home_of(house, _vector(*other), both, _vector(*other))
    for view in (_vector(*whole), _vector(*shown), both):
        found = await house.db.read(lambda c, view=view: copies.near(c, last, view, limit=2))  # type: ignore[misc]
        assert found[0][1] == 2 and found[0][0] == pytest.approx(1.0, abs=1e-3) and len(found) == 2
    found = await house.db.read(lambda c: copies.near(c, last, both, limit=9))
    assert sorted(number for _, number in found) == [1, 2, 3]


async def test_brought_later_are_those_that_came_after_it_from_no_camera(house: SmallHouse) -> None:
    one = _any(), _any()
    await _home_of(house, *[_vector(*one)] * 4)
    await house.db.write(lambda c: c.execute("UPDATE capture SET device = NULL WHERE id IN (1, 4)"))
    second = await house.db.read(lambda c: captures.get(c, 2))
    assert second is not None
    found = await house.db.read(lambda c: copies.near(c, second, _vector(*one), limit=9, brought_later=True))
    assert [number for _, number in found] == [4]
