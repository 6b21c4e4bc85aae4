"""Watch over the box: sample rates and budgets, and tell how it is doing in words."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway import metrics
from gateway.entities import Priority, Role, Viewer
from gateway.errors import Forbidden, HearthlogError, NotFound, Retryable
from gateway.health import Budget, Busy, Health, Node, Part, SetAside
from gateway.index.postings import CURSOR as WORDS_CURSOR
from gateway.inference.workers import Workers
from gateway.jobs import probes
from gateway.jobs.heat import Heat
from gateway.pipeline.runner import Runner
from gateway.policy import knows_device
from gateway.spool import Spool
from gateway.store import changes, devices, jobs, readings
from gateway.store.db import Connection, Database

log = logging.getLogger(__name__)

SAMPLE_S = 5.0
_LINE_MINUTES = 60
_RATE_MINUTES = 5
_TRY_EVERY_US = 60_000_000
"""So often the box tries whether its disk takes anything: each try costs a card a few blocks."""
_NOT_WRITTEN = {
    "disk-full": "The disk is full: nothing new is stored. Cameras keep what they have. Make room, or keep less.",
    "disk-read-only": "The disk takes nothing: it is read-only, as one is that failed. Cameras keep what they have.",
    "disk-error": "The disk reports errors: nothing new is stored. Cameras keep what they have. Look at the disk.",
}
_REFUSAL_DAYS_US = 7 * 86_400_000_000


@dataclass(frozen=True, slots=True)
class Watched:
    """What the watch looks at."""

    db: Database
    spool: Spool
    runner: Runner
    workers: Workers
    home: Path
    memory_mb: int
    heat: Heat
    now_us: Callable[[], int]
    parts: Callable[[], Sequence[Part]]
    """Broker, indexes and the like, as they are now."""
    next_to_go: Callable[[], Awaitable[str]]
    """Which originals the rules would take next, as a sentence."""


@dataclass(slots=True)
class Watch:
    """The HealthDoor. `await Watch(…).run()` samples until it is cancelled."""

    on: Watched
    _minutes: dict[str, deque[int]] = field(default_factory=dict)
    _counted: dict[str, int] = field(default_factory=dict)
    _minute: int = 0
    _busy: Busy = field(default_factory=lambda: Busy(0, None, 0))
    _pss_bytes: int = 0
    _not_written: str = ""
    """Code of what keeps the disk from being written."""
    _tried_us: int = 0
    _highest: dict[str, float] = field(default_factory=dict)
    """Since the last reading was kept."""
    _kept_us: int = 0
    starting: list[str] = field(default_factory=lambda: ["The box is starting."])
    """Why the box is not ready yet; emptied by whoever starts it."""

    async def run(self) -> None:
        """Sample for ever."""
        while True:
            await self.sample()
            await asyncio.sleep(SAMPLE_S)

    async def sample(self) -> None:
        """Take one sample of everything and set the gauges."""
        backlogs, refusals, lag = await self.on.db.read(
            lambda c: (
                jobs.backlogs(c),
                _recent_refusals(c, self.on.now_us() - _REFUSAL_DAYS_US),
                changes.behind(c, WORDS_CURSOR),
            )
        )
        if lag is not None:  # an index that begins anew follows no line: what it lacks is told as its own share
            metrics.index_lag.labels("words").set(lag)
        now_us = self.on.now_us()
        self._count(now_us // 60_000_000)
        oldest = min((each.oldest_us for each in backlogs if each.oldest_us is not None), default=None)
        self._busy = Busy(
            waiting=sum(each.waiting + each.running for each in backlogs),
            oldest_s=None if oldest is None else max(0.0, (now_us - oldest) / 1e6),
            set_aside=sum(each.dead for each in backlogs) + refusals,
        )
        for each in backlogs:
            metrics.queue_depth.labels(each.step).set(each.waiting + each.running)
            metrics.dead_letters.labels(each.step).set(each.dead)
            age = 0.0 if each.oldest_us is None else (now_us - each.oldest_us) / 1e6
            metrics.queue_oldest_seconds.labels(each.step).set(max(0.0, age))
        for name in set(self.on.runner.house.steps) - {each.step for each in backlogs}:
            metrics.queue_depth.labels(name).set(0)
            metrics.queue_oldest_seconds.labels(name).set(0)
        await self._try_disk(now_us)
        await self._probe()
        await self._remember(now_us)

    def lowest_priority(self) -> Priority:
        """The lowest priority that may be worked on now: a warm box leaves its backlog until it has cooled."""
        return self.on.heat.lowest

    async def busy(self) -> Busy:
        """As sampled last."""
        return self._busy

    def unready(self) -> list[str]:
        """Why the box is not ready yet."""
        return list(self.starting)

    async def look(self, viewer: Viewer) -> Health:
        """Everything, now."""
        await self.sample()
        on = self.on
        backlogs, priorities, aside = await on.db.read(
            lambda c: (
                {each.step: each for each in jobs.backlogs(c)},
                jobs.waiting_by_priority(c),
                _set_aside(c, viewer),
            )
        )
        now_us = on.now_us()
        nodes = []
        for name, step in on.runner.house.steps.items():
            found = backlogs.get(name)
            waiting = found.waiting + found.running if found else 0
            line = tuple(self._minutes.get(name, ()))
            rate = sum(line[-_RATE_MINUTES:]) / max(1, min(_RATE_MINUTES, len(line)))
            oldest_s = (now_us - found.oldest_us) / 1e6 if found and found.oldest_us is not None else None
            nodes.append(
                Node(name, step.label, waiting, rate, oldest_s, line, slow=waiting > 20 and (oldest_s or 0) > 60)
            )
        past = await on.db.read(lambda c: readings.last_day(c, until_us=now_us))
        budgets = [replace(each, past=tuple(past.get(each.name, ()))) for each in self._budgets(await on.next_to_go())]
        parts = (*on.parts(), *self._own_parts())
        return Health(
            sentence=_sentence(nodes, budgets, parts, len(aside)),
            nodes=tuple(nodes),
            priorities=priorities,
            set_aside=tuple(aside),
            budgets=tuple(budgets),
            parts=parts,
        )

    async def retry(self, viewer: Viewer, job_id: int) -> None:
        """Do a buried job again, before all else."""
        if await self._again(viewer, "j.id = :job", {"job": job_id}) == 0:
            raise NotFound("there is no such job set aside")

    async def retry_all(self, viewer: Viewer, *, step: str = "") -> int:
        """All buried jobs, or those of one step."""
        return await self._again(viewer, "(:step = '' OR j.step = :step)", {"step": step})

    async def _again(self, viewer: Viewer, where: str, values: Mapping[str, object]) -> int:
        if viewer.role is Role.GUEST:
            raise Forbidden("a guest cannot do this")
        spool, now_us = self.on.spool, self.on.now_us()

        def again(connection: Connection) -> int:
            rows = jobs.dead_where(connection, where, values)
            for capture_id, step in rows:
                spool.requeue(connection, capture_id=capture_id, step=step, at_us=now_us)
            return len(rows)

        return await self.on.db.write(again)

    def _count(self, minute: int) -> None:
        steps = self.on.runner.house.steps
        passed = max(0, minute - self._minute) if self._minute else 0
        self._minute = minute
        for name in steps:
            line = self._minutes.setdefault(name, deque([0], maxlen=_LINE_MINUTES))
            line.extend([0] * min(passed, _LINE_MINUTES))
            done = self.on.runner.done.get(name, 0)
            line[-1] += done - self._counted.get(name, 0)
            self._counted[name] = done

    async def _probe(self) -> None:
        on = self.on
        pids = [os.getpid(), *(slot.pid for slot in on.workers.status() if slot.pid)]
        self._pss_bytes = await asyncio.to_thread(probes.proportional_bytes, pids)
        metrics.memory_bytes.labels("all").set(self._pss_bytes)
        on.heat.feel(await asyncio.to_thread(probes.temperature_c))
        try:
            metrics.disk_free_bytes.set((await asyncio.to_thread(probes.disk, on.home)).free)
        except OSError as error:
            raise HearthlogError("the data folder cannot be asked for its space", code="disk-error") from error

    async def _try_disk(self, now_us: int) -> None:
        """Now and then, and each time while it takes nothing."""
        if self._not_written or not 0 <= now_us - self._tried_us < _TRY_EVERY_US:
            self._not_written = await asyncio.to_thread(probes.why_not_written, self.on.home)
            self._tried_us = now_us

    async def _remember(self, now_us: int) -> None:
        """Keep the highest of every five minutes."""
        highest = self._highest
        highest["memory"] = max(highest.get("memory", 0.0), self._pss_bytes / 1e6)
        celsius = self.on.heat.celsius
        if celsius is not None:
            highest["temperature"] = max(highest.get("temperature", celsius), celsius)
        if 0 <= now_us - self._kept_us < readings.EVERY_US:
            return
        self._kept_us, self._highest = now_us, {}
        try:
            await self.on.db.write(lambda c: readings.add(c, highest, at_us=now_us))
        except Retryable as error:  # of all that a disk should take, this is what matters least
            log.warning("reading not kept", extra={"code": error.code})

    def _own_parts(self) -> list[Part]:
        disk = Part("Disk", "look", _NOT_WRITTEN[self._not_written]) if self._not_written else None
        return [part for part in (disk, self.on.heat.part, _runs_on(self.on.workers)) if part is not None]

    def _budgets(self, next_to_go: str) -> list[Budget]:
        on = self.on
        disk = probes.disk(on.home)
        used_mb = self._pss_bytes / 1e6
        found = [
            Budget("memory", "Memory", round(used_mb), on.memory_mb, "MB", over=used_mb > on.memory_mb),
            Budget(
                "disk",
                "Disk",
                round((disk.total - disk.free) / 1e9, 1),
                round(disk.total / 1e9, 1),
                "GB",
                over=self.on.spool.free_floor_bytes > disk.free,
                note=next_to_go,
            ),
        ]
        heat = on.heat
        if heat.celsius is not None:
            over = heat.lowest is not Priority.BACKLOG
            found.append(Budget("temperature", "Temperature", round(heat.celsius), heat.slow_c, "°C", over=over))
        return found


def _runs_on(workers: Workers) -> Part | None:
    """What runs the models that are loaded; it needs a look where an accelerator is there and does not work."""
    loaded = {task: on for slot in workers.status() for task, on in slot.runs_on.items()}
    missed = {task: on for task, on in loaded.items() if on.instead}
    if missed:
        why = "; ".join(sorted({on.instead for on in missed.values()}))
        return Part("Models", "look", f"On the processor: {', '.join(sorted(missed))}, for {why}.")
    if not loaded:
        return None
    by_provider = {str(on): sorted(task for task, each in loaded.items() if each == on) for on in loaded.values()}
    return Part("Models", "good", " ".join(f"On {on}: {', '.join(tasks)}." for on, tasks in by_provider.items()))


def _sentence(nodes: Sequence[Node], budgets: Sequence[Budget], parts: Sequence[Part], aside: int) -> str:
    troubles = [part.detail.rstrip(".") for part in parts if part.state == "look"]
    told = {part.name for part in parts}
    troubles += [f"{each.label} is over its limit" for each in budgets if each.over and each.label not in told]
    slowest = max((node for node in nodes if node.oldest_s is not None), key=lambda n: n.oldest_s or 0, default=None)
    said = "; ".join(troubles) + "." if troubles else "Everything is stored."
    if slowest is not None and (slowest.oldest_s or 0) > 60:
        minutes = round((slowest.oldest_s or 0) / 60)
        said += f" {slowest.label} is about {minutes} minute{'s' if minutes != 1 else ''} behind"
        said += f"; {aside} thing{'s were' if aside != 1 else ' was'} set aside." if aside else "."
    elif aside:
        said += f" {aside} thing{'s were' if aside != 1 else ' was'} set aside."
    elif not troubles:
        said += " All caught up."
    return said


def _recent_refusals(connection: Connection, since_us: int) -> int:
    return int(connection.execute("SELECT count(*) FROM refusal WHERE at_us >= ?", (since_us,)).fetchone()[0])


def _set_aside(connection: Connection, viewer: Viewer) -> list[SetAside]:
    """Of a camera that the viewer may not know, only that there is something; what nobody added is the admin's, as
    are the names of files that people brought.
    """
    cameras = {device.id for device in devices.all_of(connection) if knows_device(viewer, device)}
    admin = viewer.role is Role.ADMIN
    found = [
        SetAside(
            id=str(dead.id),
            what=dead.step,
            memory=dead.capture_uid,
            device=dead.device if dead.device in cameras and dead.device is not None else "",
            source_name=dead.source_name,
            code=dead.code,
            reason=dead.reason,
            hint=dead.hint,
            tries=dead.tries,
            at_us=dead.queued_at_us,
            can_retry=viewer.role is not Role.GUEST,
        )
        for dead in jobs.dead(connection, viewer, limit=150)
    ]
    if viewer.role is not Role.GUEST:
        rows = connection.execute("SELECT * FROM refusal ORDER BY id DESC LIMIT 50").fetchall()
        found += [
            SetAside(
                id=f"refusal-{row['id']}",
                what=row["lane"],
                memory="",
                device=row["device"] if admin or row["device"] in cameras else "",
                source_name=row["source_name"] if admin or row["device"] in cameras else "",
                code=row["code"],
                reason=row["reason"],
                hint=row["hint"],
                tries=1,
                at_us=row["at_us"],
                can_retry=False,
            )
            for row in rows
        ]
    return sorted(found, key=lambda each: -each.at_us)
