"""Scenes of made-up homes to learn captions from, and what of each thing can really be seen in the picture.

Half are what happens in a home's own day; half are put together by chance from the same people, animals and things, in
places and light where the day's script never has them, so that nothing is learnt from the script alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gateway.demo.cast import Cast, cast
from gateway.demo.home import DAY_US, SECOND_US, Home
from gateway.demo.render import FRONT, Item, Light, Scene, sprite
from gateway.demo.rooms import CAMERAS, HEIGHT_PX, WIDTH_PX, room
from gateway.demo.script import light

TRAIN_SEEDS = range(30_001, 30_029)
CHECK_SEEDS = range(30_101, 30_105)
"""By which training is stopped and the gate is set."""
UNSEEN_SEEDS = range(30_201, 30_207)
"""By which it is measured (`tests/bench/captions.py`): no training and no limit has seen them. None of the three is the
demo's, nor of another suite."""
ENDS_AT_US = 1_775_000_000 * SECOND_US - 1_775_000_000 * SECOND_US % DAY_US
_SEEN_SHARE, _SEEN_PX = 0.25, 260
"""Of a thing so much must be visible to count as seen: a share of it, and pixels of 800 × 600."""

Chance: TypeAlias = np.random.Generator


@dataclass(frozen=True, slots=True)
class View:
    """A scene in front of a camera, at an instant (µs UTC)."""

    camera: str
    at_us: int
    scene: Scene


def of_a_day(seed: int) -> list[View]:
    """Everything that this home's cameras photograph in 24 hours."""
    return [View(shot.camera, shot.at_us, shot.scene) for shot in Home(seed, ends_at_us=ENDS_AT_US).shots]


def busy_and_quiet(seed: int, *, quiet: int) -> Iterator[View]:
    """Of a home's day every frame in which something happens, and `quiet` of each camera spread over the rest."""
    shots = Home(seed, ends_at_us=ENDS_AT_US).shots
    for camera in CAMERAS:
        still = [shot for shot in shots if shot.camera == camera and shot.event is None]
        kept = {int(n) for n in np.linspace(0, len(still) - 1, quiet)}
        mine = [shot for shot in shots if shot.camera == camera and shot.event is not None]
        mine += [shot for n, shot in enumerate(still) if n in kept]
        yield from (View(camera, shot.at_us, shot.scene) for shot in sorted(mine, key=lambda one: one.at_us))


def by_chance(seed: int, *, each: int, lights: int) -> Iterator[View]:
    """For each camera `each` made-up scenes of one home, everyone of them in `lights` kinds of light."""
    who = cast(seed)
    for place, camera in enumerate(CAMERAS):
        chance = np.random.default_rng((seed, place))
        for n in range(each):
            items = tuple(_SETS[camera](chance, who))
            for again in range(lights):
                at_us = ENDS_AT_US - (n * lights + again) * 60 * SECOND_US
                yield View(camera, at_us, Scene(who.theme, _light(chance, camera), items))


def seen(view: View) -> list[Item]:
    """The things of which enough is visible, from the left to the right. What hides what follows the renderer's
    order: by depth, with a room's own front (the table) before everything of less depth than `FRONT`."""
    owner = np.zeros((HEIGHT_PX, WIDTH_PX), np.int16)
    front = room(view.camera, view.scene.theme).front
    items = sorted(view.scene.items, key=lambda one: one.depth)
    whole = []
    before_front = sum(item.depth < FRONT for item in items)
    for n, item in enumerate(items):
        if n == before_front and front is not None:
            owner[np.asarray(front.getchannel("A")) > 127] = 0
        mask, (left, top) = _mask(item)
        whole.append(int(mask.sum()))
        part = owner[max(0, top) : top + mask.shape[0], max(0, left) : left + mask.shape[1]]
        y, x = max(0, -top), max(0, -left)
        part[mask[y : y + part.shape[0], x : x + part.shape[1]]] = n + 1
    if before_front == len(items) and front is not None:
        owner[np.asarray(front.getchannel("A")) > 127] = 0
    counts = np.bincount(owner.ravel(), minlength=len(items) + 1)[1:]
    kept = [
        item
        for item, visible, total in zip(items, counts, whole, strict=True)
        if visible >= _SEEN_PX and visible >= _SEEN_SHARE * total
    ]
    return sorted(kept, key=lambda one: one.x)


def _mask(item: Item) -> tuple[npt.NDArray[np.bool_], tuple[int, int]]:
    drawn = sprite(item)
    return np.asarray(drawn.getchannel("A")) > 127, (round(item.x - drawn.width / 2), round(item.y - drawn.height))


