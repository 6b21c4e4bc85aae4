"""A memory's page tells who spoke as the step `speakers` found it, and what is wrong with a picture."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.entities import Annotation, Json, Stored
from gateway.web.pages.memory_view import flaws, no_caption
from gateway.web.pages.spoken_view import sentences, spoken, voices
from tests.unit.test_speakers import S_US, Turn, speech_of, told

TALK = [Turn(0, 5 * S_US, 1), Turn(6 * S_US, 11 * S_US, 0), Turn(12 * S_US, 16 * S_US, 1)]
HEARD = "is it you yes come in"
TIMES_US = (1 * S_US, 2 * S_US, 3 * S_US, 7 * S_US, 8 * S_US, 13 * S_US)


def memory(*said: tuple[str, Json], transcript: str = "", heard: str = "") -> Any:  # Any: as much as the page reads
    notes = [
        Stored(1, step, 1, "f", 0, 0.0, Annotation(data=data, transcript=heard if step == "asr" else ""), "", "", "")
        for step, data in said
    ]
    return SimpleNamespace(annotations=tuple(notes), transcript=transcript)


def timed(draft: bool = False) -> Json:
    words = [
        {"word": word, "start_us": at_us, "end_us": at_us + 900_000, "confidence": 0.4}
        for word, at_us in zip(HEARD.split(), TIMES_US, strict=True)
    ]
    return {"words": words, "confidence": 0.4, "draft": draft}


async def test_turns_stand_beside_the_words_that_they_cover() -> None:
    speakers, _ = await told(speech_of(TALK), TALK)
    found = memory(("asr", timed()), ("speakers", speakers), transcript=HEARD, heard=HEARD)
    assert [(line.at, line.who, line.text) for line in spoken(found)] == [
        ("0:01", "S1", "“is it you”"), ("0:07", "S2", "“yes come”"), ("0:13", "S1", "“in”"),
    ]  # fmt: skip
    assert voices(found) == "2 voices, told apart by how they sound: S1 is who speaks first, not anybody’s name"


@pytest.mark.parametrize("transcript", ["Is it you? Yes, come in.", ""], ids=["a person's", "none"])
async def test_turns_are_listed_where_words_have_no_times(transcript: str) -> None:
    speakers, _ = await told(speech_of(TALK), TALK)
    found = memory(("asr", timed()), ("speakers", speakers), transcript=transcript, heard=HEARD)
    if not transcript:
        found = memory(("speakers", speakers))
    lines = spoken(found)
    turns = [
        ("0:00", "S1", "speaks until 0:05"),
        ("0:06", "S2", "speaks until 0:11"),
        ("0:12", "S1", "speaks until 0:16"),
    ]
    assert [(line.at, line.who, line.text) for line in lines if line.who] == turns
    assert [line.text for line in lines if not line.who] == ([f"“{transcript}”"] if transcript else [])


async def test_one_voice_needs_no_turns_and_silence_no_word_of_them() -> None:
    alone = [Turn(0, 5 * S_US, 0)]
    speakers, _ = await told(speech_of(alone), alone)
    found = memory(("asr", timed()), ("speakers", speakers), transcript=HEARD, heard=HEARD)
    assert [line.who for line in spoken(found)] == ["", "", ""]
    assert (voices(found), voices(memory())) == ("One voice", "")


def test_sentences_are_cut_at_pauses() -> None:
    words = [("The", 0, 200), ("bell", 250, 500), ("rang", 2_000, 2_300)]
    found = [{"word": word, "start_us": a * 1_000, "end_us": b * 1_000} for word, a, b in words]
    assert sentences(found, []) == [(0, "", "The bell"), (2_000_000, "", "rang")]


def test_what_is_wrong_with_a_picture_is_said_with_the_one_that_shows_it() -> None:
    turned = {"camera_turned": True, "compared_with": "06before"}
    found = flaws(memory(("quality", {"fault": "blurred"}), ("dedupe", turned)))
    assert [(each.badge.text, each.href) for each in found] == [("Blurred", ""), ("Turned", "/memory/06before")]
    assert flaws(memory(("quality", {"fault": ""}), ("dedupe", {"camera_turned": False}))) == ()


def test_why_there_is_no_caption_is_said() -> None:
    waits = memory()
    waits.duplicate_of_uid = ""
    assert no_caption(waits) == "No caption yet."
    skipped = Stored(1, "caption", 1, "f", 0, 0.0, Annotation(), "no sound could be named", "nothing-named", "")
    waits.annotations = (skipped,)
    assert no_caption(waits) == "No caption: no sound could be named."
