"""Things of the simulated home: vehicles, furniture that comes and goes, tableware, and everything with print on it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gateway.demo.paint import Colour, Layer, limb, mix, oval, rect, smooth, text_width

BLACK: Colour = (30, 30, 32)
CARDBOARD: Colour = (200, 154, 98)
PAPER: Colour = (247, 244, 235)
INK: Colour = (28, 26, 26)
_LABEL_PX = 27.0


def car(paint: Colour, step: int = 0) -> Layer:
    """A hatchback seen from its side, 400 × 160 nominal pixels, nose to the left."""
    del step
    layer = Layer(404, 164)
    layer.shadow(oval(202, 150, 186, 9), blur=6, alpha=170)
    layer.flat(rect(40, 108, 364, 140), (22, 22, 24))
    body = smooth(
        [
            (10, 112),
            (14, 86),
            (60, 72),
            (112, 64),
            (150, 30),
            (200, 20),
            (270, 21),
            (322, 34),
            (356, 64),
            (388, 74),
            (396, 104),
            (388, 130),
            (300, 136),
            (200, 136),
            (100, 136),
            (20, 132),
        ],
        steps=10,
    )
    layer.part(body, paint, soft=15, depth=0.62)
    glass, shine = (38, 48, 58), (136, 160, 176)
    for pane in (
        [(122, 66), (156, 35), (212, 28), (212, 68)],
        [(220, 68), (220, 28), (270, 28), (306, 38), (330, 64), (328, 68)],
    ):
        layer.gradient(pane, shine, glass)
        layer.line([*pane, pane[0]], BLACK, width=2)
    layer.line([(216, 28), (214, 128)], mix(paint, BLACK, 0.6), width=1.8)
    layer.line([(116, 70), (122, 128), (206, 130)], mix(paint, BLACK, 0.5), width=1.6)
    layer.line([(300, 104), (318, 72), (330, 68)], mix(paint, BLACK, 0.5), width=1.6)
    layer.line([(20, 96), (120, 82), (300, 80), (390, 88)], mix(paint, (255, 255, 255), 0.5), width=2, alpha=150)
    for x in (190, 292):
        layer.part(rect(x - 10, 88, x + 10, 93, r=2), mix(paint, BLACK, 0.35), soft=2)
    layer.part(smooth([(14, 88), (46, 78), (52, 88), (20, 98)]), (246, 240, 214), soft=3)
    layer.part(smooth([(378, 78), (394, 84), (394, 98), (380, 94)]), (176, 32, 30), soft=3)
    layer.part(smooth([(112, 66), (124, 58), (130, 68), (120, 74)]), mix(paint, BLACK, 0.3), soft=3)
    layer.flat(rect(12, 112, 40, 122, r=3), (40, 40, 44))
    for x in (86, 312):
        _wheel(layer, x, 126, 31)
    return layer


def van(paint: Colour, lines: Sequence[str], step: int = 0) -> Layer:
    """A delivery van seen from its side, 520 × 260 nominal pixels, with `lines` of lettering, nose to the left."""
    del step
    layer = Layer(524, 264)
    layer.shadow(oval(262, 248, 244, 10), blur=7, alpha=170)
    layer.flat(rect(40, 200, 490, 234), (22, 22, 24))
    body = [
        (8, 216),
        (10, 164),
        (34, 142),
        (84, 124),
        (126, 56),
        (150, 30),
        (200, 20),
        (498, 20),
        (510, 34),
        (512, 218),
        (500, 226),
        (20, 226),
    ]
    layer.part(body, paint, soft=15, depth=0.5)
    layer.gradient([(92, 128), (132, 62), (196, 58), (196, 128)], (150, 172, 186), (40, 50, 60))
    layer.line([(204, 40), (202, 220)], mix(paint, BLACK, 0.5), width=2)
    layer.line([(20, 178), (510, 178)], mix(paint, BLACK, 0.35), width=2)
    layer.part(rect(180, 140, 198, 146, r=2), mix(paint, BLACK, 0.5), soft=2)
    layer.part(smooth([(12, 160), (36, 146), (44, 162), (16, 178)]), (246, 240, 214), soft=3)
    layer.flat(rect(502, 150, 511, 182), (176, 32, 30))
    for row, words in enumerate(lines):
        layer.text((222, 66 + row * 46), words, 36, (250, 248, 240) if sum(paint) < 400 else (30, 40, 70), bold=1.0)
    for x in (104, 420):
        _wheel(layer, x, 216, 34)
    return layer


def bicycle(paint: Colour, step: int = 0) -> Layer:
    """A bicycle seen from its side, 260 × 160 nominal pixels."""
    del step
    layer = Layer(264, 164)
    layer.shadow(oval(132, 156, 110, 4), blur=4, alpha=110)
    for x in (60, 204):
        for spoke in range(14):
            angle = spoke * math.tau / 14
            layer.line([(x, 108), (x + 44 * math.cos(angle), 108 + 44 * math.sin(angle))], (170, 172, 176), width=0.7)
        ring = oval(x, 108, 48, 48)
        layer.line([*ring, ring[0]], (30, 30, 32), width=5)
        inner = oval(x, 108, 44, 44)
        layer.line([*inner, inner[0]], (180, 182, 186), width=1.5)
        layer.part(oval(x, 108, 5, 5), (120, 120, 124), soft=2)
    seat, crank, head, fork = (100.0, 44.0), (122.0, 108.0), (182.0, 42.0), (204.0, 108.0)
    for a, b in (
        (seat, crank),
        (seat, head),
        (crank, (186.0, 58.0)),
        ((60.0, 108.0), crank),
        ((60.0, 108.0), (102.0, 50.0)),
        (head, fork),
    ):
        layer.part(limb([a, b], [6, 6]), paint, soft=2)
    layer.part(limb([seat, (97, 32)], [4, 4]), (150, 150, 154), soft=2)
    layer.part(smooth([(76, 28), (104, 24), (118, 30), (100, 36), (78, 36)]), BLACK, soft=3)
    layer.part(limb([head, (178, 24), (196, 18), (206, 28)], [5, 5, 5, 6]), (60, 60, 64), soft=2)
    layer.part(oval(*crank, 11, 11), (90, 90, 94), soft=3)
    layer.part(limb([crank, (132, 128)], [4, 4]), (70, 70, 74), soft=2)
    layer.part(rect(124, 126, 142, 131), BLACK, soft=1)
    return layer


def plant(step: int = 0) -> Layer:
    """A potted plant with long leaves, 180 × 230 nominal pixels."""
    del step
    layer = Layer(184, 234)
    layer.shadow(oval(92, 222, 56, 8), blur=6)
    blades = [
        (-74, 60),
        (-52, 20),
        (74, 66),
        (54, 24),
        (-30, 4),
        (32, 2),
        (-82, 104),
        (82, 108),
        (-62, 130),
        (64, 134),
        (2, -4),
    ]
    for n, (dx, y) in enumerate(blades):
        green = mix((44, 112, 62), (104, 160, 84), (n * 37 % 100) / 100)
        tip_x, tip_y = 92 + dx, y + 8
        mid_x, mid_y = 92 + dx * 0.55, (tip_y + 150) / 2 - 14
        leaf = smooth([(88, 152), (mid_x - 13, mid_y + 2), (tip_x, tip_y), (mid_x + 13, mid_y + 6), (96, 152)])
        layer.part(leaf, green, soft=6, depth=0.7, grain=0.12)
        layer.line([(92, 150), (mid_x, mid_y + 4), (tip_x, tip_y)], mix(green, (210, 230, 160), 0.4), width=1.3)
    layer.part([(52, 160), (132, 160), (120, 222), (64, 222)], (188, 98, 60), soft=13, depth=0.6, grain=0.06)
    layer.part(rect(46, 144, 138, 164, r=3), (202, 110, 70), soft=6, depth=0.5, grain=0.05)
    return layer


def parcel(lines: Sequence[str], step: int = 0) -> Layer:
    """A cardboard box with a printed label on its front, 196 nominal pixels high and as wide as its label needs."""
    del step
    front = parcel_size(lines)[0] - 42.0
    layer = Layer(*parcel_size(lines))
    right = 8 + front
    light, dark = mix(CARDBOARD, (255, 255, 255), 0.25), mix(CARDBOARD, BLACK, 0.25)
    layer.shadow(oval(right / 2 + 20, 188, right / 2, 8), blur=5, alpha=150)
    layer.gradient([(8, 46), (46, 10), (right + 26, 10), (right, 46)], light, CARDBOARD, grain=0.06)
    side = [(right, 46), (right + 26, 10), (right + 26, 150), (right, 190)]
    layer.gradient(side, dark, mix(CARDBOARD, BLACK, 0.4), grain=0.06)
    layer.gradient(rect(8, 46, right, 190), CARDBOARD, mix(CARDBOARD, BLACK, 0.14), grain=0.06)
    middle = right / 2
    layer.flat([(middle - 18, 46), (middle + 12, 10), (middle + 42, 10), (middle + 16, 46)], (226, 196, 146))
    layer.flat(rect(middle - 18, 46, middle + 16, 62), (226, 196, 146))
    layer.line([(8, 46), (right, 46), (right, 190)], mix(CARDBOARD, BLACK, 0.4), width=1.2)
    _label(layer, 18, 66, front - 18, lines)
    return layer


def parcel_size(lines: Sequence[str]) -> tuple[int, int]:
    """Nominal width and height of a parcel with this label."""
    return round(max(250.0, text_width(lines, _LABEL_PX) + 34)) + 42, 200


def note(lines: Sequence[str], paper: Colour = PAPER, *, size_px: float = 25.0) -> Layer:
    """A sheet of paper with printed words, as wide as its longest line."""
    layer = Layer(*note_size(lines, size_px=size_px))
    layer.shadow(rect(6, 8, layer.size[0] - 4, layer.size[1] - 4), blur=3, alpha=120)
    layer.gradient(rect(4, 4, layer.size[0] - 6, layer.size[1] - 6), paper, mix(paper, (120, 110, 90), 0.1))
    for row, words in enumerate(lines):
        layer.text((16, 14 + row * size_px * 1.36), words, size_px, INK, bold=0.4)
    layer.part(oval(layer.size[0] / 2, 8, 6, 6), (180, 50, 44), soft=3)
    return layer


def note_size(lines: Sequence[str], *, size_px: float = 25.0) -> tuple[int, int]:
    """Nominal width and height of a note with these words."""
    return round(text_width(lines, size_px) + 36), round(len(lines) * size_px * 1.36 + 34)


def sign(lines: Sequence[str], step: int = 0) -> Layer:
    """A street sign on two posts, 200 nominal pixels high and as wide as its words."""
    del step
    layer = Layer(*sign_size(lines))
    width = layer.size[0]
    for x in (34, width - 34):
        layer.part(rect(x - 5, 30, x + 5, 200), (96, 96, 98), soft=4)
    layer.part(rect(4, 10, width - 4, 76, r=8), (34, 84, 70), soft=5, depth=0.3)
    frame = rect(10, 16, width - 10, 70, r=5)
    layer.line([*frame, frame[0]], (240, 240, 232), width=2)
    for row, words in enumerate(lines):
        layer.text((24, 24 + row * 36), words, 33, (248, 248, 240), bold=0.8)
    return layer


def sign_size(lines: Sequence[str]) -> tuple[int, int]:
    """Nominal width and height of a sign with these words."""
    return round(text_width(lines, 33) + 48), 204


def book(cover: Colour, lines: Sequence[str], step: int = 0) -> Layer:
    """A book that leans with its cover to us, 190 × 230 nominal pixels."""
    del step
    layer = Layer(194, 234)
    layer.shadow(oval(97, 224, 92, 6), blur=5)
    layer.flat([(178, 12), (188, 18), (188, 224), (178, 226)], (240, 234, 218))
    layer.gradient(rect(10, 10, 180, 224), mix(cover, (255, 255, 255), 0.12), mix(cover, BLACK, 0.2), grain=0.04)
    layer.flat(rect(10, 10, 22, 224), mix(cover, BLACK, 0.4))
    pale = mix(cover, (250, 220, 150), 0.6)
    for n in range(4):
        y = 140 + n * 18
        layer.line([(34, y + 6), (66, y - 4), (102, y + 6), (138, y - 4), (168, y + 4)], pale, width=4)
    for row, words in enumerate(lines):
        layer.text((32, 30 + row * 36), words, 25, (252, 246, 228), bold=0.7)
    return layer


def bowl(glaze: Colour = (240, 236, 226), step: int = 0) -> Layer:
    """A bowl of soup, 110 × 62 nominal pixels."""
    del step
    layer = Layer(114, 66)
    layer.shadow(oval(57, 58, 44, 5), blur=4)
    layer.part(smooth([(8, 20), (106, 20), (92, 46), (72, 58), (42, 58), (22, 46)]), glaze, soft=9, depth=0.55)
    layer.part(oval(57, 20, 50, 13), mix(glaze, BLACK, 0.12), soft=4)
    layer.part(oval(57, 22, 43, 9), (206, 104, 50), soft=4, grain=0.15)
    return layer


def cup(glaze: Colour, step: int = 0) -> Layer:
    """A mug, 80 × 76 nominal pixels."""
    del step
    layer = Layer(84, 80)
    layer.shadow(oval(38, 70, 28, 5), blur=4)
    ring = oval(64, 40, 12, 16)
    layer.line([*ring, ring[0]], glaze, width=6)
    layer.part([(10, 14), (64, 14), (60, 68), (50, 73), (24, 73), (14, 68)], glaze, soft=9, depth=0.6)
    layer.part(oval(37, 14, 27, 8), mix(glaze, BLACK, 0.2), soft=3)
    layer.flat(oval(37, 15, 22, 5.5), (64, 40, 28))
    return layer


def pot(step: int = 0) -> Layer:
    """A red cooking pot with handles, 170 × 100 nominal pixels."""
    del step
    layer = Layer(174, 104)
    layer.shadow(oval(87, 94, 70, 7), blur=5)
    layer.part(rect(2, 34, 172, 46, r=5), (120, 40, 30), soft=3)
    layer.part([(20, 28), (154, 28), (150, 84), (136, 96), (38, 96), (24, 84)], (176, 62, 44), soft=14, depth=0.6)
    layer.part(oval(87, 28, 68, 17), (150, 50, 36), soft=4)
    layer.part(oval(87, 29, 60, 12), (214, 130, 60), soft=5, grain=0.2)
    return layer


def television(picture: int, step: int = 0) -> Layer:
    """A television on a low stand, 250 × 180 nominal pixels; `picture` 0 is off."""
    layer = Layer(254, 184)
    layer.shadow(oval(127, 176, 90, 6), blur=5)
    layer.part(rect(96, 150, 158, 172), (36, 36, 38), soft=4)
    layer.part(rect(60, 168, 194, 178, r=4), (36, 36, 38), soft=3)
    layer.part(rect(4, 4, 250, 154, r=5), (22, 22, 24), soft=4)
    if picture:
        layer.gradient(rect(11, 11, 243, 146), (120, 170, 210), (226, 214, 180))
        x = 40 + (step * 37) % 120
        layer.part(
            smooth([(11, 146), (40, 104), (x + 20, 84), (180, 112), (243, 96), (243, 146)], steps=4),
            (70, 120, 76),
            soft=6,
        )
        layer.flat(rect(11, 140, 243, 160), (22, 22, 24))
        layer.part(oval(x + 40, 44, 15, 15), (250, 226, 130), soft=5)
    else:
        layer.gradient(rect(11, 11, 243, 146), (54, 58, 64), (26, 28, 32))
    return layer


def bag(colour: Colour, step: int = 0) -> Layer:
    """A rucksack, 90 × 120 nominal pixels."""
    del step
    layer = Layer(94, 124)
    layer.shadow(oval(47, 116, 40, 5), blur=4)
    ring = oval(47, 16, 12, 12)
    layer.line([*ring, ring[0]], mix(colour, BLACK, 0.5), width=4)
    layer.part(
        smooth([(14, 40), (30, 16), (64, 16), (80, 40), (84, 110), (70, 118), (24, 118), (10, 110)]),
        colour,
        soft=12,
        grain=0.06,
    )
    layer.part(rect(22, 66, 72, 108, r=9), mix(colour, BLACK, 0.15), soft=6)
    layer.line([(22, 56), (72, 56)], mix(colour, BLACK, 0.5), width=2)
    return layer


def coats(colours: Sequence[Colour], step: int = 0) -> Layer:
    """Coats on hooks, 210 × 210 nominal pixels; one for each colour."""
    del step
    layer = Layer(214, 214)
    for n, colour in enumerate(colours):
        x = 36 + n * 66
        shade = mix(colour, BLACK, 0.2)
        for side in (-1, 1):
            layer.part(
                limb([(x + side * 20, 34), (x + side * 29, 90), (x + side * 27, 138)], [19, 17, 15]), shade, soft=6
            )
        chest = [(x, 8), (x + 22, 26), (x + 25, 110)]
        coat = smooth([*chest, (x + 30, 194), (x, 200), (x - 30, 194), (x - 25, 110), (x - 22, 26)])
        layer.part(coat, colour, soft=10, depth=0.6, grain=0.07)
        layer.flat([(x - 11, 14), (x, 44), (x + 11, 14), (x, 22)], mix(colour, BLACK, 0.5))
        layer.line([(x, 44), (x, 198)], mix(colour, BLACK, 0.5), width=1.8)
        for y in (66, 100, 134):
            layer.flat(oval(x + 6, y, 2.6, 2.6), mix(colour, BLACK, 0.6))
        for side in (-1, 1):
            layer.line([(x + side * 9, 150), (x + side * 21, 146)], mix(colour, BLACK, 0.45), width=2)
    return layer


def _wheel(layer: Layer, x: float, y: float, r: float) -> None:
    layer.flat(oval(x, y - 2, r + 6, r + 6), (18, 18, 20))
    layer.part(oval(x, y, r, r), (40, 40, 42), soft=6, depth=0.5)
    layer.part(oval(x, y, r * 0.64, r * 0.64), (176, 178, 182), soft=5)
    for spoke in range(5):
        angle = spoke * math.tau / 5 + 0.3
        layer.line([(x, y), (x + r * 0.58 * math.cos(angle), y + r * 0.58 * math.sin(angle))], (84, 86, 90), width=5)
    layer.part(oval(x, y, r * 0.16, r * 0.16), (210, 212, 214), soft=2)


def _label(layer: Layer, x: float, y: float, width: float, lines: Sequence[str]) -> None:
    height = len(lines) * _LABEL_PX * 1.26 + 12
    layer.flat(rect(x, y, x + width, y + height, r=3), (252, 251, 246))
    for row, words in enumerate(lines):
        layer.text((x + 9, y + 6 + row * _LABEL_PX * 1.26), words, _LABEL_PX, INK, bold=0.25)
