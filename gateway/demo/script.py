"""One day in the simulated home: what happens, what stands where for how long, what is heard.

Times are minutes after local midnight. A day that is longer than what has passed of today began yesterday: the
script is the same every day, so whatever moment it is started at, the last 24 hours hold all of it once.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TypeAlias

from gateway.demo.cast import Cast
from gateway.demo.people import Look
from gateway.demo.render import FRONT, Item, Light

Items: TypeAlias = tuple[Item, ...]
Frames: TypeAlias = tuple[tuple[float, Items], ...]


@dataclass(frozen=True, slots=True)
class Act:
    """Something happens in front of a camera."""

    name: str
    camera: str
    at_min: float
    frames: Frames
    """(seconds after the beginning, what there is besides what stays)."""


@dataclass(frozen=True, slots=True)
class Stay:
    """Something stands still in front of a camera from one time to another, over midnight where `to` is smaller."""

    camera: str
    from_min: float
    to_min: float
    item: Item

    def there(self, minute: float) -> bool:
        """True where the thing stands at this minute of the day."""
        if self.from_min <= self.to_min:
            return self.from_min <= minute < self.to_min
        return minute >= self.from_min or minute < self.to_min


@dataclass(frozen=True, slots=True)
class Heard:
    """Something to be heard at a camera: `voice` says the words, `doorbell`, `knock` and `rain` have none."""

    camera: str
    at_min: float
    what: str
    words: str = ""


@dataclass(frozen=True, slots=True)
class Missed:
    """A camera loses what it takes between two times."""

    camera: str
    from_min: float
    to_min: float
    frames: int
    why: str


@dataclass(frozen=True, slots=True)
class Day:
    """Everything that happens."""

    acts: tuple[Act, ...]
    stays: tuple[Stay, ...]
    heard: tuple[Heard, ...]
    missed: tuple[Missed, ...]


def hm(hours: int, minutes: float) -> float:
    """Minutes after midnight."""
    return hours * 60 + minutes


def light(camera: str, minute: float) -> Light:
    """How a camera's place is lit at this minute of the day."""
    day = _ramp(minute, hm(6, 48), hm(7, 12)) - _ramp(minute, hm(17, 36), hm(18, 2))
    day = round(day * (0.95 + 0.05 * _ramp(minute, hm(8, 0), hm(13, 0))) * 24) / 24
    lit = any(start <= minute < end for start, end in _LAMPS[camera])
    hall_lit = any(start <= minute < end for start, end in _LAMPS["hall"])
    level = 0.55 if camera == "driveway" else 1.0
    return Light(day, level if lit else 0.0, 1.0 if camera == "porch" and hall_lit else 0.0)


def day(who: Cast, seed: int) -> Day:
    """The script for this family; the seed moves its times by some minutes."""
    late = random.Random(seed * 104729 + 5)  # noqa: S311  (a story, not a secret)
    breakfast = hm(7, 26) + late.uniform(-6, 4)
    parcel = hm(11, 6) + late.uniform(-14, 14)
    fetched = hm(12, 40) + late.uniform(-8, 8)
    cat_from, cat_to = hm(13, 52) + late.uniform(-5, 5), hm(14, 37) + late.uniform(-5, 5)
    home = hm(16, 44) + late.uniform(-8, 6)
    supper = hm(18, 4) + late.uniform(-3, 5)
    left = breakfast + 36
    acts = (
        *_night(who),
        *_morning(who, breakfast, left),
        *_parcel(who, parcel, fetched),
        *_afternoon(who, cat_from, cat_to, home),
        *_evening(who, supper),
    )
    stays = _stays(who, left, parcel, fetched, home) + _more_stays(who, breakfast, fetched, (cat_from, cat_to), supper)
    heard = (
        Heard("porch", parcel + 0.3, "doorbell"),
        Heard("porch", parcel + 0.5, "voice", f"Parcel for {who.parcel[0].split()[-1].capitalize()}."),
        Heard("porch", parcel + 0.55, "voice", "I will leave it on the mat."),
        Heard("kitchen", fetched + 12, "voice", "The books came."),
        Heard("kitchen", fetched + 12.05, "voice", f"{who.first}, look on the table."),
        Heard("porch", hm(15, 10), "rain"),
        Heard("porch", hm(15, 40), "rain"),
        Heard("kitchen", supper + 2, "voice", f"Supper is ready, {who.child}."),
        Heard("porch", hm(20, 11.5), "knock"),
    )
    return Day(acts, stays, heard, (Missed("porch", home + 34, home + 66, 14, "card-full"),))


