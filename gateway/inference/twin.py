"""Workers without models, for tests of what stands above them: deterministic answers made from the real bytes.

The blob is read and its hash checked as a worker does; the same bytes get the same answer, others another one, in the
shapes that the families document. A text's vector is made of its words, so that texts that share words are near.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from gateway.entities import BlobRef, Json, Priority, Provenance
from gateway.errors import HearthlogError, ModelMissing, Unreadable
from gateway.inference.family import Request
from gateway.inference.sounds import RATE_HZ, spans_of
from gateway.inference.workers import Reply, SlotStatus
from gateway.store.blobs import read_blob

_DIM = 384
_TEXTS = {"embed-text", "embed-text-for-images"}
_SPOKEN = {"embed-speaker"}
_THINGS = ("person", "dog", "cat", "bicycle", "car", "potted plant")
_WORDS = ("parcel", "garden", "kitchen", "fragile", "books", "alder", "lane")
_NO_PARAMS: Json = {}


class TwinWorkers:
    """Workers in this process. `missing` tasks have no model until `install` brings it."""

    def __init__(self, *, missing: Iterable[str] = ()) -> None:
        self.asked: list[tuple[str, Priority]] = []
        """What was asked for, in order."""
        self.failures: list[HearthlogError] = []
        """Raised one by one, the first first, by the next runs instead of answers."""
        self._missing = set(missing)
        self._revisions: dict[str, list[str]] = {}
        self._settled: dict[str, str] = {}

    def install(self, task: str, revision: str = "1") -> None:
        """The task's model is there from now on; another revision stands beside those that are, and serves best."""
        self._missing.discard(task)
        self._revisions[task] = [*self._all(task), revision] if revision != "1" else self._all(task)

    def remove(self, task: str, revision: str) -> None:
        """A revision is gone."""
        self._revisions[task] = [each for each in self._all(task) if each != revision]

    async def run(
        self,
        task: str,
        blob: BlobRef | None = None,
        *,
        params: Json = _NO_PARAMS,
        priority: Priority = Priority.BACKLOG,
        space: str = "",
    ) -> Reply:
        """As `Workers.run`."""
        provenance = self.provenance(task, space=space)
        self.asked.append((task, priority))
        if self.failures:
            raise self.failures.pop(0)
        data = await self.answer(task, Request(blob=blob, params=params), provenance)
        return Reply(data=data, provenance=provenance, took_ms=1.0)

    async def answer(self, task: str, request: Request, used: Provenance) -> Json:
        """What the model `used` says. Tests that need another answer put their own in this one's place."""
        if task in _TEXTS:
            return {"vectors": [_meaning(text, used.revision) for text in request.the_texts()], "dim": _DIM}
        body = read_blob(request.the_blob())
        _check(task, body)
        if task in _SPOKEN:
            return _voices(body, request)
        return _ANSWERS[task](random.Random(hashlib.sha256(task.encode() + body).digest()))  # noqa: S311

    def provenance(self, task: str, *, space: str = "") -> Provenance:
        """As `Workers.provenance`."""
        if task in self._missing or task not in {*_TEXTS, *_SPOKEN, *_ANSWERS} or not self._all(task):
            raise ModelMissing(task)
        here = {_space(task, each): each for each in self._all(task)}
        if space and space not in here:
            raise ModelMissing(task)
        settled = self._settled.get(task, "")
        revision = here[space or (settled if settled in here else next(reversed(here)))]
        return Provenance(model=f"twin-{task}", revision=revision, preprocessing="1")

    def newest(self, task: str) -> str:
        """As `Workers.newest`: what was installed last."""
        self.provenance(task)
        return _space(task, self._all(task)[-1])

    def order(self, task: str) -> Sequence[str]:
        """As `Workers.order`: one for each task."""
        return [f"twin-{task}"]

    def settle(self, task: str, space: str) -> None:
        """As `Workers.settle`."""
        self._settled[task] = space

    async def unload(self, task: str) -> None:
        """As `Workers.unload`: nothing is loaded here."""

    def refresh(self) -> None:
        """As `Workers.refresh`: nothing is kept here."""

    def status(self) -> list[SlotStatus]:
        """As `Workers.status`: one slot without a process."""
        return [SlotStatus(slot="twin", pid=None, rss_bytes=0, tasks=(), busy=False, waiting=0, restarts=0)]

    def _all(self, task: str) -> list[str]:
        return self._revisions.get(task, ["1"])


def _space(task: str, revision: str) -> str:
    return f"twin-{task}@{revision}/1"


def _check(task: str, body: bytes) -> None:
    if task in ("vad", "asr", "asr-draft", "sound", *_SPOKEN):
        if body[:4] != b"RIFF":
            raise Unreadable("the recording cannot be decoded", code="not-a-recording")
    elif not (body[:3] == b"\xff\xd8\xff" or body[:8] == b"\x89PNG\r\n\x1a\n" or body[:4] == b"RIFF"):
        raise Unreadable("the picture cannot be decoded", code="not-a-picture")


