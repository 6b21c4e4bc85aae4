"""Pictures to learn copies from: frames of made-up homes, and procedural ones with the statistics of photographs.

No photograph of anybody is among them. The procedural ones follow Baradad et al. 2021 ("Learning to See by Looking at
Noise"): dead leaves (Lee, Mumford and Huang 2001), coloured 1/f noise, Julia sets, printed pages, and collages of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from gateway.demo.home import DAY_US, SECOND_US, Home
from gateway.demo.render import jpeg, render

TRAIN_SEEDS = range(20_001, 20_041)
CHECK_SEEDS = (20_101, 20_102, 20_103)
"""Of homes by which limits are set. None of the two is in `tests/bench/copy_suite.py` (9001 to 9003), nor is the
demo's."""
ENDS_AT_US = 1_770_000_000 * SECOND_US - 1_770_000_000 * SECOND_US % DAY_US
SIZE: tuple[int, int] = (240, 180)

Floats: TypeAlias = npt.NDArray[np.float32]
Chance: TypeAlias = np.random.Generator


def frames(seeds: Sequence[int], *, each: int, size: tuple[int, int] = SIZE) -> Iterator[Image.Image]:
    """Of each home and camera `each` frames, spread over its day; frames in which something happens come first."""
    for seed in seeds:
        home = Home(seed, ends_at_us=ENDS_AT_US)
        for camera in home.cameras:
            shots = [shot for shot in home.shots if shot.camera == camera]
            busy = [shot for shot in shots if shot.event is not None] or shots
            quiet = [shot for shot in shots if shot.event is None] or shots
            for kind, count in ((busy, each - each // 3), (quiet, each // 3)):
                for place in np.linspace(0, len(kind) - 1, count).astype(int):
                    shot = kind[place]
                    yield render(shot.scene, camera, shot.at_us).resize(size, Image.Resampling.BOX, reducing_gap=None)


def procedural(count: int, *, seed: int, size: tuple[int, int] = SIZE) -> Iterator[Image.Image]:
    """`count` pictures, always the same for a seed."""
    for n in range(count):
        chance = np.random.default_rng((seed, n))
        yield _developed(_collage(chance, size) if chance.random() < 0.3 else _one(chance, size), chance)


def photographed(picture: Image.Image) -> bytes:
    """As a camera saves it."""
    return jpeg(picture)


def _one(chance: Chance, size: tuple[int, int]) -> Image.Image:
    return _KINDS[int(chance.choice(len(_KINDS), p=_SHARES))](chance, size)


def _developed(picture: Image.Image, chance: Chance) -> Image.Image:
    """Tone, vignette, a lens that is not quite sharp, a sensor's noise."""
    if chance.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(chance.uniform(0, 0.004) * picture.width))
    values = np.asarray(picture, np.float32) / 255
    y, x = np.mgrid[-1 : 1 : values.shape[0] * 1j, -1 : 1 : values.shape[1] * 1j]
    shade = 1 - chance.uniform(0, 0.35) * (x**2 + y**2)[..., None] / 2
    values = np.clip(values, 0, 1) ** chance.uniform(0.6, 1.6) * shade * chance.uniform(0.6, 1.1)
    values += chance.normal(0, chance.uniform(0.002, 0.02), values.shape)
    return Image.fromarray((np.clip(values, 0, 1) * 255).astype(np.uint8))


def _cloud(chance: Chance, size: tuple[int, int], *, slope: float | None = None) -> Floats:
    """[height, width], 0..1: noise whose amplitude falls with frequency as 1/f**slope."""
    width, height = size
    slope = chance.uniform(0.8, 2.2) if slope is None else slope
    fy, fx = np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width)[None] * width
    stretch = chance.uniform(0.5, 2)
    far = np.hypot(fy * stretch, fx)
    far[0, 0] = 1
    phases = np.exp(2j * np.pi * chance.random(far.shape))
    field = np.fft.irfft2(phases * far**-slope, (height, width))
    low, high = np.quantile(field, (0.01, 0.99))
    cloud: Floats = np.clip((field - low) / max(high - low, 1e-9), 0, 1).astype(np.float32)
    return cloud


def _palette(chance: Chance, count: int) -> npt.NDArray[np.float64]:
    """[count, 3], 0..255: colours that go together, as in one place under one light."""
    middle, spread = chance.uniform(50, 200, 3), chance.uniform(20, 90)
    lightness = chance.normal(0, spread, (count, 1))
    return np.clip(middle + lightness + chance.normal(0, spread * chance.uniform(0.1, 0.8), (count, 3)), 0, 255)