_LAMPS: dict[str, tuple[tuple[float, float], ...]] = {
    "kitchen": ((hm(6, 46), hm(7, 14)), (hm(17, 32), hm(21, 20))),
    "hall": ((hm(17, 40), hm(22, 24)),),
    "living-room": ((hm(17, 44), hm(22, 8)),),
    "porch": ((hm(17, 46), hm(22, 50)),),
    "driveway": ((hm(17, 46), hm(22, 50)),),
}


def _ramp(value: float, start: float, end: float) -> float:
    share = min(1.0, max(0.0, (value - start) / (end - start)))
    return share * share * (3 - 2 * share)


def _person(look: Look, x: float, y: float, pose: str = "walk", *, scale: float = 1.35, step: int = 0) -> Item:
    return Item("person", x, y, scale * (0.76 if look.child else 1.0), 20, step, look=look, pose=pose)


def _seated(look: Look, x: float, step: int) -> Item:
    return Item("person", x, 660 if look.child else 680, 1.25 if look.child else 1.5, 12, step, look=look, pose="seat")


def _walk(look: Look, xs: tuple[float, ...], y: float, *, every_s: float, scale: float) -> Frames:
    return tuple((n * every_s, (_person(look, x, y, scale=scale, step=n + 1),)) for n, x in enumerate(xs))


def _behind_table(frames: Frames) -> Frames:
    return tuple((offset_s, tuple(replace(item, depth=12) for item in items)) for offset_s, items in frames)


def _night(who: Cast) -> tuple[Act, ...]:
    fox = tuple(
        (n * 7.0, (Item("fox", x, 500 + 6 * (n % 2), 1.15, 30, n),))
        for n, x in enumerate((40.0, 150.0, 270.0, 400.0, 540.0, 680.0))
    )
    prowl = tuple(
        (n * 9.0, (Item("cat", x, 560, 0.9, 30, n, colour=who.cat, pose="walk"),))
        for n, x in enumerate((260.0, 420.0, 590.0))
    )
    return (Act("a fox crosses", "driveway", hm(3, 14), fox), Act("the cat prowls", "hall", hm(5, 48), prowl))


def _morning(who: Cast, breakfast: float, left: float) -> tuple[Act, ...]:
    first, second, child = who.first_look, who.second_look, who.child_look
    table = []
    for n in range(9):
        people = [_seated(first, 236 + (n % 3) * 10, n)]
        if n >= 1:
            people.append(_seated(child, 400 + (n % 2) * 14, n + 1))
        if 2 <= n < 8:
            people.append(_seated(second, 556 - (n % 3) * 12, n + 2))
        table.append((n * 215.0, tuple(people)))
    leaving: list[tuple[float, Items]] = [
        (n * 50.0, (_person(first, 300 + 22 * n, 560, step=n), _person(child, 430 + 16 * n, 566, step=n + 1)))
        for n in range(3)
    ]
    leaving += [(220.0 + n * 40, (_person(second, 380 + 40 * n, 564, step=n),)) for n in range(2)]
    out = _walk(first, (430.0, 300.0), 580, every_s=9, scale=1.4)
    drive = tuple(
        (n * 6.0, (Item("car", x, 490 + 12 * n, 1.15 + 0.05 * n, 30, 0, colour=who.car),))
        for n, x in enumerate((480.0, 330.0, 130.0))
    )
    kettle = _walk(first, (250.0, 420.0, 330.0), 690, every_s=80, scale=1.5)
    return (
        Act(
            "first one up",
            "kitchen",
            hm(6, 52),
            tuple((s, tuple(replace(i, depth=12) for i in it)) for s, it in kettle),
        ),
        Act("breakfast", "kitchen", breakfast, tuple(table)),
        Act("leaving", "hall", left, tuple(leaving)),
        Act("out of the door", "porch", left + 3.2, out),
        Act("the car leaves", "driveway", left + 5, drive),
        Act("a neighbour cycles past", "driveway", hm(9, 24), _cyclist(who)),
    )


def _cyclist(who: Cast) -> Frames:
    return tuple(
        (
            n * 4.0,
            (
                _person(who.guest_look, x - 90, 470, scale=0.95, step=n),
                Item("bicycle", x, 474, 0.95, 32, colour=who.bicycle),
            ),
        )
        for n, x in enumerate((240.0, 430.0, 620.0))
    )


