"""The simulated home: 24 hours of a seeded family that end at a given instant, and what is true of every frame.

`Home.shots` is what cameras photograph; `Home.truth` is for whoever measures afterwards. Nothing of the truth is in
a record: a camera knows its pixels, its clock and itself.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from gateway.demo.cast import Cast, cast
from gateway.demo.render import Item, Light, Scene, size_px
from gateway.demo.rooms import CAMERAS, HEIGHT_PX, WIDTH_PX
from gateway.demo.script import Act, day, light

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
STILL_EVERY_MIN = 25.0
LIVE_EVERY_S = 10.0
"""How often a camera takes a frame once the 24 hours have been told."""
MIN_CAPITAL_PX = 16.0
"""Smaller print is not promised to be readable."""

_CAPITALS_PX = {"parcel": 19.4, "note": 18.0, "sign": 23.7, "van": 25.9, "book": 18.0}
_FIXTURES = {
    "kitchen": ("clock", "potted plant", "dining table", "refrigerator"),
    "hall": ("bench",),
    "living-room": ("couch",),
    "porch": ("potted plant", "bench"),
    "driveway": (),
}


@dataclass(frozen=True, slots=True)
class Shot:
    """One press of a camera's shutter."""

    camera: str
    at_us: int
    scene: Scene
    event: str | None
    """The name of what is happening, absent in a quiet room."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Something to be heard at a camera."""

    camera: str
    at_us: int
    what: str
    words: str


@dataclass(frozen=True, slots=True)
class Loss:
    """Frames that a camera took and could not keep."""

    camera: str
    from_us: int
    to_us: int
    frames: int
    why: str


@dataclass(frozen=True, slots=True)
class TruthFrame:
    """What is true of one frame. For measuring only; it never travels."""

    camera: str
    at_us: int
    event: str | None
    still: bool
    """Nothing moved and no light was switched since this camera's frame before."""
    labels: tuple[str, ...]
    """Printed words that are sharp, large enough, well lit and not covered; a label's lines joined by spaces."""
    objects: tuple[str, ...]
    """What is in view, by COCO's names where it has one."""


