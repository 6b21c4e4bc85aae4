"""One worker process and the requests that wait for it, the most urgent first."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.child import Child, Limits, python_argv, python_env, rss_bytes, rss_peak_bytes
from gateway.entities import Json, Priority
from gateway.inference.providers import RunsOn
from gateway.inference.room import Room

BASE_MB = 90
"""An interpreter with NumPy, Pillow and a runtime."""
_ORDER = {Priority.PERSON: 0, Priority.LIVE: 1, Priority.BACKLOG: 2}
_TEXT_LIMIT = 300


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for one model."""

    task: str
    key: str
    """Of the model, as the worker keeps it."""
    ram_mb: int
    """What the model takes besides an empty worker, by its manifest."""
    request: Json
    """As the worker takes it."""


@dataclass(slots=True)
class _Process:
    """What is known of the process that runs."""

    pid: int
    keys: set[str] = field(default_factory=set)
    """Models that it has loaded."""
    tasks: dict[str, tuple[str, RunsOn]] = field(default_factory=dict)
    """Task → its model, and what runs it."""


class Slot:
    """One process and its queue."""

    def __init__(self, name: str, limits: Limits, *, threads: int, room: Room) -> None:
        self.name = name
        argv = python_argv("gateway.inference.worker")
        self._child = Child(argv, name=name, env=python_env(threads=threads), limits=limits)
        self._room = room
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._busy = False
        self.failures = 0
        """Processes that ended otherwise than by going idle."""
        self._process: _Process | None = None

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

    def holds(self, key: str) -> bool:
        """Whether the model is loaded."""
        return self._known is not None and key in self._known.keys

    @property
    def loaded(self) -> dict[str, tuple[str, RunsOn]]:
        """Task → the model that is loaded, and what runs it."""
        return dict(self._known.tasks) if self._known is not None else {}

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def needs_mb(self, ask: Ask) -> int:
        """What the process may take for a request beyond what it has: for a model that is not loaded what its manifest
        says, else what it ever had."""
        if self.pid is None:
            return BASE_MB + ask.ram_mb
        if not self.holds(ask.key):
            return ask.ram_mb
        return max(0, rss_peak_bytes(self.pid) - rss_bytes(self.pid)) >> 20

    async def run(self, ask: Ask, priority: Priority, timeout_s: float) -> tuple[Json, float]:
        """The reply and the milliseconds that it took, waiting for the turn and for memory not counted."""
        await self._turn(priority)
        try:
            await self._room.enter(self, lambda: self.needs_mb(ask))
            started = time.perf_counter()
            try:
                reply = await self._child.call(ask.request, timeout_s=timeout_s)
            finally:
                self._room.leave(self)
                if self._child.pid is None:
                    self.failures += 1
            self._remember(ask, reply)
            return reply, (time.perf_counter() - started) * 1000
        finally:
            self._next()

    async def stop(self) -> None:
        await self._child.stop()

    @property
    def _known(self) -> _Process | None:
        return self._process if self._process is not None and self._process.pid == self.pid else None

    def _remember(self, ask: Ask, reply: Json) -> None:
        if self._known is None and self.pid is not None:
            self._process = _Process(self.pid)
        if self._known is not None:
            self._known.keys.add(ask.key)
            self._known.tasks[ask.task] = (ask.key, _runs_on(reply.get("runs_on")))

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


def _runs_on(said: object) -> RunsOn:
    """What a worker says of it, which nobody need believe."""
    if not isinstance(said, Sequence) or isinstance(said, str | bytes) or len(said) != 2:
        return RunsOn()
    provider, instead = (str(each)[:_TEXT_LIMIT] for each in said)
    return RunsOn(provider, instead)
