"""Pictures and what becomes of them on their way through phones and chats: the ruler for near-duplicates.

The axes follow Copydays (Douze et al. 2009: JPEG, crops, strong changes) and imagededup's set (resize, flip, rotation,
borders, text, grey), with screenshots beside. Originals are the real pictures of `media` and rendered frames of made-up
homes whose seeds no training may use (`SEEDS`). Hard negatives are other moments in front of the same camera: the next
frame of what is happening, in which something moved, and frames about an hour apart with other things or a lamp
switched. Frames that differ by daylight and noise alone are not in: they are one still scene, which time and device
tell, and which no look at the pixels can tell from a copy that was made darker.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from gateway.demo.home import DAY_US, SECOND_US, Home, Shot
from gateway.demo.render import jpeg as as_camera_sends
from gateway.demo.render import render

SEEDS = (9001, 9002, 9003)
"""Of the homes in this suite. Nothing that is measured by it may have seen them, nor the pictures of `media`."""
CAMERAS = ("kitchen", "hall", "living-room", "porch", "driveway")
HOUR_US = 3_600 * SECOND_US
QUALITY = 90
ENDS_AT_US = 1_780_000_000 * SECOND_US // DAY_US * DAY_US
_REAL = {
    "images/burger_crop.jpg": ("crop", "images/burger.jpg"),
    "near-dup/ukbench00120_gray.jpg": ("grey", "near-dup/ukbench00120.jpg"),
    "near-dup/ukbench00120_hflip.jpg": ("flip", "near-dup/ukbench00120.jpg"),
    "near-dup/ukbench00120_resize.jpg": ("resize", "near-dup/ukbench00120.jpg"),
    "near-dup/ukbench00120_rotation.jpg": ("rotation", "near-dup/ukbench00120.jpg"),
}
"""Copies that others made: their axis, and what they were made of."""
_BROKEN = "near-dup/ukbench09268_corrupt.jpg"

Change: TypeAlias = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rendered frame was taken."""

    home: int
    shot: Shot

    def comparable(self, other: Place) -> bool:
        """Whether one is surely not a copy of the other: another room, or a moment at which more than daylight
        differs. A room and the same room of another home are one drawing in other colours, as no household has."""
        if self.shot.camera != other.shot.camera:
            return True
        return self.home == other.home and _changed(self.shot, other.shot)


@dataclass(frozen=True, slots=True)
class Query:
    """A picture that is looked for among `Suite.gallery`."""

    axis: str
    body: bytes
    of: int | None
    """Its original's place. None: a hard negative, of which nothing in the gallery is the original."""
    itself: int | None = None
    """Its own place, where it stands in the gallery."""
    scene: Place | None = None
    """As in `Suite.scenes`."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A hard negative beside the frame that it is not: two moments in front of one camera."""

    frame: int
    other: int
    apart_us: int


@dataclass(frozen=True, slots=True)
class Suite:
    """Everything that is compared."""

    gallery: tuple[bytes, ...]
    scenes: tuple[Place | None, ...]
    """Of each picture of the gallery; None for a real one."""
    queries: tuple[Query, ...]
    moments: tuple[Moment, ...]

    def compared(self) -> npt.NDArray[np.bool_]:
        """[queries, gallery]: which pairs count."""
        table = np.ones((len(self.queries), len(self.gallery)), dtype=bool)
        for row, query in enumerate(self.queries):
            if query.itself is not None:
                table[row, query.itself] = False
            for column, scene in enumerate(self.scenes):
                if column != query.of and query.scene is not None and scene is not None:
                    table[row, column] &= query.scene.comparable(scene)
        return table