def _light(chance: Chance, camera: str) -> Light:
    if chance.random() < 0.6:
        return light(camera, float(chance.uniform(0, 24 * 60)))
    lit = chance.random() < 0.5
    day = float(chance.choice((0.0, 0.0, 0.12, 0.2, 0.35, 0.6, 0.9, 1.0)))
    return Light(day, 1.0 if lit else 0.0, 1.0 if camera == "porch" and chance.random() < 0.5 else 0.0)


def _spread(chance: Chance, count: int, low: float, high: float) -> list[float]:
    """Places in a row, far enough apart to be told from each other."""
    slots = np.linspace(low, high, max(count, 2) + 1)
    middles = (slots[:-1] + slots[1:]) / 2
    room_px = (slots[1] - slots[0]) / 2
    kept = sorted(chance.choice(len(middles), count, replace=False)) if count else []
    return [float(middles[n] + chance.uniform(-0.5, 0.5) * room_px) for n in kept]


def _looks(chance: Chance, who: Cast, count: int) -> list[Item]:
    looks = [who.first_look, who.second_look, who.child_look, who.courier_look, who.guest_look]
    found = chance.choice(5, count, replace=False, p=(0.24, 0.22, 0.26, 0.16, 0.12))
    return [Item("person", 0, 0, look=looks[n], step=int(chance.integers(4))) for n in found]


def _on_foot(chance: Chance, who: Cast, *, low_y: float, scale: float, depth: int = 20) -> list[Item]:
    count = int(chance.choice(4, p=(0.3, 0.34, 0.24, 0.12)))
    people = _looks(chance, who, count)
    found = []
    for x, one in zip(_spread(chance, count, 90, 710), people, strict=True):
        assert one.look is not None
        pose = str(chance.choice(("walk", "stand", "carry", "wave"), p=(0.42, 0.13, 0.22, 0.23)))
        size = scale * float(chance.uniform(0.92, 1.08)) * (0.76 if one.look.child else 1.0)
        y = low_y + float(chance.uniform(-14, 16))
        found.append(replace(one, x=x, y=y, scale=round(size, 2), depth=depth, pose=pose))
        if pose == "carry":
            lines = who.parcel if chance.random() < 0.5 else who.parcel_later
            box_y = y - 300 * size * 0.38 + float(chance.uniform(-6, 14))
            found.append(Item("parcel", x, box_y, round(0.74 * min(1.0, size), 2), 40, lines=lines))
    return found


def _some(chance: Chance, share: float) -> bool:
    return bool(chance.random() < share)


def _around(chance: Chance, x: float, y: float, *, by: float = 40) -> tuple[float, float]:
    return x + float(chance.uniform(-by, by)), y + float(chance.uniform(-by, by)) / 6


def _cat(chance: Chance, who: Cast, y: float) -> Item:
    x, scale = float(chance.uniform(150, 650)), round(float(chance.uniform(0.85, 1.25)), 2)
    step, pose = int(chance.integers(3)), "lie" if _some(chance, 0.5) else "sleep"
    return Item("cat", x, y + float(chance.uniform(-12, 14)), scale, 30, step, _some(chance, 0.5), who.cat, pose)


def _kitchen(chance: Chance, who: Cast) -> Iterator[Item]:
    if _some(chance, 0.85):
        yield Item("note", 714, 270, 0.92, 5, lines=who.shopping)
    if _some(chance, 0.55):
        count = int(chance.choice((1, 2, 3), p=(0.35, 0.35, 0.3)))
        for x, one in zip(_spread(chance, count, 160, 640), _looks(chance, who, count), strict=True):
            assert one.look is not None
            scale = 1.25 if one.look.child else 1.5
            yield replace(one, x=x, y=660 if one.look.child else 680, scale=scale, depth=12, pose="seat")
    elif _some(chance, 0.7):
        yield from _on_foot(chance, who, low_y=690, scale=1.5, depth=12)
    shape = (("bowl", 0.5, 1.1), ("bowl", 0.25, 1.1), ("cup", 0.45, 1.0), ("pot", 0.25, 1.05))
    places = _spread(chance, 6, 110, 700)
    chance.shuffle(places)
    for (what, share, scale), x in zip(shape, places, strict=False):
        if _some(chance, share):
            yield Item(what, x, 550 + float(chance.uniform(-20, 30)), scale, FRONT + 10, colour=_tint(chance, who))
    if _some(chance, 0.3):
        yield _book(chance, who, places[4])
    if _some(chance, 0.25):
        yield Item("parcel", places[5], 588, 0.98, FRONT + 10, lines=who.parcel)


