"""A model whose hash nobody has established is known, and neither fetched nor loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ConfigError, HearthlogError, ModelMissing
from gateway.inference.fetch import pull
from gateway.inference.manifest import read_manifest
from gateway.inference.models import Models, State
from gateway.inference.workers import Budget, ProcessWorkers

TEXT = """
name = "eyes"
task = "detect"
family = "yolox"
revision = "1"
preprocessing = "p1"
licence = "MIT"
ships = false
ram_mb = 4000
slot = "look"
[[files]]
name = "eyes.onnx"
sha256 = "unknown"
sources = [{ url = "https://example.org/a/eyes.onnx" }]
"""


def models(folder: Path) -> Models:
    path = folder / "eyes.toml"
    path.write_text(TEXT)
    return Models(folder, {"eyes": read_manifest(path)})


async def test_a_pull_refuses_what_it_could_not_check(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "eyes.onnx").write_bytes(b"anything")
    with pytest.raises(HearthlogError, match=r"no hash of eyes\.onnx is known") as refused:
        await pull(models(tmp_path), "eyes", mirror=mirror)
    assert refused.value.code == "hash-unknown" and "eyes.toml" in refused.value.hint
    assert not (tmp_path / "models/eyes/eyes.onnx").exists()


def test_a_file_that_lies_there_already_is_not_believed(tmp_path: Path) -> None:
    found = models(tmp_path)
    (found.folder / "eyes").mkdir(parents=True)
    (found.folder / "eyes/eyes.onnx").write_bytes(b"anything")
    look = found.get("eyes")
    assert look.state is State.MISSING and "no hash" in look.reason
    with pytest.raises(ModelMissing):
        found.for_task("detect")


def test_it_takes_no_part_of_the_memory_of_its_slot(tmp_path: Path) -> None:
    limits = ProcessWorkers(models(tmp_path), Budget())._slots["look"]._child._limits
    assert limits.memory_bytes is not None and limits.memory_bytes < 4000 << 20


def test_it_has_no_size(tmp_path: Path) -> None:
    path = tmp_path / "eyes.toml"
    path.write_text(TEXT.replace('sha256 = "unknown"', 'sha256 = "unknown"\nbytes = 3'))
    with pytest.raises(ConfigError, match="bytes"):
        read_manifest(path)