def _parcel(who: Cast, at: float, fetched: float) -> tuple[Act, ...]:
    van = Item("van", 470, 500, 1.15, 30, colour=who.van, lines=who.van_lines)
    arrives = tuple((n * 8.0, (replace(van, x=x),)) for n, x in enumerate((560.0, 490.0)))
    walks = tuple(
        (24.0 + n * 9, (replace(van, x=470.0), _person(who.courier_look, 150 - 30 * n, 560, scale=1.05, step=n)))
        for n in range(2)
    )
    courier = who.courier_look
    box = Item("parcel", 400, 458, 0.74, 40, lines=who.parcel)
    brings = [
        (0.0, (_person(courier, 250, 590, "carry", scale=1.5), replace(box, x=250, y=470))),
        (7.0, (_person(courier, 400, 580, "carry", scale=1.45, step=2), replace(box, y=462))),
        (16.0, (_person(courier, 560, 584, "wave", scale=1.4, step=1),)),
        (16.4, (_person(courier, 566, 584, "wave", scale=1.4, step=2),)),
        (16.9, (_person(courier, 572, 584, "wave", scale=1.4, step=3),)),
    ]
    second = who.second_look
    takes = [
        (0.0, (_person(second, 560, 560, "stand", scale=1.4, step=1),)),
        (14.0, (_person(second, 560, 566, "wave", scale=1.4, step=2),)),
    ]
    gone = [(26.0, (_person(second, 410, 560, "carry", scale=1.4, step=3), replace(box, x=410, y=446)))]
    inside = [
        (n * 8.0, (_person(second, 520 - 90 * n, 560, "carry", scale=1.4, step=n), replace(box, x=520 - 90 * n, y=450)))
        for n in range(3)
    ]
    opens = [(n * 90.0, (_seated(second, 420 - 24 * n, n + 1),)) for n in range(3)]
    return (
        Act("a van stops", "driveway", at - 1.6, arrives + walks),
        Act("a parcel is left", "porch", at, tuple(brings)),
        Act("the parcel is taken in", "porch", fetched - 0.3, tuple(takes)),
        Act("the parcel is carried in", "porch", fetched + 0.05, tuple(gone)),
        Act("the parcel comes through the hall", "hall", fetched + 0.9, tuple(inside)),
        Act("the parcel is opened", "kitchen", fetched + 7, tuple(opens)),
    )


def _afternoon(who: Cast, cat_from: float, cat_to: float, home: float) -> tuple[Act, ...]:
    cat = Item("cat", 300, 586, 1.2, 20, colour=who.cat, pose="lie")
    comes = ((0.0, (cat,)), (14.0, (replace(cat, x=520, step=1, flip=True),)))
    goes = ((0.0, (replace(cat, x=430, y=446, step=1, flip=True),)), (12.0, (replace(cat, x=220, step=2),)))
    first, child = who.first_look, who.child_look
    drive = tuple(
        (n * 6.0, (Item("car", x, 514 - 12 * n, 1.25 - 0.05 * n, 30, flip=True, colour=who.car),))
        for n, x in enumerate((150.0, 320.0))
    )
    porch = tuple(
        (
            n * 9.0,
            (
                _person(first, 330 + 30 * n, 584, scale=1.42, step=n),
                _person(child, 520 - 24 * n, 586, scale=1.42, step=n),
            ),
        )
        for n in range(3)
    )
    hall = tuple(
        (n * 30.0, (_person(first, 520 - 60 * n, 562, step=n), _person(child, 380 - 50 * n, 566, step=n + 1)))
        for n in range(4)
    )
    return (
        Act("the cat comes", "living-room", cat_from - 0.6, comes),
        Act("the cat goes", "living-room", cat_to, goes),
        Act("the car comes home", "driveway", home - 3, drive),
        Act("two come home", "porch", home, porch),
        Act("coats off", "hall", home + 1, hall),
    )


