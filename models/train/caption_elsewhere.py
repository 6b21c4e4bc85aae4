"""Pictures of anything but the home, which the captioner learns to be silent about. No photograph is among them.

Procedural ones with the statistics of photographs (`copy_pictures`), other rooms and streets that are painted by
chance, with the home's own people and things in them (so that they alone never make a home), pictures of nothing, and,
from pictures of homes, what is near to them and is none: their pieces in another order, turned, cut, seen through
another lens. `KEPT_BACK` are kinds that are never learnt from: the gate is checked by them too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from gateway.demo.cast import cast
from gateway.demo.render import Item, sprite
from models.train.copy_pictures import procedural

_SIZE, _PLAIN = (320, 240), (160, 120)
_MATERIALS = 48
Chance: TypeAlias = np.random.Generator
Pixels: TypeAlias = npt.NDArray[np.uint8]
Painter: TypeAlias = Callable[[Chance, Sequence[Image.Image]], Image.Image]


def elsewhere(count: int, *, seed: int) -> Iterator[Image.Image]:
    """`count` pictures, always the same for a seed; every second one is procedural."""
    plain = procedural(count // 2, seed=seed + 71_000, size=_PLAIN)
    materials = list(procedural(_MATERIALS, seed=seed + 72_000))
    for n in range(count):
        chance = np.random.default_rng((seed, n, 3))
        if n % 2:
            yield next(plain)
        else:
            painter = _PAINTERS[int(chance.choice(len(_PAINTERS), p=_SHARES))]
            yield _lit(painter(chance, materials), chance)


def kept_back(count: int, *, seed: int) -> Iterator[Image.Image]:
    """Pictures of the kinds that nothing is learnt from."""
    materials = list(procedural(_MATERIALS, seed=seed + 73_000))
    for n in range(count):
        chance = np.random.default_rng((seed, n, 4))
        yield _lit(KEPT_BACK[n % len(KEPT_BACK)](chance, materials), chance)


def near_home(home: Pixels, other: Pixels, chance: Chance) -> Pixels:
    """[side, side, 3] of what is made of two pictures of homes and is none."""
    side = home.shape[0]
    kind = int(chance.integers(7))
    if kind == 0:  # its pieces in another order
        return _shuffled(home, int(chance.choice((2, 4, 8))), chance)
    if kind == 1:  # upside down, or lying on a side
        return np.ascontiguousarray(np.rot90(home, int(chance.integers(1, 4))))
    if kind == 2:  # a part of it, large
        width = int(side * chance.uniform(0.35, 0.65))
        left, top = (int(chance.integers(side - width)) for _ in range(2))
        part = Image.fromarray(home[top : top + width, left : left + width])
        return np.asarray(part.resize((side, side), Image.Resampling.BILINEAR))
    if kind == 3:  # halves of two places
        cut = int(side * chance.uniform(0.35, 0.65))
        joined = np.concatenate([home[:, :cut], other[:, ::-1][:, cut:]], axis=1)
        return joined if chance.random() < 0.5 else np.ascontiguousarray(joined[::-1])
    if kind == 4:  # a picture on a wall or a screen
        width = int(side * chance.uniform(0.3, 0.6))
        frame = np.tile(chance.integers(0, 255, 3).astype(np.uint8), (side, side, 1))
        left, top = (int(chance.integers(side - width)) for _ in range(2))
        inner = Image.fromarray(home).resize((width, width), Image.Resampling.BILINEAR)
        frame[top : top + width, left : left + width] = np.asarray(inner)
        return frame
    if kind == 5:  # a negative
        return 255 - home
    grid = Image.fromarray(home).rotate(float(chance.uniform(20, 70)), Image.Resampling.BILINEAR, expand=False)
    return np.asarray(grid)


def _shuffled(home: Pixels, parts: int, chance: Chance) -> Pixels:
    step = home.shape[0] // parts
    tiles = home.reshape(parts, step, parts, step, 3).transpose(0, 2, 1, 3, 4).reshape(-1, step, step, 3)
    order = chance.permutation(len(tiles))
    mixed = tiles[order].reshape(parts, parts, step, step, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(mixed.reshape(home.shape))


def _room(chance: Chance, materials: Sequence[Image.Image]) -> Image.Image:
    """A wall, a floor, windows, doors and furniture where chance puts them."""
    width, height = _SIZE
    picture = _filled(chance, materials, _SIZE)
    horizon = int(height * chance.uniform(0.5, 0.85))
    picture.paste(_filled(chance, materials, (width, height - horizon)), (0, horizon))
    pen = ImageDraw.Draw(picture)
    for _ in range(int(chance.integers(0, 4))):
        _frame(pen, chance, (chance.uniform(0, width * 0.9), chance.uniform(0, horizon * 0.6)))
    for _ in range(int(chance.integers(2, 9))):
        across, up = int(width * chance.uniform(0.06, 0.5)), int(height * chance.uniform(0.06, 0.5))
        left, low = int(chance.uniform(-across / 2, width - across / 2)), int(horizon + chance.uniform(-20, 70))
        picture.paste(_filled(chance, materials, (across, up)), (left, low - up))
        if chance.random() < 0.5:
            pen.rectangle((left, low - up, left + across, low), outline=_colour(chance, 0, 90))
    return _peopled(picture, chance)


def _street(chance: Chance, materials: Sequence[Image.Image]) -> Image.Image:
    """Sky, hills or houses, a road, trees."""
    width, height = _SIZE
    horizon = int(height * chance.uniform(0.25, 0.65))
    sky = np.linspace(0, 1, height)[:, None, None] * np.ones((1, width, 1))
    top, low = np.array(_colour(chance, 90, 255)), np.array(_colour(chance, 150, 255))
    picture = Image.fromarray((top * (1 - sky) + low * sky).astype(np.uint8))
    picture.paste(_filled(chance, materials, (width, height - horizon)), (0, horizon))
    pen = ImageDraw.Draw(picture)
    if chance.random() < 0.6:
        x0, x1 = sorted(chance.uniform(0, width, 2))
        road = [(x0, horizon), (x1, horizon), (chance.uniform(0.5, 1.3) * width, height), (-40.0, height)]
        pen.polygon([(float(x), float(y)) for x, y in road], fill=_colour(chance, 60, 170))
    for _ in range(int(chance.integers(1, 8))):
        x, up = chance.uniform(0, width), chance.uniform(0.1, 0.55) * height
        if chance.random() < 0.5:
            box = (int(max(8, up * chance.uniform(0.5, 1.6))), int(up))
            picture.paste(_filled(chance, materials, box), (int(x), int(horizon + 10 - up)))
            pen.polygon([(x, horizon + 10 - up), (x + box[0], horizon + 10 - up), (x + box[0] / 2, horizon - up * 1.4)])
        else:
            mask = Image.new("L", _SIZE)
            ImageDraw.Draw(mask).ellipse((x, horizon - up, x + up * 0.8, horizon + 6), fill=255)
            picture.paste(_filled(chance, materials, _SIZE), (0, 0), mask.filter(ImageFilter.GaussianBlur(2)))
    return _peopled(picture, chance)


def _still_life(chance: Chance, materials: Sequence[Image.Image]) -> Image.Image:
    """One large thing, or a few, before something soft: food, an animal, a toy, whatever is near the lens."""
    picture = _filled(chance, materials, _SIZE).filter(ImageFilter.GaussianBlur(float(chance.uniform(1, 9))))
    for _ in range(int(chance.integers(1, 5))):
        mask = Image.new("L", _SIZE)
        middle, radius = chance.uniform(40, 260, 2) * (1, 0.75), chance.uniform(20, 110, 2)
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        wobble = 1 + chance.uniform(-0.25, 0.25, 24)
        ring = [
            (float(middle[0] + radius[0] * w * np.cos(a)), float(middle[1] + radius[1] * w * np.sin(a)))
            for a, w in zip(angles, wobble, strict=True)
        ]
        ImageDraw.Draw(mask).polygon(ring, fill=255)
        picture.paste(_filled(chance, materials, _SIZE), (0, 0), mask.filter(ImageFilter.GaussianBlur(1.5)))
    return _peopled(picture, chance) if chance.random() < 0.3 else picture


def _nothing(chance: Chance, materials: Sequence[Image.Image]) -> Image.Image:
    """One colour, a slow change from one to another, stripes, squares, or a sensor's noise."""
    del materials
    width, height = _SIZE
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    one, other = np.array(_colour(chance, 0, 255)), np.array(_colour(chance, 0, 255))
    phase = x * chance.uniform(-1, 1) + y * chance.uniform(-1, 1)
    kind = int(chance.integers(5))
    share = {
        0: np.zeros_like(phase),
        1: np.clip(phase + 0.5, 0, 1),
        2: (np.sin(phase * chance.uniform(5, 120)) > 0).astype(float),
        3: ((np.floor(x * chance.integers(2, 20)) + np.floor(y * chance.integers(2, 20))) % 2),
        4: chance.random(phase.shape),
    }[kind][..., None]
    return Image.fromarray((one * (1 - share) + other * share).astype(np.uint8))


