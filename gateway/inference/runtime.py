"""ONNX Runtime and LiteRT sessions with the options that suit a small box shared with other work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.errors import ModelBroken

Array = npt.NDArray[Any]
"""`Any` because tensors of a model have the type that the model says."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input of an ONNX graph."""

    shape: tuple[int | str | None, ...]
    """A number where a side is fixed, a name or None where it is not."""
    kind: str
    """As the runtime writes it: `tensor(float)`, `tensor(int64)`, …"""


class OnnxModel:
    """A loaded ONNX graph on the CPU."""

    def __init__(self, path: Path, *, threads: int) -> None:
        import onnxruntime as ort  # noqa: PLC0415  (heavy)

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # 36 → 11 CPU-ms a frame
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        provider = ("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})
        try:
            self._session = ort.InferenceSession(str(path), options, providers=[provider])
        except Exception as error:  # the runtime's own classes derive from Exception alone
            raise ModelBroken(f"{path.name} cannot be loaded", hint="hearthlog models verify") from error
        self.inputs = {each.name: Port(tuple(each.shape), str(each.type)) for each in self._session.get_inputs()}
        """What the graph takes, by name."""
        self.outputs = tuple(each.name for each in self._session.get_outputs())
        """Their names, in the graph's order."""

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Outputs in the graph's order."""
        outputs: list[Array] = self._session.run(None, dict(feeds))
        return outputs


@dataclass(frozen=True, slots=True)
class Scale:
    """value = (stored − zero) × step; a float tensor has step 0."""

    step: float
    zero: int


class LiteModel:
    """A loaded LiteRT graph with one input and one output."""

    def __init__(self, path: Path, *, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415  (heavy)

        try:
            self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelBroken(f"{path.name} cannot be loaded", hint="hearthlog models verify") from error
        self._input = self._interpreter.get_input_details()[0]["index"]
        output = self._interpreter.get_output_details()[0]
        self._output = output["index"]
        self._scale = Scale(*output["quantization"])

    def run(self, tensor: Array) -> npt.NDArray[np.float32]:
        """The output as real numbers, flat."""
        self._interpreter.set_tensor(self._input, tensor)
        self._interpreter.invoke()
        raw: npt.NDArray[np.float32] = self._interpreter.get_tensor(self._output).reshape(-1).astype(np.float32)
        return np.multiply(raw - self._scale.zero, self._scale.step, dtype=np.float32) if self._scale.step else raw


def read_labels(path: Path) -> list[str]:
    """Lines of a label file, each at most 100 characters, in order."""
    return [line.strip()[:100] for line in path.read_text(encoding="utf-8").splitlines()]