def _clouds(chance: Chance, size: tuple[int, int]) -> Image.Image:
    base, other = _cloud(chance, size), _cloud(chance, size)
    colours = _palette(chance, 4)
    values = (
        colours[0] * (1 - base[..., None]) + colours[1] * base[..., None] + (colours[2] - colours[3]) * other[..., None]
    )
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _leaves(chance: Chance, size: tuple[int, int]) -> Image.Image:
    """Shapes of all sizes that hide one another, each with its own light and grain."""
    width, height = size
    picture = _clouds(chance, size)
    grain = [np.asarray(_clouds(chance, size).convert("L"), np.float32) - 128 for _ in range(2)]
    count = int(chance.integers(12, 140))
    colours = _palette(chance, 8)
    for radius in np.sort(min(size) * np.clip(0.03 * (chance.pareto(1.4, count) + 1), 0.02, 0.45))[::-1]:
        mask = Image.new("L", size)
        _shape(ImageDraw.Draw(mask), chance, (chance.uniform(0, width), chance.uniform(0, height)), float(radius))
        box = mask.getbbox()
        if box is None:
            continue
        part = (slice(box[1], box[3]), slice(box[0], box[2]))
        lit = np.linspace(-1, 1, box[2] - box[0])[None] * chance.uniform(-40, 40)
        own = grain[int(chance.integers(2))][part] * chance.uniform(0, 0.6)
        fill = colours[int(chance.integers(8))] + (lit + own)[..., None]
        patch = Image.fromarray(np.clip(fill, 0, 255).astype(np.uint8))
        picture.paste(patch, box[:2], mask.crop(box))
    return picture


def _shape(pen: ImageDraw.ImageDraw, chance: Chance, at: tuple[float, float], radius: float) -> None:
    stretch = chance.uniform(0.3, 1, 2) * radius
    if chance.random() < 0.35:
        pen.ellipse((at[0] - stretch[0], at[1] - stretch[1], at[0] + stretch[0], at[1] + stretch[1]), fill=255)
        return
    corners = int(chance.choice((3, 4, 4, 4, 5, 8)))
    angles = np.sort(chance.uniform(0, 2 * np.pi, corners)) if corners != 4 else np.arange(4) * np.pi / 2 + np.pi / 4
    angles = angles + (chance.uniform(0, np.pi) if chance.random() < 0.5 else 0)
    pen.polygon([(at[0] + stretch[0] * np.cos(a), at[1] + stretch[1] * np.sin(a)) for a in angles], fill=255)


def _julia(chance: Chance, size: tuple[int, int]) -> Image.Image:
    width, height = size
    angle = chance.uniform(0, 2 * np.pi)
    point = 0.7885 * np.exp(1j * angle) * chance.uniform(0.85, 1.05)
    zoom, middle = chance.uniform(0.3, 1.4), chance.normal(0, 0.4, 2)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    z = ((x * width / height + middle[0]) + 1j * (y + middle[1])) * zoom
    steps = np.zeros(z.shape)
    for _ in range(40):
        z = np.where(np.abs(z) < 4, z**2 + point, z)
        steps += np.abs(z) < 4
    phase = steps / 40 * chance.uniform(1, 6)
    colours = _palette(chance, 3)
    values = sum(np.abs(np.sin(np.pi * phase + n))[..., None] * colours[n] for n in range(3)) / 1.5
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _page(chance: Chance, size: tuple[int, int]) -> Image.Image:
    """Lines of print and boxes on paper."""
    width, height = size
    paper, ink = (tuple(int(v) for v in colour) for colour in np.array(((235, 235, 228), (40, 40, 46))))
    picture = Image.new("RGB", size, paper)
    pen = ImageDraw.Draw(picture)
    y = chance.uniform(0.02, 0.1) * height
    while y < height * 0.95:
        letter_px = float(chance.choice((0.035, 0.05, 0.05, 0.09))) * height
        words = " ".join(
            "".join(chance.choice(list("aeiounrstlmdpkbg"), int(chance.integers(2, 9)))) for _ in range(12)
        )
        if chance.random() < 0.2:
            colour = tuple(int(v) for v in _palette(chance, 1)[0])
            pen.rectangle((width * 0.1, y, width * chance.uniform(0.3, 0.9), y + letter_px * 3), fill=colour)
            y += letter_px * 3
        pen.text((chance.uniform(0.04, 0.2) * width, y), words, ink, ImageFont.load_default(max(6.0, letter_px)))
        y += letter_px * chance.uniform(1.2, 2)
    return picture.rotate(chance.uniform(-8, 8), Image.Resampling.BICUBIC, fillcolor=(120, 100, 80))


def _collage(chance: Chance, size: tuple[int, int]) -> Image.Image:
    width, height = size
    picture = _one(chance, size)
    for _ in range(int(chance.integers(1, 5))):
        part = (max(8, int(width * chance.uniform(0.2, 0.7))), max(8, int(height * chance.uniform(0.2, 0.7))))
        mask = Image.new("L", part)
        _shape(ImageDraw.Draw(mask), chance, (part[0] / 2, part[1] / 2), min(part) * chance.uniform(0.5, 1.2))
        at = (int(chance.uniform(-0.1, 0.8) * width), int(chance.uniform(-0.1, 0.8) * height))
        picture.paste(_one(chance, part), at, mask)
    return picture


_KINDS: tuple[Callable[[Chance, tuple[int, int]], Image.Image], ...] = (_leaves, _clouds, _julia, _page)
_SHARES = (0.62, 0.13, 0.15, 0.10)