def _portrait(chance: Chance, materials: Sequence[Image.Image]) -> Image.Image:
    """A head and shoulders near the lens."""
    picture = _filled(chance, materials, _SIZE).filter(ImageFilter.GaussianBlur(6))
    pen = ImageDraw.Draw(picture)
    x, y, r = chance.uniform(100, 220), chance.uniform(70, 130), chance.uniform(40, 80)
    skin = tuple(int(v) for v in np.array((224, 176, 146)) * chance.uniform(0.4, 1.05))
    pen.ellipse((x - 2.2 * r, y + r, x + 2.2 * r, y + 5 * r), fill=_colour(chance, 20, 230))
    pen.ellipse((x - 0.92 * r, y - 1.35 * r, x + 0.92 * r, y + 0.4 * r), fill=_colour(chance, 10, 120))
    pen.ellipse((x - 0.8 * r, y - r, x + 0.8 * r, y + 1.1 * r), fill=skin)
    for side in (-1, 1):
        eye = x + side * 0.32 * r
        pen.ellipse((eye - 0.12 * r, y - 0.15 * r, eye + 0.12 * r, y), fill=(30, 26, 24))
    pen.arc((x - 0.35 * r, y + 0.2 * r, x + 0.35 * r, y + 0.7 * r), 20, 160, fill=(140, 60, 60), width=4)
    return picture


