"""From a scene to the picture a camera would have taken of it: things in their places, light, lens and sensor.

`render` is deterministic: the same scene, camera and instant give the same pixels on every machine.
"""

from __future__ import annotations

import functools
import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from gateway.demo import animals, people, things
from gateway.demo.paint import Colour, Layer
from gateway.demo.rooms import HEIGHT_PX, WIDTH_PX, Glow, Room, Theme, room

JPEG_QUALITY = 82
FRONT = 50
"""Depth of a room's front layer: things with a greater `depth` stand on the table, the others behind it."""

_NIGHT_VISION_BELOW = 0.16
_SENSOR_NOISE = 2.2
_WHITE, _MOST_DRIFT = 250, 262
"""Their product stays below 65,536: a picture is multiplied in 16 bits."""
Floats: TypeAlias = NDArray[np.float32]
Whole: TypeAlias = NDArray[np.uint16]
_TINTS = ((1.0, 1.06), (0.99, 0.86), (0.97, 0.58))
"""Red, green, blue of daylight and of a lamp."""
_DUSK = ((0.9, 1.0), (0.96, 1.0), (1.1, 1.0))


@dataclass(frozen=True, slots=True)
class Item:
    """One thing in a scene. `x`, `y`: the middle of its lower edge, in pixels."""

    what: str
    """`person`, `cat`, `fox`, `car`, `van`, `bicycle`, `parcel`, `note`, `sign`, `book`, `bowl`, `cup`, …"""
    x: float
    y: float
    scale: float = 1.0
    depth: int = 10
    step: int = 0
    flip: bool = False
    colour: Colour = (120, 120, 120)
    pose: str = ""
    lines: tuple[str, ...] = ()
    colours: tuple[Colour, ...] = ()
    look: people.Look | None = None


@dataclass(frozen=True, slots=True)
class Light:
    """How a place is lit. All three are 0 to 1."""

    day: float
    """Daylight: 1 at noon, 0 at night."""
    lamp: float
    """The room's own lamp."""
    inside: float = 0.0
    """On the porch: how brightly the window in the door shines."""

    @property
    def night_vision(self) -> bool:
        """True where it is so dark that a camera turns to infrared: grey, lit from its own side."""
        return self.day + 0.8 * self.lamp < _NIGHT_VISION_BELOW


@dataclass(frozen=True, slots=True)
class Scene:
    """What is to be seen at one instant in front of one camera."""

    theme: Theme
    light: Light
    items: tuple[Item, ...] = ()