def _evening(who: Cast, supper: float) -> tuple[Act, ...]:
    first, second, child = who.first_look, who.second_look, who.child_look
    cooking = tuple(
        (n * 180.0, (replace(_person(first, x, 690, scale=1.5, step=n), depth=12),))
        for n, x in enumerate((180.0, 420.0, 300.0))
    )
    table = []
    for n in range(9):
        people = [_seated(first, 240 + (n % 3) * 11, n + 3), _seated(child, 396 + (n % 2) * 16, n)]
        if n >= 3:
            people.append(_seated(second, 556 - (n % 3) * 10, n + 1))
        table.append((n * 290.0, tuple(people)))
    sofa = Item("person", 250, 572, 1.3, 22, look=second, pose="sofa")
    reading = [
        (n * 620.0, (replace(sofa, step=n), replace(sofa, x=480 + 12 * n, look=first, step=n + 2))) for n in range(4)
    ]
    visit = (
        (0.0, (_person(who.guest_look, 250, 586, scale=1.42),)),
        (9.0, (_person(who.guest_look, 560, 586, "wave", scale=1.42, step=2),)),
    )
    fetch = (
        (0.0, (_person(first, 560, 570, "stand", scale=1.4, step=1),)),
        (8.0, (_person(first, 220, 574, "wave", scale=1.4, step=3),)),
    )
    cat = Item("cat", 460, 572, 1.1, 30, colour=who.cat, pose="lie")
    return (
        Act("cooking", "kitchen", hm(17, 40), cooking),
        Act("supper", "kitchen", supper, tuple(table)),
        Act("reading", "living-room", hm(19, 34), tuple(reading)),
        Act("a neighbour brings something", "porch", hm(20, 11), visit),
        Act("it is taken in", "porch", hm(20, 24), fetch),
        Act("locking up", "hall", hm(22, 18), _walk(second, (330.0, 470.0), 564, every_s=12, scale=1.35)),
        Act("the cat lies in the hall", "hall", hm(23, 8), ((0.0, (cat,)), (20.0, (replace(cat, x=330, step=2),)))),
    )


def _stays(who: Cast, left: float, parcel: float, fetched: float, home: float) -> tuple[Stay, ...]:
    note = Item("note", 714, 270, 0.92, 5, lines=who.shopping)
    box = Item("parcel", 412, 566, 1.0, 30, lines=who.parcel)
    return (
        Stay("kitchen", hm(0, 0), home + 10, note),
        Stay("kitchen", home + 10, hm(24, 0), replace(note, x=712, y=276, lines=who.shopping_later)),
        Stay("hall", hm(0, 0), hm(24, 0), Item("note", 310, 152, 0.92, 4, lines=who.hall_note)),
        Stay("hall", home + 3, left + 1, Item("coats", 310, 392, 1.0, 5, colours=who.coats)),
        Stay("hall", left + 4.5, home + 1, Item("coats", 268, 392, 1.0, 5, colours=who.coats[1:2])),
        Stay("porch", left + 3.8, home + 1, Item("note", 660, 296, 0.95, 8, lines=who.door_note)),
        Stay("porch", parcel + 0.2, fetched, box),
        Stay("porch", hm(20, 11.1), hm(20, 24.1), Item("parcel", 412, 566, 1.0, 30, lines=who.parcel_later)),
        Stay("driveway", hm(0, 0), hm(24, 0), Item("sign", 136, 412, 0.95, 8, lines=who.street)),
        Stay("driveway", home - 2.8, left + 5, Item("car", 520, 470, 1.1, 20, colour=who.car)),
    )


def _more_stays(
    who: Cast, breakfast: float, fetched: float, cat: tuple[float, float], supper: float
) -> tuple[Stay, ...]:
    book = Item("book", 620, 586, 1.0, FRONT + 10, colour=who.books[0])
    later = replace(book, x=690, y=596, colour=who.books[1])
    bowl = Item("bowl", 236, 548, 1.1, FRONT + 10)
    cup = Item("cup", 430, 530, 1.0, FRONT + 10, colour=who.bicycle)
    return (
        Stay("kitchen", breakfast - 2, breakfast + 37, bowl),
        Stay("kitchen", breakfast - 2, breakfast + 37, cup),
        Stay("kitchen", breakfast + 3, breakfast + 37, replace(bowl, x=556, y=556)),
        Stay("kitchen", fetched + 6, fetched + 34, Item("parcel", 180, 590, 0.98, FRONT + 10, lines=who.parcel)),
        Stay("kitchen", fetched + 34, hm(17, 36), replace(book, lines=who.book)),
        Stay("kitchen", supper - 14, supper + 54, Item("pot", 400, 546, 1.05, FRONT + 10)),
        Stay("kitchen", supper - 4, supper + 54, replace(bowl, x=216, y=572)),
        Stay("kitchen", supper - 4, supper + 54, replace(bowl, x=584, y=572)),
        Stay("living-room", cat[0], cat[1] - 0.01, Item("cat", 380, 446, 1.2, 20, colour=who.cat, pose="sleep")),
        Stay("living-room", hm(19, 10), hm(22, 6), replace(later, lines=who.book_later)),
    )