def suite(
    media: Path | None, *, quick: bool, seeds: Sequence[int] = SEEDS, more: Mapping[str, bytes] | None = None
) -> Suite:
    """The pictures, made anew and always the same. Without `media` only rendered ones. What sets limits brings `seeds`
    of its own and `more` originals (JPEG, by name) in the place of `media`.
    """
    gallery: list[tuple[bytes, Place | None]] = []
    queries: list[Query] = []
    moments: list[Moment] = []
    originals: dict[str, int] = {}
    for name, body in [*_real_originals(media, quick=quick), *(more or {}).items()]:
        originals[name] = len(gallery)
        gallery.append((body, None))
    for seed in seeds[:1] if quick else seeds:
        for shot, others in _frames(seed, each=1 if quick else 2):
            here, place = Place(seed, shot), len(gallery)
            originals[f"{seed} {shot.camera} {shot.at_us}"] = place
            gallery.append((_taken(shot), here))
            for other in others:
                moments.append(Moment(place, len(gallery), abs(other.at_us - shot.at_us)))
                axis = "an hour apart" if moments[-1].apart_us >= HOUR_US // 2 else "burst of change"
                there = Place(seed, other)
                gallery.append((_taken(other), there))
                queries.append(Query(axis, gallery[-1][0], None, len(gallery) - 1, there))
    for place in originals.values():
        body, scene = gallery[place]
        queries += [Query(axis, copy, place, None, scene) for axis, copy in _copies(body, quick=quick)]
    for name, (axis, original) in _REAL.items():
        if media is not None and original in originals:
            queries.append(Query(axis, (media / name).read_bytes(), originals[original]))
    bodies, scenes = zip(*gallery, strict=True)
    return Suite(bodies, scenes, tuple(queries), tuple(moments))


def _real_originals(media: Path | None, *, quick: bool) -> Iterator[tuple[str, bytes]]:
    if media is None:
        return
    paths = sorted([*(media / "images").glob("*.jpg"), *(media / "near-dup").glob("*.jpg")])
    names = [path.relative_to(media).as_posix() for path in paths]
    kept = [name for name in names if name not in _REAL and name != _BROKEN]
    for name in kept[:: 2 if quick else 1]:
        yield name, (media / name).read_bytes()


