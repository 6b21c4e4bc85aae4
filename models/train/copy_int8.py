"""`python -m models.train.copy_int8 --cache FOLDER`: bring the copy vector to int8, check it, put it where it ships.

Calibrated on pictures that it learned from, measured on homes and pictures that it did not. Refused below the gate of
its manifest. Prints what the manifest must say of the file.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from gateway.inference import quantise
from gateway.inference.families.hearth_copy import prepared
from gateway.inference.manifest import manifests_folder, read_manifest
from models.train.copy_pictures import CHECK_SEEDS, frames, procedural
from models.train.copy_views import view

_CALIBRATE, _MEASURE = 96, 40
EXACT = Path(__file__).with_name("hearth-copy-fp32.onnx")
"""Kept beside the script, so that the gate can be asked again."""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="as of copy_net")
    given = parser.parse_args(argv)
    manifest = read_manifest(manifests_folder() / "hearth-copy.toml")
    assert manifest.gate is not None
    exact, small = given.cache / "copy-fp32.onnx", given.cache / "hearth-copy.onnx"
    quantise.per_channel(exact, small, [{"pixels": prepared(each)} for each in _learned(given.cache)])
    feeds = [{"pixels": prepared(each)} for each in unseen(_MEASURE)]
    quality = quantise.cosine(exact, small, feeds)
    sys.stdout.write(
        quantise.table([quantise.compared("hearth-copy", manifest.gate, (exact, small), feeds, quality)]) + "\n"
    )
    quantise.refuse_what_fails("hearth-copy", manifest.gate, quality)
    shutil.copyfile(exact, EXACT)
    shutil.copyfile(small, manifests_folder() / "hearth-copy.onnx")
    body = small.read_bytes()
    sys.stdout.write(f'sha256 = "{hashlib.sha256(body).hexdigest()}"\nbytes = {len(body)}\n')
    return 0


def unseen(count: int) -> Iterator[Image.Image]:
    """Views of homes and pictures that nothing was learned from."""
    chance = np.random.default_rng(5)
    made = [*frames(CHECK_SEEDS[:1], each=count // 10), *procedural(count - count // 10 * 5, seed=CHECK_SEEDS[0])]
    for picture in made:
        yield view(picture, chance)


def _learned(cache: Path) -> Iterator[Image.Image]:
    chance = np.random.default_rng(6)
    for name in ("frames", "procedural"):
        kept = np.load(cache / f"{name}.npy", mmap_mode="r")
        for place in np.linspace(0, len(kept) - 1, _CALIBRATE // 2).astype(int):
            yield view(Image.fromarray(np.array(kept[place])), chance)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
