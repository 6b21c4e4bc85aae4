"""Pictures for `quality`: sound ones, drawn and rendered, and what darkness, blur, covers and light do to them.

Nothing here is a photograph. Sound pictures are dead leaves (shapes that lie over each other, sizes by a power law:
the statistics of natural pictures, Lee, Mumford and Huang 2001) with grained and graded fills, rooms of flat walls,
fields of 1/f noise, pages of print, any of them with a soft background, and frames of the demo's home.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from gateway.demo.home import SECOND_US, Home
from gateway.demo.render import render

HOMES = tuple(range(4_101, 4_109))
"""Seeds of the homes whose frames are used."""
FRAMES_A_HOME = 12
KINDS = ("leaves", "room", "field", "page", "home")
_SHARES = (0.4, 0.15, 0.1, 0.08, 0.27)
_ENDS_AT_US = 1_777_000_000 * SECOND_US
_SIZES = ((512, 384), (384, 512), (512, 288), (512, 342), (512, 512), (640, 480), (400, 300))
_SHEET_PX = 768

Chance: TypeAlias = np.random.Generator
Floats: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Lens:
    """How sharp sound pictures are, and from where on softness is a fault."""

    soft: bool
    """Three of five sound pictures are as soft as cheap lenses are."""
    least: tuple[float, float, float]
    """Of a Gaussian, a disc and a way, by the long side."""


SHARP = Lens(soft=False, least=(0.0048, 0.008, 0.025))
SOFT = Lens(soft=True, least=(0.0055, 0.009, 0.03))


def sound(chance: Chance, lens: Lens = SHARP) -> tuple[str, Image.Image]:
    """A picture with nothing wrong, long side about 512 px, and of which kind it is."""
    while True:
        kind = str(chance.choice(KINDS, p=_SHARES))
        picture = _sound(chance, kind)
        levels = np.asarray(picture.convert("L"))
        told = float(levels.std()) > 9 and float(levels.mean()) > 32
        if told and float((levels > 245).mean()) < (0.9 if kind == "page" else 0.4):
            return kind, _through(chance, picture) if lens.soft else picture


def _sound(chance: Chance, kind: str) -> Image.Image:
    if kind == "home":
        return _home_frame(chance)
    width, height = _SIZES[int(chance.integers(len(_SIZES)))]
    picture = _DRAWN[kind](chance, width * 3 // 2, height * 3 // 2)
    if kind in ("leaves", "field") and chance.random() < 0.3:
        picture = _shallow(chance, picture)
    picture = picture.resize((width, height), Image.Resampling.BOX)
    return _developed(chance, picture, kind)


def taken(chance: Chance, picture: Image.Image, *, noise: float = 2.5) -> Image.Image:
    """What is left of it behind a sensor and a JPEG, which every picture passes, sound or not."""
    values = np.asarray(picture, np.float32)
    sigma = float(chance.uniform(0, noise))
    grain = chance.standard_normal(values.shape[:2], np.float32)[..., None]
    if chance.random() < 0.4:
        grain = grain + 0.5 * chance.standard_normal(values.shape, np.float32)
    picture = Image.fromarray(np.clip(values + sigma * grain, 0, 255).astype(np.uint8))
    if chance.random() < 0.12:
        picture = picture.convert("L").convert("RGB")
    if chance.random() < 0.3:
        ratio = float(chance.uniform(0.65, 1.5))
        picture = picture.resize(
            (round(picture.width * ratio), round(picture.height * ratio)), Image.Resampling.BICUBIC
        )
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=int(chance.integers(35, 96)), subsampling=int(chance.choice([0, 2])))
    return Image.open(out).convert("RGB")


def dark(chance: Chance, picture: Image.Image) -> Image.Image:
    """So little light that next to nothing is to be seen."""
    light = _linear(picture) * np.float32(2.0 ** -chance.uniform(3.2, 6.3))
    seen = _encoded(light)
    lift = float(chance.uniform(0, 6))
    return taken(chance, Image.fromarray(np.clip(seen + lift, 0, 255).astype(np.uint8)), noise=5)


def blurred(chance: Chance, picture: Image.Image, lens: Lens = SHARP) -> Image.Image:
    """Out of focus, or moved while the shutter was open."""
    side = max(picture.size)
    kind = chance.choice(["gauss", "disc", "motion"], p=[0.4, 0.3, 0.3])
    if kind == "gauss":
        picture = picture.filter(
            ImageFilter.GaussianBlur(float(np.exp(chance.uniform(np.log(lens.least[0]), np.log(0.04)))) * side)
        )
    elif kind == "disc":
        picture = _convolved(picture, _disc(float(np.exp(chance.uniform(np.log(lens.least[1]), np.log(0.05)))) * side))
    else:
        length = float(np.exp(chance.uniform(np.log(lens.least[2]), np.log(0.12)))) * side
        picture = _convolved(picture, _path(chance, length))
    return taken(chance, picture, noise=2.0)


def covered(chance: Chance, picture: Image.Image) -> Image.Image:
    """Something close before the lens: a lid, a hand, cloth, tape. Up to a fifth of the picture may show past it."""
    width, height = picture.size
    colour = chance.uniform(0, 1, 3) ** chance.uniform(0.6, 2.5) * 255
    if chance.random() < 0.5:
        colour[:] = colour.mean() * chance.uniform(0.2, 1)
    if chance.random() < 0.25:  # no light comes through
        colour = chance.uniform(3, 28) + chance.uniform(-2, 2, 3)
    soft = _sheet_part(chance, width, height, smooth=True)
    cover = colour.astype(np.float32) * (1 + np.float32(chance.uniform(0, 0.35)) * soft[..., None])
    cover = cover + np.float32(chance.uniform(0, 30)) * _ramp(chance, width, height)[..., None]
    if chance.random() < 0.25:  # the weave of a cloth, out of focus
        cover = cover + np.float32(chance.uniform(1, 5)) * _sheet_part(chance, width, height)[..., None]
    covers = Image.fromarray(np.clip(cover, 0, 255).astype(np.uint8))
    shows = float(chance.choice([0, chance.uniform(0, 0.22)]))
    mask = np.ones((height, width), np.float32)
    if shows:
        ramp = _ramp(chance, width, height) + 0.1 * soft
        mask = (ramp > np.quantile(ramp, shows)).astype(np.float32)
    soft_mask = Image.fromarray((mask * 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(float(chance.uniform(4, 40)))
    )
    picture = Image.composite(
        covers, picture.filter(ImageFilter.GaussianBlur(float(chance.choice([0, chance.uniform(0, 4)])))), soft_mask
    )
    return taken(chance, picture, noise=4)


def overexposed(chance: Chance, picture: Image.Image) -> Image.Image:
    """So much light that most of the sensor is full."""
    light = _linear(picture)
    share = float(chance.uniform(0.42, 0.97))
    at = float(np.quantile(light[::4, ::4] @ np.array([0.3, 0.59, 0.11], np.float32), 1 - share))
    gain = min(1 / max(at, 1e-3), 64)
    veil = float(chance.choice([0, chance.uniform(0, 0.3)]))
    seen = _encoded(light * np.float32(gain) + np.float32(veil))
    return taken(chance, Image.fromarray(np.clip(seen, 0, 255).astype(np.uint8)), noise=1.5)


def _through(chance: Chance, picture: Image.Image) -> Image.Image:
    if chance.random() < 0.4:
        return picture
    return picture.filter(ImageFilter.GaussianBlur(float(chance.uniform(0.3, 1.5))))


def _developed(chance: Chance, picture: Image.Image, kind: str) -> Image.Image:
    """Exposure, contrast and white balance as they differ between sound pictures."""
    values = np.asarray(picture, np.float32) / 255
    values = values ** np.float32(np.exp(chance.normal(0, 0.35)))
    if kind != "page":
        low, high = chance.uniform(0, 0.15), chance.uniform(0.7, 1.25)
        values = low + (high - low) * values
        values = values * np.exp(chance.normal(0, 0.06, 3)).astype(np.float32)
    if chance.random() < 0.2:  # a lamp, a window, the sky: a part of a sound picture may be full
        values = values * (1 + np.float32(chance.uniform(0.3, 1.2)) * _ramp(chance, *picture.size)[..., None])
    if chance.random() < 0.25:  # night with lights, a vignette: a part may be black
        values = values * (1 - np.float32(chance.uniform(0.3, 0.95)) * _ramp(chance, *picture.size)[..., None])
    return Image.fromarray(np.clip(values * 255, 0, 255).astype(np.uint8))


def _leaves(chance: Chance, width: int, height: int) -> Image.Image:
    picture = Image.fromarray(_fill(chance, width, height))
    smallest, largest = chance.uniform(8, 30), max(width, height) * chance.uniform(0.15, 0.5)
    count = int(np.exp(chance.uniform(np.log(20), np.log(500))))
    radii = smallest * (1 - chance.random(count) * (1 - (smallest / largest) ** 2)) ** -0.5
    palette = np.clip(chance.normal(chance.uniform(60, 180), chance.uniform(20, 75), (12, 3)), 0, 255)
    grained = [Image.fromarray(_fill(chance, width, height)) for _ in range(2)]
    for radius in -np.sort(-radii):
        mask = Image.new("L", (width, height)) if chance.random() < 0.06 else None
        x, y = chance.uniform(0, width), chance.uniform(0, height)
        stretch = np.exp(chance.normal(0, 0.5))
        if chance.random() < 0.5:
            outline = [
                (x + radius * stretch * r * np.cos(a), y + radius / stretch * r * np.sin(a))
                for a, r in zip(np.sort(chance.uniform(0, 2 * np.pi, 7)), chance.uniform(0.6, 1.2, 7), strict=True)
            ]
        else:
            turn = chance.uniform(0, np.pi)
            angles = np.linspace(0, 2 * np.pi, 20)
            across, along = radius * stretch * np.cos(angles), radius / stretch * np.sin(angles)
            outline = [
                (x + a * np.cos(turn) - b * np.sin(turn), y + a * np.sin(turn) + b * np.cos(turn))
                for a, b in zip(across, along, strict=True)
            ]
        if mask is None:
            shade = palette[int(chance.integers(len(palette)))] + chance.normal(0, 8)
            ImageDraw.Draw(picture).polygon(outline, fill=tuple(int(np.clip(each, 0, 255)) for each in shade))
        else:
            ImageDraw.Draw(mask).polygon(outline, fill=255)
            picture.paste(grained[int(chance.integers(2))], (0, 0), mask)
    if chance.random() < 0.75:
        grain = _sheet_part(chance, width, height)[..., None] * np.float32(
            np.exp(chance.uniform(np.log(1), np.log(25)))
        )
        picture = Image.fromarray(np.clip(np.asarray(picture, np.float32) + grain, 0, 255).astype(np.uint8))
    if chance.random() < 0.5:
        shade = np.float32(chance.uniform(0.1, 0.6)) * _ramp(chance, width, height)[..., None]
        picture = Image.fromarray((np.asarray(picture, np.float32) * (1 - shade)).astype(np.uint8))
    return picture


def _room(chance: Chance, width: int, height: int) -> Image.Image:
    """Walls, a floor and a few flat things: little to see, and sharp."""
    wall = chance.uniform(40, 245) + chance.normal(0, 12, 3)
    values = np.ones((height, width, 1), np.float32) * np.clip(wall, 0, 255).astype(np.float32)
    values *= 1 - np.float32(chance.uniform(0, 0.5)) * _ramp(chance, width, height)[..., None]
    picture = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    floor = int(height * chance.uniform(0.5, 0.9))
    pen.rectangle((0, floor, width, height), fill=_shade(chance))
    for _ in range(int(chance.integers(2, 14))):
        x, y = chance.uniform(-0.1, 0.9) * width, chance.uniform(0, 0.8) * height
        box = (x, y, x + chance.uniform(0.02, 0.4) * width, y + chance.uniform(0.02, 0.5) * height)
        (pen.rectangle if chance.random() < 0.7 else pen.ellipse)(box, fill=_shade(chance))
    return picture


def _field(chance: Chance, width: int, height: int) -> Image.Image:
    return Image.fromarray(_fill(chance, width, height, strength=float(chance.uniform(18, 60))))


def _page(chance: Chance, width: int, height: int) -> Image.Image:
    """Print on paper, as bright as paper is."""
    paper = tuple(int(each) for each in np.clip(chance.uniform(205, 255) + chance.normal(0, 4, 3), 0, 255))
    picture = Image.new("RGB", (width, height), paper)
    pen = ImageDraw.Draw(picture)
    size = int(chance.integers(18, 70))
    font = ImageFont.load_default(size)
    y = int(chance.integers(10, 60))
    until = height * chance.uniform(0.25, 1)
    while y < until:
        letters = chance.integers(ord("a"), ord("z") + 1, int(chance.integers(8, 60)))
        words = "".join(" " if chance.random() < 0.17 else chr(each) for each in letters)
        pen.text((int(chance.integers(10, 50)), y), words, fill=(int(chance.integers(0, 90)),) * 3, font=font)
        y += int(size * chance.uniform(1.1, 1.9))
    return picture


_DRAWN: dict[str, Callable[[Chance, int, int], Image.Image]] = {
    "leaves": _leaves,
    "room": _room,
    "field": _field,
    "page": _page,
}


def _shallow(chance: Chance, picture: Image.Image) -> Image.Image:
    """All but one part is far out of focus, as behind a wide lens: a sound picture."""
    width, height = picture.size
    mask = Image.new("L", picture.size)
    across, along = chance.uniform(0.3, 0.8) * width, chance.uniform(0.35, 0.9) * height
    x, y = chance.uniform(0, width - across), chance.uniform(0, height - along)
    ImageDraw.Draw(mask).ellipse((x, y, x + across, y + along), fill=255)
    soft = picture.filter(ImageFilter.GaussianBlur(float(chance.uniform(4, 24))))
    return Image.composite(picture, soft, mask.filter(ImageFilter.GaussianBlur(float(chance.uniform(1, 12)))))


@functools.lru_cache(maxsize=1)
def _frames() -> tuple[Image.Image, ...]:
    found = []
    for seed in HOMES:
        shots = Home(seed, ends_at_us=_ENDS_AT_US).shots
        chosen = np.random.default_rng(seed).choice(len(shots), FRAMES_A_HOME, replace=False)
        for place in chosen:
            shot = shots[int(place)]
            found.append(render(shot.scene, shot.camera, shot.at_us))
    return tuple(found)


def _home_frame(chance: Chance) -> Image.Image:
    frames = _frames()
    picture = frames[int(chance.integers(len(frames)))]
    share = float(chance.uniform(0.5, 1.0))
    width, height = round(picture.width * share), round(picture.height * share)
    left, top = (
        int(chance.integers(0, most - part + 1)) for most, part in zip(picture.size, (width, height), strict=True)
    )
    longest = float(chance.uniform(380, 560)) / max(width, height)
    size = (round(width * longest), round(height * longest))
    return picture.resize(size, Image.Resampling.BICUBIC, (left, top, left + width, top + height))


@functools.lru_cache(maxsize=8)
def _sheet(number: int, *, smooth: bool) -> Floats:
    """1/f noise (smooth: 1/f³), mean 0, deviation 1."""
    chance = np.random.default_rng((17, number))
    across = np.fft.rfftfreq(_SHEET_PX)[None]
    down = np.fft.fftfreq(_SHEET_PX)[:, None]
    far = np.maximum(np.hypot(across, down), 1 / _SHEET_PX)
    power = 3.0 if smooth else 0.5 + 0.25 * number
    spectrum = np.fft.rfft2(chance.standard_normal((_SHEET_PX, _SHEET_PX))) / far**power
    sheet = np.fft.irfft2(spectrum, s=(_SHEET_PX, _SHEET_PX))
    sheet -= sheet.mean()
    whole: Floats = (sheet / sheet.std()).astype(np.float32)
    return whole


def _sheet_part(chance: Chance, width: int, height: int, *, smooth: bool = False) -> Floats:
    sheet = _sheet(int(chance.integers(4)), smooth=smooth)
    rolled = np.roll(sheet, tuple(int(each) for each in chance.integers(0, _SHEET_PX, 2)), axis=(0, 1))
    repeats = (-(-height // _SHEET_PX), -(-width // _SHEET_PX))
    return np.tile(rolled, repeats)[:height, :width]


def _fill(chance: Chance, width: int, height: int, *, strength: float = 0.0) -> npt.NDArray[np.uint8]:
    """A colour with grain of its own, in channels that mostly move together."""
    sheet = _sheet_part(chance, width, height)[..., None]
    colour = np.clip(chance.uniform(30, 225) + chance.normal(0, 25, 3), 0, 255).astype(np.float32)
    strength = strength or float(np.exp(chance.uniform(np.log(2), np.log(40))))
    tinted = np.float32(strength) * sheet * np.exp(chance.normal(0, 0.2, 3)).astype(np.float32)
    return np.clip(colour + tinted, 0, 255).astype(np.uint8)


def _shade(chance: Chance) -> tuple[int, int, int]:
    red, green, blue = (int(each) for each in np.clip(chance.uniform(10, 240) + chance.normal(0, 30, 3), 0, 255))
    return red, green, blue


def _ramp(chance: Chance, width: int, height: int) -> Floats:
    """0 to 1 across the picture in some direction, or away from some place."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    if chance.random() < 0.5:
        turn = chance.uniform(0, 2 * np.pi)
        values = x * np.float32(np.cos(turn)) + y * np.float32(np.sin(turn))
    else:
        values = np.hypot(x - chance.uniform(0, width), y - chance.uniform(0, height))
    values -= values.min()
    ramp: Floats = (values / max(float(values.max()), 1e-3)).astype(np.float32)
    return ramp if chance.random() < 0.5 else 1 - ramp


