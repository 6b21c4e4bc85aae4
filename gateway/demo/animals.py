"""Animals of the simulated home: a cat (sitting, asleep, walking) and a fox."""

from __future__ import annotations

import math

from gateway.demo.paint import Colour, Layer, Point, limb, mix, oval, smooth

DARK: Colour = (40, 28, 24)
SITTING_PX, ASLEEP_PX, WALKING_PX = (140, 172), (236, 118), (236, 152)
"""Nominal sizes."""


def cat(coat: Colour, pose: str, step: int = 0) -> Layer:
    """A cat in `pose`: `sit` (140 × 170 nominal pixels), `sleep` (230 × 110) or `walk` (230 × 150)."""
    if pose == "sleep":
        return _cat_asleep(coat, step)
    if pose == "walk":
        return _walker(coat, step, snout=5.0, tail="up")
    return _cat_sitting(coat, step)


def fox(step: int = 0) -> Layer:
    """A fox that trots to the right, 230 × 150 nominal pixels."""
    return _walker((190, 104, 54), step, snout=17.0, tail="brush")


def _cat_sitting(coat: Colour, step: int) -> Layer:
    layer = Layer(*SITTING_PX)
    dark, pale = mix(coat, DARK, 0.55), mix(coat, (255, 250, 240), 0.6)
    sway = math.sin(step * 1.9) * 6
    layer.part(limb([(96, 150), (124, 146 + sway), (130, 112), (120 + sway, 96)], [15, 14, 12, 8]), dark, soft=5)
    body = smooth([(70, 62), (96, 84), (108, 124), (106, 160), (70, 168), (34, 160), (32, 124), (44, 84)])
    layer.part(body, coat, soft=16, depth=0.6, grain=0.14)
    layer.part(smooth([(70, 78), (86, 92), (84, 124), (70, 136), (56, 124), (54, 92)]), pale, soft=8, grain=0.1)
    for side in (-1, 1):
        for n in range(3):
            y = 96 + n * 18
            layer.line(
                [(70 + side * 36, y), (70 + side * 26, y + 5), (70 + side * 18, y + 4)], dark, width=4, alpha=150
            )
        layer.part(oval(70 + side * 32, 148, 17, 19), coat, soft=8, grain=0.14)
        layer.part(limb([(70 + side * 13, 108), (70 + side * 13, 156)], [20, 17]), coat, soft=6, grain=0.14)
        layer.part(oval(70 + side * 14, 162, 13, 8), pale, soft=4)
    _cat_face(layer, (70 + sway * 0.3, 46), coat, awake=True)
    return layer


def _cat_face(layer: Layer, at: Point, coat: Colour, *, awake: bool) -> None:
    cx, cy = at
    dark, pale = mix(coat, DARK, 0.55), mix(coat, (255, 250, 240), 0.6)
    for side in (-1, 1):
        ear = [(cx + side * 10, cy - 22), (cx + side * 31, cy - 42), (cx + side * 33, cy - 8)]
        layer.part(ear, coat, soft=4, depth=0.6, grain=0.1)
        inner = [(cx + side * 17, cy - 22), (cx + side * 28, cy - 33), (cx + side * 29, cy - 14)]
        layer.flat(inner, (206, 150, 138))
    head = smooth(
        [
            (cx, cy - 27),
            (cx + 24, cy - 22),
            (cx + 35, cy),
            (cx + 26, cy + 20),
            (cx, cy + 29),
            (cx - 26, cy + 20),
            (cx - 35, cy),
            (cx - 24, cy - 22),
        ]
    )
    layer.part(head, coat, soft=11, depth=0.55, grain=0.14)
    for x0, y0, x1, y1 in ((0, -26, 0, -13), (-8, -25, -6, -14), (8, -25, 6, -14)):
        layer.line([(cx + x0, cy + y0), (cx + x1, cy + y1)], dark, width=3)
    for side in (-1, 1):
        for n in (0, 1):
            layer.line([(cx + side * 34, cy + 2 + n * 8), (cx + side * 23, cy + 5 + n * 6)], dark, width=3, alpha=170)
        layer.part(oval(cx + side * 7.5, cy + 14, 10, 8), pale, soft=4, depth=0.3)
        if awake:
            layer.flat(oval(cx + side * 14, cy - 2, 7.6, 6.6), DARK)
            layer.flat(oval(cx + side * 14, cy - 2, 6.4, 5.6), (186, 178, 74))
            layer.flat(oval(cx + side * 14, cy - 2, 2.2, 5.2), (18, 14, 12))
            layer.flat(oval(cx + side * 14 - 2, cy - 4, 1.5, 1.5), (255, 255, 255))
        else:
            layer.line([(cx + side * 8, cy), (cx + side * 14, cy + 3), (cx + side * 20, cy)], DARK, width=2)
        for n in (-1, 0, 1):
            layer.line(
                [(cx + side * 12, cy + 13 + n * 2), (cx + side * 40, cy + 11 + n * 6)], (240, 236, 228), width=0.8
            )
    layer.flat(smooth([(cx - 5, cy + 6), (cx + 5, cy + 6), (cx, cy + 11)]), (196, 112, 106))
    layer.line([(cx, cy + 11), (cx, cy + 15), (cx - 6, cy + 18)], DARK, width=1.4)
    layer.line([(cx, cy + 15), (cx + 6, cy + 18)], DARK, width=1.4)


