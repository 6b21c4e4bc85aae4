"""What is heard in a recording, line by line: sounds, sentences, and whose turn it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.entities import Json, Memory
from gateway.web.pages import words
from gateway.web.pages.memory_view import likeness, listed, number, said

_PAUSE_US = 800_000


@dataclass(frozen=True, slots=True)
class Spoken:
    """A line of what is heard; it plays from there."""

    at: str
    at_s: float
    who: str
    """`S1`, `S2`, …: told apart, never named; empty where one voice speaks, or it is not known which."""
    text: str
    score: str
    speech: bool
    """What is said, not what sounds."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody speaks from here to there."""

    start_us: int
    end_us: int
    who: str


def spoken(memory: Memory) -> tuple[Spoken, ...]:
    """What is heard, in order: sounds with how sure they are, and sentences cut at pauses and where another speaks.

    Words without times, as a person writes them and some recognisers do, stand first, and the turns behind them.
    """
    heard, told = said(memory, "sound"), said(memory, "asr")
    turns = _turns(memory)
    lines: list[tuple[int, Spoken]] = []
    for event in listed(heard.data if heard else {}, "events"):
        at_us = int(number(event.get("start_us")))
        label, score = str(event.get("label", ""))[:60], likeness(number(event.get("score")))
        lines.append((at_us, _line(at_us, "", label, score=score)))
    corrected = memory.transcript and told is not None and memory.transcript != told.transcript
    found = [] if corrected else sentences(listed(told.data if told else {}, "words"), turns)
    lines += [(at_us, _line(at_us, who, f"“{text}”", speech=True)) for at_us, who, text in found]
    if memory.transcript and not found:
        lines.append((0, _line(0, "", f"“{memory.transcript}”", speech=True)))
    if not found:
        lines += [
            (turn.start_us, _line(turn.start_us, turn.who, f"speaks until {words.play_time(turn.end_us)}"))
            for turn in turns
        ]
    return tuple(line for _, line in sorted(lines, key=lambda each: each[0]))


def voices(memory: Memory) -> str:
    """How many speak, for people; empty where that is not known."""
    told = said(memory, "speakers")
    count = int(number(told.data.get("speakers"))) if told else 0
    if count < 2:
        return "One voice" if count else ""
    return f"{count} voices, told apart by how they sound: S1 is who speaks first, not anybody’s name"


def sentences(found: Sequence[Json], turns: Sequence[Turn]) -> list[tuple[int, str, str]]:
    """(start, who, text) of words [{word, start_us, end_us}], each with the turn that its middle lies in."""
    out: list[tuple[int, str, list[str]]] = []
    ended_us = 0
    for each in found:
        start_us, end_us = int(number(each.get("start_us"))), int(number(each.get("end_us")))
        middle_us = (start_us + end_us) // 2
        who = next((turn.who for turn in turns if turn.start_us <= middle_us < turn.end_us), "")
        if not out or start_us - ended_us > _PAUSE_US or who != out[-1][1]:
            out.append((start_us, who, []))
        out[-1][2].append(str(each.get("word", ""))[:60])
        ended_us = end_us
    return [(at_us, who, " ".join(text)) for at_us, who, text in out]


def _turns(memory: Memory) -> list[Turn]:
    """Of several people; whose turn it is says nothing where one speaks."""
    told = said(memory, "speakers")
    if told is None or number(told.data.get("speakers")) < 2:
        return []
    return [
        Turn(int(number(each.get("start_us"))), int(number(each.get("end_us"))), str(each.get("speaker", ""))[:8])
        for each in listed(told.data, "turns")
    ]


def _line(at_us: int, who: str, text: str, *, score: str = "", speech: bool = False) -> Spoken:
    return Spoken(words.play_time(at_us), at_us / words.SECOND_US, who, text, score, speech=speech)
