"""Who spoke when, from vectors of voices; on mixtures whose truth is known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from gateway.entities import Annotation, Capture, Json
from gateway.errors import Skip
from gateway.pipeline.speakers import Floats, Span, Turn, groups, turns, windows
from gateway.pipeline.steps.speakers import STEP

S_US = 1_000_000
SAME = 0.5
DIM = 192


def test_windows_cover_all_speech_and_nothing_else() -> None:
    speech = [Span(0, 400_000), Span(2 * S_US, 6_100_000), Span(9 * S_US, 10_500_000)]
    found = windows(speech)
    for span, some in zip(speech, found, strict=True):
        assert some[0].start_us == span.start_us and some[-1].end_us == span.end_us
        assert all(after.start_us < before.end_us for before, after in itertools.pairwise(some))
        assert all(each.end_us - each.start_us <= 1_500_000 for each in some)
    assert [len(some) for some in found] == [1, 5, 1]
    assert sum(map(len, windows([Span(0, 3_600 * S_US)]))) == 1_000


def test_groups_are_told_by_how_alike_their_members_are() -> None:
    one, other = np.eye(DIM)[0], np.eye(DIM)[1]
    near = (one + 0.2 * other) / np.hypot(1, 0.2)
    assert groups([other, one, near, other], same=SAME) == [0, 1, 1, 0]
    assert groups([one, one], same=SAME) == [0, 0]
    assert groups([one], same=SAME) == [0] and groups([], same=SAME) == []
    assert groups([one, -one], same=-1.0) == [0, 0]


def test_neighbouring_windows_share_what_they_both_heard() -> None:
    (some,) = windows([Span(0, 3 * S_US)])
    assert turns([some], [0, 0, 1]) == [Turn(0, 1_875_000, 0), Turn(1_875_000, 3 * S_US, 1)]
    apart = windows([Span(0, S_US), Span(2 * S_US, 3 * S_US)])
    assert turns(apart, [0, 0]) == [Turn(0, S_US, 0), Turn(2 * S_US, 3 * S_US, 0)]
    assert turns([[]], []) == []


def talk(people: int, *, seed: int) -> list[Turn]:
    """Turns of 1 to 8 s, half of them after a pause and half at once."""
    chance = np.random.default_rng(seed)
    found, at, who = [], 0, 0
    for n in range(24):
        long_us = int(chance.uniform(1, 8) * S_US)
        found.append(Turn(at, at + long_us, who))
        at += long_us + (int(chance.uniform(0.4, 2) * S_US) if chance.random() < 0.5 else 0)
        who = n + 1 if n + 1 < people else int((who + chance.integers(1, people)) % people) if people > 1 else 0
    return found


def heard(truth: Sequence[Turn], some: Sequence[Span], *, seed: int, noise: float) -> list[Floats]:
    """Vectors as a model would give them: each voice by its share of the window, and what changes with every word."""
    chance = np.random.default_rng(seed)
    voices = chance.standard_normal((8, DIM)) / np.sqrt(DIM)
    found = []
    for span in some:
        shares = np.zeros(8)
        for each in truth:
            shares[each.speaker] += max(0, min(each.end_us, span.end_us) - max(each.start_us, span.start_us))
        vector = shares / shares.sum() @ voices + noise * chance.standard_normal(DIM) / np.sqrt(DIM)
        found.append(vector / np.linalg.norm(vector))
    return found


def speech_of(truth: Sequence[Turn]) -> list[Span]:
    spans: list[Span] = []
    for each in truth:
        if spans and each.start_us <= spans[-1].end_us:
            spans[-1] = Span(spans[-1].start_us, each.end_us)
        else:
            spans.append(Span(each.start_us, each.end_us))
    return spans


def error_rate(found: Sequence[Turn], truth: Sequence[Turn]) -> float:
    """Diarisation error rate: the share of speech that is given to somebody else, under the best naming of the
    speakers that were found, in steps of 10 ms, without a collar. What is missed or made up counts too."""
    end = max(each.end_us for each in [*found, *truth]) // 10_000 + 1

    def line(of: Sequence[Turn]) -> np.ndarray:
        told = np.full(end, -1)
        for each in of:
            told[each.start_us // 10_000 : each.end_us // 10_000] = each.speaker
        return told

    mine, theirs = line(found), line(truth)
    names = range(theirs.max() + 1)
    table = np.array([[np.sum((mine == a) & (theirs == b)) for b in names] for a in range(mine.max() + 1)])
    if len(table) < len(names):
        table = np.vstack([table, np.zeros((len(names) - len(table), len(names)))])
    best = max(
        sum(table[row, name] for name, row in enumerate(rows))
        for rows in itertools.permutations(range(len(table)), len(names))
    )
    return 1 - best / max(np.sum(mine >= 0), np.sum(theirs >= 0))


@pytest.mark.slow
@pytest.mark.parametrize("people", [1, 2, 3, 4])
def test_who_spoke_is_told_of_mixtures(people: int) -> None:
    rates = []
    for seed in range(5):
        truth = talk(people, seed=seed)
        spoken = windows(speech_of(truth))
        vectors = heard(truth, [span for some in spoken for span in some], seed=100 + seed, noise=0.6)
        found = turns(spoken, groups(vectors, same=SAME))
        rates.append(error_rate(found, truth))
    print(f"{people} people: error rate {np.mean(rates):.3f}, most {max(rates):.3f}")
    assert np.mean(rates) <= 0.12


class _Context:
    """Just enough of one: what was heard before, and a model that knows whose second it is."""

    def __init__(self, speech: Sequence[Span] | None, truth: Sequence[Turn]) -> None:
        self._data = (
            None
            if speech is None
            else {"speech": [{"start_us": each.start_us, "end_us": each.end_us} for each in speech]}
        )
        self._truth = truth
        self.asked: list[int] = []

    def said(self, step: str) -> Json | None:
        return self._data

    def provenance(self) -> Any:  # Any: whatever the annotation is made with
        return Annotation().provenance

    async def infer(self, task: str, capture: Capture, params: Json) -> Json:
        spans = [Span(each["start_us"], each["end_us"]) for each in params["speech"]]
        self.asked.append(len(spans))
        vectors = heard(self._truth, spans, seed=0, noise=0.3)
        short = [span.end_us - span.start_us < 200_000 for span in spans]
        bodies = [b"" if no else vector.astype("<f4").tobytes() for no, vector in zip(short, vectors, strict=True)]
        return {"vectors": bodies, "dim": DIM, "same": SAME}


async def told(speech: Sequence[Span] | None, truth: Sequence[Turn]) -> tuple[Json, list[int]]:
    context, capture = _Context(speech, truth), None
    given: Any = (capture, context)  # Any: the step asks nothing else of them
    return (await STEP.run(*given)).data, context.asked


async def test_the_step_names_the_speakers_as_they_are_first_heard() -> None:
    truth = [Turn(0, 5 * S_US, 1), Turn(6 * S_US, 11 * S_US, 0), Turn(12 * S_US, 16 * S_US, 1)]
    data, _ = await told(speech_of(truth), truth)
    assert data["speakers"] == 2
    assert [(each["start_us"], each["end_us"], each["speaker"]) for each in data["turns"]] == [
        (each.start_us, each.end_us, name) for each, name in zip(truth, ("S1", "S2", "S1"), strict=True)
    ]


async def test_a_long_recording_is_asked_about_in_parts_and_a_blink_is_nobodys() -> None:
    truth = [Turn(0, 100 * S_US, 0), Turn(101 * S_US, 101_150_000, 1)]
    data, asked = await told(speech_of(truth), truth)
    assert len(asked) > 1 and max(asked) <= 64
    assert data == {"turns": [{"start_us": 0, "end_us": 100 * S_US, "speaker": "S1"}], "speakers": 1}


@pytest.mark.parametrize(
    ("speech", "code"), [(None, "no-voices"), ([], "no-speech"), ([Span(0, 100_000)], "no-voices")]
)
async def test_where_nobody_is_heard_nobody_is_named(speech: list[Span] | None, code: str) -> None:
    with pytest.raises(Skip) as skipped:
        await told(speech, [Turn(0, S_US, 0)])
    assert skipped.value.code == code
