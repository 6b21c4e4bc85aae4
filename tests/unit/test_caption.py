"""A caption says what was found and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.entities import Annotation, Capture, Json, Kind, Stored
from gateway.errors import Skip
from gateway.pipeline.hypernyms import covered
from gateway.pipeline.steps.caption import STEP

DAY: Json = {"fault": "", "light": "day"}


class _Notes:
    """Just enough of a context: what earlier steps said."""

    def __init__(self, **said: Json) -> None:
        self.notes = {
            name: Stored(1, name, 1, "f", 0, 0.0, Annotation(data=data), "", "", "") for name, data in said.items()
        }

    def said(self, step: str) -> Json | None:
        note = self.notes.get(step)
        return note.annotation.data if note else None


class _Picture:
    kind = Kind.IMAGE
    blob = None


class _Sound:
    kind = Kind.AUDIO


async def _caption(of: type = _Picture, **said: Json) -> str:
    of_any: Any = of  # Any: a caption reads of a capture its kind, and its blob for a captioner
    notes: Any = _Notes(**said)
    capture: Capture = of_any
    return (await STEP.run(capture, notes)).caption


def _boxes(*found: tuple[str, float]) -> Json:
    return {"boxes": [{"label": label, "score": score, "x": 0, "y": 0, "w": 1, "h": 1} for label, score in found]}


def _labels(*found: tuple[str, float]) -> Json:
    return {"labels": [{"label": label, "score": score} for label, score in found]}


def _lines(*found: tuple[str, float]) -> Json:
    return {"lines": [{"text": text, "score": score} for text, score in found]}


async def test_things_are_counted_and_joined() -> None:
    found = _boxes(("person", 0.9), ("person", 0.8), ("dining table", 0.7), ("orange", 0.6))
    assert await _caption(quality=DAY, detect=found) == "Two people, a dining table and an orange."


async def test_what_is_uncertain_is_left_out() -> None:
    said = {"detect": _boxes(("horse", 0.49)), "classify": _labels(("tusker", 0.59)), "ocr": _lines(("xy", 0.7))}
    assert await _caption(quality=DAY, **said) == "A picture in daylight."


async def test_a_label_that_says_the_same_again_is_merged() -> None:
    found = _boxes(("dog", 0.9))
    assert await _caption(quality=DAY, detect=found, classify=_labels(("golden retriever", 0.9))) == "A dog."
    assert await _caption(quality=DAY, detect=found, classify=_labels(("balloon", 0.9))) == "A dog and a balloon."


async def test_print_is_quoted_and_the_light_named() -> None:
    said = {"quality": {"fault": "", "light": "night"}, "ocr": _lines(("N. LINDQVIST", 0.95), ("12 ALDER LANE", 0.9))}
    assert await _caption(**said) == "Printed words, at night: “N. LINDQVIST / 12 ALDER LANE”."


async def test_a_covered_camera_is_said_so() -> None:
    assert "covered" in await _caption(quality={"fault": "covered", "light": "night"})


async def test_sounds_are_named_or_passed_over() -> None:
    heard = {"events": [{"label": "Doorbell", "score": 0.9}, {"label": "Purr", "score": 0.4}]}
    assert await _caption(_Sound, sound=heard) == "Heard: doorbell."
    with pytest.raises(Skip):
        await _caption(_Sound, sound={"events": []})


@pytest.mark.parametrize(
    ("label", "thing", "same"),
    [
        ("tabby", "cat", True),
        ("cheeseburger", "sandwich", True),
        ("moped", "motorcycle", True),
        ("tusker", "elephant", True),
        ("balloon", "dog", False),
    ],
)
def test_hypernyms(label: str, thing: str, same: bool) -> None:
    assert covered(label, [thing]) is same
