"""Inference by task name: one worker process a slot, a deadline each, killed and started again alone.

Slots: `look` (pictures), `read` (print), `listen` (sound), `query` (text for search, kept for it), `thumb`, and
`shadow` (a model that is to take another one's place). The slots that are rarely needed end when idle, and their models
leave with the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from gateway import metrics
from gateway.child import Limits, rss_bytes
from gateway.entities import BlobRef, Json, Priority, Provenance
from gateway.errors import ModelBroken, ModelMissing, WorkerFailed
from gateway.inference.models import Installed, Models, State
from gateway.inference.providers import CPU, MOST_MB, TENSORRT, RunsOn, built_in, tried
from gateway.inference.room import Room
from gateway.inference.slot import BASE_MB, Ask, Slot
from gateway.inference.worker import blob_to_map

log = logging.getLogger(__name__)

OVER_MODELS_MB = 256
"""What a worker may need beyond itself and its models."""
_NO_PARAMS: Json = {}
_REPLY_BYTES = 4 << 20
_THUMB_IDLE_S = 300.0
_SHADOW = "shadow"
"""The worker of a model that is to take another one's place: what it does in advance may hold nobody up."""
_SHADOW_IDLE_S = 60.0
_SHADOW_S = 600.0
"""Its deadline: where everybody goes first, how long it takes says nothing."""
_QUERY = "query"
KEPT = ".optimised"
"""Folder beside the models where optimised graphs are kept."""
_COMPILE_S = 600.0
"""Deadline of a model's first request where TensorRT compiles its graph."""
_BLAMED = frozenset({"died", "deadline", "out-of-memory"})
"""How a worker ends whose driver is broken."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said."""

    data: Json
    """As the docstring of the task's family describes."""
    provenance: Provenance
    took_ms: float
    """In the worker, waiting for its turn not counted."""


@dataclass(frozen=True, slots=True)
class SlotStatus:
    """One worker process, for Health."""

    slot: str
    pid: int | None
    """None while no process runs."""
    rss_bytes: int
    tasks: tuple[str, ...]
    """Tasks whose model is loaded."""
    busy: bool
    waiting: int
    """Requests in its queue."""
    restarts: int
    """Processes that ended otherwise than by going idle."""
    runs_on: Mapping[str, RunsOn] = field(default_factory=dict)
    """Of `tasks`: what runs the model, and why nothing better does."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What inference may use of the box."""

    threads: int = 1
    """Threads of one model while it runs."""
    memory_mb: int | None = None
    """For all workers together: a request waits until what it may take fits, and idle workers end for it. One worker
    is always allowed what its models need. None: no common limit."""
    accelerator: str = "auto"
    """What may run models: `auto`, `tensorrt`, `cuda` (each with those that come after it) or `cpu`."""
    read_idle_s: float = 30.0
    listen_idle_s: float = 20.0
    default_s: float = 20.0
    """Deadline of a request, its queueing not counted, loading the model included."""
    ocr_s: float = 30.0
    asr_s: float = 180.0
    caption_s: float = 60.0


class Workers(Protocol):
    """Inference by task name."""

    async def run(
        self,
        task: str,
        blob: BlobRef | None = None,
        *,
        params: Json = _NO_PARAMS,
        priority: Priority = Priority.BACKLOG,
        space: str = "",
    ) -> Reply:
        """Ask the task's model; with `space`, the one whose vectors lie there. Raises ModelMissing, ModelBroken,
        Unreadable, NotFound (the blob is gone), Rejected (params), Retryable (the disk; `no-memory` for a second
        model) or WorkerFailed (`deadline`, `died`, `out-of-memory`, `bad-reply`, `crashed`)."""

    def provenance(self, task: str, *, space: str = "") -> Provenance:
        """Of the model that would answer now. Cheap. Raises ModelMissing or ModelBroken."""

    def newest(self, task: str) -> str:
        """The space of the model that serves a task best, whichever is settled on. Raises as `provenance`."""

    def order(self, task: str) -> Sequence[str]:
        """Names of the models that can serve a task, installed or not, the best first."""

    def settle(self, task: str, space: str) -> None:
        """From now on the model of this space serves the task, for as long as it is ready; empty: the best does."""

    async def unload(self, task: str) -> None:
        """Let go of what the process for a task holds; what is needed of it is loaded again when it is asked."""

    def refresh(self) -> None:
        """Forget what is known of the installed models: some were pulled or removed."""

    def status(self) -> list[SlotStatus]:
        """One for each slot, in a fixed order."""


