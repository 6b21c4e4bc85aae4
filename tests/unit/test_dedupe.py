"""What counts as change between two pictures of one camera."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.pipeline.steps.dedupe import CELL, Grid, changed, distance

random = np.random.default_rng(7)
ROOM: Grid = (random.random((24, 32)) * 150 + 40).astype(np.float32)
NOISE: Grid = random.normal(0, 1.2, (24, 32)).astype(np.float32)


def _with_thing(size: int, luma: float) -> Grid:
    picture = ROOM.copy()
    picture[10 : 10 + size, 12 : 12 + size] = luma
    return picture


def test_noise_alone_is_no_change() -> None:
    assert changed(ROOM, ROOM + NOISE, {}, {}).cells == 0


@pytest.mark.parametrize(("gain", "offset"), [(0.8, 0), (1.25, 0), (1, 18), (1, -18), (0.7, 10)])
def test_a_change_of_light_is_taken_out(gain: float, offset: float) -> None:
    assert changed(ROOM, ROOM * gain + offset + NOISE, {}, {}).cells == 0


@pytest.mark.parametrize("size", [1, 2, 4, 8, 12])
@pytest.mark.parametrize("gain", [1.0, 0.8])
def test_a_thing_that_came_is_a_change_whatever_the_light(size: int, gain: float) -> None:
    luma = 250.0 if ROOM[10 : 10 + size, 12 : 12 + size].mean() < 150 else 0.0
    assert changed(ROOM, _with_thing(size, luma) * gain + NOISE, {}, {}).cells > 0


def test_a_person_filling_half_the_picture_is_a_change() -> None:
    picture = ROOM.copy()
    picture[:, :14] = 90
    assert changed(ROOM, picture, {}, {}).cells > 0.2


def test_a_lamp_lighting_one_corner_is_a_change() -> None:
    picture = ROOM.copy()
    picture[:8, :10] += 3 * CELL
    assert changed(ROOM, picture, {}, {}).cells > 0


def test_a_thing_that_is_surely_new_is_named() -> None:
    assert changed(ROOM, ROOM, {}, {"cat": 0.8}).labels == ("cat",)
    assert changed(ROOM, ROOM, {"cat": 0.8}, {}).labels == ("cat",)


def test_a_detector_that_wavers_is_no_change() -> None:
    assert changed(ROOM, ROOM, {"cat": 0.4}, {"cat": 0.9}).labels == ()
    assert changed(ROOM, ROOM, {}, {"cat": 0.5}).labels == ()


def test_a_flat_picture_does_not_divide_by_nothing() -> None:
    flat = np.full((24, 32), 20, dtype=np.float32)
    assert changed(flat, flat + 3, {}, {}).cells == 0
    assert changed(flat, ROOM, {}, {}).cells > 0.5


def test_distance_counts_bits() -> None:
    assert distance("0" * 16, "f" + "0" * 15) == 4
