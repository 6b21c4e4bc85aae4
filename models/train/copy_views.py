"""What becomes of a picture on its way through phones and chats, drawn by chance: the other half of a pair to learn
from. The measured suite has changes of its own (`tests/bench/copy_suite.py`); no code is shared with it."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from models.train.copy_pictures import Chance

_WORDS = (
    "happy",
    "birthday",
    "look",
    "who",
    "is",
    "here",
    "again",
    "see",
    "you",
    "at",
    "nine",
    "LOL",
    "WOW",
    "best",
    "day",
)


def view(picture: Image.Image, chance: Chance) -> Image.Image:
    """One to three changes, in an order that happens, and a poor save in the end."""
    kinds = chance.permutation(len(_CHANGES))[: int(chance.choice((1, 2, 3), p=(0.45, 0.35, 0.2)))]
    for kind in sorted(kinds):
        picture = _CHANGES[kind](picture, chance)
    if chance.random() < 0.35:
        picture = _saved(picture, int(chance.integers(5, 75)))
    return picture


def _saved(picture: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    picture.convert("RGB").save(out, "JPEG", quality=quality)
    with Image.open(out) as again:
        return again.convert("RGB")


def _crop(picture: Image.Image, chance: Chance) -> Image.Image:
    area, shape = chance.uniform(0.42, 0.95), np.exp(chance.normal(0, 0.15))
    width = min(1.0, np.sqrt(area) * shape) * picture.width
    height = min(1.0, np.sqrt(area) / shape) * picture.height
    left, top = chance.uniform(0, picture.width - width), chance.uniform(0, picture.height - height)
    return picture.crop((int(left), int(top), int(left + width), int(top + height)))


def _squash(picture: Image.Image, chance: Chance) -> Image.Image:
    across, down = (float(np.exp(chance.normal(0, 0.25))) for _ in range(2))
    return picture.resize((max(24, int(picture.width * across)), max(24, int(picture.height * down))))


def _flip(picture: Image.Image, chance: Chance) -> Image.Image:
    return ImageOps.mirror(picture) if chance.random() < 0.6 else ImageOps.flip(picture)


def _turn(picture: Image.Image, chance: Chance) -> Image.Image:
    if chance.random() < 0.5:
        return picture.rotate(float(chance.choice((90, 180, 270))), expand=True)
    return picture.rotate(chance.uniform(-35, 35), Image.Resampling.BILINEAR, expand=bool(chance.random() < 0.7))


def _border(picture: Image.Image, chance: Chance) -> Image.Image:
    colour = (0, 0, 0) if chance.random() < 0.4 else tuple(int(v) for v in chance.integers(0, 256, 3))
    if chance.random() < 0.4:
        colour = (255, 255, 255)
    across, down = (int(v) for v in chance.uniform(0, 0.22, 2) * min(picture.size))
    if chance.random() < 0.3:
        across = down = max(across, down)
    return ImageOps.expand(picture, (across, down), fill=colour)


def _words(picture: Image.Image, chance: Chance) -> Image.Image:
    changed = picture.copy()
    pen = ImageDraw.Draw(changed)
    for _ in range(int(chance.integers(1, 4))):
        letter_px = chance.uniform(0.06, 0.18) * picture.height
        said = " ".join(chance.choice(_WORDS, int(chance.integers(1, 4))))
        colour, edge = ("white", "black") if chance.random() < 0.6 else ("black", "white")
        at = (chance.uniform(0, 0.5) * picture.width, chance.uniform(0, 0.85) * picture.height)
        font = ImageFont.load_default(max(8.0, letter_px))
        pen.text(at, said, colour, font, stroke_width=int(letter_px / 10), stroke_fill=edge)
    return changed


def _light(picture: Image.Image, chance: Chance) -> Image.Image:
    for enhance, spread in ((ImageEnhance.Brightness, 0.3), (ImageEnhance.Contrast, 0.25), (ImageEnhance.Color, 0.5)):
        picture = enhance(picture).enhance(float(np.exp(chance.normal(0, spread))))
    if chance.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(chance.uniform(0.3, 2)))
    return picture


def _grey(picture: Image.Image, chance: Chance) -> Image.Image:
    return picture.convert("L").convert("RGB")


def _screen(picture: Image.Image, chance: Chance) -> Image.Image:
    """On a screen, among what programs draw."""
    share = chance.uniform(0.45, 0.95)
    width, height = (int(v) for v in np.array(picture.size) / share * np.exp(chance.normal(0, 0.25, 2)).clip(1))
    ground = tuple(int(v) for v in (chance.integers(0, 50, 3) if chance.random() < 0.5 else chance.integers(0, 256, 3)))
    screen = Image.new("RGB", (width, height), ground)
    pen = ImageDraw.Draw(screen)
    if chance.random() < 0.5:
        pen.rectangle((width * 0.04, height * 0.05, width * 0.96, height * 0.95), fill=(240, 240, 242))
    for _ in range(int(chance.integers(0, 6))):
        x, y = chance.uniform(0, 0.8) * width, chance.uniform(0, 1) * height
        pen.rectangle(
            (x, y, x + width * chance.uniform(0.1, 0.5), y + 6), fill=tuple(int(v) for v in chance.integers(0, 256, 3))
        )
    pen.text((width * 0.05, 2), "12:04  Album", (150, 150, 150), ImageFont.load_default(10))
    left, top = (
        int(chance.uniform(0.2, 0.8) * (room - own)) for room, own in zip((width, height), picture.size, strict=True)
    )
    screen.paste(picture, (left, top))
    return screen


_CHANGES = (_crop, _flip, _grey, _light, _words, _turn, _squash, _border, _screen)
"""In the order in which they happen to one picture."""
