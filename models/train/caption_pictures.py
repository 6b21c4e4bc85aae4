"""`python -m models.train.caption_pictures FOLDER`: draw everything that the captioner learns from, once.

Writes `NAME.npy` (uint8 [n, SIDE, SIDE, 3], as the captioner's preparation makes them) and, of homes, `NAME.json`
beside it: of each picture its camera, light and the things that can be seen in it. Takes a quarter of an hour.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from gateway.demo.render import Item, Light, jpeg, render
from models.train.caption_elsewhere import elsewhere
from models.train.caption_scenes import CHECK_SEEDS, TRAIN_SEEDS, View, homes, seen

SIDE_PX = 128
Pixels: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing that can be seen, as far as captions speak of it."""

    what: str
    x: float
    pose: str = ""
    child: bool = False
    cap: bool = False
    """Whether a person wears a courier's cap."""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of one picture."""

    camera: str
    night: bool
    lamp: bool
    things: tuple[Thing, ...]


def small(picture: Image.Image) -> Pixels:
    """[SIDE, SIDE, 3] of a picture of any shape, stretched, as the manifest's preparation does it."""
    return np.asarray(picture.convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR))


def truth(view: View) -> Truth:
    """What a caption of this view may say."""
    light = view.scene.light
    things = tuple(_thing(item) for item in seen(view))
    return Truth(view.camera, light.night_vision, _by_lamp(light), things)


def _by_lamp(light: Light) -> bool:
    return not light.night_vision and light.lamp > 0.3 and light.day < 0.3


def _thing(item: Item) -> Thing:
    look = item.look
    return Thing(
        what=item.what,
        x=item.x,
        pose=item.pose,
        child=look is not None and look.child,
        cap=look is not None and look.hair_style == "cap",
        count=len(item.colours) if item.what == "coats" else 1,
    )


def as_taken(view: View) -> Pixels:
    """As the captioner gets it: rendered, saved as a camera does, read again."""
    with Image.open(io.BytesIO(jpeg(render(view.scene, view.camera, view.at_us)))) as opened:
        return small(opened)


def to_json(one: Truth) -> list[object]:
    """Of a kind that `from_json` reads."""
    things = [[each.what, each.x, each.pose, each.child, each.cap, each.count] for each in one.things]
    return [one.camera, one.night, one.lamp, things]


def from_json(given: list[object]) -> Truth:
    """What `to_json` wrote."""
    camera, night, lamp, things = given
    assert isinstance(things, list)
    return Truth(str(camera), bool(night), bool(lamp), tuple(Thing(*each) for each in things))


def read(folder: Path, name: str) -> tuple[Pixels, list[Truth]]:
    """The pictures of homes under a name."""
    told = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return np.load(folder / f"{name}.npy"), [from_json(each) for each in told]


def write(folder: Path, name: str, views: Iterable[View]) -> int:
    """Draw views and write them under a name; how many."""
    pictures, told = [], []
    for view in views:
        pictures.append(as_taken(view))
        told.append(to_json(truth(view)))
        if len(told) % 250 == 0:
            sys.stderr.write(f"{name} {len(told)}\n")
    np.save(folder / f"{name}.npy", np.stack(pictures))
    (folder / f"{name}.json").write_text(json.dumps(told), encoding="utf-8")
    return len(told)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=("homes", "elsewhere"))
    given = parser.parse_args(argv)
    folder: Path = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    if given.only != "elsewhere":
        write(folder, "check", homes(CHECK_SEEDS, quiet=10, each=6, lights=2))
        for part, seed in enumerate(TRAIN_SEEDS):
            write(folder, f"homes-{part:02}", homes((seed,), quiet=10, each=12, lights=2))
    if given.only != "homes":
        for name, count, seed in (("elsewhere", 1_800, 1), ("elsewhere-check", 400, 2)):
            np.save(folder / f"{name}.npy", np.stack([small(each) for each in elsewhere(count, seed=seed)]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
