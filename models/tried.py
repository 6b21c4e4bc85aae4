"""What ships in float32, and what int8 would make of it: faces, voices and print, as `models.quantise` asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from gateway.entities import Json
from gateway.inference import quantise
from gateway.inference.families import silero, yunet
from gateway.inference.family import Options, the_file
from gateway.inference.manifest import Gate, Manifest
from gateway.inference.models import Models
from gateway.inference.quantise import Feeds, Outcome
from gateway.inference.runtime import Array, OnnxModel
from gateway.inference.sounds import RATE_HZ, Floats, decode_sound
from gateway.inference.spaces import HEIGHT_PX

Named: TypeAlias = Iterable[Json]
"""Boxes `{label, x, y, w, h}`."""

_OVERLAP = 0.5
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_PAGE_PX, _PRINTED = 480, 0.3
"""Side of a page that is searched for print, and from which likelihood on a pixel is printed."""


def f1(pairs: Iterable[tuple[Named, Named]]) -> float:
    """How well boxes (second) are those that they should be (first), by label and overlap."""
    right = named = wanted = 0
    for truth, said in pairs:
        left = list(said)
        named += len(left)
        for box in truth:
            wanted += 1
            match = next((each for each in left if each["label"] == box["label"] and _overlap(each, box)), None)
            if match is not None:
                left.remove(match)
                right += 1
    return 2 * right / max(1, named + wanted)


def _overlap(one: Json, other: Json) -> bool:
    low = np.maximum((one["x"], one["y"]), (other["x"], other["y"]))
    high = np.minimum((one["x"] + one["w"], one["y"] + one["h"]), (other["x"] + other["w"], other["y"] + other["h"]))
    shared = float(np.clip(high - low, 0, None).prod())
    return bool(shared >= _OVERLAP * (one["w"] * one["h"] + other["w"] * other["h"] - shared))


def face_finder(manifest: Manifest, mirror: Path, pictures: Sequence[Image.Image], scratch: Path) -> Outcome:
    """On the pictures, mirrored, smaller, larger and in less light: few of them show a face."""
    assert manifest.gate is not None
    exact, small = mirror / manifest.files[0].name, scratch / "face-finder.onnx"
    views = [
        view
        for each in pictures
        for view in (each, ImageOps.mirror(each), ImageOps.scale(each, 0.6), each.point(lambda level: level // 2))
    ]
    side_px = int(Options(1, manifest.options).number("side_px", 640))
    tensors = [yunet.tensor_of(each, side_px)[0] for each in views]
    quantise.per_channel(exact, small, [{"input": each} for each in tensors[::3]])
    one, other = (yunet.finder({path.name: path}, Options(1, manifest.options)) for path in (exact, small))
    score = f1((_named(one(view)), _named(other(view))) for view in views)
    found = quantise.compared(manifest.name, manifest.gate, (exact, small), [{"input": tensors[0]}], score)
    return replace(found, instead="int8 takes longer, and a third of a megabyte is no burden")


def _named(faces: Iterable[Json]) -> list[Json]:
    return [{**face, "label": "face"} for face in faces]


def voices(manifest: Manifest, mirror: Path, sounds: Sequence[bytes], scratch: Path) -> Outcome:
    """How often both forms say the same of a window of 32 ms: somebody speaks, or nobody does."""
    assert manifest.gate is not None
    exact, small = mirror / manifest.files[0].name, scratch / "voices.onnx"
    quantise.dynamic(exact, small)
    threshold = Options(1, manifest.options).number("threshold", 0.5)
    models = [OnnxModel(path, threads=1) for path in (exact, small)]
    same = []
    for samples in _heard(sounds):
        chances = [np.array(silero.chances(model, samples)) >= threshold for model in models]
        same.append(chances[0] == chances[1])
    window: Feeds = {
        "input": np.zeros((1, silero.WINDOW + silero.CONTEXT), np.float32),
        "state": np.zeros((2, 1, 128), np.float32),
        "sr": np.array(RATE_HZ, np.int64),
    }
    score = float(np.concatenate(same).mean())
    found = quantise.compared(manifest.name, manifest.gate, (exact, small), [window], score)
    return replace(found, instead="its weights lie in graphs within the graph, where nothing is brought to int8")


def _heard(sounds: Sequence[bytes]) -> Iterable[Floats]:
    """Recordings, and the same in a hiss that is half as loud."""
    chance = np.random.default_rng(0)
    for body in sounds:
        samples = decode_sound(body).samples[: 20 * RATE_HZ]
        yield samples
        yield samples + chance.normal(0, 0.5 * samples.std(), len(samples)).astype(np.float32)


def readers(manifest: Manifest, scratch: Path) -> list[Outcome]:
    """The finder of print, by the places that it finds, and the reader of a line, by the letters at its places."""
    assert manifest.gate is not None
    files = {each.name: each.path for each in Models(scratch, {manifest.name: manifest}).get(manifest.name).files}
    finder, reader = the_file(files, "*_det_*"), the_file(files, "*_rec_*")
    chance = np.random.default_rng(5)
    pages = [_tensor(_page(chance, _PAGE_PX, _PAGE_PX, 4)) for _ in range(18)]
    lines = [_tensor(_page(chance, 320, HEIGHT_PX, 1)) for _ in range(36)]
    by_box = replace(manifest.gate, measure="boxes")
    places = _tried(manifest.name, by_box, finder, pages, scratch / "finder.onnx", _same_places)
    letters = _tried(manifest.name, manifest.gate, reader, lines, scratch / "reader.onnx", _same_letters)
    return [replace(places, instead="it comes whole in its package, with a reader that int8 breaks"), letters]


Score: TypeAlias = Callable[[Path, Path, Sequence[Feeds]], float]


def _tried(name: str, gate: Gate, exact: Path, tensors: Sequence[Array], small: Path, score: Score) -> Outcome:
    feeds: list[Feeds] = [{"x": each} for each in tensors]
    quantise.per_channel(exact, small, feeds[::3])
    kept = [feed for n, feed in enumerate(feeds) if n % 3]
    return quantise.compared(name, gate, (exact, small), kept, score(exact, small, kept))


def _same_letters(exact: Path, small: Path, feeds: Sequence[Feeds]) -> float:
    """At the places where float32 reads a letter; at most of the others both see none."""
    models = [OnnxModel(path, threads=1) for path in (exact, small)]
    found = [[model.run(feed)[0][0].argmax(axis=1) for model in models] for feed in feeds]
    return float(np.concatenate([(one == other)[one > 0] for one, other in found]).mean())


def _same_places(exact: Path, small: Path, feeds: Sequence[Feeds]) -> float:
    models = [OnnxModel(path, threads=1) for path in (exact, small)]
    return f1(
        (_places(one.run(feed)[0][0, 0]), _places(other.run(feed)[0][0, 0]))
        for feed in feeds
        for one, other in [models]
    )


def _places(likely: Array) -> list[Json]:
    """Boxes around what hangs together and is print."""
    _, _, found, _ = cv2.connectedComponentsWithStats((likely > _PRINTED).astype(np.uint8))
    return [{"label": "print", "x": x, "y": y, "w": w, "h": h} for x, y, w, h, area in found[1:].tolist() if area > 9]


def _page(chance: np.random.Generator, width_px: int, height_px: int, lines: int) -> Image.Image:
    """Words by chance on paper of any shade, a little blurred; a page is tilted."""
    paper, ink = int(chance.integers(90, 255)), int(chance.integers(0, 60))
    image = Image.new("RGB", (width_px, height_px), (paper, paper, int(paper * 0.9)))
    draw = ImageDraw.Draw(image)
    row_px = height_px // lines
    for line in range(lines):
        letter_px = int(row_px * (0.6 if lines == 1 else chance.uniform(0.2, 0.5)))
        words = ("".join(chance.choice(list(_LETTERS), chance.integers(2, 9))) for _ in range(3))
        at = (int(0.05 * width_px), line * row_px + (row_px - letter_px) // 3)
        draw.text(at, " ".join(words), fill=(ink, ink, ink), font=ImageFont.load_default(letter_px))
    if lines > 1:
        image = image.rotate(float(chance.uniform(-5, 5)), Image.Resampling.BILINEAR, fillcolor=(paper,) * 3)
    return image.filter(ImageFilter.GaussianBlur(float(chance.uniform(0, 0.8))))


def _tensor(image: Image.Image) -> Array:
    """[1, 3, H, W], −1 to 1, blue first: as both graphs take it."""
    pixels = np.asarray(image, dtype=np.float32)[:, :, ::-1].transpose(2, 0, 1)[None]
    return np.ascontiguousarray(pixels / 127.5 - 1, dtype=np.float32)
