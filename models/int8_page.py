"""`python -m models.int8_page`: docs/int8.md anew from docs/int8.json, as `models.quantise --page` makes both."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from gateway.inference import quantise
from gateway.inference.manifest import Gate, Manifest
from gateway.inference.quantise import RUNS, Outcome

FIGURES = Path(__file__).resolve().parent.parent / "docs" / "int8.json"
PAGE = FIGURES.with_suffix(".md")
_UPSTREAM = "published in 8 bits alone: there is no float32 form of these weights to compare with"
_NOT_HERE = "its weights are at no place that could be reached: not measured"
_OWN_FORM = "a form of its own, in whole numbers: no graph that could be brought to int8"
ALONE: Mapping[str, tuple[str, str]] = {
    "mobilenet-v2": ("int8", _UPSTREAM),
    "mobilenet-v1-embed": ("int8", _UPSTREAM),
    "yamnet": ("int8", f"weights in 8 bits, {_UPSTREAM}"),
    "tesseract": ("int8", _OWN_FORM),
    "pocketsphinx": ("int8", _OWN_FORM),
    "vosk-small-en": ("", f"a form of its own (Kaldi); {_NOT_HERE}"),
    "campplus": ("fp32", _NOT_HERE),
    "clip-vit-b32-text": ("int8", _NOT_HERE),
    "clip-vit-b32-vision": ("int8", _NOT_HERE),
    "dfine-n": ("fp32", f"{_NOT_HERE}; int8 breaks detectors of this size"),
    "florence2-base": ("int8", _NOT_HERE),
    "moonshine-tiny-en": ("int8", f"{_NOT_HERE}; its encoder stays float32: upstream's int8 one keeps a cosine of .63"),
    "sface": ("fp32", _NOT_HERE),
    "siglip2-base-text": ("fp32", _NOT_HERE),
    "siglip2-base-vision": ("fp32", _NOT_HERE),
    "vit-gpt2": ("int8", _NOT_HERE),
}
"""Models of which we have one form: which, and why no other."""
_TOP = f"""# Int8 beside float32
Every model of `models/onnx`: what int8 makes of its size, its time and its answers. By `python -m models.quantise`; the
figures are those of [int8.json](int8.json), of one run on one thread of a busy x86 machine, both forms asked in turns
({RUNS} times; p50, p95 of the processor's own time). *Kept* is what int8 keeps of float32, by the measure of its gate.
What keeps less than is asked ships in float32. Why: [decision 023](decisions/023-int8-behind-a-gate.md).

## Both forms
"""
_ALONE = """
## One form
| model | form | MB | p50 ms | p95 ms | why no other |
| --- | --- | --- | --- | --- | --- |
"""
_END = """
What ships in int8 is asked again at every change: our own networks by `tests/contract/test_gates.py`; MiniLM, which is
built on the device, by its build and by `tests/contract/test_minilm.py`.
"""


@dataclass(frozen=True, slots=True)
class Alone:
    """A model of which there is one form."""

    model: str
    form: str
    """`int8`, `fp32`, or empty where it is neither."""
    bytes: int
    """Of its largest part; 0 while nobody knows."""
    ms: tuple[float, float] | None
    """p50, p95 of one run on one thread, where it was run."""
    why: str


def page(both: Sequence[Outcome], alone: Sequence[Alone]) -> str:
    """Markdown."""
    return _TOP + quantise.table(both) + "\n" + _ALONE + "".join(map(_line, alone)) + _END


def write(both: Sequence[Outcome], alone: Sequence[Alone]) -> None:
    """Both files."""
    figures = {"both": quantise.as_json(both), "alone": [asdict(each) for each in alone]}
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(both, alone), encoding="utf-8")


def read() -> tuple[list[Outcome], list[Alone]]:
    """What was measured last."""
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    both = [
        Outcome(**{**{key: value for key, value in each.items() if key != "ships"}, "gate": Gate(**each["gate"])})
        for each in figures["both"]
    ]
    return both, [Alone(**each) for each in figures["alone"]]


def as_they_come(manifests: Mapping[str, Manifest], mirror: Path) -> list[Alone]:
    """What has one form, with its time where it is here."""
    found = []
    for name, (form, why) in ALONE.items():
        graph = manifests[name].files[0]
        ms = _lite_ms(mirror / graph.name) if graph.name.endswith(".tflite") else None
        found.append(Alone(name, form, graph.bytes, ms, why))
    return found


def _lite_ms(path: Path) -> tuple[float, float]:
    """p50, p95 of a LiteRT graph on nothing, on one thread."""
    model = Interpreter(model_path=str(path), num_threads=1)
    model.allocate_tensors()
    asked = model.get_input_details()[0]
    model.set_tensor(asked["index"], np.zeros(asked["shape"], asked["dtype"]))
    model.invoke()
    took = []
    for _ in range(RUNS):
        began_s = time.process_time()
        model.invoke()
        took.append((time.process_time() - began_s) * 1000)
    return statistics.median(took), sorted(took)[math.ceil(0.95 * RUNS) - 1]


def _line(each: Alone) -> str:
    size = f"{each.bytes / 1e6:.2f}" if each.bytes else "–"
    p50, p95 = (f"{value:.2f}" for value in each.ms) if each.ms else ("–", "–")
    return f"| {each.model} | {each.form or '–'} | {size} | {p50} | {p95} | {each.why} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(*read()), encoding="utf-8")