def _frames(seed: int, *, each: int) -> Iterator[tuple[Shot, list[Shot]]]:
    """Of each camera `each` frames in which something happens, with other moments of the same camera."""
    home = Home(seed, ends_at_us=ENDS_AT_US)
    for camera in CAMERAS:
        shots = [shot for shot in home.shots if shot.camera == camera]
        busy = [place for place, shot in enumerate(shots[:-1]) if shot.event == shots[place + 1].event is not None]
        for place in busy[1 :: max(1, len(busy) // each)][:each]:
            shot = shots[place]
            later = (one for one in shots if HOUR_US * 3 // 4 <= abs(one.at_us - shot.at_us) <= 2 * HOUR_US)
            others = [shots[place + 1], *[one for one in later if _changed(shot, one)][:2]]
            yield shot, [one for one in others if _changed(shot, one)]


def _changed(one: Shot, other: Shot) -> bool:
    """Whether more than daylight differs."""
    lights = one.scene.light, other.scene.light
    switched = abs(lights[0].lamp - lights[1].lamp) > 0.5 or lights[0].night_vision != lights[1].night_vision
    return one.scene.items != other.scene.items or switched


def _taken(shot: Shot) -> bytes:
    return as_camera_sends(render(shot.scene, shot.camera, shot.at_us))


def _copies(body: bytes, *, quick: bool) -> Iterator[tuple[str, bytes]]:
    """Each with its axis."""
    with Image.open(io.BytesIO(body)) as opened:
        image = opened.convert("RGB")
    for axis, changes in (_QUICK if quick else _AXES).items():
        for change in changes:
            yield axis, _saved(change(image), QUALITY)
    for quality in (75, 10) if quick else (75, 50, 30, 20, 15, 10, 8, 5):
        yield "jpeg", _saved(image, quality)


def _saved(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=quality)
    return out.getvalue()


def _crop(share: float, across: float = 0.5, down: float = 0.5) -> Change:
    """Without `share` of its area; `across`, `down`: from which sides it goes, 0.5 is both alike."""

    def change(image: Image.Image) -> Image.Image:
        side = (1 - share) ** 0.5
        width, height = round(image.width * side), round(image.height * side)
        left, top = round((image.width - width) * across), round((image.height - height) * down)
        return image.crop((left, top, left + width, top + height))

    return change


def _resize(across: float, down: float) -> Change:
    return lambda image: image.resize(
        (max(8, round(image.width * across)), max(8, round(image.height * down))), Image.Resampling.LANCZOS
    )


def _rotate(degrees: float, *, expand: bool = True) -> Change:
    return lambda image: image.rotate(degrees, Image.Resampling.BICUBIC, expand=expand)


def _border(share: float, colour: str) -> Change:
    return lambda image: ImageOps.expand(image, round(min(image.size) * share), fill=colour)


def _bars(image: Image.Image) -> Image.Image:
    """In a square with bars, as chats make it."""
    return ImageOps.pad(image, (max(image.size), max(image.size)), color="black")


def _caption(image: Image.Image) -> Image.Image:
    """A line of print on a bar below."""
    bar = max(24, image.height // 9)
    grown = ImageOps.expand(image, (0, 0, 0, bar), fill="white")
    ImageDraw.Draw(grown).text((bar // 3, image.height + bar // 6), "when you finally get home", "black", _font(bar))
    return grown


def _written(image: Image.Image) -> Image.Image:
    """Large letters on the picture itself."""
    changed = image.copy()
    letter_px = max(14, image.height // 8)
    pen = ImageDraw.Draw(changed)
    for row, words in enumerate(("GOOD", "MORNING")):
        at = (image.width * 0.12, image.height * (0.12 + 0.62 * row))
        pen.text(at, words, "white", _font(letter_px), stroke_width=max(1, letter_px // 12), stroke_fill="black")
    return changed


def _phone(image: Image.Image) -> Image.Image:
    """A phone's screen that shows the picture between a bar and some lines of a chat."""
    screen = Image.new("RGB", (540, 1_140), (18, 22, 27))
    shown = ImageOps.contain(image, (508, 900))
    top = (screen.height - shown.height) // 2
    screen.paste(shown, (16, top))
    pen = ImageDraw.Draw(screen)
    pen.text((18, 10), "9:41", "white", _font(40))
    pen.rounded_rectangle((16, screen.height - 86, 524, screen.height - 24), 30, fill=(44, 50, 58))
    pen.text((40, screen.height - 74), "Message", (150, 156, 164), _font(44))
    return screen


def _desktop(image: Image.Image) -> Image.Image:
    """A window on a desk, the picture at less than half of it."""
    screen = Image.new("RGB", (1_280, 800), (58, 92, 128))
    pen = ImageDraw.Draw(screen)
    pen.rectangle((140, 60, 1_140, 740), fill=(246, 246, 246))
    pen.rectangle((140, 60, 1_140, 96), fill=(222, 222, 226))
    pen.text((160, 64), "Pictures", (40, 40, 40), _font(34))
    shown = ImageOps.contain(image, (800, 600))
    screen.paste(shown, (140 + (1_000 - shown.width) // 2, 96 + (644 - shown.height) // 2))
    return screen


def _strong(image: Image.Image) -> Image.Image:
    """Several at once, as Copydays' strong ones: cut, written on, smaller, darker, and poorly saved."""
    changed = _written(_crop(0.2, 0.3, 0.6)(image))
    changed = ImageEnhance.Brightness(_resize(0.6, 0.6)(changed)).enhance(0.75)
    with Image.open(io.BytesIO(_saved(changed, 25))) as again:
        return again.convert("RGB")


def _font(height_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(10, height_px * 6 // 10))


SCREENS: tuple[Change, ...] = (_phone, _desktop)
_AXES: dict[str, tuple[Change, ...]] = {
    "crop": (_crop(0.1), _crop(0.2, 0.2, 0.8), _crop(0.3), _crop(0.4, 0.9, 0.3), _crop(0.5), _crop(0.5, 0.0, 1.0)),
    "resize": (_resize(0.25, 0.25), _resize(0.5, 0.5), _resize(1.6, 1.6), _resize(1.0, 0.75)),
    "flip": (ImageOps.mirror, ImageOps.flip),
    "rotation": (_rotate(90), _rotate(180), _rotate(270), _rotate(4), _rotate(-12), _rotate(30)),
    "borders": (_border(0.04, "white"), _border(0.1, "black"), _border(0.2, "white"), _bars),
    "text": (_caption, _written),
    "grey": (lambda image: image.convert("L").convert("RGB"),),
    "light": (
        lambda image: ImageEnhance.Brightness(image).enhance(0.55),
        lambda image: ImageEnhance.Brightness(image).enhance(1.4),
        lambda image: ImageEnhance.Contrast(image).enhance(1.5),
        lambda image: ImageEnhance.Color(image).enhance(2.0),
        lambda image: image.filter(ImageFilter.GaussianBlur(max(image.size) / 320)),
    ),
    "screenshot": SCREENS,
    "strong": (_strong,),
}
_QUICK = {axis: changes[::2] for axis, changes in _AXES.items()}
