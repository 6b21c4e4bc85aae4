"""Animals of the simulated home: a cat that lies about, and a fox."""

from __future__ import annotations

import math

from gateway.demo.paint import Colour, Layer, Point, limb, mix, oval, smooth

DARK: Colour = (40, 28, 24)
LYING_PX, WALKING_PX = (250, 130), (236, 152)
"""Nominal sizes."""


def cat(coat: Colour, pose: str, step: int = 0) -> Layer:
    """A cat that lies, head up front, in `pose`: `sleep` or `lie` (awake)."""
    layer = Layer(*LYING_PX)
    dark, pale = mix(coat, DARK, 0.34), mix(coat, (255, 250, 240), 0.9)
    stretch = (step % 3) * 4
    layer.shadow(oval(125, 118, 100, 9), blur=5)
    layer.part(
        limb([(212, 96), (232, 108), (196, 120), (150 - stretch, 121)], [17, 16, 14, 9]), dark, soft=5, grain=0.1
    )
    back = [(58, 80), (88, 63 - stretch), (140, 49), (190, 63), (218, 86)]
    body = smooth([*back, (210, 114), (156, 121), (84, 121), (52, 110)])
    layer.part(body, coat, soft=20, depth=0.38, grain=0.3)
    for n in range(6):
        x = 100 + n * 18
        top = 57 + abs(x - 144) * 0.16
        layer.line([(x, top), (x + 7, top + 18), (x + 5, top + 38)], dark, width=5, alpha=150)
    haunch = smooth([(166, 80), (202, 82), (212, 106), (188, 120), (156, 112)])
    layer.part(haunch, coat, soft=10, depth=0.38, grain=0.3)
    layer.part(limb([(100, 112), (64, 118), (36 - stretch, 119)], [17, 15, 13]), coat, soft=6, grain=0.1)
    layer.part(oval(35 - stretch, 119, 10, 7), pale, soft=4)
    _cat_face(layer, (58, 99), coat, awake=pose == "lie")
    return layer


def _cat_face(layer: Layer, at: Point, coat: Colour, *, awake: bool) -> None:
    """The proportions are those that a detector takes for a cat's, found by trying (YOLOX-nano, 0.73 and more)."""
    cx, cy = at
    dark, pale = mix(coat, DARK, 0.34), mix(coat, (255, 250, 240), 0.9)

    def here(x: float, y: float) -> Point:
        return cx + 0.85 * x, cy + 0.857 * y

    for side in (-1, 1):
        ear = [here(side * 8, -20), here(side * 23, -58), here(side * 33, -6)]
        layer.part(ear, coat, soft=4, depth=0.6, grain=0.3)
        inner = [here(side * 14, -21), here(side * 23, -48), here(side * 28, -12)]
        layer.flat(inner, mix((206, 150, 138), coat, 0.85))
    right = [here(24, -22), here(35, 0), here(26, 20)]
    left = [here(-26, 20), here(-35, 0), here(-24, -22)]
    layer.part(smooth([here(0, -27), *right, here(0, 24.7), *left]), coat, soft=9.4, depth=0.38, grain=0.3)
    for top, bottom in ((0, 0), (-8, -6), (8, 6)):
        layer.line([here(top, -25), here(bottom, -12)], dark, width=2.6)
    for side in (-1, 1):
        for n in (0, 1):
            layer.line([here(side * 34, 2 + n * 8), here(side * 22, 5 + n * 6)], dark, width=2.6, alpha=170)
        layer.part(oval(*here(side * 6.1, 14), 9.1, 7.3), pale, soft=4, depth=0.3)
        if awake:
            eye = here(side * 14, -2)
            layer.flat(oval(*eye, 3.7, 3.2), DARK)
            layer.flat(oval(*eye, 3.1, 2.8), (90, 120, 60))
            layer.flat(oval(*eye, 1.9, 2.6), (18, 14, 12))
            layer.flat(oval(eye[0] - 2, eye[1] - 1.7, 1.3, 1.3), (255, 255, 255))
        else:
            layer.line([here(side * 8, -1), here(side * 14, 2), here(side * 20, -1)], DARK, width=2.6)
        for n in (-1, 0, 1):
            layer.line([here(side * 12, 13 + n * 2), here(side * 44, 11 + n * 6)], (240, 236, 228), width=0.8)
    layer.flat(smooth([here(-5, 6), here(5, 6), here(0, 11)]), (196, 112, 106))
    layer.line([here(0, 11), here(0, 15), here(-6, 18)], DARK, width=1.4)
    layer.line([here(0, 15), here(6, 18)], DARK, width=1.4)


def fox(step: int = 0) -> Layer:
    """A fox that trots to the right."""
    coat: Colour = (190, 104, 54)
    layer = Layer(*WALKING_PX)
    dark, pale = mix(coat, DARK, 0.6), mix(coat, (255, 250, 240), 0.65)
    layer.shadow(oval(116, 146, 76, 5), blur=4, alpha=120)
    swing = math.sin(step * 1.6) * 16
    for x, phase in ((150, -1), (74, 1)):
        foot = x + phase * swing
        layer.part(limb([(x, 92), ((x + foot) / 2 + 4, 118), (foot, 143)], [21, 13, 10]), mix(coat, DARK, 0.35), soft=5)
    layer.part(limb([(52, 74), (24, 88), (8, 112)], [14, 32, 12]), coat, soft=9, depth=0.6, grain=0.2)
    layer.part(oval(11, 110, 9, 11, turn=0.5), pale, soft=5, grain=0.1)
    back = [(46, 72), (70, 56), (112, 60), (150, 52), (174, 66)]
    body = smooth([*back, (172, 96), (140, 106), (104, 100), (66, 104), (46, 94)])
    layer.part(body, coat, soft=15, depth=0.65, grain=0.16)
    for x, phase in ((162, 1), (62, -1)):
        foot = x + phase * swing
        layer.part(limb([(x, 90), ((x + foot) / 2 + 5, 118), (foot, 144)], [25, 15, 11]), coat, soft=6, grain=0.12)
        layer.part(oval(foot + 4, 145, 9, 5), dark, soft=3)
    layer.part(limb([(160, 74), (184, 54)], [36, 30]), coat, soft=9, grain=0.14)
    _fox_head(layer, coat)
    return layer


def _fox_head(layer: Layer, coat: Colour) -> None:
    dark, pale = mix(coat, DARK, 0.6), mix(coat, (255, 250, 240), 0.65)
    layer.part([(180, 36), (176, 8), (194, 26)], mix(coat, DARK, 0.3), soft=3)
    brow = [(170, 44), (182, 26), (202, 28), (219, 42), (231, 52)]
    layer.part(smooth([*brow, (206, 60), (184, 66), (172, 58)]), coat, soft=9, depth=0.55, grain=0.12)
    layer.part(smooth([(196, 52), (229, 53), (206, 61), (188, 64)]), pale, soft=4)
    layer.part([(190, 34), (198, 6), (210, 30)], coat, soft=4, depth=0.6)
    layer.flat([(195, 30), (199, 14), (205, 29)], dark)
    layer.flat(oval(202, 42, 3.6, 3.2), DARK)
    layer.flat(oval(201, 41, 1.1, 1.1), (255, 255, 255))
    layer.flat(oval(231, 51, 3.6, 3), DARK)
