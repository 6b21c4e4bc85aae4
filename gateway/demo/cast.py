"""Who lives in the simulated home, what it looks like and what is printed there: another seed, another family."""

from __future__ import annotations

import random
from dataclasses import dataclass

from gateway.demo.paint import Colour
from gateway.demo.people import Look
from gateway.demo.rooms import Theme

Lines = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cast:
    """One family, its house and its printed things."""

    first: str
    second: str
    child: str
    first_look: Look
    second_look: Look
    child_look: Look
    courier_look: Look
    guest_look: Look
    theme: Theme
    cat: Colour
    car: Colour
    van: Colour
    bicycle: Colour
    books: tuple[Colour, Colour]
    coats: tuple[Colour, ...]
    parcel: Lines
    parcel_later: Lines
    shopping: Lines
    shopping_later: Lines
    door_note: Lines
    hall_note: Lines
    street: Lines
    van_lines: Lines
    book: Lines
    book_later: Lines


def cast(seed: int) -> Cast:
    """The family of this seed; the same seed gives the same one for ever."""
    pick = random.Random(seed * 7919 + 1)  # noqa: S311  (a story, not a secret)
    first, second, child = pick.sample(_NAMES, 3)
    surname, street = pick.choice(_SURNAMES), pick.choice(_STREETS)
    number = str(pick.choice((3, 7, 9, 12, 15, 21, 28, 34)))
    hair = pick.sample(_HAIR, 3)
    tops = pick.sample(_CLOTHES, 5)
    skin = pick.choice(_SKINS)
    titles = pick.sample(_TITLES, 2)
    goods = pick.sample(_GOODS, 6)
    books = pick.sample(_CLOTHES, 2)
    weight = f"{pick.randint(1, 6)}.{pick.randint(1, 9)} KG"
    return Cast(
        first=first,
        second=second,
        child=child,
        first_look=Look(skin=skin, hair=hair[0], hair_style="bun", top=tops[0]),
        second_look=Look(skin=pick.choice(_SKINS), hair=hair[1], top=tops[1], legs=(70, 64, 60)),
        child_look=Look(skin=skin, hair=hair[2], hair_style="long", top=tops[2], child=True, legs=(74, 88, 120)),
        courier_look=Look(skin=pick.choice(_SKINS), hair_style="cap", top=(84, 120, 80), cap=(74, 110, 78)),
        guest_look=Look(skin=pick.choice(_SKINS), hair=(150, 146, 142), top=tops[3], legs=(96, 84, 70)),
        theme=Theme(
            wall=pick.choice(_WALLS),
            cabinets=pick.choice(((124, 150, 130), (132, 146, 164), (170, 150, 120))),
            door=pick.choice(((36, 92, 122), (136, 48, 44), (48, 104, 70))),
            sofa=pick.choice(((86, 128, 96), (84, 108, 146), (160, 92, 74))),
            siding=pick.choice(((222, 214, 198), (206, 214, 212), (226, 206, 176))),
            number=number,
        ),
        cat=pick.choice(((196, 128, 70), (130, 130, 134), (140, 112, 90))),
        car=pick.choice(((150, 56, 48), (52, 84, 130), (196, 200, 204))),
        van=pick.choice(((60, 92, 140), (120, 84, 52), (52, 110, 88))),
        bicycle=pick.choice(((60, 110, 120), (160, 60, 50))),
        books=(books[0], books[1]),
        coats=(tops[0], tops[1], tops[2]),
        parcel=(f"{first[0]}. {surname}", f"{number} {street}", f"{pick.choice(_CONTENTS)} {weight}"),
        parcel_later=(pick.choice(("FLOWERS", "GLASSWARE", "HONEY JARS")), "THIS SIDE UP"),
        shopping=("SHOPPING", *goods[:3]),
        shopping_later=("SUNDAY", *goods[3:]),
        door_note=("BACK AT", pick.choice(("FOUR", "FIVE", "HALF PAST FOUR"))),
        hall_note=(pick.choice(("DENTIST", "PIANO", "SWIMMING")), f"{pick.choice(_WEEKDAYS)} {pick.randint(8, 17)}:30"),
        street=(street,),
        van_lines=pick.choice(_VANS),
        book=titles[0],
        book_later=titles[1],
    )


_NAMES = ("Nora", "Tomas", "Ada", "Ines", "Felix", "Marta", "Jonas", "Lucia", "Emil", "Petra", "Oscar", "Hanna")
_SURNAMES = ("LINDQVIST", "MORGAN", "HALVORSEN", "BENNETT", "KOWALSKI", "FISCHER", "OKAFOR", "TANAKA")
_STREETS = ("ALDER LANE", "MILL ROAD", "BIRCH LANE", "PARK ROW", "ABBEY WAY", "ROSE HILL")
_CONTENTS = ("BOOKS", "SHOES", "TOOLS", "GARDEN", "CAMERA")
_GOODS = ("MILK", "EGGS", "FLOUR", "PEARS", "RICE", "BUTTER", "SOUP", "BREAD", "APPLES", "COFFEE", "CARROTS", "HONEY")
_WEEKDAYS = ("MONDAY", "TUESDAY", "THURSDAY", "FRIDAY")
_TITLES: tuple[Lines, ...] = (
    ("THE QUIET", "HARBOUR"),
    ("WINTER", "BIRDS"),
    ("A MAP OF", "RIVERS"),
    ("COOKING", "FOR TWO"),
    ("NIGHT", "TRAIN"),
    ("THE LAST", "GARDEN"),
)
_VANS: tuple[Lines, ...] = (("NORTHWIND", "PARCELS"), ("SWIFT", "COURIER"), ("REDWOOD", "DELIVERY"))
_HAIR: tuple[Colour, ...] = ((110, 60, 34), (44, 36, 30), (170, 116, 60), (90, 50, 40), (70, 66, 66), (196, 150, 92))
_CLOTHES: tuple[Colour, ...] = (
    (186, 84, 58),
    (50, 104, 96),
    (214, 164, 60),
    (84, 96, 150),
    (140, 70, 96),
    (104, 120, 70),
    (190, 176, 150),
)
_SKINS: tuple[Colour, ...] = ((224, 172, 138), (236, 190, 158), (176, 122, 88), (128, 84, 60))
_WALLS: tuple[Colour, ...] = ((236, 214, 178), (224, 218, 200), (230, 204, 184))
