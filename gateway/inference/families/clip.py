"""Pictures and texts as vectors of one space: CLIP (Radford et al. 2021) and SigLIP 2 (Tschannen et al. 2025).

The picture half, task `embed-image`, no params. File: one `.onnx` (pixel_values [1, 3, S, S] → `image_embeds` or
`pooler_output` [1, D]). Answers `{vector, dim, space}`: float32 little-endian, L2-normalised.

The text half, task `embed-text-for-images`, no blob, params `{texts: [str]}` (at most 64). Files: one `.onnx`
(input_ids [1, T], attention_mask where it asks for one → `text_embeds` or `pooler_output` [1, D]) and
`tokenizer.json`. Answers `{vectors, dim, space}`; also `{scale, bias}` where the options name them: the likelihood
that a text fits a picture is then sigmoid(scale × cosine + bias), as SigLIP was trained.

Which half a model is, its files say. Both halves have the option `space`, the first part of their space's name, and
the same revision and preprocessing. Options of pictures: `gateway.inference.prepare`. Options of texts: `tokens` (at
most so many; the end mark stays), `pad_id` (fill up to so many with it; left out, nothing is filled up), `lowercase`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.family import Family, Options, Request, Runner, the_file
from gateway.inference.pictures import picture_of
from gateway.inference.prepare import pixel_values, preparation
from gateway.inference.runtime import Array, OnnxModel
from gateway.inference.words import Words, read_words

_EMBEDS = ("image_embeds", "text_embeds", "pooler_output")


def load(files: Mapping[str, Path], options: Options) -> Runner:
    model = OnnxModel(the_file(files, "*.onnx"), threads=options.threads)
    space = options.table.get("space")
    if not isinstance(space, str) or not space:
        raise ModelBroken("option space must name the vector space that both halves share")
    if "tokenizer.json" in files:
        return _of_texts(model, read_words(files["tokenizer.json"]), options, space)
    return _of_pictures(model, options, space)


def _of_pictures(model: OnnxModel, options: Options, space: str) -> Runner:
    how = preparation(options)

    def run(request: Request) -> Json:
        vector = _vector(model, {"pixel_values": pixel_values(picture_of(request.the_blob()).image, how)})
        return {"vector": vector.tobytes(), "dim": len(vector), "space": space}

    return run


def _of_texts(model: OnnxModel, words: Words, options: Options, space: str) -> Runner:
    tokens = int(options.number("tokens", 77))
    pad_id = int(options.number("pad_id", -1))
    lowercase = options.table.get("lowercase", False) is True
    likelihood = {name: options.number(name, 0) for name in ("scale", "bias") if name in options.table}

    def run(request: Request) -> Json:
        vectors: list[Array] = []
        for text in request.the_texts():
            ids = words.ids(text.lower() if lowercase else text, most=tokens)
            asked = len(ids)
            if pad_id >= 0:
                ids += [pad_id] * (tokens - asked)
            feeds: dict[str, Array] = {"input_ids": np.array([ids], np.int64)}
            if "attention_mask" in model.inputs:
                feeds["attention_mask"] = np.ones((1, len(ids)), np.int64)
                feeds["attention_mask"][:, asked:] = 0
            vectors.append(_vector(model, feeds))
        dim = len(vectors[0]) if vectors else 0
        return {"vectors": [vector.tobytes() for vector in vectors], "dim": dim, "space": space, **likelihood}

    return run


def _vector(model: OnnxModel, feeds: Mapping[str, Array]) -> Array:
    """Of unit length, float32 little-endian [D]."""
    outputs = dict(zip(model.outputs, model.run(feeds), strict=True))
    name = next((each for each in _EMBEDS if each in outputs), None)
    if name is None:
        raise ModelBroken(f"the model has none of the outputs {', '.join(_EMBEDS)}")
    found = outputs[name]
    if found.ndim != 2 or found.shape[0] != 1 or not np.isfinite(found).all():
        raise ModelBroken("the model's output is not one vector of numbers")
    vector: Array = found[0].astype("<f4")
    vector /= max(float(np.linalg.norm(vector)), 1e-12)
    return vector


FAMILY = Family(name="clip", tasks=("embed-image", "embed-text-for-images"), load=load)
