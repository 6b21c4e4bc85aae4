"""SIGKILL the gateway, its workers and the broker under load, again and again; then look whether promises were kept."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.bench.broker import Broker
from tests.bench.result import Result
from tests.fault import evidence
from tests.fault.load import Load, PlainCamera, loaded

_DRAIN_S = 180.0
_WORK_S = 10.0
_WORK_JOBS = 20
_EVERY_S = 0.03
"""A record each, besides the plain frames: what the steps can keep up with between two kills."""


def run(*, count: int = 20, seed: int = 1) -> list[Result]:
    """Half of the kills with both lanes under load and the broker left alone, half with the broker among the killed."""
    return [
        _phase("SIGKILLs of gateway and worker, both lanes", count - count // 2, seed, plain=True),
        _phase("SIGKILLs of gateway, worker and broker, record lane", count // 2, seed + 1, plain=False),
    ]


def _phase(name: str, count: int, seed: int, *, plain: bool) -> Result:
    draw = random.Random(seed)
    killed = {"gateway": 0, "worker": 0, "broker": 0}
    with tempfile.TemporaryDirectory(prefix="hearthlog-kills-") as folder:
        home = Path(folder) / "home"
        with Broker(Path(folder) / "broker") as broker, loaded(broker, home, every_s=_EVERY_S) as load:
            load.start()
            if plain:
                load.plain = PlainCamera(broker.port, "plain-cam")
            for _ in range(count):
                load.spin_until(draw.randint(1, 60))
                _let_work(load, home)
                victim = draw.choice(["gateway", "worker"] if plain else ["gateway", "worker", "broker", "broker"])
                killed[victim] += _kill(victim, load, broker)
            if load.plain is not None:
                load.plain.finish(30)
            drained = load.drain(lambda: load.cameras.open == 0, limit_s=_DRAIN_S)
            drained = drained and load.drain(lambda: evidence.open_jobs(home) == 0, limit_s=_DRAIN_S)
            found = evidence.look(home, records=load.promised, plain=load.plain.acked if load.plain else ())
    sent = f"{len(load.promised)} records" + (f", {len(load.plain.acked)} plain frames" if load.plain else "")
    return Result(
        name,
        f"{sum(killed.values())} kills: {found.words()}",
        "nothing lost, stored twice or buried; queue drains",
        found.clean and drained and found.open_jobs == 0 and sum(killed.values()) == count,
        f"{sent} acknowledged; killed {killed}, {load.cameras.resent} sent again; seed {seed}",
    )


def _let_work(load: Load, home: Path) -> None:
    """Until jobs have ended since the last kill: one that dies with its worker three times is set aside, rightly."""
    wanted, ends_s = evidence.ended_jobs(home) + _WORK_JOBS, time.monotonic() + _WORK_S
    while evidence.ended_jobs(home) < wanted and time.monotonic() < ends_s:
        load.spin_for(0.05)


def _kill(victim: str, load: Load, broker: Broker) -> int:
    """How many were killed: a worker may not be running yet."""
    assert load.gateway is not None
    if victim == "broker":
        broker.end(signal.SIGKILL)
        load.spin_for(0.05)
        broker.start()
    elif victim == "worker":
        ends = load.drain(lambda: bool(load.workers()), limit_s=30)
        if not ends:
            return 0
        for pid in load.workers()[:1]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    else:
        load.gateway.kill(group=False)
        load.start()
    return 1
