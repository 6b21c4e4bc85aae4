"""The picture that a screen shows."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from gateway.inference.framed import framed
from tests.bench.copy_suite import SCREENS, Change
from tests.unit.test_overlap import SCENE


@pytest.mark.parametrize("screen", SCREENS, ids=lambda each: each.__name__)
def test_what_a_screen_shows_is_found_and_nothing_of_what_is_around_it(screen: Change) -> None:
    found = framed(screen(SCENE))
    assert found is not None
    assert found.width / found.height == pytest.approx(SCENE.width / SCENE.height, rel=0.08)
    shown = np.asarray(found.convert("L").resize((64, 48), Image.Resampling.BOX), np.float32)
    meant = np.asarray(SCENE.convert("L").resize((64, 48), Image.Resampling.BOX), np.float32)
    assert np.corrcoef(shown.ravel(), meant.ravel())[0, 1] > 0.9


def test_a_border_is_taken_off_whatever_its_colour() -> None:
    for colour in ("white", "black", "#3060a0"):
        found = framed(ImageOps.expand(SCENE, 60, fill=colour))
        assert found is not None
        assert found.width == pytest.approx(640, abs=12) and found.height == pytest.approx(480, abs=24)


def test_the_largest_of_several_is_taken() -> None:
    page = Image.new("RGB", (900, 900), "white")
    page.paste(SCENE.resize((200, 150)), (40, 40))
    page.paste(SCENE.resize((600, 450)), (150, 300))
    found = framed(page)
    assert found is not None and found.width == pytest.approx(600, abs=12)


def test_a_picture_that_fills_its_frame_shows_no_other() -> None:
    assert framed(SCENE) is None


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (640, 480)])
def test_where_there_is_nothing_nothing_is_found(size: tuple[int, int]) -> None:
    assert framed(Image.new("RGB", size, "grey")) is None


def test_a_page_of_thin_lines_ends_soon() -> None:
    page = Image.new("RGB", (2_000, 2_000), "white")
    pen = ImageDraw.Draw(page)
    for at in range(0, 2_000, 31):
        pen.line((at, 0, at, 2_000), "black", 8)
        pen.line((0, at, 2_000, at), "black", 8)
    framed(page)
