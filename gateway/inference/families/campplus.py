"""Turn stretches of speech into vectors by which voices are compared, with WeSpeaker's CAM++ (Wang et al. 2023).

Task `embed-speaker`, params `{speech: [{start_us, end_us}]}`, at most 64 (absent: all of the recording). File: one
`.onnx` (feats [1, T, 80], as `gateway.inference.fbank` makes them, less their mean → embs [1, D]). Option: `same`.
Answers `{vectors, dim, same}`: of each stretch, in order, float32 little-endian, L2-normalised, of its first 10 s;
empty for less than 0.2 s; and the cosine from which two voices are one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gateway.entities import Json
from gateway.errors import ModelBroken, Rejected
from gateway.inference.family import Family, Options, Request, Runner, the_file
from gateway.inference.fbank import BANDS, fbank
from gateway.inference.runtime import OnnxModel
from gateway.inference.sounds import RATE_HZ, Floats, sound_of, spans_of

MAX_SPANS = 64
_LEAST, _MOST = RATE_HZ // 5, 10 * RATE_HZ


def load(files: Mapping[str, Path], options: Options) -> Runner:
    model = OnnxModel(the_file(files, "*.onnx"), threads=options.threads)
    if "feats" not in model.inputs or model.inputs["feats"].shape[-1] != BANDS or len(model.outputs) != 1:
        raise ModelBroken("the model of voices takes or gives something else")
    same = options.number("same", 0.5)

    def run(request: Request) -> Json:
        sound = sound_of(request.the_blob())
        spans = spans_of(request.params, sound.duration_us)
        if len(spans) > MAX_SPANS:
            raise Rejected(f"params.speech must be at most {MAX_SPANS} spans", code="bad-params")
        vectors = [_vector(model, sound.samples[start : min(end, start + _MOST)]) for start, end in spans]
        sizes = {len(each) for each in vectors if len(each)}
        if len(sizes) > 1:
            raise ModelBroken("the model of voices gives vectors of several sizes")
        return {"vectors": [each.tobytes() for each in vectors], "dim": max(sizes, default=0), "same": same}

    return run


def _vector(model: OnnxModel, samples: Floats) -> Floats:
    if len(samples) < _LEAST:
        return np.zeros(0, np.float32)
    rows = fbank(samples)
    (raw,) = model.run({"feats": (rows - rows.mean(axis=0))[None]})
    if raw.ndim != 2 or len(raw) != 1 or not np.isfinite(raw).all():
        raise ModelBroken("the model of voices gives no vector")
    vector: Floats = (raw[0] / max(float(np.linalg.norm(raw[0])), 1e-12)).astype("<f4")
    return vector


FAMILY = Family(name="campplus", tasks=("embed-speaker",), load=load)
