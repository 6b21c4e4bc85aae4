"""ONNX Runtime and LiteRT sessions with the options that suit a small box shared with other work."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.errors import ModelBroken
from gateway.inference.contract import of_lite, of_onnx
from gateway.inference.graphs import graph_of
from gateway.inference.providers import (
    CPU,
    LABELS,
    TENSORRT,
    How,
    Provider,
    RunsOn,
    how_to_load,
    note,
    tried,
    with_options,
)

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
    """A loaded ONNX graph."""

    def __init__(self, path: Path, *, threads: int) -> None:
        self._session, runs_on = _session(path, threads, how_to_load())
        note(runs_on)
        self.inputs = {each.name: Port(tuple(each.shape), str(each.type)) for each in self._session.get_inputs()}
        """What the graph takes, by name."""
        self.outputs = tuple(each.name for each in self._session.get_outputs())
        """Their names, in the graph's order."""
        described = how_to_load().graphs.get(path)
        if described is not None:
            described.refuse_another(of_onnx(self._session.get_inputs()), of_onnx(self._session.get_outputs()))

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Outputs in the graph's order."""
        outputs: list[Array] = self._session.run(None, dict(feeds))
        return outputs


def _session(path: Path, threads: int, how: How) -> tuple[Any, RunsOn]:  # `Any`: the library has no types
    """A session on the best provider that starts. ModelBroken when not even the CPU takes the graph."""
    import onnxruntime as ort  # noqa: PLC0415  (heavy)

    missed: list[str] = []
    for name in tried(how.accelerator, ort.get_available_providers()):
        try:
            session = _kept_session(path, threads, how, name)
        except Exception as error:  # the runtime's own classes derive from Exception alone
            if name == CPU:
                raise ModelBroken(f"{path.name} cannot be loaded", hint="hearthlog models verify") from error
            missed.append(f"{LABELS[name]} did not start ({type(error).__name__})")
            continue
        if session.get_providers()[0] == name:
            return session, RunsOn(name, "; ".join(missed))
        missed.append(f"{LABELS[name]} did not start")  # the runtime has quietly taken the next one
    raise ModelBroken(f"{path.name} cannot be loaded", hint="hearthlog models verify")


def _kept_session(path: Path, threads: int, how: How, name: str) -> Any:
    """From the form that was kept, else from the file, whose form is then kept. What TensorRT compiles it keeps
    itself."""
    import onnxruntime as ort  # noqa: PLC0415  (heavy)

    sha256 = how.hashes.get(path)
    if how.kept is None or sha256 is None or name == TENSORRT:
        return _made(path, _options(threads), with_options(name, how.kept))
    graph = graph_of(how.kept, sha256, runtime=ort.__version__, provider=name)
    known = graph.find()
    if known is not None:
        options = _options(threads)
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        with contextlib.suppress(Exception):  # whatever is wrong with the form, the file itself may be good
            return _made(known, options, with_options(name, how.kept))
    try:
        options = _options(threads)
        options.optimized_model_filepath = str(graph.part)
        session = _made(path, options, with_options(name, how.kept))
    except Exception:  # noqa: BLE001  a disk that takes nothing, or a graph whose form cannot be written
        graph.give_up()
        return _made(path, _options(threads), with_options(name, how.kept))
    graph.keep()
    return session


def _made(path: Path, options: Any, providers: list[Provider]) -> Any:
    import onnxruntime as ort  # noqa: PLC0415  (heavy)

    return ort.InferenceSession(str(path), options, providers=providers)


def _options(threads: int) -> Any:
    import onnxruntime as ort  # noqa: PLC0415  (heavy)

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # 36 → 11 CPU-ms a frame
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return options


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
            # Given its path it maps the file, and one that is cut short later ends the process with SIGBUS.
            self._interpreter = Interpreter(model_content=path.read_bytes(), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, OSError) as error:
            raise ModelBroken(f"{path.name} cannot be loaded", hint="hearthlog models verify") from error
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        described = how_to_load().graphs.get(path)
        if described is not None:
            described.refuse_another(of_lite(inputs), of_lite(outputs))
        self._input = inputs[0]["index"]
        output = outputs[0]
        self._output = output["index"]
        self._scale = Scale(*output["quantization"])

    def run(self, tensor: Array) -> npt.NDArray[np.float32]:
        """The output as real numbers, flat."""
        self._interpreter.set_tensor(self._input, tensor)
        self._interpreter.invoke()
        raw: npt.NDArray[np.float32] = self._interpreter.get_tensor(self._output).reshape(-1).astype(np.float32)
        return np.multiply(raw - self._scale.zero, self._scale.step, dtype=np.float32) if self._scale.step else raw


def read_labels(path: Path) -> list[str]:
    """Lines of a label file, each at most 100 characters, in order. ModelBroken for a file that is no text."""
    try:
        return [line.strip()[:100] for line in path.read_text(encoding="utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise ModelBroken(f"{path.name} holds no labels", hint="hearthlog models verify") from error