def _cat_asleep(coat: Colour, step: int) -> Layer:
    layer = Layer(*ASLEEP_PX)
    dark, pale = mix(coat, DARK, 0.55), mix(coat, (255, 250, 240), 0.6)
    stretch = (step % 3) * 4
    layer.shadow(oval(118, 104, 100, 9), blur=5)
    layer.part(limb([(206, 84), (226, 96), (190, 107), (150 - stretch, 108)], [17, 16, 14, 9]), dark, soft=5, grain=0.1)
    body = smooth(
        [(52, 66), (84, 34 - stretch), (136, 22), (186, 36), (214, 72), (206, 100), (150, 108), (80, 108), (46, 96)]
    )
    layer.part(body, coat, soft=20, depth=0.62, grain=0.14)
    for n in range(6):
        x = 96 + n * 18
        top = 30 + abs(x - 140) * 0.16
        layer.line([(x, top), (x + 7, top + 18), (x + 5, top + 38)], dark, width=5, alpha=150)
    layer.part(smooth([(160, 66), (196, 68), (208, 92), (184, 106), (152, 98)]), coat, soft=10, depth=0.6, grain=0.14)
    layer.part(limb([(96, 100), (60, 104), (34 - stretch, 105)], [17, 15, 13]), coat, soft=6, grain=0.1)
    layer.part(oval(33 - stretch, 105, 10, 7), pale, soft=4)
    _cat_face(layer, (58, 70), coat, awake=False)
    return layer


def _walker(coat: Colour, step: int, *, snout: float, tail: str) -> Layer:
    layer = Layer(*WALKING_PX)
    brush = tail == "brush"
    dark, pale = mix(coat, DARK, 0.6), mix(coat, (255, 250, 240), 0.65)
    layer.shadow(oval(116, 146, 76, 5), blur=4, alpha=120)
    swing = math.sin(step * 1.6) * 16
    for x, phase in ((150, -1), (74, 1)):
        foot = x + phase * swing
        layer.part(limb([(x, 92), ((x + foot) / 2 + 4, 118), (foot, 143)], [21, 13, 10]), mix(coat, DARK, 0.35), soft=5)
    if brush:
        brush_line: list[Point] = [(52, 74), (24, 88), (8, 112)]
        layer.part(limb(brush_line, [14, 32, 12]), coat, soft=9, depth=0.6, grain=0.2)
        layer.part(oval(11, 110, 9, 11, turn=0.5), pale, soft=5, grain=0.1)
    else:
        layer.part(limb([(54, 74), (32, 62), (26, 30), (38, 12)], [14, 12, 11, 8]), dark, soft=4, grain=0.1)
    body = smooth(
        [(46, 72), (70, 56), (112, 60), (150, 52), (174, 66), (172, 96), (140, 106), (104, 100), (66, 104), (46, 94)]
    )
    layer.part(body, coat, soft=15, depth=0.65, grain=0.16)
    if not brush:
        for n in range(6):
            layer.line([(70 + n * 16, 60), (75 + n * 16, 76), (72 + n * 16, 90)], dark, width=4, alpha=140)
    for x, phase in ((162, 1), (62, -1)):
        foot = x + phase * swing
        layer.part(limb([(x, 90), ((x + foot) / 2 + 5, 118), (foot, 144)], [25, 15, 11]), coat, soft=6, grain=0.12)
        layer.part(oval(foot + 4, 145, 9, 5), dark if brush else pale, soft=3)
    layer.part(limb([(160, 74), (184, 54)], [36, 30]), coat, soft=9, grain=0.14)
    _side_head(layer, coat, snout)
    return layer


def _side_head(layer: Layer, coat: Colour, snout: float) -> None:
    dark, pale = mix(coat, DARK, 0.6), mix(coat, (255, 250, 240), 0.65)
    layer.part([(180, 36), (176, 8), (194, 26)], mix(coat, DARK, 0.3), soft=3)
    head = smooth(
        [(170, 44), (182, 26), (202, 28), (212 + snout * 0.4, 42), (214 + snout, 52), (206, 60), (184, 66), (172, 58)]
    )
    layer.part(head, coat, soft=9, depth=0.55, grain=0.12)
    layer.part(smooth([(196, 52), (212 + snout, 53), (206, 61), (188, 64)]), pale, soft=4)
    layer.part([(190, 34), (198, 6), (210, 30)], coat, soft=4, depth=0.6)
    layer.flat([(195, 30), (199, 14), (205, 29)], dark)
    layer.flat(oval(202, 42, 3.6, 3.2), DARK)
    layer.flat(oval(201, 41, 1.1, 1.1), (255, 255, 255))
    layer.flat(oval(214 + snout, 51, 3.6, 3), DARK)