def render(scene: Scene, camera: str, at: int) -> Image.Image:
    """The picture, RGB, 800 × 600. `at` (µs UTC) seeds the sensor's noise and the small drift of the light."""
    place = room(camera, scene.theme)
    rng = np.random.default_rng((at // 1000, zlib.crc32(camera.encode())))
    drift = min(_MOST_DRIFT, round(256 * (1.0 + 0.012 * float(rng.standard_normal()))))
    row, column = (int(n) for n in rng.integers(0, 96, 2))
    grain = _noise(scene.light.night_vision)[row : row + HEIGHT_PX, column : column + WIDTH_PX]
    pixels = (_lit(scene, camera, place) * np.uint16(drift) >> np.uint16(8)).view(np.int16)
    pixels += grain[..., None]
    np.clip(pixels, 0, 255, out=pixels)
    return Image.fromarray(pixels.astype(np.uint8))


def jpeg(picture: Image.Image) -> bytes:
    """The picture as a camera sends it: baseline JPEG, quality 82, 4:2:0."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=JPEG_QUALITY, subsampling=2)
    return out.getvalue()


def size_px(item: Item) -> tuple[int, int]:
    """Width and height of `sprite(item)`, without drawing it."""
    nominal = _SIZES.get(item.what) or _PRINTED[item.what](item.lines)
    return max(1, round(nominal[0] * item.scale)), max(1, round(nominal[1] * item.scale))


def sprite(item: Item) -> Image.Image:
    """The thing alone, RGBA, as large as it appears. `KeyError` for a thing that nobody can draw."""
    return _sprite(item.what, item.scale, item.flip, _Traits.of(item))


@functools.lru_cache(maxsize=6)
def _lit(scene: Scene, camera: str, place: Room) -> Whole:
    """Everything but noise, 0 to `_WHITE`; not to be written to."""
    colours = np.asarray(_composed(scene.theme, scene.items, camera)[0], np.float32)
    if scene.light.night_vision:
        grey = colours @ np.array([0.36, 0.5, 0.14], np.float32)
        grey = 18 + grey * _infrared() * 0.82
        return np.repeat(np.minimum(grey, _WHITE)[..., None], 3, axis=2).astype(np.uint16)
    colours *= _illumination(scene.light, place)
    _shine(colours, scene, camera, place)
    np.minimum(colours, _WHITE, out=colours)
    return colours.astype(np.uint16)


@functools.lru_cache(maxsize=6)
def _illumination(light: Light, place: Room) -> Floats:
    """What daylight and lamp make of each pixel and channel, exposed as a camera would; not to be written to."""
    day = light.day * (_open_sky() if place.outdoors else _window_light(place))
    glow = light.lamp * _lamp_light(place.lamp)
    exposure = 1.0 / max(1.0, light.day + 0.62 * light.lamp)
    tints = _DUSK if light.day <= 0.3 and not light.lamp else _TINTS
    shares = [(0.06 + (of_day * day + of_lamp * glow) * exposure) * _vignette() for of_day, of_lamp in tints]
    return np.stack(shares, axis=2).astype(np.float32)


def _shine(colours: Floats, scene: Scene, camera: str, place: Room) -> None:
    """Window panes show what is behind them; a lamp that is lit is bright itself."""
    light, outside = scene.light, scene.light.day
    if camera == "porch":
        pane = np.array((120, 128, 132) if not light.inside else (252, 214, 140), np.float32)
        pane = pane * (0.35 + 0.65 * max(outside, light.inside))
    else:
        pane = np.array((24, 30, 48), np.float32) * (1 - outside) + np.array((206, 226, 236), np.float32) * outside
    covered = np.asarray(_composed(scene.theme, scene.items, camera)[1], np.float32) / 255
    for outline in place.panes:
        mask, (x0, y0, x1, y1) = _outline(outline)
        share = mask * (0.82 if camera != "driveway" else 0.9)
        part = colours[y0:y1, x0:x1]
        share = (share * (1 - covered[y0:y1, x0:x1]))[..., None]
        colours[y0:y1, x0:x1] = part * (1 - share) + pane * share
    if light.lamp:
        mask, (x0, y0, x1, y1) = _outline(place.lamp.outline)
        share = (mask * 0.55 * light.lamp)[..., None]
        part = colours[y0:y1, x0:x1]
        colours[y0:y1, x0:x1] = part * (1 - share) + np.array((255, 226, 160), np.float32) * share


@functools.lru_cache(maxsize=6)
def _composed(theme: Theme, items: tuple[Item, ...], camera: str) -> tuple[Image.Image, Image.Image]:
    """The place with its things, RGB, evenly lit; and where something stands before the panes, 0 to 255."""
    place = room(camera, theme)
    picture = place.back.convert("RGBA")
    covered = Image.new("L", picture.size)
    pen = ImageDraw.Draw(covered)
    for outline in place.before:
        pen.polygon(list(outline), fill=255)
    for item in sorted(items, key=lambda one: one.depth):
        if item.depth < FRONT:
            _place(picture, covered, item)
    if place.front is not None:
        picture.alpha_composite(place.front)
    for item in sorted(items, key=lambda one: one.depth):
        if item.depth >= FRONT:
            _place(picture, covered, item)
    return picture.convert("RGB"), covered


def _place(picture: Image.Image, covered: Image.Image, item: Item) -> None:
    """Put the thing into the picture; what sticks out is cut off."""
    drawn = sprite(item)
    left, top = round(item.x - drawn.width / 2), round(item.y - drawn.height)
    crop = (max(0, -left), max(0, -top), min(drawn.width, WIDTH_PX - left), min(drawn.height, HEIGHT_PX - top))
    if crop[0] < crop[2] and crop[1] < crop[3]:
        part, at = drawn.crop(crop), (max(0, left), max(0, top))
        picture.alpha_composite(part, at)
        covered.paste(255, at, part.getchannel("A"))


@dataclass(frozen=True, slots=True)
class _Traits:
    """What makes two sprites of one kind differ."""

    colour: Colour
    pose: str
    lines: tuple[str, ...]
    colours: tuple[Colour, ...]
    look: people.Look | None
    step: int

    @classmethod
    def of(cls, item: Item) -> _Traits:
        return cls(item.colour, item.pose, item.lines, item.colours, item.look, item.step % people.STEPS)


@functools.lru_cache(maxsize=96)
def _sprite(what: str, scale: float, flip: bool, traits: _Traits) -> Image.Image:
    return _DRAWERS[what](traits).done(scale, flip=flip)


_DRAWERS: dict[str, Callable[[_Traits], Layer]] = {
    "person": lambda t: people.person(t.look or people.Look(), t.pose or "stand", t.step),
    "cat": lambda t: animals.cat(t.colour, t.pose or "lie", t.step),
    "fox": lambda t: animals.fox(t.step),
    "car": lambda t: things.car(t.colour, t.step),
    "van": lambda t: things.van(t.colour, t.lines, t.step),
    "bicycle": lambda t: things.bicycle(t.colour, t.step),
    "parcel": lambda t: things.parcel(t.lines, t.step),
    "note": lambda t: things.note(t.lines),
    "sign": lambda t: things.sign(t.lines, t.step),
    "book": lambda t: things.book(t.colour, t.lines, t.step),
    "bowl": lambda t: things.bowl(step=t.step),
    "cup": lambda t: things.cup(t.colour, t.step),
    "pot": lambda t: things.pot(t.step),
    "tv": lambda t: things.television(1 if t.pose == "on" else 0, t.step),
    "bag": lambda t: things.bag(t.colour, t.step),
    "coats": lambda t: things.coats(t.colours, t.step),
}


_SIZES = {
    "person": (people.WIDTH_PX, people.HEIGHT_PX),
    "cat": animals.LYING_PX,
    "fox": animals.WALKING_PX,
    "car": (404, 164),
    "van": (524, 264),
    "bicycle": (264, 164),
    "book": (194, 234),
    "bowl": (114, 66),
    "cup": (84, 80),
    "pot": (174, 104),
    "tv": (254, 184),
    "bag": (94, 124),
    "coats": (214, 214),
}


_PRINTED: dict[str, Callable[[tuple[str, ...]], tuple[int, int]]] = {
    "parcel": things.parcel_size,
    "note": things.note_size,
    "sign": things.sign_size,
}


@functools.lru_cache(maxsize=1)
def _grid() -> tuple[Floats, Floats]:
    y, x = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX].astype(np.float32)
    return x, y


@functools.lru_cache(maxsize=1)
def _vignette() -> Floats:
    x, y = _grid()
    far = ((x / WIDTH_PX - 0.5) ** 2 + (y / HEIGHT_PX - 0.5) ** 2) / 0.5
    shade: Floats = (1.03 - 0.24 * far**1.3).astype(np.float32)
    return shade


@functools.lru_cache(maxsize=1)
def _infrared() -> Floats:
    x, y = _grid()
    far = ((x / WIDTH_PX - 0.5) ** 2 + (y / HEIGHT_PX - 0.62) ** 2) / 0.5
    light: Floats = (0.22 + 0.78 * np.exp(-2.6 * far)).astype(np.float32)
    return light


@functools.lru_cache(maxsize=1)
def _open_sky() -> Floats:
    return np.full((HEIGHT_PX, WIDTH_PX), 0.96, np.float32)


@functools.lru_cache(maxsize=8)
def _window_light(place: Room) -> Floats:
    x, y = _grid()
    outline = place.panes[0]
    wx = sum(px for px, _ in outline) / len(outline)
    wy = sum(py for _, py in outline) / len(outline)
    far = np.hypot(x - wx, (y - wy) * 1.1)
    light: Floats = (0.74 + 0.24 * np.exp(-far / 380)).astype(np.float32)
    return light


@functools.lru_cache(maxsize=8)
def _lamp_light(lamp: Glow) -> Floats:
    x, y = _grid()
    far = np.hypot(x - lamp.at[0], y - lamp.at[1])
    light: Floats = (0.34 + 0.62 * np.exp(-((far / lamp.reach_px) ** 1.4))).astype(np.float32)
    return light


@functools.lru_cache(maxsize=32)
def _outline(points: tuple[tuple[float, float], ...]) -> tuple[Floats, tuple[int, int, int, int]]:
    """A softened mask of the polygon (0 to 1) and the box that it fills."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    box = max(0, int(min(xs))), max(0, int(min(ys))), min(WIDTH_PX, int(max(xs)) + 1), min(HEIGHT_PX, int(max(ys)) + 1)
    mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
    ImageDraw.Draw(mask).polygon([(x - box[0], y - box[1]) for x, y in points], fill=255)
    soft = np.asarray(mask.filter(ImageFilter.GaussianBlur(1.2)), np.float32) / 255
    return soft.astype(np.float32), box


@functools.lru_cache(maxsize=2)
def _noise(night_vision: bool) -> NDArray[np.int16]:
    """A sheet of sensor noise, a little larger than a picture; a sensor that sees in the dark is noisier."""
    sheet = np.random.default_rng(11).standard_normal((HEIGHT_PX + 96, WIDTH_PX + 96), np.float32)
    noise: NDArray[np.int16] = np.rint(sheet * _SENSOR_NOISE * (1.9 if night_vision else 1.0)).astype(np.int16)
    return noise
