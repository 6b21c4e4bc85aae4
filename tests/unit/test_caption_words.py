"""What the captioner learns to say is true of the picture, and can be read back as facts."""

from __future__ import annotations

import pytest

from gateway.demo.cast import cast
from gateway.demo.people import Look
from gateway.demo.render import FRONT, Item, Light, Scene
from models.train.caption_pictures import Thing, Truth, truth
from models.train.caption_scenes import CHECK_SEEDS, ENDS_AT_US, TRAIN_SEEDS, UNSEEN_SEEDS, View, by_chance, seen
from models.train.caption_words import MOST_WORDS, numbers, said_facts, sentence, true_facts
from tests.bench.copy_suite import SEEDS

PERSON, CHILD = Thing("person", 300, "walk"), Thing("person", 420, "seat", child=True)
COURIER = Thing("person", 250, "carry", cap=True)


@pytest.mark.parametrize(
    ("one", "caption"),
    [
        (Truth("porch", False, False, ()), "nobody on the porch"),
        (Truth("hall", True, False, (Thing("cat", 9),)), "a cat lying in the hall at night"),
        (
            Truth("porch", False, False, (COURIER, Thing("parcel", 255), Thing("parcel", 700))),
            "a courier carrying a parcel, a parcel on the porch",
        ),
        (
            Truth("kitchen", False, True, (CHILD, Thing("person", 90, "seat"), Thing("bowl", 1), Thing("bowl", 2))),
            "a person and a child sitting at the table, two bowls in the kitchen by lamplight",
        ),
        (
            Truth("hall", False, False, (PERSON, PERSON, Thing("coats", 5, count=3))),
            "two people standing or walking, three coats in the hall",
        ),
    ],
)
def test_a_sentence_says_what_is_true(one: Truth, caption: str) -> None:
    assert sentence(one) == caption
    assert said_facts(caption) == true_facts(one)


def test_facts_are_read_from_the_product_s_own_caption_too() -> None:
    facts = said_facts("Two people sitting on the sofa, a cat lying in the living room at night.")
    assert facts == {("person",), ("person", "sitting on the sofa"), ("cat",), ("cat", "lying")}


def test_a_word_that_it_should_not_know_is_a_wrong_fact() -> None:
    assert said_facts("a giraffe on the porch") == {("giraffe",)}
    assert said_facts("") == set()


def test_who_carries_nothing_that_can_be_seen_stands() -> None:
    alone = Truth("hall", False, False, (COURIER, Thing("parcel", 700)))
    assert true_facts(alone) == {("courier",), ("courier", "standing or walking"), ("parcel",)}


def test_a_thing_behind_another_is_not_seen() -> None:
    who = cast(3)
    cup = Item("cup", 400, 560, 1.0, FRONT + 1, colour=(60, 110, 120))
    box = Item("parcel", 400, 580, 1.2, FRONT + 2, lines=who.parcel)
    legs = Item("person", 200, 950, 1.5, 12, look=Look(), pose="walk")
    view = View("kitchen", ENDS_AT_US, Scene(who.theme, Light(1.0, 0.0), (cup, box, legs)))
    assert [item.what for item in seen(view)] == ["parcel"]
    shown = View("kitchen", ENDS_AT_US, Scene(who.theme, Light(1.0, 0.0), (cup,)))
    assert truth(shown).things == (Thing("cup", 400),)


@pytest.mark.slow
def test_every_scene_that_is_made_up_can_be_said() -> None:
    for view in by_chance(TRAIN_SEEDS[0], each=2, lights=1):
        one = truth(view)
        assert len(numbers(sentence(one))) <= MOST_WORDS
        assert said_facts(sentence(one)) == true_facts(one)


def test_homes_that_measure_are_not_those_that_teach() -> None:
    sets = [set(TRAIN_SEEDS), set(CHECK_SEEDS), set(UNSEEN_SEEDS), set(SEEDS), set(range(1_000))]
    assert sum(len(each) for each in sets) == len(set[int]().union(*sets))
