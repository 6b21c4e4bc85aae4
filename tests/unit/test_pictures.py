"""Pixels are decoded upright, in RGB, no larger than needed; hostile pictures are refused by name."""

from __future__ import annotations

import io

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from PIL import Image

from gateway.errors import Unreadable
from gateway.inference.pictures import LONG_SIDE_PX, decode_picture


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)  # type: ignore[arg-type]
    return out.getvalue()


def half(mode: str = "RGB", size: tuple[int, int] = (80, 40)) -> Image.Image:
    """Left half red, right half blue."""
    image = Image.new("RGB", size, (255, 0, 0))
    image.paste((0, 0, 255), (size[0] // 2, 0, size[0], size[1]))
    return image.convert(mode)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_formats_that_are_known_are_decoded(form: str) -> None:
    picture = decode_picture(encoded(half(), form))
    assert (picture.image.mode, picture.image.size) == ("RGB", (80, 40))
    red, green, blue = picture.image.getpixel((10, 20))
    assert red > 200 and green < 60 and blue < 60


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF", "PPM"])
def test_formats_that_are_not_known_are_refused(form: str) -> None:
    with pytest.raises(Unreadable) as failed:
        decode_picture(encoded(half(), form))
    assert failed.value.code == "not-a-picture"


@pytest.mark.parametrize(("turn", "corner"), [(1, "left"), (3, "right"), (6, "top"), (8, "bottom"), (2, "right")])
def test_a_camera_held_sideways_is_turned_upright(turn: int, corner: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    picture = decode_picture(encoded(half(), "JPEG", exif=exif, quality=95))
    width, height = picture.image.size
    assert (picture.width_px, picture.height_px) == (width, height) == ((40, 80) if turn in (6, 8) else (80, 40))
    at = {
        "left": (5, height // 2),
        "right": (width - 5, height // 2),
        "top": (width // 2, 5),
        "bottom": (20, height - 5),
    }
    red, _, blue = picture.image.getpixel(at[corner])
    assert red > 200
    assert blue < 60


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "I;16"])
def test_every_kind_of_pixel_becomes_rgb(mode: str) -> None:
    image = half("L").point(lambda level: level).convert("I;16") if mode == "I;16" else half(mode)
    picture = decode_picture(encoded(image, "JPEG" if mode == "CMYK" else "PNG"))
    assert picture.image.mode == "RGB"


def test_what_is_see_through_is_on_white_paper() -> None:
    clear = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    assert decode_picture(encoded(clear, "PNG")).image.getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_large_pictures_are_made_smaller_and_keep_their_true_size(form: str) -> None:
    picture = decode_picture(encoded(half(size=(4000, 1000)), form))
    assert picture.image.size == (LONG_SIDE_PX, 480) and (picture.width_px, picture.height_px) == (4000, 1000)


def test_one_pixel_and_a_thread_are_pictures() -> None:
    assert decode_picture(encoded(half(size=(2, 1)), "PNG")).image.size == (2, 1)
    assert decode_picture(encoded(half(size=(5000, 1)), "PNG")).image.size == (LONG_SIDE_PX, 1)


@pytest.mark.parametrize("form", ["WEBP", "PNG"])
def test_animated_pictures_are_refused(form: str) -> None:
    frames = [Image.fromarray(np.full((32, 32, 3), level, dtype=np.uint8)) for level in (0, 120, 250)]
    with pytest.raises(Unreadable) as failed:
        decode_picture(encoded(frames[0], form, save_all=True, append_images=frames[1:]))
    assert failed.value.code == "animated"


def test_a_progressive_bomb_of_scans_is_refused() -> None:
    body = encoded(half(size=(2000, 1500)), "JPEG", progressive=True)
    end = body.rindex(b"\xff\xd9")
    scan = body[body.rindex(b"\xff\xda") : end]
    with pytest.raises(Unreadable) as failed:
        decode_picture(body[:end] + scan * 300 + body[end:])
    assert failed.value.code == "too-many-pixels"


SAMPLES = [encoded(half(), form) for form in ("JPEG", "PNG", "WEBP")]


@given(st.sampled_from(SAMPLES), st.data())
def test_damage_gives_a_picture_or_a_reason(body: bytes, data: st.DataObject) -> None:
    damaged = bytearray(body[: data.draw(st.integers(0, len(body)))] or b"\xff")
    for _ in range(data.draw(st.integers(0, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert decode_picture(bytes(damaged)).image.mode == "RGB"
    except Unreadable as error:
        assert error.code in ("not-a-picture", "too-many-pixels", "animated")
