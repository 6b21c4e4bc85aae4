"""Hear where someone speaks, with Silero VAD 5.

Task `vad`, no params. File: one `.onnx` (input [1, 64+512], state [2,1,128], sr). Option: `threshold`. Answers
`{speech: [{start_us, end_us}], duration_us}`: spans of at least 250 ms, parted by at least 300 ms of no speech, each
with 60 ms of air around it; at most 1,000.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gateway.entities import Json
from gateway.inference.family import Family, Options, Request, Runner
from gateway.inference.runtime import OnnxModel
from gateway.inference.sounds import RATE_HZ, Floats, sound_of

WINDOW = 512
CONTEXT = 64
_WINDOW_US = WINDOW * 1_000_000 // RATE_HZ
_LEAST_US = 250_000
_PAUSE_US = 300_000
_AIR_US = 60_000
_MAX_SPANS = 1000
_HYSTERESIS = 0.15
"""Speech goes on until its probability falls so far below the threshold at which it starts."""


def load(files: Mapping[str, Path], options: Options) -> Runner:
    model = OnnxModel(next(iter(files.values())), threads=options.threads)
    threshold = options.number("threshold", 0.5)

    def run(request: Request) -> Json:
        sound = sound_of(request.the_blob())
        spans = _spans(chances(model, sound.samples), threshold, sound.duration_us)
        return {
            "speech": [{"start_us": start, "end_us": end} for start, end in spans],
            "duration_us": sound.duration_us,
        }

    return run


def chances(model: OnnxModel, samples: Floats) -> list[float]:
    """The probability of speech in each 32 ms."""
    count = -(-len(samples) // WINDOW)
    padded = np.zeros(CONTEXT + count * WINDOW, dtype=np.float32)
    padded[CONTEXT : CONTEXT + len(samples)] = samples
    state = np.zeros((2, 1, 128), dtype=np.float32)
    rate = np.array(RATE_HZ, dtype=np.int64)
    found = []
    for n in range(count):
        window = padded[n * WINDOW : n * WINDOW + CONTEXT + WINDOW][None]
        chance, state = model.run({"input": window, "state": state, "sr": rate})
        found.append(float(chance[0, 0]))
    return found


def _spans(chances: list[float], threshold: float, duration_us: int) -> list[tuple[int, int]]:
    raw: list[tuple[int, int]] = []
    start: int | None = None
    for n, chance in enumerate([*chances, 0.0]):
        if start is None and chance >= threshold:
            start = n * _WINDOW_US
        elif start is not None and chance < threshold - _HYSTERESIS:
            raw.append((start, n * _WINDOW_US))
            start = None
    joined: list[tuple[int, int]] = []
    for begin, end in raw:
        if joined and begin - joined[-1][1] < _PAUSE_US:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    long_enough = [span for span in joined if span[1] - span[0] >= _LEAST_US][:_MAX_SPANS]
    return [(max(0, begin - _AIR_US), min(duration_us, end + _AIR_US)) for begin, end in long_enough]


FAMILY = Family(name="silero", tasks=("vad",), load=load)
