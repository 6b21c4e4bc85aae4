"""A camera that was turned shows what it showed before, by a quarter or a half turn."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gateway.pipeline.turn import Grid, turned


def grid(picture: Image.Image) -> Grid:
    cells = picture.convert("L").resize((32, 24), Image.Resampling.BOX)
    return np.asarray(cells, dtype=np.float32)


@pytest.fixture
def room() -> Image.Image:
    chance = np.random.default_rng(8)
    coarse = Image.fromarray(chance.integers(0, 256, (9, 12), dtype=np.uint8))
    return coarse.resize((320, 240), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_frame_is_told(room: Image.Image, degrees: int) -> None:
    darker = room.point(lambda level: level * 0.7)
    assert turned(grid(room), grid(darker.rotate(degrees, expand=True)))


@pytest.mark.parametrize("degrees", [90, 270])
def test_a_turned_camera_is_told_by_the_middle_of_its_frame(room: Image.Image, degrees: int) -> None:
    assert turned(grid(room), grid(room.rotate(degrees)))


def test_what_stands_as_it_stood_is_not_turned(room: Image.Image) -> None:
    assert not turned(grid(room), grid(room.point(lambda level: level * 0.6)))
    moved = room.transform(room.size, Image.Transform.AFFINE, (1, 0, 6, 0, 1, 4))
    assert not turned(grid(room), grid(moved))


def test_another_picture_is_not_turned(room: Image.Image) -> None:
    chance = np.random.default_rng(9)
    other = Image.fromarray(chance.integers(0, 256, (9, 12), dtype=np.uint8)).resize(room.size)
    assert not turned(grid(room), grid(other))


def test_a_picture_that_shows_nothing_is_not_turned(room: Image.Image) -> None:
    assert not turned(grid(room), np.full((24, 32), 90, np.float32))
