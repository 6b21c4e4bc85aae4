"""A house of 100,000 memories as it stands: how soon it is ready, what it weighs, and how fast its command answers."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from gateway.entities import Provenance
from gateway.inference.models import Models
from gateway.store.blobs import BlobFolder
from gateway.store.db import Database, connect
from gateway.store.keys import open_keyring
from tests.bench import corpus
from tests.bench.broker import Broker
from tests.bench.cameras import Cameras
from tests.bench.children import ROOT, family, pss_mb, rss_mb
from tests.bench.frames import record
from tests.bench.house import House, first_person, give_models, jobs_left, serving
from tests.bench.result import Result
from tests.bench.scenes import scene

READY_S = 3.0
HELP_MS = 200.0
GATEWAY_MB = 250.0
ALL_MB = 1_000.0
_FRAMES = 24
_IDLE_S = 60.0
_QUERIES = ("parcel by the door", "a dog on the sofa", "northwind books", "bananas", "two people at dusk")


def run(*, quick: bool = False, rounds: int = 5) -> list[Result]:
    """Four rows, of one house."""
    memories = 10_000 if quick else 100_000
    with tempfile.TemporaryDirectory(prefix="hearthlog-bench-") as name:
        home = Path(name) / "home"
        models = give_models(home)
        asyncio.run(found_house(home))
        corpus.write(home / "hearthlog.db", count=memories, owner=first_person(home / "hearthlog.db"))
        in_the_real_space(home)
        with Broker(Path(name) / "broker") as broker:
            with serving(home, broker_url=broker.url):
                pass  # what only a first start does is not what a start takes
            starts = []
            for _ in range(1 if quick else rounds):
                with serving(home, broker_url=broker.url) as house:
                    starts.append(house.ready_s)
            with serving(home, broker_url=broker.url) as house:
                gateway_mb, all_mb, most_mb, detail, has_left = _weighed(house, broker)
    ready_s = statistics.median(starts)
    suffix = f"{memories:,} memories" + ("" if models else ", no models here")
    return [
        Result(
            f"ready after start, {memories:,} memories",
            f"{ready_s:.2f} s",
            f"≤ {READY_S:.0f} s",
            ready_s <= READY_S,
            f"from exec to the first 200 of /readyz: {[round(each, 2) for each in starts]}",
        ),
        Result(
            f"memory of the gateway, {suffix}",
            f"{gateway_mb:.0f} MB",
            f"≤ {GATEWAY_MB:.0f} MB",
            gateway_mb <= GATEWAY_MB,
            "most PSS of the gateway's own process while frames are understood and searched for",
        ),
        Result(
            f"memory of all processes, {suffix}",
            f"{most_mb:.0f} MB",
            f"≤ {ALL_MB:.0f} MB",
            most_mb <= ALL_MB and has_left if models else None,
            f"most of the sum of PSS while at work; {all_mb:.0f} MB once the reader "
            f"{'has left' if has_left else 'should have left, AND IS THERE STILL'}; {detail}",
        ),
    ]


def run_help(*, rounds: int = 5) -> Result:
    """`hearthlog --help`, from exec to exit."""
    argv = [str(Path(sys.executable).with_name("hearthlog")), "--help"]
    took_ms = []
    for _ in range(max(5, 2 * rounds)):
        began_s = time.perf_counter()
        subprocess.run(argv, cwd=ROOT, capture_output=True, check=True)
        took_ms.append(1_000 * (time.perf_counter() - began_s))
    middle_ms = statistics.median(took_ms)
    return Result(
        "hearthlog --help",
        f"{middle_ms:.0f} ms",
        f"≤ {HELP_MS:.0f} ms",
        middle_ms <= HELP_MS,
        f"{[round(each) for each in took_ms]} ms",
    )


def _weighed(house: House, broker: Broker) -> tuple[float, float, float, str, bool]:
    """MB: most of the gateway, all of them once the reader has left, most of all; who weighs what; did it leave."""
    token = house.token()
    cameras = Cameras(broker.port, ["bench-room"])
    device = cameras.devices["bench-room"]
    cameras.until(lambda: cameras.online, limit_s=30)
    for number in range(_FRAMES):
        device.waiting.append((number, record(scene(number * 4), boot=device.boot, sequence=number)))
    most_gateway = most_all = 0.0
    most_processes, at, at_most, has_left = 0, 0, "", False
    ends_s = time.monotonic() + 300
    while time.monotonic() < ends_s:
        cameras.until(lambda: cameras.open == 0, limit_s=0.3)
        house.get(f"/api/v1/search?q={_QUERIES[at % len(_QUERIES)].replace(' ', '+')}&limit=10", token)
        at += 1
        most_gateway = max(most_gateway, pss_mb([house.pid]), rss_mb(house.pid) if at == 1 else 0.0)
        now_mb = pss_mb(family(house.pid))
        if now_mb > most_all:
            most_all, at_most = now_mb, _weights(family(house.pid))
        processes = len(family(house.pid))
        most_processes = max(most_processes, processes)
        if cameras.open or jobs_left(house.home):
            ends_s = max(ends_s, time.monotonic() + _IDLE_S)
        elif processes < most_processes:
            has_left = True
            break
        elif ends_s > time.monotonic() + _IDLE_S:
            ends_s = time.monotonic() + _IDLE_S
    pids = family(house.pid)
    cameras.close()
    detail = f"idle: {_weights(pids)}; at most: {at_most}"
    return most_gateway, pss_mb(pids), most_all, detail, has_left


def _weights(pids: Sequence[int]) -> str:
    return ", ".join(f"{_role(pid)} {pss_mb([pid]):.0f}" for pid in pids)


def _role(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "gone"
    return next((word.rsplit(".", 1)[-1] for word in words if word.startswith("gateway.")), "gateway")


async def found_house(home: Path) -> None:
    """The schema, the key and the folder of blobs, as a first start makes them."""
    home.mkdir(parents=True, exist_ok=True)
    open_keyring(home)
    BlobFolder(home)
    async with Database(home / "hearthlog.db"):
        pass


def in_the_real_space(home: Path) -> None:
    """Name the corpus's space like that of the installed text model, so that both are searched together."""
    try:
        used: Provenance = Models(home).provenance("embed-text")
    except Exception:  # noqa: BLE001  without models the corpus keeps its own space
        return
    space = f"{used.model}@{used.revision}/{used.preprocessing}"
    with closing(connect(home / "hearthlog.db", read_only=False)) as connection:
        connection.execute("UPDATE embedding SET space = ? WHERE space = ?", (space, corpus.SPACE))
