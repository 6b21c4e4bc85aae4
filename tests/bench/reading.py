"""Characters wrong for each that is printed, for every reader that is here: a real page, and labels that are drawn.

The labels are seen by a camera of 640 × 480 before a wall: upright, at night, tilted by 5° and 15°, small, and at night
and tilted at once; four of each, with other names, streets and numbers, drawn anew from their seed.
"""

from __future__ import annotations

import io
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from gateway.inference.family import Request
from tests.bench import shared
from tests.bench.result import NO_BAR, Result

MODELS = ("rapidocr", "tesseract")
SEED = 4_100
_EACH = 4
_PAGES = {
    "ocr/en.jpg": (
        "3 MovieShots Dataset To facilitate the shot type analysis in videos, we collect MovieShots, a large-scale "
        "shot type annotation set that contains 46K shots from 7858 movies. The details of this dataset are specified "
        "as follows."
    )
}
_NAMES = ("LINDQVIST", "OKAFOR", "MARCHETTI", "NOWAK", "HARTLEY", "FERREIRA", "SVOBODA", "BRENNAN")
_STREETS = ("ALDER LANE", "MILL ROAD", "STATION STREET", "HARBOUR WAY", "CHURCH HILL", "ORCHARD CLOSE")


@dataclass(frozen=True, slots=True)
class Kind:
    """How a label is seen."""

    name: str
    letter_px: int = 34
    degrees: float = 0.0
    night: bool = False


KINDS = (
    Kind("upright"),
    Kind("at night", night=True),
    Kind("tilted 5°", degrees=5),
    Kind("tilted 15°", degrees=15),
    Kind("small", letter_px=12),
    Kind("at night, tilted 5°, smaller", letter_px=22, degrees=5, night=True),
)


def run(*, quick: bool = False) -> list[Result]:
    """A row for each reader and kind of picture: the mean over its pictures, and the worst."""
    rows: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="hearthlog-bench-") as name:
        home = Path(name)
        here, missing = shared.load(home, MODELS)
        pictures = [*pages(), *labels(2 if quick else _EACH)]
        for model in here:
            rates: dict[str, list[float]] = {}
            took_ms: dict[str, list[float]] = {}
            for kind, body, truth in pictures:
                answer, ms = model(Request(shared.sealed(home, body), {}))
                said = " ".join(" ".join(line["text"] for line in answer["lines"]).split())
                rates.setdefault(kind, []).append(shared.errors(said, truth) / len(truth))
                took_ms.setdefault(kind, []).append(ms)
            for kind, found in rates.items():
                detail = (
                    f"{len(found)} pictures, worst {max(found):.3f}, "
                    f"{sum(rate == 0 for rate in found)} without a fault, "
                    f"{statistics.median(took_ms[kind]):.0f} ms of the processor each"
                )
                figure = f"{statistics.mean(found):.3f}"
                rows.append(Result(f"characters wrong, {kind}, {model.name}", figure, NO_BAR, True, detail))
    rows += [Result(f"characters wrong, {name}", "", NO_BAR, None, why) for name, why in missing.items()]
    return rows


def pages() -> Iterator[tuple[str, bytes, str]]:
    """Kind, picture and what is printed, of real pages whose text is known."""
    media = shared.media()
    for path, truth in _PAGES.items() if media is not None else ():
        yield "a page", (media / path).read_bytes(), truth


def labels(each: int) -> Iterator[tuple[str, bytes, str]]:
    """Kind, picture (JPEG) and what is printed."""
    for number, kind in enumerate(KINDS):
        for n in range(each):
            chance = np.random.default_rng(SEED + 100 * number + n)
            lines = _lines(chance)
            yield f"a label {kind.name}", drawn(lines, kind, chance), " ".join(lines)


def drawn(lines: list[str], kind: Kind, chance: np.random.Generator) -> bytes:
    """A printed label on a parcel before a wall."""
    letter = kind.letter_px
    paper = Image.new("RGB", (letter * 13, letter * 5), (240, 238, 226))
    draw = ImageDraw.Draw(paper)
    for row, line in enumerate(lines):
        draw.text(
            (letter // 2, letter * (0.5 + 1.4 * row)), line, fill=(25, 25, 30), font=ImageFont.load_default(letter)
        )
    picture = Image.new("RGB", (640, 480), (150, 140, 122))
    ImageDraw.Draw(picture).rectangle((60, 90, 600, 440), fill=(168, 128, 84))
    degrees = kind.degrees * float(chance.choice((-1, 1)))
    turned = paper.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    mask = Image.new("L", paper.size, 255).rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    left, top = (640 - turned.width) // 2, (480 - turned.height) // 2
    picture.paste(turned, (left + int(chance.integers(-20, 21)), top + int(chance.integers(-30, 31))), mask)
    pixels = np.asarray(picture.filter(ImageFilter.GaussianBlur(0.6)), dtype=np.float32)
    if kind.night:
        pixels = pixels.mean(axis=2, keepdims=True).repeat(3, axis=2) * 0.22
    grain = chance.normal(0, 5.0 if kind.night else 2.0, (480, 640, 1))
    out = io.BytesIO()
    Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=85)
    return out.getvalue()


def _lines(chance: np.random.Generator) -> list[str]:
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    one, two, three = (letters[int(at)] for at in chance.integers(len(letters), size=3))
    name, street = _NAMES[int(chance.integers(len(_NAMES)))], _STREETS[int(chance.integers(len(_STREETS)))]
    order = f"ORDER {two}{chance.integers(2, 9)}-{chance.integers(1_000, 9_999)}-{two}{three}"
    return [f"{one}. {name}", f"{chance.integers(2, 99)} {street}", order]
