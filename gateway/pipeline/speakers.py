"""Who spoke when, told from vectors of voices: windows over the speech, joined from the most alike down.

Agglomerative clustering with average linkage by cosine, until no two groups are as alike as one voice is with itself
(Garcia-Romero et al. 2017, "Speaker diarization using deep neural network embeddings", without its training).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

WINDOW_US = 1_500_000
HOP_US = 750_000
MAX_WINDOWS = 1_000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a recording."""

    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch in which one person speaks."""

    start_us: int
    end_us: int
    speaker: int
    """Counted from 0 in the order in which they are first heard."""


def windows(speech: Sequence[Span]) -> list[list[Span]]:
    """Overlapping windows over each stretch of speech, that cover all of it; what is beyond MAX_WINDOWS is left out."""
    found: list[list[Span]] = []
    left = MAX_WINDOWS
    for span in speech:
        last = span.end_us - WINDOW_US
        starts = [*range(span.start_us, last, HOP_US), last] if last > span.start_us else [span.start_us]
        some = [Span(start, min(start + WINDOW_US, span.end_us)) for start in starts[:left]]
        left -= len(some)
        found.append(some)
    return found


def groups(vectors: Sequence[Floats], *, same: float) -> list[int]:
    """For each unit vector the number of its group, counted in the order of their first members. Two groups are one
    while the mean cosine between their members is at least `same`."""
    if not vectors:
        return []
    alike = np.array(vectors) @ np.array(vectors).T
    np.fill_diagonal(alike, -np.inf)
    sizes = np.ones(len(vectors))
    group = np.arange(len(vectors))
    for _ in range(len(vectors) - 1):
        at = int(alike.argmax())
        one, other = sorted(divmod(at, len(vectors)))
        if alike[one, other] < same:
            break
        mean = (alike[one] * sizes[one] + alike[other] * sizes[other]) / (sizes[one] + sizes[other])
        sizes[one] += sizes[other]
        alike[one], alike[:, one] = mean, mean
        alike[one, one] = -np.inf
        alike[other], alike[:, other] = -np.inf, -np.inf
        group[group == other] = one
    order = {number: n for n, number in enumerate(dict.fromkeys(group.tolist()))}
    return [order[number] for number in group.tolist()]


def turns(spoken: Sequence[Sequence[Span]], speakers: Sequence[int]) -> list[Turn]:
    """Windows with their speakers, one after the other, as turns: of two windows that overlap each has its half."""
    found: list[Turn] = []
    at = 0
    for some in spoken:
        for n, span in enumerate(some):
            start = span.start_us if n == 0 else found[-1].end_us
            end = span.end_us if n + 1 == len(some) else (some[n + 1].start_us + span.end_us) // 2
            if n and found[-1].speaker == speakers[at]:
                start = found.pop().start_us
            found.append(Turn(start, end, speakers[at]))
            at += 1
    return found
