"""What a step is, and what it may reach while it runs."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.entities import Annotation, BlobRef, Capture, Embedding, Json, Kind, Priority, Provenance, Stored
from gateway.errors import ModelBroken, ModelMissing, Skip
from gateway.inference.workers import Workers
from gateway.pipeline.answers import answering
from gateway.store import captures, copies, understood
from gateway.store.captures import Shelf
from gateway.store.db import Connection, Database

_ALIKE = 64
"""Candidates for a copy, for each band of the hash."""
_NEAR = 8
"""Candidates by the copy vector: each is then laid over the picture, which costs."""
_NONE: Mapping[str, str] = {}

Run: TypeAlias = Callable[["Capture", "Context"], Awaitable[Annotation]]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is understood of a capture. Its module holds it as the constant `STEP`."""

    name: str
    version: int
    """Grows when its answer changes for the same input: then everything may be done again."""
    takes: tuple[Kind, ...]
    run: Run
    label: str
    """What Health calls it."""
    after: tuple[str, ...] = ()
    """Steps whose answer for the same capture it reads; those of other kinds do not count."""
    tasks: tuple[str, ...] = ()
    """Inference tasks it may ask for: their models are part of the fingerprint."""
    key_frames_only: bool = False
    """It costs: a picture that is folded behind another one goes without, unless a person asks."""
    lane: str = "look"
    """Jobs of one lane share a few places; a slow lane never holds up another."""


@dataclass(frozen=True, slots=True)
class Known:
    """A picture with what was said of it."""

    capture: Capture
    notes: Mapping[str, Stored]


@dataclass(frozen=True, slots=True)
class Context:
    """The house as a step sees it. One a job."""

    db: Database
    workers: Workers
    notes: Mapping[str, Stored]
    """What the steps before it said, by step."""
    priority: Priority
    used: list[Provenance] = field(default_factory=list)
    """Models that answered so far; the first is the one the annotation names."""
    spent_ms: list[float] = field(default_factory=list)
    """What each of them took, waiting not counted."""
    asked: dict[str, str] = field(default_factory=dict)
    """As `Stored.asked`."""
    spaces: Mapping[str, str] = field(default_factory=dict)
    """Task → the space of the model that is asked, where it is not the one that serves the task now."""
    shelf: Shelf | None = None
    """Where earlier pictures lie; without it only what was written down of them can be compared."""

    async def infer(self, task: str, capture: Capture, params: Json | None = None) -> Json:
        """Ask a model about the capture's blob. Raises ModelMissing, Unreadable, WorkerFailed, NotFound; Skip when
        the original is no longer kept.
        """
        if capture.blob is None:
            raise Skip("the original is no longer kept", code="original-gone")
        return await self._ask(task, capture.blob, params or {})

    async def embed(self, text: str) -> Json:
        """Ask the model of text vectors about one text."""
        return await self._ask("embed-text", None, {"texts": [text]})

    async def _ask(self, task: str, blob: BlobRef | None, params: Json) -> Json:
        try:
            reply = await self.workers.run(
                task, blob, params=params, priority=self.priority, space=self.spaces.get(task, "")
            )
        except (ModelMissing, ModelBroken):
            self.asked[task] = ""
            raise
        self.asked[task] = reply.provenance.name
        self.used.append(reply.provenance)
        self.spent_ms.append(reply.took_ms)
        return reply.data

    def said(self, step: str) -> Json | None:
        """The answer of an earlier step; None when it had nothing to say or was set aside."""
        note = self.notes.get(step)
        return note.annotation.data if note is not None and not note.skipped else None

    async def before(self, capture: Capture, *, limit: int) -> list[Known]:
        """The newest earlier pictures of the same camera that stand by themselves (are not folded away)."""
        return await self.db.read(lambda c: _with_notes(c, captures.previous_standing(c, capture, limit=limit)))

    async def same_bytes(self, capture: Capture) -> Capture | None:
        """The earliest other capture of the same owner with the same bytes, taken in before this one."""
        return await self.db.read(lambda c: captures.same_bytes(c, capture))

    async def alike(self, capture: Capture, likeness: bytes) -> list[Known]:
        """Earlier pictures of the same owner whose 64-bit hash shares at least one 16-bit band with `likeness`."""
        return await self.db.read(lambda c: _with_notes(c, captures.alike(c, capture, likeness, limit=_ALIKE)))

    async def near(self, capture: Capture, vector: Embedding | None, *, also: Sequence[int]) -> list[Capture]:
        """Earlier pictures of the same owner with their originals: those of `also`, then those whose copy vectors are
        nearest, the nearest first. Those are left out of which a person said that they are not the same."""
        shelf = self.shelf
        if shelf is None:
            return []
        found = await self.db.read(lambda c: _near(c, capture, vector, shelf, also=also))
        return [each for each in found if each.blob is not None]

    async def overtook(self, capture: Capture, likeness: bytes, vector: Embedding | None) -> list[Known]:
        """Pictures that came after this one and were judged before it could be found, with their originals: of those
        that people brought the ones that share a band of its hash, and the ones with the nearest copy vectors; and the
        next one of its camera that stands by itself."""
        shelf = self.shelf
        if shelf is None:
            return []
        return await self.db.read(lambda c: _overtook(c, capture, likeness, vector, shelf))

    def provenance(self) -> Provenance:
        """The model to name beside the annotation; empty where none was asked."""
        return next((used for used in self.used if used.model), Provenance())


def fingerprint(step: Step, workers: Workers, notes: Mapping[str, Stored], *, spaces: Mapping[str, str] = _NONE) -> str:
    """What an annotation depends on besides the capture's bytes: the step's version, the models it may ask (with
    their preprocessing), and the fingerprints of the annotations it was made from. `spaces`: as of a Context.
    """
    parts = [step.name, str(step.version)]
    parts += [f"{task}:{model or 'none'}" for task, model in answering(step.tasks, workers, spaces=spaces).items()]
    parts += [f"{name}={notes[name].fingerprint}" for name in step.after if name in notes]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def _near(
    connection: Connection, capture: Capture, vector: Embedding | None, shelf: Shelf, *, also: Sequence[int]
) -> list[Capture]:
    ids = list(also)
    if vector is not None:
        ids += [number for _, number in copies.near(connection, capture, vector, limit=_NEAR)]
    found = [captures.get(connection, number, shelf) for number in dict.fromkeys(ids)]
    return [each for each in found if each is not None]


def _overtook(
    connection: Connection, capture: Capture, likeness: bytes, vector: Embedding | None, shelf: Shelf
) -> list[Known]:
    ids: list[int] = []
    if not captures.has_likeness(connection, capture.id):
        found = captures.alike(connection, capture, likeness, limit=_NEAR, brought_later=True)
        ids += [each.id for each in found + captures.next_standing(connection, capture)]
    if vector is not None and not copies.known(connection, capture.id, vector.space):
        near = copies.near(connection, capture, vector, limit=_NEAR, brought_later=True)
        ids += [number for _, number in near]
    later = [captures.get(connection, number, shelf) for number in dict.fromkeys(ids)]
    return _with_notes(connection, [each for each in later if each is not None])


def _with_notes(connection: Connection, found: Iterable[Capture]) -> list[Known]:
    return [Known(each, _notes(connection, each)) for each in found]


def _notes(connection: Connection, capture: Capture) -> dict[str, Stored]:
    return {note.step: note for note in understood.notes(connection, capture.id)}
