"""What 10,000 mixed inferences leave behind: the slope of the workers' memory, their ceiling, and what they give back.

Every model that is here, as the house runs them: through `Workers`, several at once, on real pictures and recordings
where there are some and on made ones. The slope is that of a straight line through moments at which nobody works, by
least squares, of what the workers have for themselves (the anonymous part of PSS: pages of libraries weigh less
whenever somebody else maps them). The ceiling is looked at the whole time, as PSS: all that they have, shared pages
counted once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.config import Limits
from gateway.demo.voice import RATE_HZ, listen
from gateway.entities import BlobRef, Json, Priority
from gateway.errors import HearthlogError, ModelBroken, ModelMissing
from gateway.inference.bench import as_wav
from gateway.inference.fetch import pull
from gateway.inference.models import Models
from gateway.inference.worker import blob_to_map
from gateway.inference.workers import Budget, ProcessWorkers, SlotStatus, open_workers
from tests.bench.children import own_mb, pss_mb
from tests.bench.house import give_models
from tests.bench.result import Result
from tests.bench.scenes import scene
from tests.bench.shared import folder, media, sealed

BAR_MB, BAR_RETURNED = 1.0, 0.95
_BATCH = 250
"""So many are asked for before everybody stops and the memory is read."""
_AT_ONCE = 6
_LOOK_S = 0.1
_NOW_AND_THEN = 20
_ENOUGH = 5_000
_LONG_S = 3_600.0
"""A busy machine is not what is measured, nor what a worker's going idle would hide."""
_FACES = ("yunet", "mobilefacenet")
_NARROW_MB = 600
"""Less than they take together, and enough for the largest beside that for queries."""
_PATIENT = Budget(
    read_idle_s=_LONG_S,
    listen_idle_s=_LONG_S,
    default_s=_LONG_S,
    ocr_s=_LONG_S,
    asr_s=_LONG_S,
    caption_s=_LONG_S,
)
_SCENES = 40
_MIX: Mapping[str, float] = {
    "pixels": 16,
    "detect": 12,
    "classify": 12,
    "embed-image": 12,
    "copy-vector": 12,
    "overlap": 6,
    "detect-faces": 4,
    "embed-face": 4,
    "thumbnail": 6,
    "caption": 2,
    "ocr": 1.2,
    "embed-text": 12,
    "vad": 6,
    "sound": 6,
    "asr-draft": 0.6,
    "asr": 0.6,
}
"""How often each is asked for, beside the others: what costs seconds, seldom."""
_SOUNDS = frozenset({"vad", "sound", "asr", "asr-draft"})
_FACE = [[0.38, 0.40], [0.62, 0.40], [0.50, 0.55], [0.41, 0.70], [0.59, 0.70]]
_WORDS = ("parcel", "kitchen", "dog", "at the door", "bicycle", "two people", "garden", "night", "nothing moved")


@dataclass(slots=True)
class _Seen:
    """What was read while they worked."""

    most_mb: float = 0.0
    at_most: str = ""
    looks: int = 0
    at_rest: list[tuple[int, float]] = field(default_factory=list)
    """(inferences so far, MB of all workers)."""
    asked: Counter[str] = field(default_factory=Counter)


