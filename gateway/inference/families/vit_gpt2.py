"""Describe a picture in a sentence: a vision transformer whose picture GPT-2 puts into words.

Task `caption`, no params. Files: `encoder….onnx` (pixel_values [1, 3, S, S] → last_hidden_state [1, E, D]),
`decoder….onnx` as `gateway.inference.generate` describes it, and `tokenizer.json`. Options: those of
`gateway.inference.prepare` and `gateway.inference.generate`.

Answers `{caption, tokens, stopped, confidence}`: the sentence, its pieces, why it ends (`end`, `length`, `time`: then
it is cut in the middle) and how sure the model was, 0..1. Every family of this task answers so; an empty caption
means that the model has nothing to say of this picture.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.family import Family, Options, Request, Runner, the_file
from gateway.inference.generate import Decoder, rules
from gateway.inference.pictures import picture_of
from gateway.inference.prepare import pixel_values, preparation
from gateway.inference.runtime import OnnxModel
from gateway.inference.words import read_words


def load(files: Mapping[str, Path], options: Options) -> Runner:
    encoder = OnnxModel(the_file(files, "encoder*"), threads=options.threads)
    decoder = Decoder(OnnxModel(the_file(files, "decoder*"), threads=options.threads))
    words = read_words(the_file(files, "tokenizer*"))
    how, to_say = preparation(options), rules(options)
    if "last_hidden_state" not in encoder.outputs:
        raise ModelBroken("the encoder does not say what it saw")

    def run(request: Request) -> Json:
        image = picture_of(request.the_blob()).image
        since = time.monotonic()
        outputs = encoder.run({"pixel_values": pixel_values(image, how)})
        seen = outputs[encoder.outputs.index("last_hidden_state")]
        said = decoder.greedy({"encoder_hidden_states": seen}, to_say, since=since)
        return {"caption": words.text(said.tokens), **said.about()}

    return run


FAMILY = Family(name="vit_gpt2", tasks=("caption",), load=load)
