"""The demo: a broker, the gateway and the simulated cameras in one program, and what came of it as figures."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from gateway.app import Gateway, now_us, running
from gateway.config import Settings, zone_name
from gateway.demo.broker import DemoBroker, demo_broker
from gateway.demo.cameras import Report
from gateway.demo.crew import Orders, crew
from gateway.demo.home import Home
from gateway.demo.rooms import CAMERAS
from gateway.entities import Lane, Privacy, Viewer
from gateway.errors import Conflict, HearthlogError
from gateway.inference.fetch import pull
from gateway.recall.answer import Query
from gateway.store.cameras import Setting
from gateway.store.db import Connection

log = logging.getLogger(__name__)

Say: TypeAlias = Callable[[str], None]
Summary: TypeAlias = dict[str, object]
"""What `--once` prints as JSON."""

MARK = "demo"
"""A file in the data folder that says: this is a demo's, it may be begun anew."""
TASKS = ("detect", "classify", "embed-text", "embed-image", "vad", "sound")
PACE = 2_160.0
GIVE_UP_S = 900.0


@dataclass(frozen=True, slots=True)
class Show:
    """How to run it."""

    seed: int = 1
    frames: int = 200
    """`--once` ends when so many can be searched."""
    cameras: tuple[str, ...] = CAMERAS


def begin_anew(home: Path) -> None:
    """Empty the demo's data folder but for its models. Raises Conflict for a folder that is not a demo's."""
    if (home / "hearthlog.db").exists() and not (home / MARK).exists():
        raise Conflict(
            "this data folder is a real home's, and the demo would empty it",
            code="not-a-demo",
            where=str(home),
            hint="Unset HEARTHLOG_HOME, or give the demo a folder of its own",
        )
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    (home / MARK).touch()
    for name in ("hearthlog.db", "hearthlog.db-wal", "hearthlog.db-shm", "installation.key"):
        (home / name).unlink(missing_ok=True)
    for name in ("blobs", "index", "broker"):
        shutil.rmtree(home / name, ignore_errors=True)


@dataclass(slots=True)
class Stage:
    """A demo that runs."""

    gateway: Gateway
    home: Home
    broker: DemoBroker
    report: Report
    viewer: Viewer
    began_s: float


@contextlib.asynccontextmanager
async def staged(settings: Settings, show: Show, say: Say) -> AsyncIterator[Stage]:
    """Everything up and the cameras at it. Raises what opening a gateway raises, and NoBroker."""
    await asyncio.to_thread(begin_anew, settings.home)
    async with demo_broker(settings.home) as broker:
        say(f"Broker: {broker.name}")
        settings = replace(
            settings,
            mqtt=replace(settings.mqtt, url=broker.url, unknown_devices="accept"),
            http=replace(settings.http, demo_user="Nora"),
            clock=replace(settings.clock, trust="yes"),
            storage=replace(settings.storage, free_floor_mb=min(settings.storage.free_floor_mb, 256)),
        )
        async with running(settings) as (gateway, listening):
            viewer = await _settle(gateway, show.cameras)
            say(f"Open {listening.urls[0]}")
            home = Home(show.seed, ends_at_us=now_us(), zone=zone_name(settings), cameras=show.cameras)
            orders = Orders(show.seed, home.ends_at_us, zone_name(settings), broker.url, PACE, show.cameras)
            async with crew(orders) as report, asyncio.TaskGroup() as group:
                models = group.create_task(_fetch(gateway, settings, say), name="models")
                try:
                    yield Stage(gateway, home, broker, report, viewer, time.monotonic())
                finally:
                    models.cancel()


async def _settle(gateway: Gateway, cameras: Sequence[str]) -> Viewer:
    """The demo's person and her cameras."""
    accounts, devices = gateway.parts.accounts, gateway.parts.devices
    viewer = await accounts.claim(accounts.setup_code(), "Nora", secrets.token_urlsafe(24))
    for device in cameras:
        name = device.replace("-", " ").capitalize()
        setting = Setting(name=name, room=name, privacy=Privacy.CIRCLE)
        await devices.add(viewer, device, setting=setting, lane=Lane.RECORD)
    return viewer