def run(*, quick: bool = False, inferences: int = 10_000) -> list[Result]:
    """Four rows: slope, ceiling, what comes back, and a ceiling that is too narrow for all."""
    count = 1_000 if quick else inferences
    with tempfile.TemporaryDirectory(prefix="hearthlog-bench-") as scratch:
        home = Path(scratch) / "home"
        if not give_models(home):
            return [Result("memory of mixed inferences", "", f"< {BAR_MB} MB per 1,000", None, "no models here")]
        for name in _FACES:  # `pull all` leaves them out
            with contextlib.suppress(HearthlogError):
                asyncio.run(pull(Models(home), name, mirror=folder("HEARTHLOG_TEST_MODELS", "models")))
        return asyncio.run(_measure(home, count)) + asyncio.run(_narrow(home, count // 10))


async def _narrow(home: Path, count: int) -> list[Result]:
    """Where the workers do not fit together they take turns."""
    asks, seen = _Asks(home, Models(home)), _Seen()
    async with open_workers(Models(home), replace(_PATIENT, memory_mb=_NARROW_MB)) as workers:
        watch = asyncio.create_task(_watch(workers, seen), name="watch")
        began_s = time.monotonic()
        await _work(workers, asks, seen, count)
        watch.cancel()
    return [
        Result(
            f"memory of all workers while tasks mix, most, where only {_NARROW_MB} MB are allowed",
            f"{seen.most_mb:.0f} MB",
            f"≤ {_NARROW_MB} MB",
            seen.most_mb <= _NARROW_MB,
            f"sum of PSS, {seen.looks:,} looks; at most {seen.at_most}; {count:,} inferences in "
            f"{time.monotonic() - began_s:.0f} s",
        )
    ]


async def _measure(home: Path, count: int) -> list[Result]:
    ceiling_mb = Limits().memory_mb
    asks = _Asks(home, Models(home))
    own = [os.getpid()]
    async with open_workers(Models(home), replace(_PATIENT, memory_mb=ceiling_mb)) as workers:
        before_mb = pss_mb(own)
        seen = _Seen()
        watch = asyncio.create_task(_watch(workers, seen), name="watch")
        began_s = time.monotonic()
        await _work(workers, asks, seen, count)
        took_s = time.monotonic() - began_s
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
        pids = _pids(workers)
        loaded_mb = pss_mb([*own, *pids])
        restarts = sum(each.restarts for each in workers.status())
        for task in asks.tasks:
            await workers.unload(task)
        after_mb = pss_mb([*own, *_pids(workers)])
    warm = count // 5
    enough = count >= _ENOUGH
    points = [(done, mb) for done, mb in seen.at_rest if done >= warm]
    slope_mb = statistics.linear_regression(*zip(*points, strict=True)).slope * 1_000
    taken_mb = loaded_mb - before_mb
    returned = (loaded_mb - after_mb) / taken_mb
    mix = ", ".join(f"{task} {n:,}" for task, n in seen.asked.most_common())
    rest = " ".join(f"{mb:.0f}" for _, mb in seen.at_rest)
    return [
        Result(
            f"memory after {count:,} mixed inferences, slope per 1,000",
            f"{slope_mb:+.2f} MB",
            f"< {BAR_MB:.0f} MB",
            slope_mb < BAR_MB if enough else None,
            ("" if enough else f"below {_ENOUGH:,} what models take on first sight of a large picture is all slope; ")
            + f"least squares from inference {warm:,} on, over what workers at rest have for themselves, each {_BATCH}"
            f": {rest} MB; {restarts} restarts; {took_s:.0f} s; {mix}",
        ),
        Result(
            "memory of all workers while tasks mix, most",
            f"{seen.most_mb:.0f} MB",
            f"≤ {ceiling_mb:,} MB, the ceiling",
            seen.most_mb <= ceiling_mb,
            f"sum of PSS, {seen.looks:,} looks; at most {seen.at_most}",
        ),
        Result(
            "memory returned after unloading",
            f"{returned:.1%}",
            f"≥ {BAR_RETURNED:.0%}",
            returned >= BAR_RETURNED,
            f"this process and the workers: {before_mb:.0f} MB before, {loaded_mb:.0f} loaded, {after_mb:.0f} after",
        ),
    ]


async def _work(workers: ProcessWorkers, asks: _Asks, seen: _Seen, count: int) -> None:
    """All inferences, some at once, with rests between."""
    done = 0
    while done < count:
        batch = [asks.next() for _ in range(min(_BATCH, count - done))]
        lanes = asyncio.Semaphore(_AT_ONCE)

        async def one(ask: _Ask, lanes: asyncio.Semaphore = lanes) -> None:
            async with lanes:
                await workers.run(ask.task, ask.blob, params=ask.params, priority=ask.priority)

        async with asyncio.TaskGroup() as group:
            for ask in batch:
                group.create_task(one(ask), name=ask.task)
                seen.asked[ask.task] += 1
        done += len(batch)
        seen.at_rest.append((done, own_mb(_pids(workers))))


async def _watch(workers: ProcessWorkers, seen: _Seen) -> None:
    """To read PSS costs the watched their time: it is done when more is resident than ever before, else seldom."""
    most_resident = 0
    while True:
        slots = [each for each in workers.status() if each.pid is not None]
        resident = sum(each.rss_bytes for each in slots)
        if resident > most_resident or seen.looks % _NOW_AND_THEN == 0:
            most_resident = max(most_resident, resident)
            weights = await asyncio.to_thread(_weights, slots)
            if sum(weights.values()) > seen.most_mb:
                seen.most_mb = sum(weights.values())
                seen.at_most = ", ".join(f"{slot} {mb:.0f}" for slot, mb in weights.items())
        seen.looks += 1
        await asyncio.sleep(_LOOK_S)


def _weights(slots: Sequence[SlotStatus]) -> dict[str, float]:
    return {each.slot: pss_mb([each.pid]) for each in slots if each.pid is not None}


def _pids(workers: ProcessWorkers) -> list[int]:
    return [each.pid for each in workers.status() if each.pid is not None]


@dataclass(frozen=True, slots=True)
class _Ask:
    task: str
    blob: BlobRef | None
    params: Json
    priority: Priority


class _Asks:
    """What is asked for, by chance and always the same."""

    def __init__(self, home: Path, models: Models) -> None:
        self._random = random.Random(7)
        self._pictures = [sealed(home, body) for body in _pictures()]
        self._sounds = [sealed(home, body) for body in _recordings()]
        self.tasks = [task for task in _MIX if _ready(models, task)]

    def next(self) -> _Ask:
        """One more."""
        chance = self._random
        (task,) = chance.choices(self.tasks, [_MIX[task] for task in self.tasks])
        priority = chance.choice((Priority.LIVE, Priority.BACKLOG))
        if task == "embed-text":
            texts = [" ".join(chance.choices(_WORDS, k=chance.randint(1, 40))) for _ in range(chance.randint(1, 4))]
            return _Ask(task, None, {"texts": texts}, Priority.PERSON)
        blob = chance.choice(self._sounds if task in _SOUNDS else self._pictures)
        params: Json = {}
        if task == "embed-face":
            params = {"points": _FACE}
        elif task == "overlap":
            params = {"others": [blob_to_map(each) for each in chance.sample(self._pictures, 3)]}
        return _Ask(task, blob, params, priority)


def _ready(models: Models, task: str) -> bool:
    try:
        models.for_task(task)
    except (ModelMissing, ModelBroken):
        return False
    return True


def _pictures() -> list[bytes]:
    """Real ones of all sizes, and drawn rooms."""
    place = media()
    found = sorted(place.glob("*/*.jpg")) if place is not None else []
    real = [path.read_bytes() for path in found if "corrupt" not in path.name]
    return [*real, *(scene(number * 4) for number in range(_SCENES))]


def _recordings() -> list[bytes]:
    """Real speech, and what a camera of the demo hears."""
    place = media()
    real = [path.read_bytes() for path in sorted(place.glob("audio/*.wav"))] if place is not None else []
    made = [as_wav(b"".join(listen(what, "").pieces), RATE_HZ) for what in ("doorbell", "knock", "rain")]
    return [*real, *made]
