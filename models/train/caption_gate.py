"""`python -m models.train.caption_gate FOLDER`: where the gate's two limits belong, by pictures it never learnt from.

The shipped int8 eyes look at homes kept for checking, moved, dimmed and seen through another quality of JPEG as cameras
may deliver them, and at everything else: other seeds of the painters, kinds that were kept back, homes cut and mixed.
Each limit lies halfway between what nearly all homes are within and the nearest of what is painted to be no home.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance

from gateway.inference.runtime import OnnxModel
from models.train.caption_elsewhere import kept_back, near_home
from models.train.caption_export import NAMES, OUT
from models.train.caption_pictures import SIDE_PX, Pixels, read, small

_NEARLY_ALL = 0.995
_KEPT_BACK = 120

Floats = npt.NDArray[np.float64]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args(argv)
    eyes = OnnxModel(given.out / NAMES[0], threads=1)
    homes, _ = read(given.folder, "check")
    chance = np.random.default_rng(5)
    near = [near_home(homes[n], homes[int(chance.integers(len(homes)))], chance) for n in range(0, len(homes), 3)]
    groups: dict[str, Sequence[Pixels]] = {
        "homes": list(homes),
        "homes, otherwise delivered": [_delivered(each, chance) for each in homes[::3]],
        "elsewhere": list(np.load(given.folder / "elsewhere-check.npy")),
        "kinds kept back": [small(each) for each in kept_back(_KEPT_BACK, seed=6)],
        "near homes": near,
    }
    found = {name: looked(eyes, pictures) for name, pictures in groups.items()}
    for name, rows in found.items():
        low, middle, high = (np.quantile(rows, share, axis=0) for share in (0.005, 0.5, 0.995))
        line = f"{name} ({len(rows)}): logit {low[0]:.1f} {middle[0]:.1f} {high[0]:.1f} up to {rows[:, 0].max():.1f}, "
        line += f"distance {low[1]:.2f} {middle[1]:.2f} {high[1]:.2f}, {rows[:, 1].min():.2f} to {rows[:, 1].max():.2f}"
        sys.stdout.write(line + "\n")
    known = np.concatenate([found["homes"], found["homes, otherwise delivered"]])
    strange = np.concatenate([found["elsewhere"], found["kinds kept back"]])
    logit = (np.quantile(known[:, 0], 1 - _NEARLY_ALL) + strange[:, 0].max()) / 2
    distance = (np.quantile(known[:, 1], _NEARLY_ALL) + strange[:, 1].min()) / 2
    sys.stdout.write(f"least_logit = {logit:.2f}\nmost_distance = {distance:.2f}\n")
    for name, rows in found.items():
        through = ((rows[:, 0] >= logit) & (rows[:, 1] <= distance)).mean()
        sys.stdout.write(f"{name}: {through:.4f} let through\n")
    return 0


def looked(eyes: OnnxModel, pictures: Sequence[Pixels]) -> Floats:
    """[n, 2]: logit and distance of each picture."""
    place = eyes.outputs.index("gate")
    rows = []
    for picture in pictures:
        values = (picture.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]
        rows.append(eyes.run({"pixel_values": np.ascontiguousarray(values)})[place][0])
    return np.stack(rows).astype(np.float64)


def _delivered(home: Pixels, chance: np.random.Generator) -> Pixels:
    """As another camera would send the same: darker or lighter, a little moved, poorly saved."""
    picture = ImageEnhance.Brightness(Image.fromarray(home)).enhance(float(chance.uniform(0.88, 1.1)))
    shift = (float(chance.uniform(0, 2)), float(chance.uniform(0, 2)))
    box = (shift[0], shift[1], SIDE_PX - 2 + shift[0], SIDE_PX - 2 + shift[1])
    out = io.BytesIO()
    picture.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR, box).save(out, "JPEG", quality=80)
    with Image.open(out) as again:
        return np.asarray(again.convert("RGB"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