def _tint(chance: Chance, who: Cast) -> tuple[int, int, int]:
    return who.bicycle if _some(chance, 0.4) else tuple(int(v) for v in chance.integers(40, 220, 3))  # type: ignore[return-value]


def _book(chance: Chance, who: Cast, x: float) -> Item:
    lines = who.book if _some(chance, 0.5) else who.book_later
    return Item("book", x, 588 + float(chance.uniform(-8, 10)), 1.0, FRONT + 10, colour=_tint(chance, who), lines=lines)


def _hall(chance: Chance, who: Cast) -> Iterator[Item]:
    if _some(chance, 0.85):
        yield Item("note", 310, 152, 0.92, 4, lines=who.hall_note)
    coats = int(chance.choice((0, 1, 3), p=(0.25, 0.35, 0.4)))
    if coats:
        colours = who.coats[1:2] if coats == 1 else who.coats
        yield Item("coats", 268 if coats == 1 else 310, 392, 1.0, 5, colours=colours)
    yield from _on_foot(chance, who, low_y=564, scale=1.35)
    if _some(chance, 0.2):
        yield _cat(chance, who, 566)


def _living_room(chance: Chance, who: Cast) -> Iterator[Item]:
    if _some(chance, 0.55):
        count = int(chance.choice((1, 2, 3), p=(0.45, 0.4, 0.15)))
        for x, one in zip(_spread(chance, count, 190, 560), _looks(chance, who, count), strict=True):
            assert one.look is not None
            scale = 1.3 * (0.76 if one.look.child else 1.0)
            yield replace(one, x=x, y=572 - (30 if one.look.child else 0), scale=scale, depth=22, pose="sofa")
    elif _some(chance, 0.4):
        yield from _on_foot(chance, who, low_y=586, scale=1.35)
    if _some(chance, 0.35):
        yield _cat(chance, who, 446 if _some(chance, 0.5) else 582)
    if _some(chance, 0.3):
        yield replace(_book(chance, who, 690), scale=1.0)


def _porch(chance: Chance, who: Cast) -> Iterator[Item]:
    if _some(chance, 0.4):
        yield Item("note", 660, 296, 0.95, 8, lines=who.door_note)
    yield from _on_foot(chance, who, low_y=584, scale=1.42)
    if _some(chance, 0.35):
        x, y = _around(chance, 412, 566, by=120)
        yield Item("parcel", x, y, 1.0, 30, lines=who.parcel if _some(chance, 0.5) else who.parcel_later)
    if _some(chance, 0.12):
        yield _cat(chance, who, 574)


def _driveway(chance: Chance, who: Cast) -> Iterator[Item]:
    if _some(chance, 0.9):
        yield Item("sign", 136, 412, 0.95, 8, lines=who.street)
    if _some(chance, 0.5):
        yield Item("car", 520, 470, 1.1, 20, colour=who.car)
    elif _some(chance, 0.4):
        scale = round(float(chance.uniform(1.1, 1.25)), 2)
        yield Item("car", float(chance.uniform(130, 560)), 500, scale, 30, 0, _some(chance, 0.5), who.car)
    if _some(chance, 0.2):
        yield Item("van", float(chance.uniform(440, 580)), 500, 1.15, 30, colour=who.van, lines=who.van_lines)
    yield from _on_foot(chance, who, low_y=520, scale=1.0, depth=31)
    if _some(chance, 0.22):
        yield Item("bicycle", float(chance.uniform(180, 660)), 476, 0.95, 32, colour=who.bicycle)
    if _some(chance, 0.18):
        yield Item("fox", float(chance.uniform(60, 700)), 503, 1.15, 30, int(chance.integers(8)))
    if _some(chance, 0.1):
        yield _cat(chance, who, 540)


_SETS: dict[str, Callable[[Chance, Cast], Iterator[Item]]] = {
    "kitchen": _kitchen,
    "hall": _hall,
    "living-room": _living_room,
    "porch": _porch,
    "driveway": _driveway,
}


def homes(seeds: Sequence[int], *, quiet: int, each: int, lights: int) -> Iterator[View]:
    """The views of several homes, one home after the other."""
    for seed in seeds:
        yield from busy_and_quiet(seed, quiet=quiet)
        yield from by_chance(seed, each=each, lights=lights)
