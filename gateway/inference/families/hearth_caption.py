"""Describe a picture of a place that the model knows, and be silent about any other: eyes with a gate, and a decoder.

Task `caption`, no params. Files: `*encoder*.onnx` (pixel_values [1, 3, S, S] → last_hidden_state [1, E, D] and gate
[1, 2]), `*decoder*.onnx` as `gateway.inference.generate` describes it, and `*tokenizer*`. Options: those of
`gateway.inference.prepare` and `gateway.inference.generate`, `least_logit` and `most_distance`.

The gate's two numbers are a logit, learnt from pictures of the place and from others, and the distance of what was
seen from what the place looks like (Mahalanobis, 1 is usual). One that is out of its limit, or no number, is enough to
abstain: then no word is asked for. Answers `{caption, tokens, stopped, confidence}` as every family of this task, and
`gate` {logit, distance}; abstaining is an empty caption whose `stopped` is `abstained`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.family import Family, Options, Request, Runner, the_file
from gateway.inference.generate import Decoder, rules
from gateway.inference.pictures import picture_of
from gateway.inference.prepare import pixel_values, preparation
from gateway.inference.runtime import Array, OnnxModel
from gateway.inference.words import read_words

ABSTAINED = "abstained"


def load(files: Mapping[str, Path], options: Options) -> Runner:
    encoder = OnnxModel(the_file(files, "*encoder*"), threads=options.threads)
    decoder = Decoder(OnnxModel(the_file(files, "*decoder*"), threads=options.threads))
    words = read_words(the_file(files, "*tokenizer*"))
    how, to_say = preparation(options), rules(options)
    if not {"last_hidden_state", "gate"} <= set(encoder.outputs):
        raise ModelBroken("the encoder does not say what it saw, or not whether it knows it")
    least_logit, most_distance = _limit(options, "least_logit"), _limit(options, "most_distance")

    def run(request: Request) -> Json:
        image = picture_of(request.the_blob()).image
        since = time.monotonic()
        outputs = dict(zip(encoder.outputs, encoder.run({"pixel_values": pixel_values(image, how)}), strict=True))
        logit, distance = gate_of(outputs["gate"])
        gate = {"logit": logit, "distance": distance}
        if not (logit >= least_logit and distance <= most_distance):
            return {"caption": "", "tokens": [], "stopped": ABSTAINED, "confidence": 0.0, "gate": gate}
        said = decoder.greedy({"encoder_hidden_states": outputs["last_hidden_state"]}, to_say, since=since)
        return {"caption": words.text(said.tokens), **said.about(), "gate": gate}

    return run


def gate_of(output: Array) -> tuple[float, float]:
    """(logit, distance); what is no number is further off than any limit. ModelBroken for another shape."""
    """(logit, distance); what is no number is further off than any limit."""
    if output.shape != (1, 2):
        raise ModelBroken("the gate is not two numbers")
    logit, distance = (float(value) for value in output[0])
    if not np.isfinite((logit, distance)).all():
        return -1e9, 1e9
    return logit, distance


def _limit(options: Options, name: str) -> float:
    """A gate without its limits would let everything through: both must be there."""
    if name not in options.table:
        raise ModelBroken(f"option {name} is missing")
    return options.number(name, 0.0)


FAMILY = Family(name="hearth_caption", tasks=("caption",), load=load)
