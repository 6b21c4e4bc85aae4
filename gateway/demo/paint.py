"""Brushes for the simulated home: shapes drawn twice as large, shaded as if they were round, then reduced.

Coordinates are pixels of the finished picture (floats), x to the right, y down; light falls from the upper left.
Everything is computed from numbers here: no picture or font file is read (Pillow carries its own font).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

SUPERSAMPLE = 2
Point: TypeAlias = tuple[float, float]
Colour: TypeAlias = tuple[int, int, int]
Grid: TypeAlias = NDArray[np.float32]

_SPACE = 0.42
"""Between words, of the size: wide, so that a reader of print sees it."""
_FALL = (0.55, 0.83)
"""Which way light travels in the picture."""


class Layer:
    """A transparent canvas of `width_px` × `height_px` finished pixels, painted back to front."""

    def __init__(self, width_px: int, height_px: int, *, origin: Point = (0, 0)) -> None:
        self.size = (width_px, height_px)
        self.origin = origin
        self.image = Image.new("RGBA", (width_px * SUPERSAMPLE, height_px * SUPERSAMPLE))

    def flat(self, points: Sequence[Point], colour: Colour, *, alpha: int = 255) -> None:
        """An evenly coloured polygon; with `alpha` below 255 it is blended over what is there."""
        if alpha == 255:
            ImageDraw.Draw(self.image).polygon(self._up(points), fill=(*colour, 255))
            return
        box = self._box(points, 2)
        mask = self._mask(points, box).point(lambda value: value * alpha // 255)
        self._over(Image.new("RGB", mask.size, colour), mask, box)

    def line(self, points: Sequence[Point], colour: Colour, *, width: float = 1.5, alpha: int = 255) -> None:
        """A polyline with round joints."""
        if alpha == 255:
            pen = ImageDraw.Draw(self.image)
            pen.line(self._up(points), fill=(*colour, 255), width=max(1, round(width * SUPERSAMPLE)), joint="curve")
            return
        self.flat(limb(points, [width] * len(points)), colour, alpha=alpha)

    def part(
        self,
        points: Sequence[Point],
        colour: Colour,
        *,
        soft: float = 8.0,
        depth: float = 0.5,
        grain: float = 0.0,
    ) -> None:
        """A polygon shaded like a cushion: `soft` pixels of rounding, `depth` of contrast, `grain` of texture.

        The normal is the gradient of the blurred mask (as in "lumo"-style shading); what lies under the
        shape's edge is darkened a little, so that parts stand apart.
        """
        box = self._box(points, soft * 1.5)
        mask = self._mask(points, box)
        small = mask.reduce(SUPERSAMPLE)  # shading is smooth: half the resolution is enough, and a quarter of the work
        wide = _blurred(small, soft)
        slope_y, slope_x = np.gradient(0.65 * wide + 0.35 * _blurred(small, soft / 3))
        shade = 1.0 + depth * soft * 1.6 * (slope_x * _FALL[0] + slope_y * _FALL[1])
        shade = np.clip(shade, 1.0 - 0.9 * depth, 1.0 + 0.4 * depth) * (0.88 + 0.12 * wide)
        if grain:
            shade = shade * (1.0 + grain * _grain(shade.shape))
        pixels = np.clip(shade[..., None] * np.array(colour, np.float32), 0, 255).astype(np.uint8)
        halo = Image.fromarray((wide * 107).astype(np.uint8)).resize(mask.size, Image.Resampling.BILINEAR)
        dark = ImageChops.multiply(halo, self.image.crop(box).getchannel("A"))
        self._over(Image.new("RGB", mask.size, (24, 16, 12)), dark, box)
        self._over(Image.fromarray(pixels).resize(mask.size, Image.Resampling.BILINEAR), mask, box)

    def shadow(self, points: Sequence[Point], *, blur: float = 8.0, alpha: int = 110) -> None:
        """A soft dark patch, as under a thing that stands on the floor."""
        box = self._box(points, blur * 3)
        mask = self._mask(points, box).filter(ImageFilter.GaussianBlur(blur * SUPERSAMPLE))
        self._over(Image.new("RGB", mask.size, (20, 14, 10)), mask.point(lambda value: value * alpha // 255), box)

    def gradient(self, points: Sequence[Point], top: Colour, bottom: Colour, *, grain: float = 0.0) -> None:
        """A polygon filled from `top` to `bottom` colour downwards."""
        box = self._box(points, 1)
        mask = self._mask(points, box)
        ramp = np.linspace(0, 1, mask.height, dtype=np.float32)[:, None, None]
        plain = (1 - ramp) * np.array(top, np.float32) + ramp * np.array(bottom, np.float32)
        plain = np.broadcast_to(plain, (mask.height, mask.width, 3))
        if grain:
            plain = plain * (1 + grain * _grain((mask.height, mask.width)))[..., None]
        self._over(Image.fromarray(np.clip(plain, 0, 255).astype(np.uint8)), mask, box)

    def text(self, at: Point, words: str, size_px: float, colour: Colour, *, bold: float = 0.5) -> None:
        """Words whose capital letters are about .72 × `size_px` high; `at` is the top left of the line."""
        face = font(size_px * SUPERSAMPLE)
        stroke = round(bold * SUPERSAMPLE)
        pen = ImageDraw.Draw(self.image)
        x, y = self._up([at])[0]
        for word in words.split(" "):
            pen.text((x, y), word, fill=(*colour, 255), font=face, stroke_width=stroke, stroke_fill=(*colour, 255))
            x += face.getlength(word) + (size_px * _SPACE + 2 * bold) * SUPERSAMPLE

    def done(self, scale: float = 1.0, *, flip: bool = False) -> Image.Image:
        """The finished picture, RGBA, `scale` times its nominal size, mirrored where `flip`."""
        width, height = (max(1, round(side * scale)) for side in self.size)
        image = self.image.resize((width, height), Image.Resampling.LANCZOS)
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else image

    def _box(self, points: Sequence[Point], margin: float) -> tuple[int, int, int, int]:
        xs, ys = [x + self.origin[0] for x, _ in points], [y + self.origin[1] for _, y in points]
        left = max(0, math.floor((min(xs) - margin) * SUPERSAMPLE))
        top = max(0, math.floor((min(ys) - margin) * SUPERSAMPLE))
        right = min(self.image.width, math.ceil((max(xs) + margin) * SUPERSAMPLE))
        bottom = min(self.image.height, math.ceil((max(ys) + margin) * SUPERSAMPLE))
        return left, top, max(right, left + 2), max(bottom, top + 2)

    def _up(self, points: Sequence[Point]) -> list[Point]:
        return [((x + self.origin[0]) * SUPERSAMPLE, (y + self.origin[1]) * SUPERSAMPLE) for x, y in points]

    def _mask(self, points: Sequence[Point], box: tuple[int, int, int, int]) -> Image.Image:
        mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
        ImageDraw.Draw(mask).polygon([(x - box[0], y - box[1]) for x, y in self._up(points)], fill=255)
        return mask

    def _over(self, colour: Image.Image, mask: Image.Image, box: tuple[int, int, int, int]) -> None:
        paint = colour.convert("RGB")
        paint.putalpha(mask)
        self.image.alpha_composite(paint.crop((0, 0, box[2] - box[0], box[3] - box[1])), (box[0], box[1]))


def smooth(points: Sequence[Point], *, steps: int = 8) -> list[Point]:
    """A closed Catmull–Rom curve through `points`."""
    count, out = len(points), []
    for i in range(count):
        p0, p1, p2, p3 = (points[(i + k) % count] for k in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            out.append((_spline(p0[0], p1[0], p2[0], p3[0], t), _spline(p0[1], p1[1], p2[1], p3[1], t)))
    return out


def oval(cx: float, cy: float, rx: float, ry: float, *, turn: float = 0.0) -> list[Point]:
    """An ellipse as a polygon, turned by `turn` radians."""
    cos, sin = math.cos(turn), math.sin(turn)
    ring = [(rx * math.cos(a * math.tau / 40), ry * math.sin(a * math.tau / 40)) for a in range(40)]
    return [(cx + x * cos - y * sin, cy + x * sin + y * cos) for x, y in ring]


def rect(x0: float, y0: float, x1: float, y1: float, *, r: float = 0.0) -> list[Point]:
    """A rectangle, its corners rounded by `r`."""
    if r <= 0:
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    out: list[Point] = []
    for cx, cy, start in ((x1 - r, y0 + r, -90), (x1 - r, y1 - r, 0), (x0 + r, y1 - r, 90), (x0 + r, y0 + r, 180)):
        for degrees in range(start, start + 91, 15):
            angle = math.radians(degrees)
            out.append((cx + r * math.cos(angle), cy + r * math.sin(angle)))
    return out


def limb(joints: Sequence[Point], widths: Sequence[float]) -> list[Point]:
    """A bent tube through `joints` with a width at each, round at both ends."""
    left: list[Point] = []
    right: list[Point] = []
    joints, widths = _bend(joints, widths)
    last = len(joints) - 1
    for i, (x, y) in enumerate(joints):
        ahead, back = joints[min(i + 1, last)], joints[max(i - 1, 0)]
        dx, dy = ahead[0] - back[0], ahead[1] - back[1]
        length = math.hypot(dx, dy) or 1.0
        nx, ny = -dy / length * widths[i] / 2, dx / length * widths[i] / 2
        left.append((x + nx, y + ny))
        right.append((x - nx, y - ny))
    body = left + _cap(joints[-1], left[-1]) + right[::-1] + _cap(joints[0], right[0])
    return body


@functools.lru_cache(maxsize=64)
def font(size_px: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font (Aileron) at this size: the same on every machine."""
    return ImageFont.load_default(size_px)


