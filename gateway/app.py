"""Put the parts together: start, ready, stop.

Start-up order is the order of the promises: the data folder's lock, keys, database, spool; then what derives from
them; then the ways in. Stopping goes the other way. Every long-lived task is kept: one that fails is logged, told in
Health and started again with back-off, and the others do not notice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from gateway.accounts import Accounts
from gateway.cameras import Cameras
from gateway.config import Settings, zone_name
from gateway.devices import Devices
from gateway.entities import Priority
from gateway.errors import HearthlogError, ModelBroken, ModelMissing, Retryable
from gateway.health import Part
from gateway.index.indexer import Index
from gateway.inference.board import WARM_C, Board, this_board
from gateway.inference.models import Models
from gateway.inference.workers import Budget as InferenceBudget
from gateway.inference.workers import Workers, open_workers
from gateway.ingest.accept import Gate, GateSettings
from gateway.ingest.broker import Address, parse_address
from gateway.ingest.clock import synchronised
from gateway.ingest.dating import Dating
from gateway.ingest.lane import Link
from gateway.ingest.mqtt import MqttIngest, Times, accepts_unknown
from gateway.ingest.reach import advice, place_of, without_number
from gateway.jobs.bin import Bin
from gateway.jobs.health import Watch, Watched
from gateway.jobs.heat import Heat
from gateway.jobs.home_assistant import Doors, HomeAssistant
from gateway.jobs.new_models import NewModels
from gateway.jobs.reembed import Reembed
from gateway.jobs.retention import Retention
from gateway.memory import Memories
from gateway.notify import notify, watchdog_s
from gateway.pipeline.plan import find_steps, queue_plan
from gateway.pipeline.runner import House, Runner
from gateway.recall.search import Embed, Place, Search
from gateway.spool import Spool
from gateway.store import home as data_home
from gateway.store.blobs import BlobFolder
from gateway.store.captures import Shelf
from gateway.store.db import Database
from gateway.store.keys import open_keyring
from gateway.web.parts import Parts
from gateway.web.serve import Listening, open_web

log = logging.getLogger(__name__)

_RESTART_S = (1.0, 60.0)
_STEADY_S = 300.0
"""A task that ran this long is forgiven its earlier failures, and Health no longer tells of them."""


def now_us() -> int:
    """The box's clock."""
    return time.time_ns() // 1_000


@dataclass(slots=True)
class Tasks:
    """Long-lived tasks by name, and what went wrong with them."""

    group: asyncio.TaskGroup
    troubles: dict[str, str]
    """Task → code of its last failure. Health shows it."""
    _running: list[asyncio.Task[None]] = field(default_factory=list)

    def keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run a task for as long as the house stands."""
        self._running.append(self.group.create_task(self._keep(name, run), name=name))

    def stop(self) -> None:
        """End them all, last started first; leaving the group waits for them."""
        for task in reversed(self._running):
            task.cancel()

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        wait_s = _RESTART_S[0]
        while True:
            began = time.monotonic()
            mended = asyncio.get_running_loop().call_later(_STEADY_S, self.troubles.pop, name, None)
            try:
                await run()
            except Exception as error:  # one of the two places that catch everything: a task may not end the house
                code = error.code if isinstance(error, HearthlogError) else type(error).__name__
                log.exception("task failed", extra={"task_name": name, "code": code})
                self.troubles[name] = code
            else:
                return
            finally:
                mended.cancel()
            wait_s = _RESTART_S[0] if time.monotonic() - began > _STEADY_S else min(wait_s * 2, _RESTART_S[1])
            await asyncio.sleep(wait_s)


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts of a house that is open; `tend` sets them to work."""

    db: Database
    spool: Spool
    gate: Gate
    ingest: MqttIngest
    cameras: Cameras
    dating: Dating
    index: Index
    runner: Runner
    reembed: Reembed
    watch: Watch
    models: Models
    parts: Parts
    upkeep: tuple[Retention, Bin, NewModels, HomeAssistant]
    troubles: dict[str, str]

    def tend(self, tasks: Tasks, *, understand: bool = True) -> None:
        """Start every long-lived task. `understand` false: what comes in is stored and waits."""
        if understand:
            tasks.keep("steps", self.runner.run)
            tasks.keep("warm", lambda: _warm(self.parts.workers))
            tasks.keep("reembed", self.reembed.run)
        tasks.keep("index", self.index.follow)
        tasks.keep("dating", self.dating.run)
        tasks.keep("watch", self.watch.run)
        for job in self.upkeep:
            tasks.keep(type(job).__name__.lower(), job.run)
        tasks.keep("mqtt", self.ingest.run)
        tasks.keep("cameras", self.cameras.run)


