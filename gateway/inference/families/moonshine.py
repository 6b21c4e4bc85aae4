"""Write down speech with Moonshine (Jeffries et al. 2024), whose work grows with what is said and not with a window.

Task `asr`, params and answer as of the family `vosk`. Files: `encoder_model….onnx` (input_values [1, n] at 16 kHz →
last_hidden_state [1, E, D]), `decoder_model_merged….onnx` as `gateway.inference.generate` describes it, and
`tokenizer.json`. Options: those of `gateway.inference.generate`; `tokens_per_s`, the pieces that a second of speech
may have, in the place of `max_tokens`; `budget_s` is for all of a recording, and what is said later is not heard.

The model does not tell when a word was said: each has the times of the stretch of speech that it is from, at most
30 s, and the confidence of that stretch.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.family import Family, Options, Request, Runner, the_file
from gateway.inference.generate import Decoder, rules
from gateway.inference.runtime import Array, OnnxModel
from gateway.inference.sounds import RATE_HZ, Floats, sound_of, spans_of
from gateway.inference.words import read_words

_LEAST = RATE_HZ // 10
"""Samples: the convolutions need 0.06 s, and nothing is said in less than this."""
_MOST = 30 * RATE_HZ
_SEARCH = 10 * RATE_HZ
_QUIET = RATE_HZ // 10


def load(files: Mapping[str, Path], options: Options) -> Runner:
    how = rules(options)
    tokens_per_s = options.number("tokens_per_s", 6.5)
    if not 0 < tokens_per_s <= 30:
        raise ModelBroken("option tokens_per_s must be above 0 and at most 30")
    encoder = OnnxModel(the_file(files, "encoder_model*"), threads=options.threads)
    decoder = Decoder(OnnxModel(the_file(files, "decoder_model_merged*"), threads=options.threads))
    words = read_words(the_file(files, "tokenizer*"))
    if "last_hidden_state" not in encoder.outputs or "input_values" not in encoder.inputs:
        raise ModelBroken("the encoder does not take sound, or does not say what it heard")

    def run(request: Request) -> Json:
        sound = sound_of(request.the_blob())
        since = time.monotonic()
        found: list[Json] = []
        heard = 0
        for start, end in pieces_of(sound.samples, spans_of(request.params, sound.duration_us)):
            seen = _seen(encoder, sound.samples[None, start:end])
            most = max(1, int((end - start) / RATE_HZ * tokens_per_s))
            said = decoder.greedy(seen, replace(how, max_tokens=most), since=since)
            times = {"start_us": start * 1_000_000 // RATE_HZ, "end_us": end * 1_000_000 // RATE_HZ}
            found += [
                {"word": word[:100], **times, "confidence": said.confidence} for word in words.text(said.tokens).split()
            ]
            if said.stopped == "time":
                break
            heard += end - start
        return {
            "text": " ".join(str(word["word"]) for word in found),
            "words": found,
            "confidence": sum(word["confidence"] for word in found) / len(found) if found else 0.0,
            "heard_us": heard * 1_000_000 // RATE_HZ,
        }

    return run


def _seen(encoder: OnnxModel, samples: Floats) -> dict[str, Array]:
    """What the decoder looks at. Newer exports ask both halves for a mask, one number a sample: all of it is heard."""
    mask = np.ones(samples.shape, np.int64)
    feeds: dict[str, Array] = {"input_values": samples, "attention_mask": mask}
    outputs = encoder.run({name: value for name, value in feeds.items() if name in encoder.inputs})
    hidden = outputs[encoder.outputs.index("last_hidden_state")]
    return {"encoder_hidden_states": hidden, "encoder_attention_mask": mask}


def pieces_of(samples: Floats, spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans of samples as stretches of at most 30 s, cut where it is quietest in the last ten of them. What is too
    short to hold a word is left out."""
    for start, end in spans:
        at, last = start, min(end, len(samples))
        while last - at > _MOST:
            low = at + _MOST - _SEARCH
            loudness = np.square(samples[low : at + _MOST]).reshape(-1, _QUIET).sum(axis=1)
            cut = low + int(loudness.argmin()) * _QUIET + _QUIET // 2
            yield at, cut
            at = cut
        if last - at >= _LEAST:
            yield at, last


FAMILY = Family(name="moonshine", tasks=("asr",), load=load)
