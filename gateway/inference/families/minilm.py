"""Turn text into vectors by which meaning is compared, with all-MiniLM-L6-v2 (Reimers and Gurevych 2019).

Task `embed-text`, no blob, params `{texts: [str]}` (at most 64; of each the first 256 word pieces count). Files: one
`.onnx` (input_ids, attention_mask → vector) and `tokenizer.json`. Answers `{vectors: [bytes], dim}`: float32
little-endian, L2-normalised. An empty list loads the model and answers with none.

Texts run one by one: in a padded batch the dynamic quantisation would make a vector depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.family import Family, Options, Request, Runner
from gateway.inference.runtime import OnnxModel

_DIM = 384
_MAX_PIECES = 256


def load(files: Mapping[str, Path], options: Options) -> Runner:
    from tokenizers import Tokenizer  # noqa: PLC0415  (heavy)

    model = OnnxModel(next(path for name, path in files.items() if name.endswith(".onnx")), threads=options.threads)
    try:
        tokenizer = Tokenizer.from_file(str(files["tokenizer.json"]))
    except Exception as error:  # the library raises Exception itself
        raise ModelBroken("the word pieces cannot be loaded", hint="hearthlog models verify") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(_MAX_PIECES)

    def run(request: Request) -> Json:
        vectors = []
        for text in request.the_texts():
            ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
            (vector,) = model.run({"input_ids": ids, "attention_mask": np.ones_like(ids)})
            if vector.shape != (1, _DIM):
                raise ModelBroken("the text model's output has another size")
            vectors.append(vector[0].astype("<f4").tobytes())
        return {"vectors": vectors, "dim": _DIM}

    return run


FAMILY = Family(name="minilm", tasks=("embed-text",), load=load)
