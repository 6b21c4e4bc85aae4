"""The five places that the simulated cameras look at: what stands still there, where light comes in and from.

A `Room` is painted once for a theme and kept: `back` and, in the kitchen, a `front` (the table) that people sit behind.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from gateway.demo.paint import Colour, Layer, Point, limb, mix, oval, rect, smooth
from gateway.demo.things import plant

WIDTH_PX, HEIGHT_PX = 800, 600
CAMERAS = ("kitchen", "hall", "living-room", "porch", "driveway")
WHITE: Colour = (244, 240, 230)
WOOD: Colour = (150, 106, 70)
BLACK: Colour = (30, 28, 28)


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one home."""

    wall: Colour = (236, 214, 178)
    cabinets: Colour = (124, 150, 130)
    door: Colour = (36, 92, 122)
    sofa: Colour = (86, 128, 96)
    siding: Colour = (222, 214, 198)
    rug: Colour = (150, 70, 60)
    number: str = "12"


@dataclass(frozen=True, slots=True)
class Glow:
    """A lamp: where it is, how far it reaches, and the outline that shines."""

    at: Point
    reach_px: float
    outline: tuple[Point, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Room:
    """What one camera sees when nobody is there. There is one object for each camera and theme."""

    back: Image.Image
    front: Image.Image | None
    """RGBA, over whatever stands behind it."""
    panes: tuple[tuple[Point, ...], ...]
    """Window panes or sky: they show the light outside (on the porch: the light inside)."""
    lamp: Glow
    outdoors: bool
    before: tuple[tuple[Point, ...], ...] = ()
    """Outlines of what hangs or stands in front of the panes."""


@functools.lru_cache(maxsize=16)
def room(camera: str, theme: Theme) -> Room:
    """The room that `camera` looks at. `KeyError` for a camera that the home does not have."""
    return _PAINTERS[camera](theme)


def _kitchen(theme: Theme) -> Room:
    layer = Layer(WIDTH_PX, HEIGHT_PX)
    _wall(layer, theme.wall, 470)
    _window(layer, (288, 70, 480, 236))
    for x0, x1 in ((10, 118), (122, 230), (508, 622)):
        _cabinet(layer, rect(x0, 42, x1, 190), theme.cabinets, knob=(x1 - 12 if x0 < 100 else x0 + 12, 170))
    layer.gradient(rect(0, 468, 800, 600), (150, 128, 104), (120, 100, 82), grain=0.05)
    layer.gradient(rect(0, 318, 640, 336), (250, 246, 236), (206, 198, 184))
    for x0 in range(0, 640, 128):
        _cabinet(layer, rect(x0 + 4, 340, x0 + 124, 470), mix(theme.cabinets, BLACK, 0.08), knob=(x0 + 64, 358))
    _fridge(layer)
    layer.image.alpha_composite(plant().done(1.04), (40 * 2, 214 * 2))
    _clock(layer, 260, 132)
    layer.part(rect(524, 266, 596, 318, r=8), (70, 66, 64), soft=8)
    layer.part(rect(538, 256, 582, 268, r=3), (50, 48, 48), soft=3)
    lamp = tuple(smooth([(354, 128), (362, 92), (400, 76), (438, 92), (446, 128), (400, 134)]))
    layer.line([(400, 0), (400, 78)], (60, 50, 44), width=2.5)
    layer.part(lamp, (206, 104, 60), soft=10)
    front = Layer(WIDTH_PX, HEIGHT_PX)
    front.gradient([(70, 446), (730, 446), (820, 620), (-20, 620)], (176, 122, 78), (140, 92, 56), grain=0.05)
    for x in (200, 330, 470, 600):
        front.line([(400 + (x - 400) * 0.82, 448), (400 + (x - 400) * 1.35, 600)], (112, 70, 42), width=1.2, alpha=120)
    front.line([(70, 446), (730, 446)], (206, 156, 108), width=3)
    panes = (tuple(rect(298, 80, 381, 226)), tuple(rect(387, 80, 470, 226)))
    cord = tuple(rect(399, 0, 401, 80))
    return Room(_flatten(layer), front.done(), panes, Glow((400, 132), 420, lamp), outdoors=False, before=(lamp, cord))


def _hall(theme: Theme) -> Room:
    layer = Layer(WIDTH_PX, HEIGHT_PX)
    _wall(layer, mix(theme.wall, WHITE, 0.5), 600)
    layer.gradient([(0, 0), (170, 0), (170, 470), (0, 560)], mix(theme.wall, BLACK, 0.16), mix(theme.wall, BLACK, 0.24))
    layer.gradient(
        [(650, 0), (800, 0), (800, 560), (650, 470)], mix(theme.wall, BLACK, 0.2), mix(theme.wall, BLACK, 0.28)
    )
    _floor(layer, [(170, 470), (650, 470), (840, 620), (-40, 620)], 470, vanish=(410, 200))
    layer.flat(rect(170, 458, 650, 470), WHITE)
    _door(layer, (452, 128, 626, 470), theme.door)
    _pane(layer, rect(490, 164, 588, 252))
    layer.part(oval(84, 212, 52, 84), WHITE, soft=5)
    layer.gradient(oval(84, 212, 42, 74), (196, 212, 216), (160, 182, 190))
    layer.part(rect(196, 166, 424, 176, r=3), WOOD, soft=3)
    for x in (222, 266, 310, 354, 398):
        layer.part(limb([(x, 174), (x, 186)], [5, 5]), (90, 70, 50), soft=2)
    layer.part(rect(200, 402, 420, 416, r=3), WOOD, soft=4)
    for x in (212, 408):
        layer.part(rect(x - 6, 414, x + 6, 474), mix(WOOD, BLACK, 0.25), soft=4)
    for n, colour in enumerate(((60, 84, 96), (150, 70, 56), (74, 120, 130), (190, 140, 60))):
        x = 238 + n * 40
        layer.part(smooth([(x - 12, 474), (x - 10, 456), (x + 2, 456), (x + 16, 468), (x + 16, 474)]), colour, soft=4)
    layer.part(oval(470, 540, 180, 34), theme.rug, soft=9, depth=0.25, grain=0.12)
    lamp = tuple(oval(330, 34, 46, 20))
    layer.part(lamp, (236, 226, 204), soft=8)
    return Room(_flatten(layer), None, (tuple(rect(490, 164, 588, 252)),), Glow((330, 60), 460, lamp), outdoors=False)


def _living_room(theme: Theme) -> Room:
    layer = Layer(WIDTH_PX, HEIGHT_PX)
    _wall(layer, mix(theme.wall, (206, 150, 110), 0.25), 440)
    layer.flat(rect(0, 428, 800, 442), WHITE)
    layer.gradient(rect(0, 442, 800, 600), (126, 86, 58), (98, 64, 42), grain=0.06)
    layer.part(oval(380, 562, 350, 40), theme.rug, soft=10, depth=0.25, grain=0.14)
    _window(layer, (70, 60, 250, 290))
    drapes = []
    for x0, x1 in ((30, 92), (228, 290)):
        drape = smooth([(x0, 40), (x1, 40), (x1 - 4, 180), (x1 + 3, 352), (x0 - 3, 352), (x0 + 5, 180)], steps=6)
        drapes.append(tuple(drape))
        layer.part(drape, (196, 112, 88), soft=10, grain=0.05)
    layer.part(rect(14, 34, 306, 42, r=4), WOOD, soft=3)
    layer.part(rect(400, 70, 560, 186), WHITE, soft=4, depth=0.3)
    layer.gradient(rect(414, 84, 546, 172), (160, 190, 190), (210, 206, 170))
    layer.part([(414, 172), (450, 118), (476, 152), (506, 108), (546, 172)], (96, 128, 106), soft=6)
    _sofa(layer, theme.sofa)
    layer.part(limb([(712, 178), (712, 470)], [6, 6]), (72, 58, 48), soft=2)
    layer.part(oval(712, 474, 34, 8), (60, 50, 44), soft=4)
    lamp = ((686, 106), (738, 106), (760, 182), (664, 182))
    layer.part(lamp, (238, 220, 178), soft=8, depth=0.3)
    panes = (tuple(rect(80, 70, 157, 280)), tuple(rect(163, 70, 240, 280)))
    before = (*drapes, tuple(rect(126, 262, 614, 470, r=34)))
    return Room(_flatten(layer), None, panes, Glow((712, 160), 480, lamp), outdoors=False, before=before)


def _porch(theme: Theme) -> Room:
    layer = Layer(WIDTH_PX, HEIGHT_PX)
    _wall(layer, theme.siding, 460)
    for x in range(36, 800, 62):
        layer.line([(x, 0), (x, 460)], mix(theme.siding, BLACK, 0.25), width=1.6)
    layer.gradient(rect(0, 440, 800, 466), mix(theme.siding, BLACK, 0.15), mix(theme.siding, BLACK, 0.3))
    layer.gradient(rect(0, 464, 800, 600), (152, 120, 94), (122, 92, 70), grain=0.06)
    for y in (486, 514, 550):
        layer.line([(0, y), (800, y)], (96, 70, 52), width=1.6)
    _door(layer, (316, 90, 486, 464), theme.door)
    for pane in (rect(342, 124, 396, 212), rect(406, 124, 460, 212)):
        _pane(layer, pane)
    layer.part(rect(520, 198, 566, 238, r=3), WHITE, soft=3, depth=0.3)
    layer.text((530, 204), theme.number, 27, (40, 46, 52), bold=0.6)
    lamp = ((248, 156), (272, 156), (276, 196), (244, 196))
    layer.part([(242, 152), (260, 138), (278, 152), (282, 202), (238, 202)], (40, 38, 38), soft=3)
    layer.part(lamp, (230, 214, 176), soft=3, depth=0.2)
    layer.image.alpha_composite(plant().done(2.3), (20 * 2, 234 * 2))
    layer.part([(262, 470), (540, 470), (566, 500), (236, 500)], (96, 72, 56), soft=3, depth=0.3, grain=0.2)
    _bench(layer, 590, 318)
    panes = (tuple(rect(342, 124, 396, 212)), tuple(rect(406, 124, 460, 212)))
    return Room(_flatten(layer), None, panes, Glow((260, 180), 420, lamp), outdoors=True)


def _driveway(theme: Theme) -> Room:
    del theme
    layer = Layer(WIDTH_PX, HEIGHT_PX)
    layer.flat(rect(0, 0, 800, 300), (200, 214, 220))
    hills = smooth(
        [(-40, 300), (-40, 170), (80, 128), (240, 170), (330, 186), (440, 170), (600, 110), (840, 150), (840, 300)],
        steps=10,
    )
    layer.part(hills, (116, 142, 112), soft=16, depth=0.3, grain=0.1)
    layer.gradient(rect(0, 268, 800, 330), (134, 152, 96), (112, 132, 80), grain=0.16)
    for x in range(-6, 800, 30):
        layer.part(
            [(x, 206), (x + 12, 196), (x + 24, 206), (x + 24, 306), (x, 306)], (216, 206, 188), soft=4, depth=0.4
        )
    for y in (226, 280):
        layer.part(rect(0, y, 800, y + 10), (204, 192, 172), soft=3)
    layer.gradient([(0, 316), (800, 316), (800, 600), (0, 600)], (150, 146, 140), (122, 118, 114), grain=0.12)
    layer.gradient([(0, 316), (130, 316), (0, 470)], (124, 146, 88), (112, 136, 80), grain=0.2)
    layer.line([(130, 316), (-10, 480)], (190, 184, 172), width=6)
    for x in (40, 96):
        layer.part(oval(x - 30, 320, 44, 34), (84, 122, 74), soft=12, depth=0.6, grain=0.2)
    lamp = tuple(oval(770, 60, 12, 10))
    layer.part(limb([(800, 40), (770, 52)], [6, 6]), (60, 58, 56), soft=2)
    layer.part(lamp, (230, 214, 176), soft=3)
    sky = (
        (0.0, 0.0),
        (800.0, 0.0),
        (800.0, 134.0),
        (600.0, 106.0),
        (440.0, 168.0),
        (330.0, 182.0),
        (240.0, 166.0),
        (80.0, 124.0),
        (0.0, 148.0),
    )
    arm = tuple(limb([(800, 40), (770, 52)], [8, 8]))
    return Room(_flatten(layer), None, (sky,), Glow((770, 70), 520, lamp), outdoors=True, before=(lamp, arm))


def _wall(layer: Layer, colour: Colour, bottom: float) -> None:
    layer.gradient(rect(0, 0, WIDTH_PX, bottom), mix(colour, WHITE, 0.15), mix(colour, BLACK, 0.1), grain=0.02)


def _floor(layer: Layer, outline: list[Point], top: float, *, vanish: Point) -> None:
    layer.gradient(outline, (162, 116, 76), (130, 88, 56), grain=0.06)
    for x in range(-400, 1300, 90):
        share = (top - vanish[1]) / (600 - vanish[1])
        start = vanish[0] + (x - vanish[0]) * share
        if outline[0][0] < start < outline[1][0]:
            layer.line([(start, top), (x, 600)], (104, 68, 44), width=1.3)


def _window(layer: Layer, box: tuple[int, int, int, int]) -> None:
    x0, y0, x1, y1 = box
    layer.part(rect(x0, y0, x1, y1), WHITE, soft=4, depth=0.3)
    middle = (x0 + x1) / 2
    for pane in (rect(x0 + 10, y0 + 10, middle - 3, y1 - 10), rect(middle + 3, y0 + 10, x1 - 10, y1 - 10)):
        _pane(layer, pane)
    layer.part(rect(x0 - 8, y1 - 2, x1 + 8, y1 + 8), WHITE, soft=3)


def _pane(layer: Layer, outline: list[Point]) -> None:
    layer.gradient(outline, (190, 212, 220), (214, 226, 226))


def _cabinet(layer: Layer, outline: list[Point], colour: Colour, *, knob: Point) -> None:
    layer.part(outline, colour, soft=5, depth=0.35, grain=0.02)
    (x0, y0), _, (x1, y1), _ = outline
    inset = rect(x0 + 12, y0 + 12, x1 - 12, y1 - 12)
    layer.line([*inset, inset[0]], mix(colour, BLACK, 0.25), width=1.5)
    layer.part(oval(*knob, 4, 4), (226, 208, 160), soft=2)


def _fridge(layer: Layer) -> None:
    layer.shadow(rect(632, 60, 800, 480), blur=8, alpha=90)
    layer.part(rect(640, 60, 806, 480, r=8), (226, 228, 226), soft=12, depth=0.4)
    layer.line([(640, 300), (800, 300)], (140, 142, 142), width=3)
    layer.part(limb([(652, 318), (652, 390)], [6, 6]), (150, 152, 154), soft=2)
    layer.part(limb([(652, 230), (652, 286)], [6, 6]), (150, 152, 154), soft=2)


def _clock(layer: Layer, x: float, y: float) -> None:
    layer.part(oval(x, y - 78, 27, 27), (64, 60, 58), soft=4)
    layer.part(oval(x, y - 78, 23, 23), (250, 248, 240), soft=4, depth=0.15)
    for hour in range(12):
        tick = oval(x, y - 78, 19, 19)[round(hour * 40 / 12) % 40]
        layer.flat(oval(*tick, 1.6, 1.6), BLACK)
    layer.line([(x, y - 78), (x + 8, y - 88)], BLACK, width=2.4)
    layer.line([(x, y - 78), (x - 4, y - 63)], BLACK, width=1.8)


def _door(layer: Layer, box: tuple[int, int, int, int], colour: Colour) -> None:
    x0, y0, x1, y1 = box
    layer.part(rect(x0 - 16, y0 - 16, x1 + 16, y1), WHITE, soft=4, depth=0.3)
    layer.part(rect(x0, y0, x1, y1), colour, soft=6, depth=0.35)
    for px0, px1 in ((x0 + 18, (x0 + x1) / 2 - 8), ((x0 + x1) / 2 + 8, x1 - 18)):
        layer.part(rect(px0, y0 + 160, px1, y1 - 26), mix(colour, BLACK, 0.2), soft=5, depth=0.4)
    layer.part(oval(x1 - 13, (y0 + y1) / 2 + 20, 6, 6), (222, 176, 96), soft=3)
    layer.part(rect(x1 - 16, (y0 + y1) / 2 - 8, x1 - 10, (y0 + y1) / 2 + 12), (222, 176, 96), soft=2)


def _sofa(layer: Layer, colour: Colour) -> None:
    layer.shadow(oval(370, 546, 290, 18), blur=10, alpha=150)
    for x in (130, 610):
        layer.part(rect(x - 8, 520, x + 8, 552), (70, 48, 34), soft=3)
    layer.part(rect(126, 262, 614, 470, r=34), colour, soft=20, depth=0.5, grain=0.06)
    for x0, x1 in ((140, 366), (374, 600)):
        layer.part(rect(x0, 276, x1, 420, r=26), mix(colour, WHITE, 0.06), soft=20, depth=0.5, grain=0.06)
    layer.part(rect(118, 440, 622, 534, r=12), mix(colour, BLACK, 0.12), soft=12, depth=0.5, grain=0.06)
    for x0, x1 in ((130, 368), (372, 610)):
        layer.part(rect(x0, 404, x1, 462, r=16), mix(colour, WHITE, 0.1), soft=14, depth=0.5, grain=0.06)
    for x0, x1 in ((82, 150), (590, 658)):
        layer.part(rect(x0, 330, x1, 538, r=30), mix(colour, BLACK, 0.04), soft=18, depth=0.55, grain=0.06)
    layer.part([(164, 330), (232, 318), (244, 396), (176, 404)], (218, 164, 68), soft=12, depth=0.5, grain=0.06)
    layer.part([(512, 320), (580, 330), (570, 404), (502, 396)], (208, 198, 180), soft=12, depth=0.5, grain=0.06)


def _bench(layer: Layer, x: float, y: float) -> None:
    layer.shadow(oval(x + 104, y + 166, 108, 8), blur=6)
    for leg in (16, 186):
        layer.part(rect(x + leg, y + 4, x + leg + 12, y + 166), mix(WOOD, BLACK, 0.25), soft=4)
    for row, height in ((0, 15), (30, 15), (60, 15)):
        layer.part(rect(x, y + row, x + 214, y + row + height, r=3), WOOD, soft=5, grain=0.06)
    layer.part(
        [(x + 6, y + 92), (x + 208, y + 92), (x + 224, y + 112), (x - 8, y + 112)], mix(WOOD, WHITE, 0.12), soft=5
    )
    layer.part(rect(x - 8, y + 111, x + 224, y + 121), mix(WOOD, BLACK, 0.2), soft=3)
    for leg in (2, 200):
        layer.part(rect(x + leg, y + 120, x + leg + 12, y + 170), mix(WOOD, BLACK, 0.1), soft=4)


def _flatten(layer: Layer) -> Image.Image:
    return layer.done().convert("RGB")


_PAINTERS: dict[str, Callable[[Theme], Room]] = {
    "kitchen": _kitchen,
    "hall": _hall,
    "living-room": _living_room,
    "porch": _porch,
    "driveway": _driveway,
}