@asynccontextmanager
async def open_workers(models: Models, budget: Budget | None = None) -> AsyncIterator[ProcessWorkers]:
    """Workers over child processes, which start with their first request and end with this context."""
    await asyncio.to_thread(models.installed)  # the first look may hash every file; later ones cost nothing
    async with AsyncExitStack() as stack:
        workers = ProcessWorkers(models, budget or Budget())
        stack.push_async_callback(workers.stop)
        yield workers


class ProcessWorkers:
    """Workers as processes. `models` is looked at, never changed."""

    def __init__(self, models: Models, budget: Budget) -> None:
        self._models = models
        self._budget = budget
        self._accelerators = [each for each in tried(budget.accelerator, built_in()) if each != CPU]
        self._blamed: dict[str, str] = {}
        """Model that runs on the CPU from now on → why."""
        self._room = Room(budget.memory_mb, kept=_QUERY, unasked=_SHADOW)
        self._room.kept_mb = self._query_mb
        self._slots = {
            "look": self._slot("look", nice=10),
            "read": self._slot("read", nice=10, idle_s=budget.read_idle_s),
            "listen": self._slot("listen", nice=10, idle_s=budget.listen_idle_s),
            _QUERY: self._slot(_QUERY, nice=0),
            "thumb": self._slot("thumb", nice=5, idle_s=_THUMB_IDLE_S),
            _SHADOW: self._slot(_SHADOW, nice=10, idle_s=_SHADOW_IDLE_S),
        }
        self._room.tenants = tuple(self._slots.values())
        self._settled: dict[str, str] = {}
        """Task → the space whose model serves it."""
        self._deadlines_s = {
            "ocr": budget.ocr_s,
            "asr": budget.asr_s,
            "asr-draft": budget.asr_s,
            "caption": budget.caption_s,
        }

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
        settled = self._serving(task)
        model = self._models.for_task(task, space=space) if space else settled
        coming = priority is Priority.BACKLOG and model.manifest.space != settled.manifest.space
        ask = self._ask(task, model, blob, params)
        slot = self._slots[_SHADOW if coming else model.manifest.slot]
        loads = not slot.holds(ask.key)
        try:
            deadline_s = _SHADOW_S if coming else self._deadline_s(task, ask, loads=loads)
            reply, took_ms = await slot.run(ask, priority, deadline_s)
        except ModelBroken:
            await asyncio.to_thread(self._models.verify, model.manifest.name)
            raise
        except WorkerFailed as error:
            if loads and error.code in _BLAMED:
                self._blame(ask)
            metrics.worker_restarts.labels(slot=slot.name, why=error.code).inc()
            log.warning("worker failed", extra={"slot": slot.name, "task_name": task, "code": error.code})
            raise
        data = reply.get("data")
        if not isinstance(data, Mapping):
            raise WorkerFailed("the worker gave an answer that makes no sense", code="bad-reply", where=slot.name)
        return Reply(data=data, provenance=model.manifest.provenance, took_ms=took_ms)

    def provenance(self, task: str, *, space: str = "") -> Provenance:
        """As `Workers.provenance`."""
        model = self._models.for_task(task, space=space) if space else self._serving(task)
        return model.manifest.provenance

    def newest(self, task: str) -> str:
        """As `Workers.newest`."""
        return self._models.for_task(task).manifest.space

    def order(self, task: str) -> Sequence[str]:
        """As `Workers.order`."""
        return self._models.order(task)

    def settle(self, task: str, space: str) -> None:
        """As `Workers.settle`."""
        self._settled[task] = space
        if space:
            self._models.drop_kept(task, but=space)

    async def unload(self, task: str) -> None:
        """As `Workers.unload`; the request under way and those before it in the queue are answered first."""
        await self._slots[self._serving(task).manifest.slot].let_go()
        await self._slots[_SHADOW].let_go()

    def refresh(self) -> None:
        """As `Workers.refresh`."""
        self._models.refresh()

    def status(self) -> list[SlotStatus]:
        """As `Workers.status`."""
        return [self._status(slot) for slot in self._slots.values()]

    async def stop(self) -> None:
        """End all processes."""
        for slot in self._slots.values():
            await slot.stop()

    def _serving(self, task: str) -> Installed:
        space = self._settled.get(task, "")
        if space:
            with contextlib.suppress(ModelMissing, ModelBroken):
                return self._models.for_task(task, space=space)
        return self._models.for_task(task)

    def _ask(self, task: str, model: Installed, blob: BlobRef | None, params: Json) -> Ask:
        manifest = model.manifest
        hashes = ":".join(each.sha256[:16] for each in model.files)
        key = f"{manifest.name}@{manifest.revision}/{manifest.preprocessing}:{hashes}"
        told: Json = {
            "key": key,
            "family": manifest.family,
            "files": {each.name: [str(each.path), each.sha256] for each in model.files},
            "threads": self._budget.threads,
            "options": dict(manifest.options),
            "accelerator": self._budget.accelerator if self._may_accelerate(key) else "cpu",
            "kept": str(self._models.folder / KEPT),
            "graphs": {each.file: [list(each.inputs), list(each.outputs)] for each in manifest.graphs},
        }
        request = {"model": told, "blob": None if blob is None else blob_to_map(blob), "params": dict(params)}
        return Ask(task, key, manifest.ram_mb + (MOST_MB if self._may_accelerate(key) else 0), request)

    def _may_accelerate(self, key: str) -> bool:
        return bool(self._accelerators) and key not in self._blamed

    def _blame(self, ask: Ask) -> None:
        """A worker that ended while it loaded a model for an accelerator is given it on the CPU from now on: a broken
        driver may not only refuse, and may not take the model away."""
        if self._may_accelerate(ask.key):
            self._blamed[ask.key] = "its worker ended while it was loaded on an accelerator"
            log.warning("model runs on the cpu from now on", extra={"task_name": ask.task})

    def _status(self, slot: Slot) -> SlotStatus:
        runs_on = {
            task: replace(on, instead=on.instead or self._blamed.get(key, ""))
            for task, (key, on) in slot.loaded.items()
        }
        return SlotStatus(
            slot=slot.name,
            pid=slot.pid,
            rss_bytes=0 if slot.pid is None else rss_bytes(slot.pid),
            tasks=tuple(sorted(runs_on)),
            busy=slot.busy,
            waiting=slot.waiting,
            restarts=slot.failures,
            runs_on=runs_on,
        )

    def _query_mb(self) -> int:
        """What the worker for queries takes once it runs."""
        known = [each for each in self._models.installed() if each.manifest.slot == _QUERY]
        ready = [each.manifest.ram_mb for each in known if each.state is State.READY]
        return BASE_MB + sum(ready) if ready else 0

    def _slot(self, name: str, *, nice: int, idle_s: float | None = None) -> Slot:
        known = [each for each in self._models.manifests.values() if not each.unchecked]
        models_mb = sum(each.ram_mb for each in known if each.slot == name)
        if name == _SHADOW:  # one at a time, of those that make vectors
            models_mb = max((each.ram_mb for each in known if each.task.startswith("embed-")), default=0)
        driver_mb = MOST_MB if self._accelerators else 0
        limits = Limits(
            memory_bytes=(BASE_MB + models_mb + driver_mb + OVER_MODELS_MB) << 20,
            nice=nice,
            idle_s=idle_s,
            network=False,
            reply_bytes=_REPLY_BYTES,
        )
        return Slot(name, limits, threads=self._budget.threads, room=self._room)

    def _deadline_s(self, task: str, ask: Ask, *, loads: bool) -> float:
        deadline_s = self._deadlines_s.get(task, self._budget.default_s)
        compiles = loads and TENSORRT in self._accelerators and self._may_accelerate(ask.key)
        return max(deadline_s, _COMPILE_S) if compiles else deadline_s
