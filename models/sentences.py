"""Sentences as this house writes and searches them, by which forms of a model of texts are compared: captions as the
captioners put them, notes as people do, and questions in other words, each with what answers it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gateway.inference.build import encoded
from gateway.inference.manifest import Gate
from gateway.inference.runtime import OnnxModel

Floats: TypeAlias = npt.NDArray[np.float32]

GATE = Gate("dynamic", "recall@10", 0.99)
"""What int8 finds in proportion to float32, within one in a hundred."""
_NEAREST = 10
_THINGS = {
    "bicycle": "bike", "parcel": "package", "cat": "kitten", "dog": "puppy", "kettle": "boil water", "sofa": "couch",
    "umbrella": "keep off the rain", "potted plant": "flowers in a pot", "laptop": "computer", "cup": "mug",
    "suitcase": "luggage", "skateboard": "board on wheels", "wine glass": "drink red wine", "refrigerator": "fridge",
    "clock": "what tells the time", "book": "novel", "ladder": "climb up", "vase": "cut flowers",
    "television": "watch a film", "scissors": "cut paper",
}  # fmt: skip
"""As a detector and people name a thing, and as somebody asks for it."""
_PLACES = {
    "in the kitchen": "where we cook",
    "on the porch": "at the front door",
    "in the garage": "next to the car",
    "in the attic": "under the roof",
    "in the hall": "in the corridor",
    "in the garden": "on the lawn",
}
_WAYS = (
    "A {thing} and {who} {place}, {light}.",
    "{who} left the {thing} {place}",
    "nobody, a {thing} {place} {light}",
)
_WHO = ("a person", "the courier", "two people", "a child", "Ms Lindqvist", "grandmother", "the postman")
_LIGHT = ("at night", "in dim light", "in bright light", "by lamplight")
_ASKED = ("{thing} {place}", "when was the {thing} {place}?")


def documents() -> list[str]:
    """360 sentences: for each thing at each place one in each way, one after the other."""
    chance = np.random.default_rng(12)
    return [
        way.format(thing=thing, place=place, who=chance.choice(_WHO), light=chance.choice(_LIGHT))
        for thing, place, way in product(_THINGS, _PLACES, _WAYS)
    ]


def questions() -> list[tuple[str, set[int]]]:
    """240 questions with the places in `documents` of their three answers."""
    spots = list(product(_THINGS.values(), _PLACES.values()))
    return [
        (way.format(thing=thing, place=place), {len(_WAYS) * n + k for k in range(len(_WAYS))})
        for n, (thing, place) in enumerate(spots)
        for way in _ASKED
    ]


def vectors(graph: Path, tokenizer: Path, texts: Sequence[str]) -> Floats:
    """[n, D] of unit length, each text by itself, as the family `minilm` does."""
    model = OnnxModel(graph, threads=1)
    found: Floats = np.concatenate([model.run(feed)[0] for feed in encoded(tokenizer, texts)]).astype(np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


def recall(of_documents: Floats, of_questions: Floats) -> float:
    """The share of answers that are among the nearest ten, over all questions."""
    nearest = np.argsort(-(of_questions @ of_documents.T), axis=1, kind="stable")[:, :_NEAREST]
    shares = [
        len(answers & set(row)) / len(answers) for (_, answers), row in zip(questions(), nearest.tolist(), strict=True)
    ]
    return float(np.mean(shares))


def kept(exact: tuple[Floats, Floats], small: tuple[Floats, Floats]) -> float:
    """What one form finds in proportion to what the other (float32) does; each (documents, questions)."""
    return recall(*small) / recall(*exact)
