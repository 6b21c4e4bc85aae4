"""Inference by task name: one worker process a slot, a deadline each, killed and started again alone.

Slots: `look` (pictures), `read` (print), `listen` (sound), `query` (text for search, kept for it), `thumb`, and
`shadow` (a model that is to take another one's place). The slots that are rarely needed end when idle, and their models
leave with the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from gateway import metrics
from gateway.child import Child, Limits, python_argv, python_env, rss_bytes
from gateway.entities import BlobRef, Json, Priority, Provenance
from gateway.errors import ModelBroken, ModelMissing, Retryable, WorkerFailed
from gateway.inference.models import Installed, Models
from gateway.inference.worker import blob_to_map

log = logging.getLogger(__name__)

OVER_MODELS_MB = 256
"""What a worker may need beyond itself and its models."""
_BASE_MB = 90
"""An interpreter with NumPy, Pillow and a runtime."""
_ORDER = {Priority.PERSON: 0, Priority.LIVE: 1, Priority.BACKLOG: 2}
_NO_PARAMS: Json = {}
_REPLY_BYTES = 4 << 20
_THUMB_IDLE_S = 300.0
_SHADOW = "shadow"
"""The worker of a model that is to take another one's place: what it does in advance may hold nobody up."""
_SHADOW_IDLE_S = 60.0
_SHADOW_S = 600.0
"""Its deadline: where everybody goes first, how long it takes says nothing."""


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


@dataclass(frozen=True, slots=True)
class Budget:
    """What inference may use of the box."""

    threads: int = 1
    """Threads of one model while it runs."""
    memory_mb: int | None = None
    """For all workers together: before one starts that would not fit, idle ones end. One worker is always allowed
    what its models need. None: no common limit."""
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
        self._slots = {
            "look": self._slot("look", nice=10),
            "read": self._slot("read", nice=10, idle_s=budget.read_idle_s),
            "listen": self._slot("listen", nice=10, idle_s=budget.listen_idle_s),
            "query": self._slot("query", nice=0),
            "thumb": self._slot("thumb", nice=5, idle_s=_THUMB_IDLE_S),
            _SHADOW: self._slot(_SHADOW, nice=10, idle_s=_SHADOW_IDLE_S),
        }
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
        request = {
            "model": self._model_map(model),
            "blob": None if blob is None else blob_to_map(blob),
            "params": dict(params),
        }
        slot = self._slots[_SHADOW if coming else model.manifest.slot]
        await self._make_room(slot)
        try:
            deadline_s = _SHADOW_S if coming else self._deadline_s(task)
            reply, took_ms = await slot.run(task, request, priority, deadline_s)
        except ModelBroken:
            await asyncio.to_thread(self._models.verify, model.manifest.name)
            raise
        except WorkerFailed as error:
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
        return [slot.status() for slot in self._slots.values()]

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

    def _model_map(self, model: Installed) -> Json:
        manifest = model.manifest
        hashes = ":".join(each.sha256[:16] for each in model.files)
        return {
            "key": f"{manifest.name}@{manifest.revision}/{manifest.preprocessing}:{hashes}",
            "family": manifest.family,
            "files": {each.name: [str(each.path), each.sha256] for each in model.files},
            "threads": self._budget.threads,
            "options": dict(manifest.options),
        }

    def _slot(self, name: str, *, nice: int, idle_s: float | None = None) -> _Slot:
        known = [each for each in self._models.manifests.values() if not each.unchecked]
        models_mb = sum(each.ram_mb for each in known if each.slot == name)
        if name == _SHADOW:  # one at a time, of those that make vectors
            models_mb = max((each.ram_mb for each in known if each.task.startswith("embed-")), default=0)
        memory_mb = _BASE_MB + models_mb
        limits = Limits(
            memory_bytes=(memory_mb + OVER_MODELS_MB) << 20,
            nice=nice,
            idle_s=idle_s,
            network=False,
            reply_bytes=_REPLY_BYTES,
        )
        return _Slot(name, limits, threads=self._budget.threads, memory_mb=memory_mb)

    async def _make_room(self, wanted: _Slot) -> None:
        """End idle workers, the longest idle first, until `wanted` fits the budget. The one for queries stays."""
        if self._budget.memory_mb is None or wanted.pid is not None:
            return
        others = [each for each in self._slots.values() if each is not wanted and each.pid is not None]
        over = sum(each.rss_mb for each in others) + wanted.memory_mb - self._budget.memory_mb
        for other in sorted(others, key=lambda each: each.idle_since):
            if over > 0 and other.name != "query" and not other.busy:
                over -= other.rss_mb
                await other.stop()
        if over > 0 and wanted.name == _SHADOW:
            raise Retryable("there is no memory to load a second model", code="no-memory")

    def _deadline_s(self, task: str) -> float:
        return self._deadlines_s.get(task, self._budget.default_s)


class _Slot:
    """One process and the requests that wait for it, the most urgent first."""

    def __init__(self, name: str, limits: Limits, *, threads: int, memory_mb: int) -> None:
        self.name = name
        self.memory_mb = memory_mb
        """What its process is expected to need."""
        argv = python_argv("gateway.inference.worker")
        self._child = Child(argv, name=name, env=python_env(threads=threads), limits=limits)
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._busy = False
        self._failures = 0
        self._loaded: set[str] = set()
        self._loaded_pid: int | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid

    @property
    def rss_mb(self) -> int:
        return 0 if self.pid is None else rss_bytes(self.pid) >> 20

    @property
    def busy(self) -> bool:
        return self._busy

    @property
    def idle_since(self) -> float:
        return self._child.idle_since

    async def run(self, task: str, request: Json, priority: Priority, timeout_s: float) -> tuple[Json, float]:
        """The reply and the milliseconds that it took."""
        await self._turn(priority)
        try:
            started = time.perf_counter()
            try:
                reply = await self._child.call(request, timeout_s=timeout_s)
            finally:
                if self._child.pid is None:
                    self._failures += 1
                if self._child.pid != self._loaded_pid:
                    self._loaded, self._loaded_pid = set(), self._child.pid
            self._loaded.add(task)
            return reply, (time.perf_counter() - started) * 1000
        finally:
            self._next()

    def status(self) -> SlotStatus:
        pid = self._child.pid
        return SlotStatus(
            slot=self.name,
            pid=pid,
            rss_bytes=0 if pid is None else rss_bytes(pid),
            tasks=tuple(sorted(self._loaded)) if pid == self._loaded_pid and pid is not None else (),
            busy=self._busy,
            waiting=len(self._waiting),
            restarts=self._failures,
        )

    async def stop(self) -> None:
        await self._child.stop()

    async def let_go(self) -> None:
        """End the process as soon as it has answered those who were first."""
        await self._turn(Priority.PERSON)
        try:
            await self._child.stop()
        finally:
            self._next()

    async def _turn(self, priority: Priority) -> None:
        if not self._busy:
            self._busy = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (_ORDER[priority], next(self._numbers), turn)
        heapq.heappush(self._waiting, entry)
        try:
            await turn
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
                heapq.heapify(self._waiting)
            elif turn.done() and not turn.cancelled():
                self._next()  # the turn was ours already: hand it on
            raise

    def _next(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._busy = False
