"""An earlier revision of a model whose vectors are kept stays until no space of vectors needs it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from gateway.errors import ModelMissing
from gateway.inference.fetch import pull
from gateway.inference.manifest import Manifest, ModelFile, read_kept, read_manifests, written
from gateway.inference.models import Models, State


def manifest(body: bytes, revision: str, task: str = "embed-text") -> Manifest:
    return Manifest(
        name="words",
        task=task,
        family="minilm",
        revision=revision,
        preprocessing="p1",
        licence="Apache-2.0",
        ships=True,
        ram_mb=10,
        slot="query",
        files=(ModelFile("words.onnx", hashlib.sha256(body).hexdigest(), len(body), ()),),
    )


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    return folder


async def installed(home: Path, mirror: Path, body: bytes, revision: str, task: str = "embed-text") -> Models:
    (mirror / "words.onnx").write_bytes(body)
    models = Models(home, {"words": manifest(body, revision, task)})
    await pull(models, "words", mirror=mirror)
    return models


async def test_after_an_update_the_earlier_revision_serves_until_the_new_one_is_fetched(
    tmp_path: Path, mirror: Path
) -> None:
    await installed(tmp_path, mirror, b"first weights", "1")
    models = Models(tmp_path, {"words": manifest(b"second weights", "2")})
    assert models.get("words").state is not State.READY
    assert models.for_task("embed-text").manifest.space == "words@1/p1"


async def test_both_revisions_are_there_until_one_is_dropped(tmp_path: Path, mirror: Path) -> None:
    await installed(tmp_path, mirror, b"first weights", "1")
    models = await installed(tmp_path, mirror, b"second weights", "2")
    for _ in range(2):  # also for one who starts anew
        assert models.for_task("embed-text").manifest.revision == "2"
        for revision, body in (("1", b"first weights"), ("2", b"second weights")):
            (file,) = models.for_task("embed-text", space=f"words@{revision}/p1").files
            assert file.path.read_bytes() == body and file.sha256 == hashlib.sha256(body).hexdigest()
        models = Models(tmp_path, models.manifests)
    models.drop_kept("embed-text", but="words@1/p1")
    assert models.for_task("embed-text", space="words@1/p1").state is State.READY
    models.drop_kept("embed-text", but="words@2/p1")
    with pytest.raises(ModelMissing):
        models.for_task("embed-text", space="words@1/p1")
    assert models.for_task("embed-text").manifest.revision == "2"
    assert [path.name for path in models.folder.iterdir() if path.is_dir()] == ["words"]


async def test_a_model_without_vectors_leaves_nothing_behind(tmp_path: Path, mirror: Path) -> None:
    await installed(tmp_path, mirror, b"first weights", "1", "asr")
    models = await installed(tmp_path, mirror, b"other weights", "2", "asr")
    assert [path.name for path in models.folder.iterdir() if path.is_dir()] in (
        ["words"],
        [".quarantine", "words"],
        ["words", ".quarantine"],
    )


async def test_an_earlier_revision_that_was_tampered_with_never_serves(tmp_path: Path, mirror: Path) -> None:
    await installed(tmp_path, mirror, b"first weights", "1")
    models = await installed(tmp_path, mirror, b"second weights", "2")
    (kept,) = list(models.folder.glob("words.*/words.onnx"))
    kept.write_bytes(b"worse weights")
    models.refresh()
    assert models.for_task("embed-text").manifest.revision == "2"
    (kept.parent / "manifest.json").write_text("{" * 1_000)
    assert Models(tmp_path, models.manifests).for_task("embed-text").manifest.revision == "2"


def test_every_manifest_can_be_kept(tmp_path: Path) -> None:
    for each in read_manifests().values():
        path = tmp_path / "manifest.json"
        path.write_text(written(each))
        if not each.unchecked:
            assert read_kept(path) == each
