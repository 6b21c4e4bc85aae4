"""Real pictures, and what darkness, blur, covers, light and a turn do to them: the ruler for `quality`.

The pictures are those of `media`; nothing that is measured by them may have learned from them. What is done to them is
written here a second time, apart from what the network learned by, and seeded by the picture's name.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

TURNED = "turned"
FAULTS = ("", "dark", "blurred", "covered", "overexposed", TURNED)
"""Nothing wrong is ""."""
_LEFT_OUT = {
    "ukbench09268_corrupt.jpg",  # broken on purpose
    "ukbench00120_rotation.jpg",  # turned by itself, by an angle that nobody wrote down
}
_SIZE_PX = 800

Chance: TypeAlias = np.random.Generator
Floats: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Case:
    """A picture and what is wrong with it."""

    name: str
    """Of the picture that it was made from."""
    fault: str
    image: Image.Image
    before: Image.Image
    """What the same camera saw before: sound, upright, in other light and a little moved."""
    quarter: int
    """Quarters of a turn, anticlockwise; 0 unless it is turned."""


def cases(media: Path, *, each: int) -> Iterator[Case]:
    """For every picture `each` cases of every fault, the same every time."""
    for path in sorted([*(media / "images").glob("*.jpg"), *(media / "near-dup").glob("*.jpg")]):
        if path.name in _LEFT_OUT:
            continue
        with Image.open(path) as opened:
            whole = ImageOps.exif_transpose(opened).convert("RGB")
        for fault in FAULTS:
            for n in range(each):
                chance = np.random.default_rng((zlib.crc32(f"{path.name} {fault}".encode()), n))
                base = _framed(chance, whole, first=n == 0)
                quarter = 1 + n % 3 if fault == TURNED else 0
                made = base.rotate(90 * quarter, expand=True) if quarter else _DONE[fault](chance, base)
                yield Case(path.name, fault, _kept(chance, made), _another_day(chance, base), quarter)


def _framed(chance: Chance, whole: Image.Image, *, first: bool) -> Image.Image:
    """The picture as it is, or a part of it, at a size that cameras send."""
    if not first:
        share = float(chance.uniform(0.75, 1.0))
        width, height = round(whole.width * share), round(whole.height * share)
        left, top = int(chance.integers(0, whole.width - width + 1)), int(chance.integers(0, whole.height - height + 1))
        whole = whole.crop((left, top, left + width, top + height))
        if chance.random() < 0.5:
            whole = ImageOps.mirror(whole)
    ratio = min(1.0, _SIZE_PX / max(whole.size))
    return whole.resize((round(whole.width * ratio), round(whole.height * ratio)), Image.Resampling.LANCZOS)


def _kept(chance: Chance, image: Image.Image) -> Image.Image:
    """Behind the sensor's noise and a JPEG."""
    sigma = float(chance.uniform(0.0, 3.0))
    noisy = np.asarray(image, np.float32) + sigma * chance.standard_normal((image.height, image.width, 1), np.float32)
    out = io.BytesIO()
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=int(chance.integers(50, 93)))
    out.seek(0)
    return Image.open(out).convert("RGB")


def _sound(chance: Chance, image: Image.Image) -> Image.Image:
    """As pictures differ that nobody would call bad: a little lighter or darker, softer, in grey."""
    image = ImageEnhance.Brightness(image).enhance(float(chance.uniform(0.7, 1.2)))
    image = ImageEnhance.Contrast(image).enhance(float(chance.uniform(0.8, 1.2)))
    return ImageOps.grayscale(image).convert("RGB") if chance.random() < 0.15 else image


def _dark(chance: Chance, image: Image.Image) -> Image.Image:
    """Three and a half to six stops less light."""
    return _exposed(image, -float(chance.uniform(3.5, 6.0)))


def _blurred(chance: Chance, image: Image.Image) -> Image.Image:
    """A Gaussian of .6 to 3 % of the long side, a lens out of focus, or a camera that moved by 4 to 10 %."""
    side, kind = max(image.size), int(chance.integers(3))
    if kind == 0:
        return image.filter(ImageFilter.GaussianBlur(side * float(chance.uniform(0.006, 0.03))))
    if kind == 1:
        return _averaged(image, _ring_offsets(side * float(chance.uniform(0.01, 0.035))))
    length, turn = side * float(chance.uniform(0.04, 0.10)), float(chance.uniform(0, np.pi))
    steps = np.linspace(-length / 2, length / 2, max(16, int(length)))
    return _averaged(image, np.stack([steps * np.cos(turn), steps * np.sin(turn)], axis=1))


