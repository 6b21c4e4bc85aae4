"""A graph runs on the best provider that starts, and a broken driver does not take it away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from gateway.errors import ModelBroken
from gateway.inference.manifest import manifests_folder
from gateway.inference.models import file_sha256
from gateway.inference.providers import CPU, CUDA, TENSORRT, How, RunsOn, built_in, loading, tried, with_options
from gateway.inference.runtime import OnnxModel

MODEL = manifests_folder() / "quality.onnx"
ALL = [TENSORRT, CUDA, "AzureExecutionProvider", CPU]
REAL = onnxruntime.InferenceSession


@pytest.mark.parametrize(
    ("setting", "available", "names"),
    [
        ("auto", ALL, [TENSORRT, CUDA, CPU]),
        ("tensorrt", ALL, [TENSORRT, CUDA, CPU]),
        ("cuda", ALL, [CUDA, CPU]),
        ("cpu", ALL, [CPU]),
        ("auto", ["AzureExecutionProvider", CPU], [CPU]),
        ("cuda", [], [CPU]),
    ],
)
def test_the_best_comes_first_as_far_as_it_is_there_and_allowed(
    setting: str, available: list[str], names: list[str]
) -> None:
    assert tried(setting, available) == names


def test_what_one_cannot_do_falls_to_those_behind_it() -> None:
    assert [[name for name, _ in with_options(first, None)] for first in (TENSORRT, CUDA, CPU)] == [
        [TENSORRT, CUDA, CPU],
        [CUDA, CPU],
        [CPU],
    ]
    (_, engines), *_ = with_options(TENSORRT, Path("/kept"))
    assert engines == {"trt_engine_cache_enable": True, "trt_engine_cache_path": "/kept/tensorrt"}


def test_this_machines_runtime_is_the_one_that_its_files_tell_of() -> None:
    there = onnxruntime.get_available_providers()
    assert built_in() == [each for each in (TENSORRT, CUDA, CPU) if each in there]


def _loaded(accelerator: str, kept: Path | None = None) -> tuple[OnnxModel, RunsOn]:
    how = How(accelerator=accelerator, kept=kept, hashes={MODEL: file_sha256(MODEL)})
    with loading(how) as told:
        model = OnnxModel(MODEL, threads=1)
    (on,) = told
    return model, on


def _answers(model: OnnxModel) -> bool:
    (name,) = model.inputs
    return bool(np.isfinite(model.run({name: np.zeros((1, 53), np.float32)})[0]).all())


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_the_runtime_names_and_cannot_start_is_left_out_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if CUDA in onnxruntime.get_available_providers():
        pytest.skip("this machine has CUDA: there is nothing to fall back from")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ALL)
    for kept in (None, tmp_path):  # real sessions, of a runtime that quietly takes the next provider
        model, on = _loaded("auto", kept)
        assert on == RunsOn(CPU, "TensorRT did not start; CUDA did not start")
        assert _answers(model)


class Broken(Exception):
    """As a driver refuses."""


def _runtime(monkeypatch: pytest.MonkeyPatch, refuses: Callable[[str], bool]) -> list[list[str]]:
    """A runtime with all providers, of which some refuse; the others are real sessions on the CPU that say otherwise.
    Returns what is asked of it."""
    asked: list[list[str]] = []

    def session(path: str, options: Any, *, providers: list[tuple[str, dict[str, Any]]]) -> Any:
        names = [name for name, _ in providers]
        asked.append(names)
        if refuses(names[0]):
            raise Broken("CUDA failure 35: driver version is insufficient")
        made = REAL(path, options, providers=[CPU])
        monkeypatch.setattr(made, "get_providers", lambda: names)
        return made

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ALL)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    return asked


def test_the_best_that_starts_runs_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _runtime(monkeypatch, lambda name: False)
    model, on = _loaded("auto")
    assert on == RunsOn(TENSORRT) and str(on) == "TensorRT" and _answers(model)
    assert asked == [[TENSORRT, CUDA, CPU]]


@pytest.mark.parametrize("kept", [True, False])
def test_a_broken_driver_leaves_the_model_on_the_next_one_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kept: bool
) -> None:
    _runtime(monkeypatch, lambda name: name == TENSORRT)
    model, on = _loaded("auto", tmp_path if kept else None)
    assert on == RunsOn(CUDA, "TensorRT did not start (Broken)") and _answers(model)
    _runtime(monkeypatch, lambda name: name != CPU)
    model, on = _loaded("auto", tmp_path if kept else None)
    assert on.provider == CPU and str(on) == "CPU (TensorRT did not start (Broken); CUDA did not start (Broken))"
    assert _answers(model)


def test_a_graph_is_kept_for_each_provider_by_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = set()
    for accelerator in ("cpu", "cuda"):
        _runtime(monkeypatch, lambda name: False)
        _loaded(accelerator, tmp_path)
        names |= {each.name for each in tmp_path.iterdir()}
    assert len(names) == 2


def test_the_cpu_alone_is_asked_where_nothing_else_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _runtime(monkeypatch, lambda name: False)
    _, on = _loaded("cpu")
    assert on == RunsOn(CPU) and asked == [[CPU]]


def test_a_file_that_no_provider_takes_is_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no graph")
    with pytest.raises(ModelBroken):
        OnnxModel(bad, threads=1)
