"""Spaces are measured in the picture, not guessed from words."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from gateway.inference.spaces import HEIGHT_PX, spaced


def printed(text: str, *, size_px: int = 30, ink: int = 20, paper: int = 235) -> tuple[str, list[float], Image.Image]:
    """`text` without its spaces, the middle of each of its characters, and the line as it is printed."""
    face = ImageFont.load_default(size_px)
    image = Image.new("L", (int(face.getlength(text)) + 24, HEIGHT_PX), paper)
    ImageDraw.Draw(image).text((10, 5), text, fill=ink, font=face)
    noise = np.random.default_rng(1).normal(0, 3, (image.height, image.width))
    image = Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
    middles = [
        10 + (face.getlength(text[:n]) + face.getlength(text[: n + 1])) / 2
        for n, char in enumerate(text)
        if char != " "
    ]
    return text.replace(" ", ""), middles, image


@pytest.mark.parametrize(
    "text",
    [
        "To facilitate the shot type analysis",
        "N. LINDQVIST",
        "12 ALDER LANE",
        "BOOKS 2.4 KG",
        "ORDER A7-3391-QX",
        "FRAGILE - THIS SIDE UP",
        "HILL",
        "PIN 4711",
        "see you on 12 May at 7:30",
        "REF 100 200 300",
    ],
)
@pytest.mark.parametrize(("ink", "paper"), [(20, 235), (230, 40)])
def test_words_are_parted_where_the_print_is(text: str, ink: int, paper: int) -> None:
    joined, middles, image = printed(text, ink=ink, paper=paper)
    assert spaced(joined, middles, np.asarray(image)) == text


def test_spaces_that_are_there_stay_single() -> None:
    text = "the shot type"
    joined, middles, image = printed(text)
    at = [*middles[:3], (middles[2] + middles[3]) / 2, *middles[3:]]
    assert spaced("the shottype", at, np.asarray(image)) == text
    assert len(joined) == 11


def test_chinese_is_left_alone() -> None:
    line = np.full((HEIGHT_PX, 200), 240, dtype=np.uint8)
    for x in (10, 80, 150):
        line[8:40, x : x + 20] = 10
    assert spaced("轻运动", [20.0, 90.0, 160.0], line) == "轻运动"


@pytest.mark.parametrize("text", ["", "a", "ab"])
def test_a_line_without_print_is_left_alone(text: str) -> None:
    line = np.full((HEIGHT_PX, 50), 128, dtype=np.uint8)
    assert spaced(text, [10.0 * n for n in range(len(text))], line) == text