def _from_above(chance: Chance, materials: Sequence[Image.Image]) -> Image.Image:
    """Fields or tiles, each nearest to a point."""
    width, height = _SIZE
    points = chance.uniform(0, 1, (int(chance.integers(5, 60)), 2)) * (width, height)
    y, x = np.mgrid[0:height, 0:width]
    far = (x[..., None] - points[:, 0]) ** 2 + (y[..., None] - points[:, 1]) ** 2
    nearest = np.argmin(far, axis=2)
    colours = chance.integers(30, 230, (len(points), 3))
    grain = np.asarray(_filled(chance, materials, _SIZE), np.float32) - 128
    return Image.fromarray(np.clip(colours[nearest] + 0.4 * grain, 0, 255).astype(np.uint8))


def _peopled(picture: Image.Image, chance: Chance) -> Image.Image:
    """Some of the home's people, animals and things, where they never are."""
    who = cast(int(chance.integers(40_001, 40_013)))
    looks = (who.first_look, who.second_look, who.child_look, who.courier_look, who.guest_look)
    for _ in range(int(chance.choice((0, 0, 1, 2)))):
        scale = float(chance.choice((0.3, 0.5, 0.9)))
        what = str(chance.choice(("person", "person", "cat", "car", "parcel", "book", "bowl", "fox", "bicycle")))
        item = Item(what, 0, 0, scale, lines=("A B", "C D"), colour=who.car, look=looks[int(chance.integers(5))])
        drawn = sprite(item)
        at = int(chance.uniform(-20, _SIZE[0] - 40)), int(_SIZE[1] - drawn.height + chance.uniform(-90, 60))
        picture.paste(drawn.convert("RGB"), at, drawn.getchannel("A"))
    return picture


def _filled(chance: Chance, materials: Sequence[Image.Image], size: tuple[int, int]) -> Image.Image:
    """A part of a procedural picture, a plain colour, or both."""
    size = max(4, size[0]), max(4, size[1])
    plain = Image.new("RGB", size, _colour(chance, 20, 240))
    material = materials[int(chance.integers(len(materials)))]
    left, top = (chance.uniform(0, side * 0.5) for side in material.size)
    right, low = left + material.width * chance.uniform(0.2, 0.5), top + material.height * chance.uniform(0.2, 0.5)
    piece = material.resize(size, Image.Resampling.BILINEAR, (left, top, right, low))
    return Image.blend(plain, piece, float(chance.choice((0.0, 0.15, 0.3, 1.0))))


def _frame(pen: ImageDraw.ImageDraw, chance: Chance, at: tuple[float, float]) -> None:
    across, up = chance.uniform(20, 110), chance.uniform(20, 120)
    box = (at[0], at[1], at[0] + across, at[1] + up)
    pen.rectangle(
        box, fill=_colour(chance, 120, 255), outline=_colour(chance, 0, 255), width=int(chance.integers(1, 6))
    )
    if chance.random() < 0.5:
        pen.line((at[0] + across / 2, at[1], at[0] + across / 2, at[1] + up), fill=_colour(chance, 60, 255), width=3)


def _colour(chance: Chance, low: int, high: int) -> tuple[int, int, int]:
    """From grey to gaudy, most of them muted, as things are."""
    bright = chance.integers(low, high, 3).astype(float)
    share = float(chance.choice((0.0, 0.3, 0.6, 1.0), p=(0.25, 0.3, 0.25, 0.2)))
    red, green, blue = (int(v) for v in share * bright + (1 - share) * bright.mean())
    return red, green, blue


def _lit(picture: Image.Image, chance: Chance) -> Image.Image:
    """Sharp or not, dark or light, grey as at night."""
    if chance.random() < 0.4:
        picture = picture.filter(ImageFilter.GaussianBlur(float(chance.uniform(0.3, 2.0))))
    if chance.random() < 0.2:
        picture = ImageOps.grayscale(picture).convert("RGB")
    if chance.random() < 0.5:
        picture = ImageEnhance.Brightness(picture).enhance(float(chance.uniform(0.2, 1.4)))
    if chance.random() < 0.3:
        picture = ImageEnhance.Contrast(picture).enhance(float(chance.uniform(0.5, 1.6)))
    return picture


_PAINTERS: tuple[Painter, ...] = (_room, _street, _still_life, _nothing)
_SHARES = (0.44, 0.26, 0.22, 0.08)
KEPT_BACK: tuple[Painter, ...] = (_portrait, _from_above)
