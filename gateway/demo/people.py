"""People of the simulated home, seen from the front: standing, walking, carrying, seated at a table.

A standing grown-up is 300 nominal pixels high, feet at the bottom; a seated one shows what is above the table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gateway.demo.paint import Colour, Layer, Point, limb, mix, oval, rect, smooth

WIDTH_PX, HEIGHT_PX = 170, 324
"""Nominal pixels; the feet stand at y = 322."""
STEPS = 4


@dataclass(frozen=True, slots=True)
class Look:
    """How a person looks."""

    skin: Colour = (224, 172, 138)
    hair: Colour = (74, 46, 30)
    hair_style: str = "short"
    """`short`, `bun`, `long` or `cap`."""
    top: Colour = (186, 84, 58)
    legs: Colour = (58, 66, 90)
    cap: Colour = (74, 110, 78)
    child: bool = False


def person(look: Look, pose: str, step: int = 0) -> Layer:
    """Someone in `pose`: `stand`, `walk`, `carry`, `wave`, `seat`, `sofa`; `step` moves the limbs.

    There are four steps, repeated, so that few pictures serve a whole day.
    """
    layer = Layer(WIDTH_PX, HEIGHT_PX, origin=(0, 14))
    step %= STEPS
    swing = math.sin(step * 1.7) * 7
    cx = WIDTH_PX / 2 + math.sin(step * 0.9) * 2
    if pose == "sofa":
        _legs_bent(layer, look, cx)
    elif pose != "seat":
        _legs(layer, look, cx, swing if pose == "walk" else swing * 0.25)
    behind = pose in ("carry", "seat", "sofa")
    if not behind:
        _arms(layer, look, cx, pose, swing)
    _torso(layer, look, cx, seated=pose == "seat")
    if behind:
        _arms(layer, look, cx, pose, swing)
    _head(layer, look, cx + math.sin(step * 1.3) * 1.5, tilt=math.sin(step * 2.1) * 0.06)
    return layer


def _legs(layer: Layer, look: Look, cx: float, swing: float) -> None:
    for side in (-1, 1):
        hip = (cx + side * 12, 156.0)
        knee = (cx + side * 14 + side * swing * 0.2, 218.0 - max(0.0, side * swing) * 0.5)
        ankle = (cx + side * 14 + side * swing * 0.1, 286.0 - max(0.0, side * swing))
        layer.part(limb([hip, knee, ankle], [27, 22, 17]), look.legs, soft=7, depth=0.6, grain=0.05)
        shoe = smooth(
            [
                (ankle[0] - 8, ankle[1] + 2),
                (ankle[0] + 8, ankle[1] + 2),
                (ankle[0] + 10 + side * 4, ankle[1] + 19),
                (ankle[0] - 10 + side * 4, ankle[1] + 19),
            ]
        )
        layer.part(shoe, (58, 42, 36), soft=4, depth=0.6)


def _legs_bent(layer: Layer, look: Look, cx: float) -> None:
    for side in (-1, 1):
        foot = (cx + side * 24, 268.0)
        layer.part(limb([(cx + side * 26, 190.0), foot], [25, 18]), mix(look.legs, (0, 0, 0), 0.2), soft=7, depth=0.6)
        layer.part(oval(foot[0] + side * 3, foot[1] + 10, 13, 9), (58, 42, 36), soft=4)
        layer.part(limb([(cx + side * 14, 160.0), (cx + side * 26, 190.0)], [33, 31]), look.legs, soft=8, grain=0.05)


def _torso(layer: Layer, look: Look, cx: float, *, seated: bool) -> None:
    layer.part(rect(cx - 8, 44, cx + 8, 66, r=5), mix(look.skin, (120, 70, 50), 0.25), soft=4)
    low = 200 if seated else 166
    body = smooth(
        [
            (cx, 57),
            (cx + 20, 60),
            (cx + 36, 70),
            (cx + 34, 104),
            (cx + 29, 138),
            (cx + 31, low),
            (cx, low + 3),
            (cx - 31, low),
            (cx - 29, 138),
            (cx - 34, 104),
            (cx - 36, 70),
            (cx - 20, 60),
        ]
    )
    layer.part(body, look.top, soft=13, depth=0.6, grain=0.06)
    fold = mix(look.top, (20, 10, 10), 0.45)
    for x0, y0, x1, y1 in ((-24, 92, -17, 128), (23, 96, 16, 132), (-10, 138, -16, 158), (9, 140, 15, 160)):
        layer.line([(cx + x0, y0), (cx + (x0 + x1) / 2 + 2, (y0 + y1) / 2), (cx + x1, y1)], fold, width=1.4, alpha=110)
    layer.part(smooth([(cx - 13, 57), (cx, 66), (cx + 13, 57), (cx + 8, 53), (cx - 8, 53)]), fold, soft=2)
    layer.part(smooth([(cx - 8, 52), (cx, 60), (cx + 8, 52), (cx + 4, 46), (cx - 4, 46)]), look.skin, soft=3)


def _arms(layer: Layer, look: Look, cx: float, pose: str, swing: float) -> None:
    for side in (-1, 1):
        shoulder: Point = (cx + side * 32, 76.0)
        elbow: Point = (cx + side * (41 + swing * 0.1), 120.0)
        hand: Point = (cx + side * (40 + side * swing * 0.4), 162.0 - abs(swing) * 0.4)
        if pose == "carry":
            elbow, hand = (cx + side * 42, 118.0), (cx + side * 30, 142.0)
        elif pose in ("seat", "sofa"):
            elbow, hand = (cx + side * 46, 128.0 + side * swing), (cx + side * (20 + swing), 156.0 - side * swing)
        elif pose == "wave" and side == 1:
            elbow, hand = (cx + 56, 100.0), (cx + 60 + swing, 56.0)
        layer.part(oval(hand[0], hand[1] + 4, 8, 10), look.skin, soft=4)
        layer.part(limb([shoulder, elbow, hand], [21, 18, 14]), look.top, soft=6, depth=0.6, grain=0.06)


def _head(layer: Layer, look: Look, cx: float, *, tilt: float) -> None:
    grow = 1.22 if look.child else 1.0
    cy = 30.0 - (grow - 1) * 12
    rx, ry = 16.5 * grow, 21 * grow
    if look.hair_style in ("long", "bun"):
        back = 14 if look.hair_style == "long" else 0
        tail = smooth(
            [
                (cx, cy - ry - 5),
                (cx + rx + 5, cy - 6),
                (cx + rx + 4, cy + ry * 0.5 + back),
                (cx, cy + ry * 0.6 + back),
                (cx - rx - 4, cy + ry * 0.5 + back),
                (cx - rx - 5, cy - 6),
            ]
        )
        layer.part(tail, mix(look.hair, (0, 0, 0), 0.2), soft=6)
    if look.hair_style == "bun":
        layer.part(oval(cx + 2, cy - ry - 7, 10 * grow, 9 * grow), look.hair, soft=4)
    for side in (-1, 1):
        layer.part(oval(cx + side * rx, cy + 3, 3.4, 6), mix(look.skin, (150, 70, 50), 0.25), soft=2)
    face = smooth(
        [
            (cx, cy - ry),
            (cx + rx, cy - 8),
            (cx + rx * 0.92, cy + 8),
            (cx + rx * 0.5, cy + ry * 0.9),
            (cx, cy + ry),
            (cx - rx * 0.5, cy + ry * 0.9),
            (cx - rx * 0.92, cy + 8),
            (cx - rx, cy - 8),
        ]
    )
    layer.part(face, look.skin, soft=8, depth=0.42)
    _features(layer, look, cx + tilt * 20, cy, grow)
    if look.hair_style == "cap":
        layer.part(
            smooth(
                [
                    (cx - rx - 1, cy - 6),
                    (cx - rx, cy - 20),
                    (cx, cy - ry - 6),
                    (cx + rx, cy - 20),
                    (cx + rx + 1, cy - 6),
                ]
            ),
            look.cap,
            soft=6,
        )
        layer.part(
            smooth([(cx - rx, cy - 9), (cx, cy - 12), (cx + rx, cy - 9), (cx, cy - 4)]),
            mix(look.cap, (0, 0, 0), 0.3),
            soft=2,
        )
        return
    fringe = smooth(
        [
            (cx - rx - 2, cy + 1),
            (cx - rx - 2, cy - 14),
            (cx - 6, cy - ry - 5),
            (cx + rx - 2, cy - 18),
            (cx + rx + 2, cy - 2),
            (cx + rx - 3, cy - 9),
            (cx + 4, cy - 13),
            (cx - rx + 3, cy - 8),
        ]
    )
    layer.part(fringe, look.hair, soft=5, depth=0.7, grain=0.1)


def _features(layer: Layer, look: Look, cx: float, cy: float, grow: float) -> None:
    dark = (44, 30, 26)
    for side in (-1, 1):
        x = cx + side * 6.6 * grow
        layer.flat(oval(x, cy - 1, 3.4, 2.1), (246, 240, 234))
        layer.flat(oval(x, cy - 1, 1.7, 2.0), dark)
        layer.line([(x - 4, cy - 6.2), (x, cy - 7.6), (x + 4, cy - 6.2)], mix(look.hair, dark, 0.4), width=1.5)
        layer.flat(oval(cx + side * 8, cy + 7, 4, 3), (214, 110, 90), alpha=60)
    layer.line([(cx - 1, cy), (cx + 2.2, cy + 6), (cx - 1.5, cy + 7)], mix(look.skin, (110, 50, 40), 0.5), width=1.2)
    layer.line([(cx - 5, cy + 12), (cx, cy + 13.6), (cx + 5, cy + 12)], (152, 66, 58), width=1.8)
