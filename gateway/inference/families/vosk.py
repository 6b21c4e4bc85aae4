"""Write down speech with Vosk (Kaldi).

Task `asr`, params `{speech: [{start_us, end_us}]}` (as `vad` answers; absent: all of it). Files: a Vosk model folder's,
by their paths inside it. Answers `{text, words: [{word, start_us, end_us, confidence}], confidence, heard_us}`;
confidence 0..1, of the whole: the words' mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.family import Family, Options, Request, Runner
from gateway.inference.sounds import RATE_HZ, pcm16, sound_of, spans_of

_STEP_BYTES = RATE_HZ  # half a second
_ACOUSTIC = "am/final.mdl"


def load(files: Mapping[str, Path], options: Options) -> Runner:
    from vosk import KaldiRecognizer, Model, SetLogLevel  # noqa: PLC0415  (heavy)

    if _ACOUSTIC not in files:
        raise ModelBroken(f"a speech model needs {_ACOUSTIC}", hint="hearthlog models verify")
    SetLogLevel(-1)
    try:
        model = Model(str(files[_ACOUSTIC].parent.parent))
    except Exception as error:  # the library raises Exception itself
        raise ModelBroken("the speech model cannot be loaded", hint="hearthlog models verify") from error

    def run(request: Request) -> Json:
        sound = sound_of(request.the_blob())
        words: list[Json] = []
        heard = 0
        for start, end in spans_of(request.params, sound.duration_us):
            heard += end - start
            recognizer = KaldiRecognizer(model, RATE_HZ)
            recognizer.SetWords(True)
            words += words_of(recognizer, pcm16(sound.samples[start:end]), start * 1_000_000 // RATE_HZ)
        return {
            "text": " ".join(str(word["word"]) for word in words),
            "words": words,
            "confidence": sum(word["confidence"] for word in words) / len(words) if words else 0.0,
            "heard_us": heard * 1_000_000 // RATE_HZ,
        }

    return run


def words_of(recognizer: Any, pcm: bytes, start_us: int) -> list[Json]:  # `Any`: the library has no types
    """What a recogniser hears in a stretch that begins at `start_us` of its recording."""
    parts = []
    for at in range(0, len(pcm), _STEP_BYTES):
        if recognizer.AcceptWaveform(pcm[at : at + _STEP_BYTES]):
            parts.append(recognizer.Result())
    parts.append(recognizer.FinalResult())
    return [
        {
            "word": str(word["word"])[:100],
            "start_us": start_us + round(word["start"] * 1_000_000),
            "end_us": start_us + round(word["end"] * 1_000_000),
            "confidence": float(word["conf"]),
        }
        for part in parts
        for word in json.loads(part).get("result", ())
    ]


FAMILY = Family(name="vosk", tasks=("asr",), load=load)
