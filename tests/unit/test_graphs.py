"""Optimised graphs are kept for one processor, runtime, provider and model, and are never trusted unread."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.inference.graphs import graph_of
from gateway.inference.manifest import manifests_folder
from gateway.inference.models import file_sha256
from gateway.inference.providers import How, RunsOn, loading
from gateway.inference.runtime import OnnxModel

MODEL = manifests_folder() / "quality.onnx"


def answer(kept: Path, path: Path = MODEL) -> list[float]:
    """What the model says, loaded as a worker loads it."""
    with loading(How(kept=kept, hashes={path: file_sha256(path)})) as told:
        model = OnnxModel(path, threads=1)
    assert told == [RunsOn()]
    (name,) = model.inputs
    return [float(each) for each in model.run({name: np.linspace(0, 1, 53, dtype=np.float32)[None]})[0].ravel()]


def test_a_graph_is_optimised_once_and_answers_the_same(tmp_path: Path) -> None:
    first = answer(tmp_path)
    (kept,) = tmp_path.iterdir()
    written_ns = kept.stat().st_mtime_ns
    assert answer(tmp_path) == first
    assert [each.stat().st_mtime_ns for each in tmp_path.iterdir()] == [written_ns]


@pytest.mark.parametrize("damage", [b"", b"no graph", None])
def test_a_form_that_was_damaged_is_made_again(tmp_path: Path, damage: bytes | None) -> None:
    first = answer(tmp_path)
    (kept,) = tmp_path.iterdir()
    body = bytearray(kept.read_bytes())
    body[len(body) // 2] ^= 1
    kept.write_bytes(bytes(body) if damage is None else damage)
    assert answer(tmp_path) == first
    assert [file_sha256(each) for each in tmp_path.iterdir()] == [kept.stem.rpartition("-")[2]]


def test_a_form_belongs_to_one_processor_runtime_provider_and_model(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("processor : 0\nmodel name : A\nflags : avx2\nbogomips : 1\n\nprocessor : 1\nbogomips : 2\n")
    other.write_text("processor : 0\nmodel name : A\nflags : avx512f\n")
    usual = graph_of(tmp_path, "a" * 64, runtime="1", provider="CPU", cpuinfo=one)
    others = [
        graph_of(tmp_path, "b" * 64, runtime="1", provider="CPU", cpuinfo=one),
        graph_of(tmp_path, "a" * 64, runtime="2", provider="CPU", cpuinfo=one),
        graph_of(tmp_path, "a" * 64, runtime="1", provider="CUDA", cpuinfo=one),
        graph_of(tmp_path, "a" * 64, runtime="1", provider="CPU", cpuinfo=other),
    ]
    assert len({(each.model, each.made_by) for each in [usual, *others]}) == 5


def test_a_folder_that_takes_nothing_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert answer(tmp_path / "file") == answer(tmp_path / "kept")


def test_forms_for_an_earlier_runtime_go(tmp_path: Path) -> None:
    answer(tmp_path)
    (kept,) = tmp_path.iterdir()
    earlier = kept.with_name(f"{kept.name.partition('-')[0]}-{'0' * 16}-{'0' * 64}.onnx")
    kept.rename(earlier)
    answer(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [kept.name]
