"""Describe a picture, or find what is in it, with Florence-2 (Xiao et al. 2023), which is asked in words.

Task `caption`, params `{prompt}`: `caption` (as long as nothing is said), `detailed_caption` or `objects`; the option
of the same name is for requests without. Files: `vision_encoder….onnx` (pixel_values [1, 3, S, S] → image_features
[1, E, D]), `embed_tokens….onnx` (input_ids [1, n] → inputs_embeds [1, n, D]), `encoder_model….onnx` (attention_mask,
inputs_embeds → last_hidden_state), `decoder_model_merged….onnx` as `gateway.inference.generate` describes it, and
`tokenizer.json`. Options: those of `gateway.inference.prepare` and `gateway.inference.generate`.

Answers as the family `vit_gpt2` does; when asked for objects `{boxes: [{label, x, y, w, h}], tokens, stopped,
confidence}`: fractions 0..1 of the upright picture, at most 100.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gateway.entities import Json
from gateway.errors import ModelBroken, Rejected
from gateway.inference.family import Family, Options, Request, Runner, the_file
from gateway.inference.generate import Decoder, rules
from gateway.inference.pictures import picture_of
from gateway.inference.prepare import pixel_values, preparation
from gateway.inference.runtime import Array, OnnxModel
from gateway.inference.words import read_words

PROMPTS = {
    "caption": "What does the image describe?",
    "detailed_caption": "Describe in detail what is shown in the image.",
    "objects": "Locate the objects with category name in the image.",
}
"""What the model was trained to be asked."""
_MOST_PROMPT = 64
_BINS = 1000
_MAX_BOXES = 100
_PLACES = re.compile(r"((?:<loc_\d{1,3}>)+)")
_PLACE = re.compile(r"<loc_(\d{1,3})>")
_MARKS = re.compile(r"</?s>|<pad>")


def load(files: Mapping[str, Path], options: Options) -> Runner:
    graphs = _Graphs(*(OnnxModel(the_file(files, f"{each}*"), threads=options.threads) for each in _GRAPHS))
    words = read_words(the_file(files, "tokenizer*"))
    decoder = Decoder(graphs.decoder, embed=graphs.embed)
    how, to_say = preparation(options), rules(options)
    usual = options.table.get("prompt", "caption")
    if usual not in PROMPTS:
        raise ModelBroken(f"option prompt must be one of {', '.join(PROMPTS)}")

    def run(request: Request) -> Json:
        asked = request.params.get("prompt", usual)
        if asked not in PROMPTS:
            raise Rejected(f"params.prompt must be one of {', '.join(PROMPTS)}", code="bad-params")
        image = picture_of(request.the_blob()).image
        since = time.monotonic()
        ids = words.ids(PROMPTS[asked], most=_MOST_PROMPT)
        said = decoder.greedy(graphs.seen(pixel_values(image, how), ids), to_say, since=since)
        if asked == "objects":
            return {"boxes": boxes_of(words.text_with_marks(said.tokens)), **said.about()}
        return {"caption": words.text(said.tokens), **said.about()}

    return run


def boxes_of(text: str) -> list[Json]:
    """The boxes of `label<loc_x0><loc_y0><loc_x1><loc_y1>…`: each number names one of 1,000 strips of the picture, and
    stands for its middle. A label may have several boxes; places without a label are nothing."""
    parts = _PLACES.split(_MARKS.sub("", text))
    boxes: list[Json] = []
    for label, run in zip(parts[0::2], parts[1::2], strict=False):
        name = label.rpartition("<")[2].encode("ascii", "ignore").decode("ascii").strip()
        strips = [int(number) for number in _PLACE.findall(run)]
        for at in range(0, len(strips) - 3, 4):
            x0, y0, x1, y1 = ((strip + 0.5) / _BINS for strip in strips[at : at + 4])
            if name and len(boxes) < _MAX_BOXES:
                boxes.append({"label": name[:100], "x": x0, "y": y0, "w": x1 - x0, "h": y1 - y0})
    return boxes


_GRAPHS = ("vision_encoder", "embed_tokens", "encoder_model", "decoder_model_merged")


@dataclass(frozen=True, slots=True)
class _Graphs:
    vision: OnnxModel
    pieces: OnnxModel
    encoder: OnnxModel
    decoder: OnnxModel

    def embed(self, ids: Array) -> Array:
        return _only(self.pieces, {"input_ids": ids}, "inputs_embeds")

    def seen(self, pixels: Array, prompt: list[int]) -> dict[str, Array]:
        """What the decoder looks at: the picture, then the question."""
        picture = _only(self.vision, {"pixel_values": pixels}, "image_features")
        question = self.embed(np.array([prompt], np.int64))
        if picture.ndim != 3 or picture.shape[::2] != question.shape[::2]:
            raise ModelBroken("the picture's vectors do not fit the words'")
        both = np.concatenate([picture, question], axis=1)
        mask = np.ones(both.shape[:2], np.int64)
        hidden = _only(self.encoder, {"attention_mask": mask, "inputs_embeds": both}, "last_hidden_state")
        return {"encoder_hidden_states": hidden, "encoder_attention_mask": mask}


def _only(model: OnnxModel, feeds: Mapping[str, Array], name: str) -> Array:
    if name not in model.outputs:
        raise ModelBroken(f"a graph has no output {name}")
    return model.run(feeds)[model.outputs.index(name)]


FAMILY = Family(name="florence2", tasks=("caption",), load=load)