def text_width(words: Sequence[str], size_px: float) -> float:
    """How wide the widest of these lines is when `Layer.text` writes it."""
    face = font(size_px * SUPERSAMPLE)
    return (
        max(
            sum(face.getlength(word) / SUPERSAMPLE + size_px * _SPACE + 2 for word in line.split(" ")) for line in words
        )
        - size_px * _SPACE
    )


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of `other` in `one`."""
    r, g, b = (round(a + (c - a) * share) for a, c in zip(one, other, strict=True))
    return r, g, b


def _bend(joints: Sequence[Point], widths: Sequence[float]) -> tuple[list[Point], list[float]]:
    """The same tube with its corners rounded (one Catmull–Rom pass; the ends stay where they are)."""
    last = len(joints) - 1
    points: list[Point] = []
    sizes: list[float] = []
    for i in range(last):
        a, b, c, d = (joints[min(max(i + k, 0), last)] for k in (-1, 0, 1, 2))
        for step in range(5):
            t = step / 5
            points.append((_spline(a[0], b[0], c[0], d[0], t), _spline(a[1], b[1], c[1], d[1], t)))
            sizes.append(widths[i] + (widths[i + 1] - widths[i]) * t)
    return [*points, joints[last]], [*sizes, widths[last]]


def _cap(centre: Point, start: Point) -> list[Point]:
    """Half a circle around `centre` that leaves from `start`."""
    dx, dy = start[0] - centre[0], start[1] - centre[1]
    out = []
    for degrees in range(-20, -180, -20):
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        out.append((centre[0] + dx * cos - dy * sin, centre[1] + dx * sin + dy * cos))
    return out


def _spline(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t**3)


def _blurred(mask: Image.Image, radius: float) -> Grid:
    return (np.asarray(mask.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255).astype(np.float32)


def _grain(shape: tuple[int, ...]) -> Grid:
    """A fixed noise texture in -1..1, a little coarser than a pixel."""
    sheet = _grain_sheet()
    rows, columns = -(-shape[0] // sheet.shape[0]), -(-shape[1] // sheet.shape[1])
    return np.tile(sheet, (rows, columns))[: shape[0], : shape[1]]


@functools.lru_cache(maxsize=1)
def _grain_sheet() -> Grid:
    rng = np.random.default_rng(7)
    fine = rng.normal(0, 1, (256, 256)).astype(np.float32)
    coarse = np.asarray(
        Image.fromarray(rng.normal(128, 50, (256, 256)).clip(0, 255).astype(np.uint8)).filter(
            ImageFilter.GaussianBlur(2.2)
        ),
        np.float32,
    )
    sheet: Grid = np.clip(0.35 * fine + (coarse - 128) / 16, -2, 2).astype(np.float32) * np.float32(0.5)
    return sheet
