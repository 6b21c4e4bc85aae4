"""Near-duplicates among many: whether the original of a copy is among the few that `dedupe` then lays over it.

The copies are those of `copy_suite`. Their originals hide among rooms of homes that neither the suite nor the training
saw, among cuts of them, and among cuts of the real pictures. A cut of a picture is no distraction from itself, and a
room is none from the same room of another home, which is the same drawing in other colours: such pairs do not count.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from gateway.demo.home import Home
from gateway.demo.render import render
from gateway.entities import Embedding, Lane
from gateway.inference.families import hearth_copy
from gateway.inference.manifest import manifests_folder
from gateway.inference.pictures import decode_picture
from gateway.inference.runtime import OnnxModel
from gateway.store import captures, copies, devices
from gateway.store.copies import Floats
from gateway.store.db import Connection, Database
from tests.bench import shared
from tests.bench.copies import NEAREST
from tests.bench.copy_suite import CAMERAS, ENDS_AT_US, Place, Suite, suite
from tests.bench.result import NO_BAR, Result

_FIRST_SEED = 31_001
_ROOM_CUTS, _REAL_CUTS = 15, 50
_MOMENTS = 2
"""Rendered of each camera of a home."""
_LEAST, _MOST = 0.25, 0.9
"""Of a picture's area in a cut."""
_LOOKUPS = 7
_TIMED = (20_000, 100_000)
_SPACE = "hearth-copy@bench/p"


@dataclass(frozen=True, slots=True)
class Stranger:
    """A picture of the crowd."""

    views: Floats
    """[1 or 2, 128]."""
    of: int | None
    """The picture of the gallery that it was cut from."""
    scene: Place | None
    """Where it was taken; None for a real one."""


def run(*, quick: bool, among: int) -> Result:
    """Recall by axis and size on stdout; beside it the time of one look-up among so many vectors in a real store."""
    found = suite(shared.media(), quick=quick)
    model = OnnxModel(manifests_folder() / "hearth-copy.onnx", threads=1)

    def views(image: Image.Image) -> Floats:
        return hearth_copy.views(model, image)

    gallery = _Pictures([views(decode_picture(body).image) for body in found.gallery])
    crowd = list(islice(_crowd(found, views), among))
    order = np.random.default_rng(9).permutation(len(crowd))
    crowd = [crowd[place] for place in order]
    strangers = _Pictures([each.views for each in crowd])
    sizes = [size for size in (0, 1_000, 2_500, 5_000, 10_000, 20_000, 50_000) if size < among] + [among]
    ranks: dict[str, list[list[int]]] = {}
    for query in found.queries:
        if query.of is None:
            continue
        one = views(decode_picture(query.body).image)
        others = np.array([_counts(query.of, query.scene, each) for each in crowd], dtype=bool)
        near = gallery.near(one)
        nearer = others & (strangers.near(one) > near[query.of])
        ahead = int((near > near[query.of]).sum())
        ranks.setdefault(query.axis, []).append([ahead + int(nearer[:size].sum()) for size in sizes])
    by_axis = {axis: np.array(rows) for axis, rows in ranks.items()}
    everything = np.concatenate(list(by_axis.values()))
    print(_by_axes(by_axis, everything, [size + len(found.gallery) for size in sizes]))
    times = ", ".join(f"{1_000 * asyncio.run(_lookup_s(size)):.0f} ms among {size:,}" for size in _TIMED)
    recall = [float((everything < nearest).mean(0)[-1]) for nearest in (NEAREST, 2 * NEAREST)]
    return Result(
        name=f"original of a copy among the nearest {NEAREST} of {among + len(found.gallery):,}",
        figure=f"{recall[0]:.3f}",
        bar=NO_BAR,
        passed=True,
        detail=(
            f"{len(everything)} copies; among {len(found.gallery)} alone {(everything[:, 0] < NEAREST).mean():.3f}, "
            f"among the nearest {2 * NEAREST} of all {recall[1]:.3f}; one look-up (exact, processor) {times}"
        ),
    )


class _Pictures:
    """Many pictures' views, to be compared with one picture's."""

    def __init__(self, views: Sequence[Floats]) -> None:
        self._numbers = np.concatenate(views)
        self._starts = np.cumsum([0, *(len(each) for each in views[:-1])])

    def near(self, views: Floats) -> Floats:
        """[n]: how near each picture is."""
        found: Floats = np.maximum.reduceat(copies.nearness(views, self._numbers), self._starts)
        return found


