"""Name sounds with YAMNet (AudioSet's 521 kinds) on LiteRT.

Task `sound`, no params. File: one `.tflite` (waveform[15600] → 521 scores) that carries its labels. Option:
`min_score`. Answers `{events: [{label, score, start_us, end_us}]}` by start: a label's neighbouring windows are one
event with the best of their scores; at most 100, the loudest labels first when there are more.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.family import Family, Options, Request, Runner
from gateway.inference.runtime import LiteModel
from gateway.inference.sounds import RATE_HZ, Floats, sound_of

_WINDOW = 15_600
_HOP = _WINDOW // 2
_MAX_EVENTS = 100
_MAX_LABEL_BYTES = 1 << 20
_ALWAYS = frozenset({"Silence"})
"""Not an event."""


def load(files: Mapping[str, Path], options: Options) -> Runner:
    path = next(path for name, path in files.items() if name.endswith(".tflite"))
    model = LiteModel(path, threads=options.threads)
    labels = _labels(path)
    min_score = options.number("min_score", 0.3)

    def run(request: Request) -> Json:
        sound = sound_of(request.the_blob())
        scores = _scores(model, sound.samples)
        if scores.shape[1] != len(labels):
            raise ModelBroken("the sound model's output does not fit its labels")
        return {"events": _events(scores, labels, min_score, sound.duration_us)}

    return run


def _scores(model: LiteModel, samples: Floats) -> Floats:
    """[windows, labels]; the last window is filled up with silence."""
    count = max(1, -(-(len(samples) - _WINDOW) // _HOP) + 1)
    padded = np.zeros((count - 1) * _HOP + _WINDOW, dtype=np.float32)
    padded[: len(samples)] = samples[: len(padded)]
    return np.stack([model.run(padded[n * _HOP : n * _HOP + _WINDOW]) for n in range(count)])


def _events(scores: Floats, labels: list[str], min_score: float, duration_us: int) -> list[Json]:
    events: list[dict[str, int | float | str]] = []
    hop_us, window_us = _HOP * 1_000_000 // RATE_HZ, _WINDOW * 1_000_000 // RATE_HZ
    for label in np.flatnonzero((scores >= min_score).any(axis=0)):
        if labels[label] in _ALWAYS:
            continue
        last = -2
        for n in np.flatnonzero(scores[:, label] >= min_score).tolist():
            score, end_us = float(scores[n, label]), min(duration_us, n * hop_us + window_us)
            if n == last + 1:
                events[-1]["end_us"] = end_us
                events[-1]["score"] = max(float(events[-1]["score"]), score)
            else:
                events.append({"label": labels[label], "score": score, "start_us": n * hop_us, "end_us": end_us})
            last = n
    loudest = sorted(events, key=lambda each: -float(each["score"]))[:_MAX_EVENTS]
    return sorted(loudest, key=lambda each: (int(each["start_us"]), -float(each["score"])))


def _labels(path: Path) -> list[str]:
    """The label file that the model's author appended as a zip archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
            entry = next(each for each in archive.infolist() if each.filename.endswith(".txt"))
            if entry.file_size > _MAX_LABEL_BYTES:
                raise ModelBroken("the sound model's label list is too long")
            return [line.strip()[:100] for line in archive.read(entry).decode("utf-8").splitlines()]
    except (zipfile.BadZipFile, StopIteration, UnicodeDecodeError) as error:
        raise ModelBroken("the sound model carries no labels") from error


FAMILY = Family(name="yamnet", tasks=("sound",), load=load)
