"""A picture laid over another one: where it lies in it, and what differs there."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

from gateway.inference.alignment import register
from gateway.inference.landmarks import landmarks, small
from gateway.inference.overlap import Overlap, looked, overlap
from gateway.pipeline.steps.dedupe import MOST_DOUBT, doubt

Change = Callable[[Image.Image], Image.Image]


def _scene(seed: int) -> Image.Image:
    """Boxes and discs of all sizes before a gradient, with a sensor's noise."""
    chance = np.random.default_rng(seed)
    ground = np.linspace(60, 190, 480)[:, None, None] * np.ones((1, 640, 3))
    picture = Image.fromarray(ground.astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for _ in range(60):
        x, y = chance.uniform(0, 640), chance.uniform(0, 480)
        across, down = chance.uniform(8, 90, 2)
        colour = tuple(int(v) for v in chance.integers(20, 235, 3))
        draw = pen.rectangle if chance.random() < 0.6 else pen.ellipse
        draw((x, y, x + across, y + down), fill=colour)
    noisy = np.asarray(picture, np.float32) + chance.normal(0, 2, (480, 640, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def _saved(picture: Image.Image, quality: int = 85) -> Image.Image:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return Image.open(out).convert("RGB")


def _written(picture: Image.Image) -> Image.Image:
    changed = picture.copy()
    pen = ImageDraw.Draw(changed)
    for row, words in enumerate(("SEE YOU", "AT NINE")):
        pen.text((90, 60 + 260 * row), words, "white", ImageFont.load_default(40), stroke_width=4, stroke_fill="black")
    return changed


def _in_a_screen(picture: Image.Image) -> Image.Image:
    screen = Image.new("RGB", (500, 1000), (20, 24, 30))
    screen.paste(picture.resize((460, 345)), (20, 300))
    return screen


SCENE = _scene(1)
CHANGES: dict[str, Change] = {
    "saved badly": lambda picture: _saved(picture, 10),
    "cut": lambda picture: picture.crop((120, 60, 580, 420)),
    "smaller": lambda picture: picture.resize((200, 150)),
    "squeezed": lambda picture: picture.resize((640, 360)),
    "mirrored": ImageOps.mirror,
    "upside down": ImageOps.flip,
    "a quarter turn": lambda picture: picture.rotate(90, expand=True),
    "a little turn": lambda picture: picture.rotate(12, Image.Resampling.BICUBIC, expand=True),
    "framed": lambda picture: ImageOps.expand(picture, 70, "white"),
    "written on": _written,
    "grey": lambda picture: picture.convert("L").convert("RGB"),
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.6),
    "on a phone": _in_a_screen,
}


ORIGINAL = looked(_saved(SCENE))


def _laid(picture: Image.Image) -> Overlap:
    found = overlap(looked(_saved(picture)), ORIGINAL)
    assert found is not None
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_a_copy_leaves_little_doubt_whatever_was_done_to_it(name: str) -> None:
    found = _laid(CHANGES[name](SCENE))
    assert doubt(asdict(found)) <= MOST_DOUBT, found


@pytest.mark.parametrize("size_px", [30, 90])
@pytest.mark.parametrize("luma", [40, 215])
def test_a_thing_that_came_is_no_copy(size_px: int, luma: int) -> None:
    other = SCENE.copy()
    box = (250, 200, 250 + size_px, 200 + size_px)
    # As far from what is there as a thing has to be to be seen.
    under = float(np.asarray(SCENE.crop(box).convert("L"), np.float32).mean())
    luma = luma if abs(luma - under) > 40 else 255 - luma
    ImageDraw.Draw(other).ellipse(box, fill=(luma, luma, luma))
    found = _laid(other)
    assert doubt(asdict(found)) > MOST_DOUBT, found


def test_other_light_in_one_half_is_no_copy() -> None:
    other = np.asarray(SCENE, np.float32)
    other[:, 320:] *= 0.6
    assert doubt(asdict(_laid(Image.fromarray(other.astype(np.uint8))))) > MOST_DOUBT


def test_pictures_of_other_things_are_no_copies() -> None:
    for seed in (2, 3):
        found = overlap(looked(_scene(seed)), ORIGINAL)
        assert found is None or doubt(asdict(found)) > MOST_DOUBT


def test_a_picture_without_anything_to_hold_on_to_is_not_laid_over() -> None:
    flat = Image.new("RGB", (640, 480), (120, 120, 120))
    assert overlap(looked(flat), looked(flat)) is None
    assert overlap(looked(flat), ORIGINAL) is None
    assert overlap(looked(Image.new("RGB", (1, 1))), ORIGINAL) is None


def test_the_map_says_where_the_part_lay_how_it_was_turned_and_mirrored() -> None:
    part = _laid(SCENE.crop((160, 120, 480, 360)))
    assert part.share > 0.9 and part.covered == pytest.approx(0.25, abs=0.03)
    turned = _laid(SCENE.rotate(90, expand=True))
    assert turned.turned == pytest.approx(90, abs=1) and not turned.mirrored
    assert _laid(ImageOps.mirror(SCENE)).mirrored
    assert _laid(ImageEnhance.Brightness(SCENE).enhance(0.6)).gain == pytest.approx(0.6, abs=0.05)


def test_landmarks_are_the_same_each_time_and_register_names_the_shift() -> None:
    whole, part = small(SCENE), small(SCENE).crop((40, 30, 300, 230))
    one, again = landmarks(whole), landmarks(whole)
    assert all(np.array_equal(getattr(one, name), getattr(again, name)) for name in ("places", "words", "angles"))
    found = register(landmarks(part), one)
    assert found is not None and found[0] >= 10
    assert found[1] == pytest.approx(np.array([[1, 0, 40], [0, 1, 30]]), abs=1.0)