async def _fetch(gateway: Gateway, settings: Settings, say: Say) -> None:
    """Fetch what models can be had; without one its step is skipped and says so."""
    mirror = Path(settings.models.mirror) if settings.models.mirror else None
    for task in TASKS:
        try:
            await pull(gateway.models, task, mirror=mirror)
        except HearthlogError as error:
            say(f"No model for {task}: {error.what}")
        else:
            say(f"Model for {task} is here")


async def once(stage: Stage, show: Show) -> Summary:
    """Wait until the cameras told their day, all of it was understood and enough frames can be searched; then count.

    Raises TimeoutError after GIVE_UP_S.
    """
    db = stage.gateway.db
    last: int | None = None
    async with asyncio.timeout(GIVE_UP_S):
        while True:
            if last is None and stage.report.told:
                last = await db.read(lambda c: int(c.execute("SELECT max(id) FROM capture").fetchone()[0]))
            if last is not None:
                searchable, waiting = await db.read(lambda c, upto=last: _progress(c, upto))  # type: ignore[misc]
                if searchable >= show.frames and waiting == 0:
                    break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await db.next_commit()
            await asyncio.sleep(0.2)
    await stage.gateway.index.catch_up()
    return {
        **await stage.gateway.db.read(_figures),
        "received": stage.report.acked,
        "lost": stage.report.lost,
        "broker": stage.broker.name,
        "seconds": round(time.monotonic() - stage.began_s, 1),
        "missing": sorted(stage.report.missing),
        "searches": [await _search(stage, words) for words in _asked(stage.home)],
    }


def _asked(home: Home) -> list[str]:
    """What to look for: every label that a camera saw sharply, and a few things."""
    labels = dict.fromkeys(label for frame in home.truth() for label in frame.labels)
    return [*labels, "cat", "person", "car"]


async def _search(stage: Stage, words: str) -> Summary:
    answer = await stage.gateway.parts.memories.search(stage.viewer, Query(text=words, limit=3, parse=False))
    return {
        "words": words,
        "total": answer.total,
        "top": [
            {"id": hit.memory.capture.uid, "caption": hit.memory.caption, "score": round(hit.score, 3)}
            for hit in answer.items
        ],
    }


def _progress(connection: Connection, upto: int) -> tuple[int, int]:
    """(frames that can be searched, jobs still open) among the captures up to a number."""
    row = connection.execute(
        "SELECT (SELECT count(*) FROM capture AS c WHERE c.kind = 'image' AND c.id <= :upto AND NOT EXISTS"
        " (SELECT 1 FROM job AS j WHERE j.capture = c.id AND j.state <> 'dead')),"
        " (SELECT count(*) FROM job WHERE state <> 'dead' AND capture <= :upto)",
        {"upto": upto},
    ).fetchone()
    return row[0], row[1]


def _figures(connection: Connection) -> Summary:
    def pairs(sql: str) -> dict[str, object]:
        return {str(row[0]): row[1] for row in connection.execute(sql).fetchall()}

    says = [
        (row["kind"], set(json.loads(row["data"]).get("says", ())))
        for row in connection.execute(
            "SELECT c.kind, a.data FROM annotation AS a JOIN capture AS c ON c.id = a.capture"
            " WHERE a.step = 'caption' AND a.current = 1 AND a.skipped = ''"
        ).fetchall()
    ]
    return {
        "stored": connection.execute("SELECT count(*) FROM capture").fetchone()[0],
        "by_kind": pairs("SELECT kind, count(*) FROM capture GROUP BY kind"),
        "duplicates": pairs("SELECT kind, count(*) FROM duplicate GROUP BY kind ORDER BY kind"),
        "gaps": connection.execute("SELECT count(*) FROM gap").fetchone()[0],
        "captions": {"total": len(says), "more_than_light": sum(1 for _, each in says if each - {"light"})},
        "set_aside": connection.execute("SELECT count(*) FROM job WHERE state = 'dead'").fetchone()[0],
        "skipped": pairs(
            "SELECT step || ': ' || skip_code, count(*) FROM annotation WHERE current = 1 AND skipped <> ''"
            " GROUP BY 1 ORDER BY 1"
        ),
        "seconds_per_step": pairs(
            "SELECT step, round(avg(took_ms) / 1000.0, 4) FROM annotation WHERE current = 1 AND skipped = ''"
            " GROUP BY step ORDER BY step"
        ),
    }
