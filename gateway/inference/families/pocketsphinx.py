"""Write down English speech as a rough draft, with PocketSphinx (Huggins-Daines et al. 2006).

Task `asr-draft`, params `{speech: [{start_us, end_us}]}` (as `vad` answers; absent: all of it). Files: the acoustic
model's, `en-us.lm.bin` and `cmudict-en-us.dict`. Answers `{text, words: [{word, start_us, end_us, confidence}],
confidence, heard_us}`. About a third of the words are wrong, so no confidence is ever above 0.3. `heard_us` says how
much was listened to: at most one minute of speech.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.family import Family, Options, Request, Runner
from gateway.inference.sounds import RATE_HZ, pcm16, sound_of, spans_of

_MOST_S = 60
_FRAME_US = 10_000
_DRAFT = 0.3
_COMMON = "the"
"""A word that every English dictionary has."""


def load(files: Mapping[str, Path], options: Options) -> Runner:
    from pocketsphinx import Decoder  # noqa: PLC0415  (heavy)

    try:
        decoder = Decoder(
            hmm=str(files["mdef"].parent),
            lm=str(files["en-us.lm.bin"]),
            dict=str(files["cmudict-en-us.dict"]),
            loglevel="FATAL",
        )
    except (RuntimeError, KeyError) as error:
        raise ModelBroken("the draft model cannot be loaded", hint="hearthlog models verify") from error
    if decoder.lookup_word(_COMMON) is None:  # lines that it cannot read it passes over, be it all of them
        raise ModelBroken("the draft model's dictionary has no words", hint="hearthlog models verify")

    def run(request: Request) -> Json:
        sound = sound_of(request.the_blob())
        decoder.reinit_feat()  # it goes with what is heard: else an answer would depend on the recordings before
        words: list[Json] = []
        left = _MOST_S * RATE_HZ
        for start, end in spans_of(request.params, sound.duration_us):
            samples = sound.samples[start : min(end, start + left)]
            left -= len(samples)
            if len(samples):
                words += _words(decoder, pcm16(samples), start * 1_000_000 // RATE_HZ)
        return {
            "text": " ".join(str(word["word"]) for word in words),
            "words": words,
            "confidence": sum(word["confidence"] for word in words) / len(words) if words else 0.0,
            "heard_us": (_MOST_S * RATE_HZ - left) * 1_000_000 // RATE_HZ,
        }

    return run


def _words(decoder: Any, pcm: bytes, start_us: int) -> list[Json]:  # `Any`: the library has no types
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    log_of = decoder.get_logmath()
    found: list[Json] = []
    for segment in decoder.seg() or ():
        word = segment.word.split("(")[0]  # "read(2)" is a second pronunciation
        if not word or word[0] in "<[":
            continue  # silence and noises
        found.append(
            {
                "word": word[:100],
                "start_us": start_us + segment.start_frame * _FRAME_US,
                "end_us": start_us + (segment.end_frame + 1) * _FRAME_US,
                "confidence": _DRAFT * max(0.0, min(1.0, log_of.exp(int(segment.prob)))),
            }
        )
    return found


FAMILY = Family(name="pocketsphinx", tasks=("asr-draft",), load=load)
