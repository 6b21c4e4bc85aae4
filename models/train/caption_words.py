"""What a caption says: the sentence for what is true of a picture, its words as numbers, and the facts it names.

    a courier carrying a parcel, a van in the driveway
    two people and a child sitting at the table, a pot, two bowls in the kitchen by lamplight
    a cat lying in the hall at night
    nobody on the porch

A still picture does not tell walking from standing, nor at this size a cat that sleeps from one that lies: the words
are true of both.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TypeAlias

from models.train.caption_pictures import Thing, Truth

Fact: TypeAlias = tuple[str, ...]
"""(noun,) or (actor, action)."""

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
MOST_WORDS = 48
_ACTORS = {"courier": "couriers", "person": "people", "child": "children"}
_CARRYING, _RAISING, _ON_FOOT = "carrying a parcel", "raising a hand", "standing or walking"
_AT_TABLE, _ON_SOFA = "sitting at the table", "sitting on the sofa"
_ACTIONS = (_CARRYING, _RAISING, _ON_FOOT, _AT_TABLE, _ON_SOFA)
_OF_POSE = {"carry": _CARRYING, "wave": _RAISING, "seat": _AT_TABLE, "sofa": _ON_SOFA}
_ANIMALS = {"cat": "lying", "fox": "trotting"}
_THINGS = {
    "parcel": "parcels",
    "van": "vans",
    "car": "cars",
    "bicycle": "bicycles",
    "pot": "pots",
    "bowl": "bowls",
    "cup": "cups",
    "book": "books",
    "coat": "coats",
}
_SINGULAR = {many: one for one, many in {**_ACTORS, **_THINGS}.items()}
_PLACES = {
    "kitchen": "in the kitchen",
    "hall": "in the hall",
    "living-room": "in the living room",
    "porch": "on the porch",
    "driveway": "in the driveway",
}
_NUMBERS = ("no", "a", "two", "three", "four", "five")
_NIGHT, _LAMP = "at night", "by lamplight"
_NOBODY = "nobody"
_REACH_PX = 150
"""Who carries has a parcel this near, sideways."""
_ENDING = re.compile(rf" ?({'|'.join(_PLACES.values())})(?: ({_NIGHT}|{_LAMP}))?$")


def sentence(one: Truth) -> str:
    """What to say of a picture."""
    people, others = _counted(one)
    parts = [
        f"{_joined([_number(actor, group[actor]) for actor in _ACTORS if group[actor]])} {action}"
        for action, group in people.items()
        if group
    ]
    parts += [f"{_number(what, others[what])} {_ANIMALS[what]}" for what in _ANIMALS if others[what]]
    parts += [_number(what, others[what]) for what in _THINGS if others[what]]
    light = f" {_NIGHT}" if one.night else f" {_LAMP}" if one.lamp else ""
    return f"{', '.join(parts) or _NOBODY} {_PLACES[one.camera]}{light}"


def true_facts(one: Truth) -> set[Fact]:
    """Every thing in view, and what everyone of them does. The room and the light are not counted: they would be right
    too often."""
    people, others = _counted(one)
    found: set[Fact] = set()
    for action, group in people.items():
        for actor in group:
            found |= {(actor,), (actor, action)}
            if action == _CARRYING:
                found.add(("parcel",))
    for what in others:
        found.add((what,))
        if what in _ANIMALS:
            found.add((what, _ANIMALS[what]))
    return found


def said_facts(caption: str) -> set[Fact]:
    """What a caption claims. A word that it should not know is a fact too, and never a true one."""
    text = _ENDING.sub("", caption.lower().rstrip(" ."))
    found: set[Fact] = set()
    for part in text.split(", "):
        action = next((each for each in (*_ACTIONS, *_ANIMALS.values()) if part.endswith(each)), "")
        for phrase in part.removesuffix(action).strip().split(" and "):
            words = phrase.split()
            if not words or words == [_NOBODY]:
                continue
            noun = _SINGULAR.get(words[-1], words[-1])
            found.add((noun,))
            if action:
                found.add((noun, action))
        if action == _CARRYING:
            found.add(("parcel",))
    return found


def vocabulary() -> list[str]:
    """Every word, by number; marks first."""
    words = {"and", ",", _NOBODY, "cats", "foxes", *_NUMBERS[1:]}
    for phrases in (_ACTORS, _ACTIONS, _ANIMALS, _THINGS):
        words.update(word for phrase in phrases for word in phrase.split())
    for phrases in (_ACTORS.values(), _ANIMALS.values(), _THINGS.values(), _PLACES.values(), (_NIGHT, _LAMP)):
        words.update(word for phrase in phrases for word in phrase.split())
    return [START, END, UNKNOWN, *sorted(words)]


def numbers(text: str) -> list[int]:
    """The words of a sentence, the end mark included."""
    place = {word: n for n, word in enumerate(vocabulary())}
    return [*(place[word] for word in text.replace(",", " ,").split()), place[END]]


def write_tokenizer(path: Path) -> None:
    """`tokenizer.json` of these words."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415  (heavy)

    words = {word: n for n, word in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    tokenizer.add_special_tokens([AddedToken(each, special=True) for each in (START, END, UNKNOWN)])
    tokenizer.save(str(path))


def _counted(one: Truth) -> tuple[dict[str, Counter[str]], Counter[str]]:
    """Actors by what they do, and everything else; a parcel that someone carries is not told again."""
    people: dict[str, Counter[str]] = {action: Counter() for action in _ACTIONS}
    parcels = [each for each in one.things if each.what == "parcel"]
    for each in one.things:
        if each.what == "person":
            action = _OF_POSE.get(each.pose, _ON_FOOT)
            if action == _CARRYING:
                near = next((box for box in parcels if abs(box.x - each.x) < _REACH_PX), None)
                if near is None:
                    action = _ON_FOOT
                else:
                    parcels.remove(near)
            people[action][_actor(each)] += 1
    others = Counter({"parcel": len(parcels)})
    for each in one.things:
        if each.what == "coats":
            others["coat"] += each.count
        elif each.what in _ANIMALS or (each.what in _THINGS and each.what != "parcel"):
            others[each.what] += 1
    return people, +others


def _actor(thing: Thing) -> str:
    return "child" if thing.child else "courier" if thing.cap else "person"


def _number(what: str, count: int) -> str:
    if count == 1:
        return f"a {what}"
    return f"{_NUMBERS[min(count, len(_NUMBERS) - 1)]} {({**_ACTORS, **_THINGS}).get(what, what + 's')}"


def _joined(parts: list[str]) -> str:
    *most, last = parts
    return f"{' and '.join(most)} and {last}" if most else last