def _counts(of: int, scene: Place | None, stranger: Stranger) -> bool:
    """Whether a picture of the crowd is surely no copy of a picture of the gallery."""
    return stranger.of != of and (scene is None or stranger.scene is None or scene.comparable(stranger.scene))


def _crowd(found: Suite, views: Callable[[Image.Image], Floats]) -> Iterator[Stranger]:
    """Endless, always the same: cuts of the suite's real pictures, then rooms and cuts of them, home by home."""
    chance = np.random.default_rng(7)
    real = [place for place, scene in enumerate(found.scenes) if scene is None]
    for place in real:
        with Image.open(io.BytesIO(found.gallery[place])) as opened:
            image = opened.convert("RGB")
        for _ in range(_REAL_CUTS):
            yield Stranger(views(_cut(image, chance)), place, None)
    for seed in count(_FIRST_SEED):
        home = Home(seed, ends_at_us=ENDS_AT_US)
        for camera in CAMERAS:
            shots = [shot for shot in home.shots if shot.camera == camera]
            busy = [shot for shot in shots if shot.event is not None] or shots
            for place in chance.choice(len(busy), min(_MOMENTS, len(busy)), replace=False):
                shot = busy[place]
                scene, image = Place(seed, shot), render(shot.scene, shot.camera, shot.at_us)
                for cut in (image, *(_cut(image, chance) for _ in range(_ROOM_CUTS))):
                    yield Stranger(views(cut), None, scene)


def _cut(image: Image.Image, chance: np.random.Generator) -> Image.Image:
    """A part of it, of another shape, in the mirror every second time."""
    share, shape = chance.uniform(_LEAST, _MOST), chance.uniform(0.75, 1.33)
    width = min(image.width, round(image.width * (share * shape) ** 0.5))
    height = min(image.height, round(image.height * (share / shape) ** 0.5))
    left, top = (int(chance.integers(0, room + 1)) for room in (image.width - width, image.height - height))
    part = image.crop((left, top, left + width, top + height))
    return ImageOps.mirror(part) if chance.random() < 0.5 else part


async def _lookup_s(size: int) -> float:
    """Processor seconds of one look-up among `size` random vectors in a store, the median of some."""
    chance = np.random.default_rng(5)
    halves = chance.standard_normal((size + 1, 2, 64)).astype(np.float32)
    halves /= np.sqrt(2) * np.linalg.norm(halves, axis=2, keepdims=True)
    vectors = [Embedding(_SPACE, vector.astype("<f4").tobytes()) for vector in halves]
    with tempfile.TemporaryDirectory() as folder:
        async with Database(Path(folder) / "hearthlog.db") as db:
            owner = (await db.write(lambda c: devices.add(c, "porch", lane=Lane.RECORD, at_us=1))).owner
            await db.write(lambda c: _filled(c, vectors[:-1], owner))
            last = await db.read(lambda c: captures.get(c, size + 1))
            assert last is not None

            def look(connection: Connection) -> float:
                began_s = time.thread_time()
                copies.near(connection, last, vectors[-1], limit=NEAREST)
                return time.thread_time() - began_s

            return float(np.median([await db.read(look) for _ in range(_LOOKUPS)]))


def _filled(connection: Connection, vectors: Sequence[Embedding], owner: str) -> None:
    """A picture for each vector, and one behind them."""
    connection.executemany(
        "INSERT INTO capture(id, uid, kind, owner, privacy, ai_usage, captured_at_us, time_source, time_error_us, zone,"
        " received_at_us, lane, sha256, body_bytes, media_type, width_px, height_px, source_name) VALUES"
        " (?, ?, 'image', ?, 'private', 'chat', 1, 'arrival', 1, 'UTC', 1, 'upload', zeroblob(32), 1, 'image/jpeg',"
        " 640, 480, '')",
        [(number, f"u{number:023d}", owner) for number in range(1, len(vectors) + 2)],
    )
    for number, vector in enumerate(vectors, start=1):
        copies.put(connection, number, vector)


def _by_axes(by_axis: dict[str, npt.NDArray[np.int_]], everything: npt.NDArray[np.int_], sizes: Sequence[int]) -> str:
    """Recall among the nearest, by axis and size."""
    lines = [f"| axis | copies | {' | '.join(f'of {size:,}' for size in sizes)} |", "| --- " * (2 + len(sizes)) + "|"]
    for axis, ranks in [*sorted(by_axis.items()), ("all", everything)]:
        found = " | ".join(f"{share:.3f}" for share in (ranks < NEAREST).mean(0))
        lines.append(f"| {axis} | {len(ranks)} | {found} |")
    return "\n".join(lines) + "\n"
