"""A manifest is data that is checked before anything is believed."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from gateway.discover import discover
from gateway.errors import ConfigError
from gateway.inference.build import RECIPES
from gateway.inference.contract import Graph
from gateway.inference.family import Family
from gateway.inference.manifest import Manifest, ModelFile, Source, manifests_folder, read_manifest, read_manifests

GOOD = """
name = "eyes"
task = "detect"
family = "yolox"
revision = "1"
preprocessing = "p1"
licence = "MIT"
ships = true
ram_mb = 10
slot = "look"
[[files]]
name = "eyes.onnx"
sha256 = "{sha}"
bytes = 3
sources = [{{ url = "https://example.org/a/eyes.onnx" }}]
""".format(sha="a" * 64)

GRAPH = 'ram_mb = 10\ngraphs = [{{ file = "{}", inputs = ["{}"], outputs = ["y int8[1]"] }}]'


def write(folder: Path, text: str, name: str = "eyes.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_manifest_is_read(tmp_path: Path) -> None:
    manifest = read_manifest(write(tmp_path, GOOD))
    assert (manifest.name, manifest.task, manifest.files[0].bytes) == ("eyes", "detect", 3)
    assert manifest.provenance.model == "eyes"
    assert manifest.download_bytes == 3


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("ships = true\n", 'ships = true\ncolour = "red"\n', "colour"),
        ('task = "detect"\n', "", "task"),
        ('slot = "look"', 'slot = "cellar"', "slot"),
        ('name = "eyes"', 'name = "../eyes"', "name"),
        ('name = "eyes.onnx"', 'name = "../eyes.onnx"', "name"),
        ("a" * 64, "A" * 64, "sha256"),
        ("bytes = 3", "bytes = 0", "bytes"),
        ("bytes = 3", "bytes = true", "bytes"),
        ("https://", "http://", "https"),
        ("url = ", 'wheel = "a==1", url = ', "exactly one"),
        ('url = "https://example.org/a/eyes.onnx"', 'package = "p", member = "../x"', "member"),
        ('url = "https://example.org/a/eyes.onnx"', 'shipped = "../eyes.onnx"', "shipped"),
        ("ram_mb = 10", 'ram_mb = "10"', "ram_mb"),
        ("ram_mb = 10", 'ram_mb = 10\nprogram = "read"', "debian"),
        ("ram_mb = 10", 'ram_mb = 10\ngate = {method = "hope", measure = "cosine", least = 0.9}', "method"),
        ("ram_mb = 10", 'ram_mb = 10\ngate = {method = "dynamic", measure = "cosine", least = 9.0}', "least"),
        ("ram_mb = 10", 'ram_mb = 10\nprogram = "/bin/sh"\ndebian = "dash"', "program"),
        ("ram_mb = 10", "ram_mb = ", "Invalid value"),
        ("ram_mb = 10", 'ram_mb = 10\nterms = "for checks only"', "does not ship"),
        ("ram_mb = 10", GRAPH.format("ears.onnx", "x int8[1]"), "graphs.file"),
        ("ram_mb = 10", GRAPH.format("eyes.onnx", "x int8"), "x int8"),
        ("ram_mb = 10", GRAPH.format("eyes.onnx", "").replace('""', ""), "inputs"),
        ('url = "https://example.org/a/eyes.onnx"', 'url = "https://example.org/a", member = "x"', "member"),
        ('url = "https://example.org/a/eyes.onnx"', 'wheel = "a==1", member = "/x"', "member"),
        ('url = "https://example.org/a/eyes.onnx"', 'wheel = "a"', "wheel"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, word: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as failed:
        read_manifest(write(tmp_path, GOOD.replace(old, new)))
    assert word in str(failed.value) and "eyes.toml" in str(failed.value)


def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, GOOD, "again.toml")
    with pytest.raises(ConfigError):
        read_manifests(tmp_path)


def test_every_model_that_comes_with_the_program_can_be_loaded_by_a_family() -> None:
    families = discover("gateway.inference.families", "FAMILY", Family)
    manifests = read_manifests()
    assert len(manifests) >= 10
    for manifest in manifests.values():
        assert manifest.task in families[manifest.family].tasks, manifest.name
        assert manifest.build is None or manifest.build.recipe in RECIPES


def test_every_family_has_its_modules_name() -> None:
    for name in discover("gateway.inference.families", "FAMILY", Family):
        discovered = __import__(f"gateway.inference.families.{name}", fromlist=["FAMILY"])
        assert discovered.FAMILY.name == name


def test_every_source_of_ours_is_pinned() -> None:
    for manifest in read_manifests().values():
        for file in manifest.files:
            for source in file.sources:
                if "githubusercontent" in source.url:
                    assert any(len(part) == 40 for part in source.url.split("/")), file.name
                assert not source.wheel or "==" in source.wheel


def test_the_page_about_manifests_names_every_key() -> None:
    page = (manifests_folder() / "README.md").read_text(encoding="utf-8")
    for kind in (Manifest, ModelFile, Source, Graph):
        for each in fields(kind):
            told = f"`{each.name}`" in page or f"[{each.name}]" in page or f"\n{each.name} = " in page
            assert told or f"`{each.name} = " in page, each.name