def _linear(picture: Image.Image) -> Floats:
    values: Floats = (np.asarray(picture, np.float32) / 255) ** np.float32(2.2)
    return values


def _encoded(light: Floats) -> Floats:
    values: Floats = np.minimum(light, 1) ** np.float32(1 / 2.2) * 255
    return values


def _disc(radius: float) -> Floats:
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel: Floats = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    return kernel / kernel.sum()


def _path(chance: Chance, length: float) -> Floats:
    """The way a hand or a camera moves: nearly straight."""
    reach = int(np.ceil(length / 2)) + 2
    steps = np.linspace(-0.5, 0.5, int(length * 4) + 2)
    turn, bend = chance.uniform(0, np.pi), chance.uniform(-0.2, 0.2)
    along, across = steps * length, bend * length * (4 * steps**2 - 0.3)
    x = np.rint(along * np.cos(turn) - across * np.sin(turn)).astype(int) + reach
    y = np.rint(along * np.sin(turn) + across * np.cos(turn)).astype(int) + reach
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    np.add.at(kernel, (np.clip(y, 0, 2 * reach), np.clip(x, 0, 2 * reach)), 1)
    return kernel / kernel.sum()


def _convolved(picture: Image.Image, kernel: Floats) -> Image.Image:
    """With its edges mirrored, by the Fourier transform."""
    reach = kernel.shape[0] // 2
    values = np.pad(np.asarray(picture, np.float32), ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    shape = (values.shape[0] + kernel.shape[0] - 1, values.shape[1] + kernel.shape[1] - 1)
    spectrum = np.fft.rfft2(kernel, s=shape)
    parts = [
        np.fft.irfft2(np.fft.rfft2(values[..., n], s=shape) * spectrum, s=shape)[
            2 * reach : 2 * reach + picture.height, 2 * reach : 2 * reach + picture.width
        ]
        for n in range(3)
    ]
    return Image.fromarray(np.clip(np.stack(parts, axis=2), 0, 255).astype(np.uint8))
