"""An ONNX graph for a BERT sentence encoder (Devlin et al. 2018), made from its safetensors file.

The graph pools and normalises itself: input_ids, attention_mask int64 [n, length] → vector float32 [n, width].
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.errors import ModelBroken

_MAX_HEADER_BYTES = 1 << 20
_OPSET = 17
_TYPES: Mapping[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "I64": np.dtype("<i8")}

Tensors = Mapping[str, npt.NDArray[Any]]
"""`Any`: each tensor has the type that the file says."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of an encoder that its tensors do not tell."""

    layers: int
    heads: int
    norm_epsilon: float = 1e-12


def read_safetensors(path: Path) -> Tensors:
    """Every tensor of a safetensors file by its name, mapped and not copied. ModelBroken when it is malformed."""
    tensors: dict[str, npt.NDArray[Any]] = {}
    try:
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > _MAX_HEADER_BYTES:
                raise ModelBroken("the tensor file's header is too long")
            header = json.loads(stream.read(length))
        body = np.memmap(path, dtype=np.uint8, mode="r", offset=8 + length)
        for name, entry in header.items():
            if name != "__metadata__":
                start, end = entry["data_offsets"]
                count = (end - start) // _TYPES[entry["dtype"]].itemsize
                flat = np.frombuffer(body, dtype=_TYPES[entry["dtype"]], count=count, offset=start)
                tensors[name] = flat.reshape(entry["shape"])
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise ModelBroken("the tensor file is malformed") from error
    return tensors


def write_graph(tensors: Tensors, shape: Shape, target: Path) -> None:
    """Write the graph with all its weights, float32."""
    import onnx  # noqa: PLC0415  (heavy)

    graph = _Graph(tensors, shape)
    output = graph.sentence()
    helper, kind = onnx.helper, onnx.TensorProto
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "sentence",
            [
                helper.make_tensor_value_info(name, kind.INT64, ["n", "length"])
                for name in ("input_ids", "attention_mask")
            ],
            [helper.make_tensor_value_info(output, kind.FLOAT, ["n", graph.width])],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=8,
        producer_name="hearthlog",
    )
    onnx.checker.check_model(model)
    onnx.save(model, str(target))


class _Graph:
    """Nodes and weights as they are added; every method returns the name of its result."""

    def __init__(self, tensors: Tensors, shape: Shape) -> None:
        self._tensors = tensors
        self._shape = shape
        self.width = int(tensors["embeddings.word_embeddings.weight"].shape[1])
        self.nodes: list[Any] = []  # `Any`: the library has no types
        self.weights: list[Any] = []

    def sentence(self) -> str:
        """The whole encoder; the name of its output."""
        mask = self._node("Cast", "attention_mask", to=1)
        hidden = self._embeddings()
        hidden = self._norm(hidden, "embeddings.LayerNorm")
        closed = self._node("Sub", self._constant(1.0), mask)
        bias = self._node("Mul", closed, self._constant(-10_000.0))
        bias = self._node("Unsqueeze", bias, self._integers([1, 2]))
        for layer in range(self._shape.layers):
            hidden = self._layer(f"encoder.layer.{layer}", hidden, bias)
        weights = self._node("Unsqueeze", mask, self._integers([2]))
        total = self._node("ReduceSum", self._node("Mul", hidden, weights), self._integers([1]), keepdims=0)
        count = self._node("ReduceSum", weights, self._integers([1]), keepdims=0)
        mean = self._node("Div", total, count)
        length = self._node("ReduceL2", mean, axes=[1], keepdims=1)
        return self._node("Div", mean, self._node("Max", length, self._constant(1e-12)), name="vector")

    def _embeddings(self) -> str:
        words = self._node("Gather", self._weight("embeddings.word_embeddings.weight"), "input_ids")
        length = self._node("Shape", "input_ids", start=1, end=2)
        table = self._weight("embeddings.position_embeddings.weight")
        places = self._node("Slice", table, self._integers([0]), length, self._integers([0]))
        kind = np.asarray(self._tensors["embeddings.token_type_embeddings.weight"][0])
        return self._node("Add", self._node("Add", words, places), self._array("sentence_kind", kind))

    def _layer(self, name: str, hidden: str, bias: str) -> str:
        heads, size = self._shape.heads, self.width // self._shape.heads
        parts = {}
        for part in ("query", "key", "value"):
            projected = self._dense(hidden, f"{name}.attention.self.{part}")
            split = self._node("Reshape", projected, self._integers([0, 0, heads, size]))
            parts[part] = self._node("Transpose", split, perm=[0, 2, 3, 1] if part == "key" else [0, 2, 1, 3])
        scores = self._node("MatMul", parts["query"], parts["key"])
        scaled = self._node("Mul", scores, self._constant(1.0 / float(np.sqrt(size))))
        shares = self._node("Softmax", self._node("Add", scaled, bias), axis=-1)
        mixed = self._node("Transpose", self._node("MatMul", shares, parts["value"]), perm=[0, 2, 1, 3])
        joined = self._node("Reshape", mixed, self._integers([0, 0, self.width]))
        attended = self._dense(joined, f"{name}.attention.output.dense")
        hidden = self._norm(self._node("Add", attended, hidden), f"{name}.attention.output.LayerNorm")
        wide = self._gelu(self._dense(hidden, f"{name}.intermediate.dense"))
        narrow = self._dense(wide, f"{name}.output.dense")
        return self._norm(self._node("Add", narrow, hidden), f"{name}.output.LayerNorm")

    def _dense(self, value: str, name: str) -> str:
        matrix = np.ascontiguousarray(self._tensors[f"{name}.weight"].T)
        product = self._node("MatMul", value, self._array(f"{name}.weight", matrix))
        return self._node("Add", product, self._weight(f"{name}.bias"))

    def _norm(self, value: str, name: str) -> str:
        scale, shift = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        return self._node("LayerNormalization", value, scale, shift, axis=-1, epsilon=self._shape.norm_epsilon)

    def _gelu(self, value: str) -> str:
        inner = self._node("Erf", self._node("Div", value, self._constant(float(np.sqrt(2.0)))))
        return self._node(
            "Mul",
            self._node("Mul", value, self._node("Add", inner, self._constant(1.0))),
            self._constant(0.5),
        )

    def _weight(self, name: str) -> str:
        return self._array(name, np.asarray(self._tensors[name]))

    def _array(self, name: str, array: npt.NDArray[Any]) -> str:
        from onnx import numpy_helper  # noqa: PLC0415  (heavy)

        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _constant(self, value: float) -> str:
        return self._array(f"constant_{len(self.weights)}", np.array(value, dtype=np.float32))

    def _integers(self, values: list[int]) -> str:
        return self._array(f"constant_{len(self.weights)}", np.array(values, dtype=np.int64))

    def _node(self, operator: str, *inputs: str, name: str = "", **attributes: object) -> str:
        from onnx import helper  # noqa: PLC0415  (heavy)

        output = name or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output