class Home:
    """A family, its house and its last 24 hours before `ends_at_us` (µs UTC), on clocks of `zone` (an IANA name)."""

    def __init__(self, seed: int, *, ends_at_us: int, zone: str = "UTC", cameras: tuple[str, ...] = CAMERAS) -> None:
        self.seed = seed
        self.ends_at_us = ends_at_us
        self.starts_at_us = ends_at_us - DAY_US
        self.zone = ZoneInfo(zone)
        self.cast: Cast = cast(seed)
        self.cameras = cameras
        self._day = day(self.cast, seed)

    @cached_property
    def shots(self) -> tuple[Shot, ...]:
        """Every frame that the cameras keep, in order of time."""
        taken = [shot for camera in self.cameras for shot in self._film(camera)]
        return tuple(sorted(taken, key=lambda shot: (shot.at_us, shot.camera)))

    @cached_property
    def sounds(self) -> tuple[Sound, ...]:
        """Everything that the cameras hear, in order of time."""
        heard = [
            Sound(one.camera, at_us, one.what, one.words)
            for one in self._day.heard
            if one.camera in self.cameras
            for at_us in self._instants(one.at_min)
        ]
        return tuple(sorted(heard, key=lambda sound: sound.at_us))

    @cached_property
    def losses(self) -> tuple[Loss, ...]:
        """The stretches in which a camera lost what it took. One that touches the ends of the 24 hours is cut."""
        found = []
        for one in self._day.missed:
            if one.camera not in self.cameras:
                continue
            lasts_us = round((one.to_min - one.from_min) * 60 * SECOND_US)
            for start_us in self._instants(one.from_min, before_us=lasts_us):
                from_us, to_us = max(start_us, self.starts_at_us), min(start_us + lasts_us, self.ends_at_us)
                frames = max(1, round(one.frames * (to_us - from_us) / lasts_us))
                found.append(Loss(one.camera, from_us, to_us, frames, one.why))
        return tuple(found)

    @cached_property
    def outage(self) -> tuple[int, int, int]:
        """A night in which one camera browned out: when it fell, when it came back, when it was told the time (UTC)."""
        first_us = self.starts_at_us + 20 * 60 * SECOND_US
        last_us = self.ends_at_us - 90 * 60 * SECOND_US
        fell_us = next((at_us for at_us in self._instants(98) if first_us <= at_us <= last_us), first_us)
        return fell_us, fell_us + 60 * 60 * SECOND_US, fell_us + 84 * 60 * SECOND_US

    def shot(self, camera: str, at_us: int) -> Shot:
        """What `camera` takes at any instant, such as now; of an act, its frame of the last `LIVE_EVERY_S`, if any."""
        minute = self.minute(at_us)
        for act in self._day.acts:
            if act.camera == camera:
                for offset_s, items in reversed(act.frames):
                    if 0 <= (minute - act.at_min) * 60 - offset_s < LIVE_EVERY_S:
                        return Shot(camera, at_us, self._scene(camera, at_us, items), act.name)
        return Shot(camera, at_us, self._scene(camera, at_us, ()), None)

    def truth(self) -> tuple[TruthFrame, ...]:
        """What is true of each of `shots`, in the same order."""
        before: dict[str, Scene] = {}
        frames = []
        for shot in self.shots:
            still = shot.event is None and _same(before.get(shot.camera), shot.scene)
            before[shot.camera] = shot.scene
            things = [_COCO.get(item.what, item.what) for item in shot.scene.items if item.what not in ("note", "sign")]
            objects = tuple(sorted({*things, *_FIXTURES[shot.camera]}))
            frames.append(TruthFrame(shot.camera, shot.at_us, shot.event, still, sharp_labels(shot.scene), objects))
        return tuple(frames)

    def minute(self, at_us: int) -> float:
        """Minutes after midnight, local time."""
        local = datetime.fromtimestamp(at_us / SECOND_US, self.zone)
        return local.hour * 60 + local.minute + (local.second + local.microsecond / SECOND_US) / 60

    def _film(self, camera: str) -> list[Shot]:
        shots = []
        busy: list[tuple[int, int]] = [(loss.from_us, loss.to_us) for loss in self.losses if loss.camera == camera]
        for act in self._day.acts:
            if act.camera == camera:
                for start_us in self._instants(act.at_min, before_us=DAY_US // 24):
                    shots += self._play(act, start_us)
                    last_us = round(act.frames[-1][0] * SECOND_US)
                    busy.append((start_us - 45 * SECOND_US, start_us + last_us + 45 * SECOND_US))
        rng = random.Random(self.seed * 31 + zlib.crc32(camera.encode()))  # noqa: S311  (a story, not a secret)
        at_us = self.starts_at_us + round(rng.uniform(0.5, STILL_EVERY_MIN) * 60 * SECOND_US)
        while at_us < self.ends_at_us:
            if not any(start_us <= at_us <= end_us for start_us, end_us in busy):
                shots.append(Shot(camera, at_us, self._scene(camera, at_us, ()), None))
            at_us += round((STILL_EVERY_MIN + rng.uniform(-4, 4)) * 60 * SECOND_US)
        kept = [shot for shot in shots if self.starts_at_us <= shot.at_us < self.ends_at_us]
        return [shot for shot in kept if not self._lost(shot)]

    def _lost(self, shot: Shot) -> bool:
        return any(one.camera == shot.camera and one.from_us <= shot.at_us < one.to_us for one in self.losses)

    def _play(self, act: Act, start_us: int) -> list[Shot]:
        shots = []
        for offset_s, items in act.frames:
            at_us = start_us + round(offset_s * SECOND_US)
            shots.append(Shot(act.camera, at_us, self._scene(act.camera, at_us, items), act.name))
        return shots

    def _scene(self, camera: str, at_us: int, items: tuple[Item, ...]) -> Scene:
        minute = self.minute(at_us)
        stays = tuple(stay.item for stay in self._day.stays if stay.camera == camera and stay.there(minute))
        return Scene(self.cast.theme, light(camera, minute), stays + items)

    def _instants(self, at_min: float, *, before_us: int = 0) -> list[int]:
        """When this minute of the day falls within the 24 hours (or up to `before_us` earlier)."""
        today = datetime.fromtimestamp(self.ends_at_us / SECOND_US, self.zone).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        found = []
        for days in (2, 1, 0):
            midnight = today - timedelta(days=days)
            at_us = round((midnight.timestamp() + at_min * 60) * SECOND_US)
            if self.starts_at_us - before_us <= at_us < self.ends_at_us:
                found.append(at_us)
        return found


def sharp_labels(scene: Scene) -> tuple[str, ...]:
    """The printed words that can be read in a picture of this scene (see `TruthFrame.labels`)."""
    if scene.light.night_vision or scene.light.day + scene.light.lamp < 0.5:
        return ()
    found = []
    for item in scene.items:
        if not item.lines or _CAPITALS_PX[item.what] * item.scale < MIN_CAPITAL_PX:
            continue
        box = _box(item)
        inside = box[0] >= 0 and box[1] >= 0 and box[2] <= WIDTH_PX and box[3] <= HEIGHT_PX + 20
        if inside and not any(_touch(box, _box(other)) for other in scene.items if other.depth > item.depth):
            found.append(" ".join(item.lines))
    return tuple(found)


_COCO = {"van": "truck", "bag": "backpack", "pot": "bowl", "coats": "coat"}


def _box(item: Item) -> tuple[float, float, float, float]:
    width, height = size_px(item)
    return item.x - width / 2, item.y - height, item.x + width / 2, item.y


def _touch(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _same(before: Scene | None, now: Scene) -> bool:
    return before is not None and before.items == now.items and _as_bright(before.light, now.light)


def _as_bright(one: Light, other: Light) -> bool:
    switched = one.lamp != other.lamp or one.inside != other.inside or one.night_vision != other.night_vision
    return not switched and abs(one.day - other.day) <= 0.15
