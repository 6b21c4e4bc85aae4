"""Int8 forms of ONNX models, and the gate that refuses those which lost too much.

Weights alone for transformers (dynamic); for convolutions weights and activations by QDQ, weights per channel, which
needs pictures to calibrate by. What int8 breaks, detectors above all, stays float32, and the table says so.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import TypeAlias

import numpy as np

from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.manifest import Gate
from gateway.inference.runtime import Array, OnnxModel

Feeds: TypeAlias = Mapping[str, Array]

RUNS = 21
"""Of each form, for its p50 and p95."""
_OPSET = 13
"""Per-channel QDQ needs it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A model and its int8 form, side by side."""

    model: str
    gate: Gate
    exact_bytes: int
    small_bytes: int
    exact_ms: tuple[float, float]
    small_ms: tuple[float, float]
    """Of the processor, for one run on one thread: p50, p95."""
    quality: float
    """As `gate.measure` says; 1 is float32's own."""
    instead: str = ""
    """Why float32 ships all the same; empty where whoever passes the gate ships."""

    @property
    def passed(self) -> bool:
        return self.quality >= self.gate.least

    @property
    def ships(self) -> str:
        """`int8` or `fp32`."""
        return "int8" if self.passed and not self.instead else "fp32"


def dynamic(exact: Path, small: Path) -> None:
    """Write `small`: the weights of `exact` in int8, per channel; activations stay float32."""
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415  (heavy)

    quantize_dynamic(str(exact), str(small), weight_type=QuantType.QInt8, per_channel=True)


def per_channel(exact: Path, small: Path, feeds: Sequence[Feeds]) -> None:
    """Write `small`: `exact` with int8 weights per channel and uint8 activations, calibrated on `feeds`."""
    import onnx  # noqa: PLC0415  (heavy)
    from onnxruntime.quantization import (  # noqa: PLC0415  (heavy)
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
        shape_inference,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
        def __init__(self) -> None:
            self._left = iter(feeds)

        def get_next(self) -> dict[str, Array] | None:
            feed = next(self._left, None)
            return None if feed is None else dict(feed)

    ready = small.with_suffix(".ready.onnx")
    model = onnx.load(str(exact))
    if max(each.version for each in model.opset_import if not each.domain) < _OPSET:
        model = onnx.version_converter.convert_version(model, _OPSET)
    onnx.save(model, str(ready))
    try:
        shape_inference.quant_pre_process(str(ready), str(ready), skip_symbolic_shape=True)
        quantize_static(
            str(ready),
            str(small),
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Gemm", "MatMul"],  # what weighs and takes time; the rest only loses
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    finally:
        ready.unlink(missing_ok=True)


def cosine(exact: Path, small: Path, feeds: Sequence[Feeds]) -> float:
    """The mean cosine between the first outputs of two graphs; 0 where one is not a number."""
    models = [OnnxModel(path, threads=1) for path in (exact, small)]
    found = []
    for feed in feeds:
        one, other = (model.run(feed)[0].ravel().astype(np.float64) for model in models)
        value = float(one @ other / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-12))
        found.append(value if np.isfinite(value) else 0.0)
    return statistics.fmean(found)


def agreement(exact: Path, small: Path, feeds: Sequence[Feeds]) -> float:
    """How often the largest number of the first output is the same one."""
    models = [OnnxModel(path, threads=1) for path in (exact, small)]
    same = [models[0].run(feed)[0].ravel().argmax() == models[1].run(feed)[0].ravel().argmax() for feed in feeds]
    return statistics.fmean(map(float, same))


def compared(name: str, gate: Gate, files: tuple[Path, Path], feeds: Sequence[Feeds], quality: float) -> Outcome:
    """Sizes and times of (float32, int8) beside a quality that was measured."""
    exact_ms, small_ms = _times_ms([OnnxModel(path, threads=1) for path in files], feeds[0])
    exact_bytes, small_bytes = (path.stat().st_size for path in files)
    return Outcome(name, gate, exact_bytes, small_bytes, exact_ms, small_ms, quality)


def refuse_what_fails(name: str, gate: Gate, quality: float) -> None:
    """ModelBroken for an int8 form that is below its gate."""
    if not quality >= gate.least:  # whatever is no number fails too
        raise ModelBroken(f"{name} in int8 keeps {quality:.3f} ({gate.measure}), not {gate.least}: it stays float32")


def table(outcomes: Sequence[Outcome]) -> str:
    """Markdown."""
    lines = [
        "| model | method | MB fp32 → int8 | p50 ms | p95 ms | kept | at least | ships |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in outcomes:
        size = f"{each.exact_bytes / 1e6:.2f} → {each.small_bytes / 1e6:.2f}"
        took = " | ".join(
            f"{exact:.2f} → {small:.2f}" for exact, small in zip(each.exact_ms, each.small_ms, strict=True)
        )
        kept = f"{each.gate.measure} {each.quality:.3f}"
        ships = f"{each.ships}: {each.instead}" if each.instead else each.ships
        lines.append(f"| {each.model} | {each.gate.method} | {size} | {took} | {kept} | {each.gate.least} | {ships} |")
    return "\n".join(lines)


def as_json(outcomes: Sequence[Outcome]) -> list[Json]:
    """The same for machines."""
    return [{**asdict(each), "ships": each.ships} for each in outcomes]


def _times_ms(models: Sequence[OnnxModel], feed: Feeds) -> list[tuple[float, float]]:
    """p50 and p95 of each, of the processor, and asked in turns: what else the machine does is to count for little."""
    took: list[list[float]] = [[] for _ in models]
    for model in models:
        model.run(feed)
    for _, (mine, model) in product(range(RUNS), list(zip(took, models, strict=True))):
        began_s = time.process_time()
        model.run(feed)
        mine.append((time.process_time() - began_s) * 1000)
    return [(statistics.median(each), sorted(each)[math.ceil(0.95 * RUNS) - 1]) for each in took]