@contextlib.asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """Everything opened, nothing started: no task runs and nobody is listened to yet.

    Raises Conflict when the data folder is in use, and HearthlogError for what is damaged in it.
    """
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(data_home.hold(settings.home))
        keyring = open_keyring(settings.home)
        db = await stack.enter_async_context(Database(settings.home / "hearthlog.db"))
        folder = BlobFolder(settings.home)
        shelf = Shelf(folder.root, keyring)
        steps = find_steps()
        spool = await stack.enter_async_context(
            Spool(db, folder, keyring, plan=queue_plan(steps), run=secrets.token_hex(8))
        )
        spool.free_floor_bytes = settings.storage.free_floor_mb * 1_000_000 // 4
        limits, board = settings.limits, this_board(tier=settings.models.tier)
        models = Models(settings.home, board=board)
        budget = InferenceBudget(
            threads=limits.worker_threads, memory_mb=limits.memory_mb, accelerator=limits.accelerator
        )
        workers = await stack.enter_async_context(open_workers(models, budget))
        zone = zone_name(settings)
        dating = Dating(db, zone=zone, now_us=now_us)
        cameras = Cameras(db, settings.mqtt, clock=now_us, zone=zone)
        await cameras.look()
        gate = Gate(spool, dating, _gate_settings(settings, zone, paired=cameras.any_paired), now_us=now_us)
        if not accepts_unknown(settings.mqtt, parse_address(settings.mqtt), paired=True):
            cameras.when_first = gate.refuse_unknown
        times = Times(now_us=now_us, synchronised=lambda: synchronised(settings.clock.trust))
        broker = parse_address(settings.mqtt)
        ingest = MqttIngest(gate, db, settings.mqtt, times=times)
        retention = Retention(db, folder, settings.home, settings.storage, now_us, times.synchronised)
        index = await stack.enter_async_context(Index(db, folder=settings.home / "index" / "chroma"))
        search = Search(db, index, embed=_embedder(workers), place=Place(zone, now_us), shelf=shelf)

        def lowest() -> Priority:
            return watch.lowest_priority()  # the watch looks at the runner, so it is made after it

        house = House(db, spool, shelf, workers, steps, now_us, lowest=lowest)
        runner = Runner(house)
        reembed = Reembed(house, index)
        await reembed.settle()
        troubles: dict[str, str] = {}
        watched = Watched(
            db=db,
            spool=spool,
            runner=runner,
            workers=workers,
            home=settings.home,
            memory_mb=settings.limits.memory_mb,
            heat=_heat(settings, board),
            now_us=now_us,
            parts=lambda: [*_parts(ingest, broker, index, cameras, troubles), *_new_models(reembed)],
            next_to_go=lambda: _next_to_go(retention),
        )
        watch = Watch(watched)
        parts = Parts(
            settings=settings,
            accounts=Accounts(db, keyring.secret("accounts"), now_us),
            memories=Memories(db, shelf=shelf, spool=spool, search=search, clock=now_us, zone=zone),
            devices=Devices(db, clock=now_us, zone=zone),
            cameras=cameras,
            health=watch,
            workers=workers,
            clock=now_us,
            unready=watch.unready,
            gate=gate,
            reindex=index.start_over,
        )
        upkeep = (
            retention,
            Bin(db, folder, settings.storage.bin_days, now_us),
            NewModels(models, workers, spool, steps, now_us),
            HomeAssistant(
                db,
                Doors(parts.devices, parts.memories, cameras),
                mqtt=settings.mqtt,
                settings=settings.home_assistant,
                now_us=now_us,
            ),
        )
        yield Gateway(
            db, spool, gate, ingest, cameras, dating, index, runner, reembed, watch, models, parts, upkeep, troubles
        )