def _meaning(text: str, revision: str) -> bytes:
    """Near to what shares words with it, if the same revision read that; to others' vectors as far as chance has it."""
    total = np.zeros(_DIM)
    salt = "" if revision == "1" else f"{revision}:"
    for word in text.lower().split() or [""]:
        seed = int.from_bytes(hashlib.sha256((salt + word).encode()).digest()[:8], "big")
        total += np.random.default_rng(seed).standard_normal(_DIM)
    return (total / np.linalg.norm(total)).astype("<f4").tobytes()


def _pixels(chance: random.Random) -> Json:
    return {
        "width_px": 640,
        "height_px": 480,
        "luma_mean": chance.uniform(60, 180),
        "luma_std": chance.uniform(30, 70),
        "sharpness": chance.uniform(100, 1000),
        "dark_share": chance.uniform(0, 0.1),
        "bright_share": chance.uniform(0, 0.1),
        "colourfulness": chance.uniform(10, 60),
        "phash": f"{chance.getrandbits(64):016x}",
        "grid": chance.randbytes(32 * 24),
        "grid_colour": chance.randbytes(8 * 6 * 3),
    }


def _place(chance: random.Random) -> dict[str, float]:
    x, y = chance.uniform(0, 0.5), chance.uniform(0, 0.5)
    return {"x": x, "y": y, "w": chance.uniform(0.1, 0.5), "h": chance.uniform(0.1, 0.5)}


def _detect(chance: random.Random) -> Json:
    things = chance.sample(_THINGS, chance.randint(1, 3))
    return {"boxes": [{"label": label, "score": chance.uniform(0.5, 0.9)} | _place(chance) for label in things]}


def _faces(chance: random.Random) -> Json:
    points = [[chance.uniform(0.1, 0.4), chance.uniform(0.1, 0.4)] for _ in range(5)]
    return {"faces": [{"score": chance.uniform(0.6, 1.0), "points": points} | _place(chance)]}


def _classify(chance: random.Random) -> Json:
    return {"labels": [{"label": label, "score": 0.5 / (n + 1)} for n, label in enumerate(chance.sample(_THINGS, 3))]}


def _ocr(chance: random.Random) -> Json:
    text = " ".join(chance.sample(_WORDS, 2)).upper()
    return {"lines": [{"text": text, "score": chance.uniform(0.8, 1.0)} | _place(chance)], "partial": False}


def _vector(chance: random.Random, dim: int = 1024) -> Json:
    vector = np.random.default_rng(chance.getrandbits(64)).standard_normal(dim)
    return {"vector": (vector / np.linalg.norm(vector)).astype("<f4").tobytes(), "dim": dim}


def _face(chance: random.Random) -> Json:
    return _vector(chance, 128)


def _copy_vector(chance: random.Random) -> Json:
    return _vector(chance, 128)


def _overlap(_: random.Random) -> Json:
    """Nothing is ever found in another picture: what differs between real ones is tested with real ones."""
    return {"found": []}


def _thumbnail(chance: random.Random) -> Json:
    return {"jpeg": b"\xff\xd8\xff\xe0" + chance.randbytes(64) + b"\xff\xd9"}


def _vad(chance: random.Random) -> Json:
    return {"speech": [{"start_us": 0, "end_us": 900_000}], "duration_us": 1_000_000}


def _asr(chance: random.Random) -> Json:
    words = [
        {"word": word, "start_us": n * 300_000, "end_us": n * 300_000 + 250_000, "confidence": chance.random()}
        for n, word in enumerate(chance.sample(_WORDS, 3))
    ]
    text = " ".join(str(each["word"]) for each in words)
    return {"text": text, "words": words, "confidence": chance.random(), "heard_us": 900_000}


def _voices(body: bytes, request: Request) -> Json:
    """Two people take turns of three seconds."""
    spans = spans_of(request.params, 10**9)
    people = [np.frombuffer(_meaning(f"{body[-64:].hex()} {who}", "1"), "<f4") for who in range(2)]
    vectors = [people[(start + end) // 2 // (3 * RATE_HZ) % 2].tobytes() for start, end in spans]
    return {"vectors": vectors, "dim": _DIM, "same": 0.5}


def _sound(chance: random.Random) -> Json:
    label = chance.choice(("Speech", "Dog", "Doorbell", "Rain"))
    return {"events": [{"label": label, "score": chance.uniform(0.3, 1.0), "start_us": 0, "end_us": 975_000}]}


def _caption(_: random.Random) -> Json:
    """It abstains: what stands above is tested with captions put together, save by tests of its own."""
    return {"caption": "", "tokens": [], "stopped": "end", "confidence": 0.0}


_ANSWERS: Mapping[str, Callable[[random.Random], Json]] = {
    "pixels": _pixels,
    "detect": _detect,
    "detect-faces": _faces,
    "embed-face": _face,
    "classify": _classify,
    "ocr": _ocr,
    "caption": _caption,
    "embed-image": _vector,
    "copy-vector": _copy_vector,
    "overlap": _overlap,
    "thumbnail": _thumbnail,
    "vad": _vad,
    "asr": _asr,
    "asr-draft": _asr,
    "sound": _sound,
}
