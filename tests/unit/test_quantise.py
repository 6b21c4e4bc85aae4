"""Int8 forms are measured, and what lost too much is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from gateway.errors import ModelBroken
from gateway.inference import quantise
from gateway.inference.manifest import Gate

GATE = Gate("per-channel", "cosine", 0.98)


def convolution(path: Path) -> Path:
    """Two convolutions whose channels differ a hundredfold, in an opset that is too old for QDQ by channels."""
    chance = np.random.default_rng(0)
    first = chance.normal(0, 1, (8, 3, 3, 3)) * np.geomspace(0.05, 5, 8)[:, None, None, None]
    second = chance.normal(0, 0.1, (4, 8, 3, 3))
    weights = [numpy_helper.from_array(each.astype(np.float32), name) for each, name in ((first, "a"), (second, "b"))]
    nodes = [
        helper.make_node("Conv", ["in", "a"], ["x"]),
        helper.make_node("Relu", ["x"], ["y"]),
        helper.make_node("Conv", ["y", "b"], ["out"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("in", [1, 3, 16, 16]), ("out", [1, 4, 12, 12]))
    ]
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=8)
    onnx.save(model, str(path))
    return path


def feeds(count: int) -> list[dict[str, np.ndarray]]:
    chance = np.random.default_rng(1)
    return [{"in": chance.uniform(0, 1, (1, 3, 16, 16)).astype(np.float32)} for _ in range(count)]


def test_a_convolution_in_int8_keeps_what_it_says(tmp_path: Path) -> None:
    exact, small = convolution(tmp_path / "exact.onnx"), tmp_path / "small.onnx"
    quantise.per_channel(exact, small, feeds(8))
    assert {each.name for each in tmp_path.iterdir()} == {"exact.onnx", "small.onnx"}
    kept = quantise.cosine(exact, small, feeds(16)[8:])
    assert kept > 0.98
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(str(small)).graph.node}
    outcome = quantise.compared("small", GATE, (exact, small), feeds(1), kept)
    assert (
        outcome.passed
        and outcome.exact_bytes == exact.stat().st_size
        and 0 < outcome.small_ms[0] <= outcome.small_ms[1]
    )
    quantise.refuse_what_fails("small", GATE, kept)


def test_what_lost_too_much_stays_float32_and_the_table_says_so(tmp_path: Path) -> None:
    exact = convolution(tmp_path / "exact.onnx")
    outcome = quantise.compared("eyes", GATE, (exact, exact), feeds(1), 0.9)
    assert not outcome.passed
    (row,) = quantise.table([outcome]).splitlines()[2:]
    assert row.startswith("| eyes | per-channel |") and row.endswith("| cosine 0.900 | 0.98 | fp32 |")
    (told,) = quantise.as_json([outcome])
    assert (told["model"], told["quality"], told["ships"]) == ("eyes", 0.9, "fp32") and json.dumps(told)
    with pytest.raises(ModelBroken, match="stays float32"):
        quantise.refuse_what_fails("eyes", GATE, 0.9)
    with pytest.raises(ModelBroken):
        quantise.refuse_what_fails("eyes", GATE, float("nan"))