async def serve(settings: Settings, *, say: Callable[[str], None]) -> None:
    """Run the house until SIGTERM or SIGINT. `say` prints for whoever started it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings) as (gateway, listening):
        await greet(gateway, listening, say)
        notify("READY=1")
        await stop.wait()
        notify("STOPPING=1")


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[tuple[Gateway, Listening]]:
    """The house open, tended and listening; closed in order when left."""
    async with (
        open_gateway(settings) as gateway,
        open_web(gateway.parts) as listening,
        asyncio.TaskGroup() as group,
    ):
        tasks = Tasks(group, gateway.troubles)
        gateway.tend(tasks)
        tasks.keep("certificate", listening.keep_fresh)
        tasks.keep("watchdog", lambda: feed_watchdog(gateway.db))
        gateway.watch.starting.clear()
        try:
            yield gateway, listening
        finally:
            tasks.stop()


async def greet(gateway: Gateway, listening: Listening, say: Callable[[str], None]) -> None:
    """Say where the house is, and the code that makes the first person its admin."""
    say(f"Hearthlog is at {' and '.join(listening.urls)}")
    if listening.fingerprint:
        say(f"Its certificate's authority has the fingerprint {listening.fingerprint}")
    accounts = gateway.parts.accounts
    accounts.announce = lambda code: say(f"The code was guessed at too often. From now on it is {code}")
    if await accounts.first_run():
        say(f"Nobody looks after this home yet. Open it and give this code: {accounts.setup_code()}")


def _gate_settings(settings: Settings, zone: str, *, paired: bool) -> GateSettings:
    return GateSettings(
        zone=zone,
        accept_unknown=accepts_unknown(settings.mqtt, parse_address(settings.mqtt), paired=paired),
        session_expiry_us=settings.mqtt.session_expiry_s * 1_000_000,
    )


def _heat(settings: Settings, board: Board) -> Heat:
    """Limits as set, else as suits the board; the second is never below the first."""
    slow_c, stop_c = WARM_C[board.tier]
    slow_c = settings.limits.temperature_c or slow_c
    return Heat(slow_c=slow_c, stop_c=max(slow_c, settings.limits.temperature_most_c or stop_c))


def _embedder(workers: Workers) -> Embed:
    async def embed(text: str, space: str) -> bytes | None:
        reply = await workers.run("embed-text", params={"texts": [text]}, priority=Priority.PERSON, space=space)
        return bytes(reply.data["vectors"][0])

    return embed


async def _warm(workers: Workers) -> None:
    """Load the query's model before the first search asks for it."""
    with contextlib.suppress(ModelMissing, ModelBroken):
        await workers.run("embed-text", params={"texts": []}, priority=Priority.PERSON)


async def _next_to_go(retention: Retention) -> str:
    return (await retention.preview()).sentence()


def _broker(links: Sequence[Link], broker: Address) -> list[Part]:
    """Of each lane how it is; of a broker that is away one line, with what helps."""
    down = [link for link in links if link.connected_since_us is None]
    why = next((f": {without_number(link.last_error)}" for link in down if link.last_error), "")
    away = f"The broker at {place_of(broker)} cannot be reached{why}. {advice(broker)}."
    if len(down) == len(links):
        return [Part("Broker", "look", away)]
    return [
        Part(f"Broker, {link.lane} lane", *(("look", away) if link in down else ("good", "Connected.")))
        for link in links
    ]


def _parts(ingest: MqttIngest, broker: Address, index: Index, cameras: Cameras, troubles: dict[str, str]) -> list[Part]:
    found = []
    if cameras.any_paired and cameras.desk.control not in ("ready", "off"):
        found.append(Part("Cameras' credentials", "look", f"{cameras.hint}."))
    if cameras.forgotten:
        names = ", ".join(sorted(cameras.forgotten))
        found.append(Part("Cameras' credentials", "look", f"The broker has lost those of {names}: pair them again."))
    if ingest.refused:
        topics = ", ".join(ingest.refused)
        found.append(Part("Broker, plain lane", "look", f"The broker does not let it hear {topics}."))
    found += _broker(ingest.links, broker)
    rebuilding = index.rebuilding
    if rebuilding is None:
        found.append(Part("Search", "good", "Complete."))
    else:
        found.append(Part("Search", "look", f"Complete, only slower: its index is made anew, {rebuilding:.0%} done."))
    found += [Part(name, "look", f"{name} failed and was started again ({code}).") for name, code in troubles.items()]
    return found


def _new_models(reembed: Reembed) -> list[Part]:
    """How far a new model is with reading everything again. No trouble, unless it is broken."""
    said = {name: reembed.sentence(name) for name in reembed.house.steps}
    states = {name: "look" if reembed.waits.get(name) == "model-broken" else "good" for name in said}
    labels = {name: step.label for name, step in reembed.house.steps.items()}
    return [Part(f"{labels[name]}, new model", states[name], said[name]) for name in said if said[name]]


async def feed_watchdog(db: Database) -> None:
    """Tell systemd that the loop turns and the writer answers, for as long as both are so.

    A disk that is full or read-only is an answer: what is kept can still be seen and found, and a start anew would
    make no room. Health tells of it.
    """
    every_s = watchdog_s()
    while every_s is not None:
        with contextlib.suppress(Retryable):
            await db.write(lambda c: c.execute("INSERT OR REPLACE INTO meta(key, value) VALUES ('alive', '1')"))
        notify("WATCHDOG=1")
        await asyncio.sleep(every_s)