def _covered(chance: Chance, image: Image.Image) -> Image.Image:
    """Something of one colour, unevenly lit, over 85 to 100 % of the picture, with an edge out of focus."""
    width, height = image.size
    tones = ((12, 11, 10), (60, 38, 30), (168, 118, 96), (120, 120, 118), (214, 206, 190), (40, 52, 74), (30, 20, 16))
    tone = np.array(tones[int(chance.integers(len(tones)))], np.float32) * np.float32(chance.uniform(0.7, 1.15))
    turn = float(chance.uniform(0, 2 * np.pi))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    across = (x / width - 0.5) * np.cos(turn) + (y / height - 0.5) * np.sin(turn)
    lumps = Image.fromarray(chance.integers(0, 256, (4, 5), dtype=np.uint8)).resize(
        image.size, Image.Resampling.BICUBIC
    )
    lit = 1 + chance.uniform(0, 0.5) * across + chance.uniform(0, 0.2) * (np.asarray(lumps, np.float32) / 255 - 0.5)
    cover = Image.fromarray(np.clip(tone * lit[..., None], 0, 255).astype(np.uint8))
    shows = float(chance.choice([0.0, 0.0, chance.uniform(0.02, 0.15)]))
    mask = Image.fromarray(np.where(across >= np.quantile(across, shows), 255, 0).astype(np.uint8))
    mask = mask.filter(ImageFilter.GaussianBlur(max(image.size) * float(chance.uniform(0.01, 0.05))))
    return Image.composite(cover, image, mask if shows else Image.new("L", image.size, 255))


def _overexposed(chance: Chance, image: Image.Image) -> Image.Image:
    """As many stops more as it takes until half to nine tenths of the picture are full, five at most."""
    share = float(chance.uniform(0.5, 0.9))
    at = max(float(np.quantile(np.asarray(image.convert("L")), 1 - share)), 4.0)
    return _exposed(image, min(5.0, 2.2 * float(np.log2(255 / at))))


_DONE: dict[str, Callable[[Chance, Image.Image], Image.Image]] = {
    "": _sound,
    "dark": _dark,
    "blurred": _blurred,
    "covered": _covered,
    "overexposed": _overexposed,
}


def _another_day(chance: Chance, image: Image.Image) -> Image.Image:
    """What the camera saw before: other light, moved by up to 2 %, other noise."""
    by = [round(side * float(chance.uniform(-0.02, 0.02))) for side in image.size]
    moved = image.transform(image.size, Image.Transform.AFFINE, (1, 0, by[0], 0, 1, by[1]), Image.Resampling.BILINEAR)
    return _kept(chance, ImageEnhance.Brightness(moved).enhance(float(chance.uniform(0.6, 1.3))))


def _exposed(image: Image.Image, stops: float) -> Image.Image:
    light = (np.asarray(image, np.float32) / 255) ** 2.2 * 2**stops
    return Image.fromarray((np.clip(light, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8))


def _ring_offsets(radius: float) -> Floats:
    reach = np.arange(-int(radius), int(radius) + 1, max(1, int(radius) // 6))
    places = np.stack(np.meshgrid(reach, reach), axis=-1).reshape(-1, 2).astype(np.float32)
    inside: Floats = places[np.hypot(*places.T) <= radius]
    return inside


def _averaged(image: Image.Image, offsets: npt.NDArray[np.floating]) -> Image.Image:
    """The mean of the picture moved by each (x, y)."""
    reach = int(np.ceil(np.abs(offsets).max())) + 1
    padded = np.pad(np.asarray(image, np.float32), ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    total = np.zeros((image.height, image.width, 3), np.float32)
    for x, y in np.rint(offsets).astype(int):
        total += padded[reach + y : reach + y + image.height, reach + x : reach + x + image.width]
    return Image.fromarray((total / len(offsets)).astype(np.uint8))
