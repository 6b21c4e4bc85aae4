"""Seeded schedules of faults, end to end: the cameras' own core as a program, a real Mosquitto, the real gateway.

A seed is one camera and all that befalls it: lives that end in power cuts or kills, links dropped, half open, throttled
and cut within a record, writes that fail, find no room or end early, acknowledgements lost, repeated and turned round,
a key-value store that is empty, a gateway whose clock is years off. Six of them share a house, whose gateway and broker
are killed too. The same seed is the same again: its house with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from gateway.errors import HearthlogError
from gateway.store.blobs import read_blob
from gateway.store.captures import COLUMNS, FROM, Shelf, capture_from_row
from gateway.store.db import connect
from gateway.store.keys import open_keyring
from tests.bench.broker import Broker
from tests.bench.children import Child
from tests.bench.result import Result

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware" / "esp32"
HOUSE = 6
"""Seeds that share a gateway and a broker."""
_POWER_CUT = 42
_JPEG = 1
_LIFE_S = 2.0
_DRAIN_S = 150.0
_INTERVAL_MS = 40


@dataclass(frozen=True, slots=True)
class Life:
    """One run of a camera, from a start to what ends it."""

    faults: str
    pictures: int
    killed_at_s: float | None = None
    """SIGKILL; None: a power cut of the schedule's, or its own end."""


@dataclass(slots=True)
class Camera:
    """One seed's camera and how far it is."""

    seed: int
    folder: Path
    lives: list[Life]
    process: subprocess.Popen[str] | None = None
    began_s: float = 0.0
    at: int = -1
    bad_ends: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its id."""
        return f"seed-{self.seed:05d}"

    @property
    def said(self) -> Path:
        """What it printed, over all of its lives."""
        return self.folder / "said.txt"


def lives(seed: int) -> list[Life]:
    """What befalls one camera: two to four lives with faults, then one without that ends when all has arrived."""
    draw = random.Random(seed)
    found = []
    for n in range(draw.randint(2, 4)):
        faults = [_fault(draw) for _ in range(draw.randint(2, 6))]
        if n and draw.random() < 0.2:
            faults.append("kvwipe@0")
        killed = None
        if draw.random() < 0.6:
            faults.append(f"power@{draw.randint(100, int(_LIFE_S * 900))}")
        else:
            killed = draw.uniform(0.2, _LIFE_S)
        found.append(Life(",".join(faults), pictures=1_000, killed_at_s=killed))
    return [*found, Life("", pictures=3)]


def _fault(draw: random.Random) -> str:
    at_ms = draw.randint(0, int(_LIFE_S * 900))
    what = draw.choice(
        ["drop", "midcut", "stall", "slow", "eio", "short", "enospc", "acklose", "ackdup", "acklate", "years"]
    )
    if what in {"drop", "midcut"}:
        return f"{what}@{at_ms}"
    if what in {"eio", "short", "enospc"}:
        return f"{what}@{at_ms}:{draw.randint(1, 4)}"
    if what == "years":
        return f"{what}@0:{draw.choice([-30, -3, -1, 1, 5, 40])}"
    return f"{what}@{at_ms}:{draw.randint(100, 900)}"


def run(*, count: int = 60, seed: int = 0) -> list[Result]:
    """Seeds `seed` to `seed + count - 1`, with the houses that they live in."""
    if shutil.which("make") is None or shutil.which("gcc") is None:
        return [Result("fault schedules end to end", "not run", "no loss", None, "no C compiler here")]
    wrong: list[str] = []
    records = blows = named = 0
    with tempfile.TemporaryDirectory(prefix="hearthlog-schedules-") as folder:
        place = Path(folder)
        subprocess.run(["make", "-s", "-C", str(FIRMWARE), "sim", f"BUILD={place / 'build'}"], check=True)
        _frames(place / "frames")
        for house in range(seed // HOUSE, (seed + count - 1) // HOUSE + 1):
            found = _house(place, house)
            records += found.records
            blows += found.blows
            named += found.named
            wrong += found.wrong
    return [
        Result(
            "fault schedules end to end",
            f"{count} schedules, {records} records, {len(wrong)} wrong"
            + (f": {'; '.join(wrong[:4])}" if wrong else ""),
            "each record stored once with its hash, or named in a gap; every backlog drains",
            not wrong and records > 0,
            f"{blows} kills of gateway or broker, {named} records named in gaps; seeds {seed} to {seed + count - 1}",
        )
    ]


@dataclass(slots=True)
class Found:
    """What one house's run showed."""

    records: int = 0
    blows: int = 0
    """Kills of gateway and broker."""
    named: int = 0
    """Records that a gap names."""
    wrong: list[str] = field(default_factory=list)


def _house(place: Path, house: int) -> Found:
    draw = random.Random(f"house {house}")
    home = place / f"home-{house}"
    cameras = [
        Camera(seed, place / f"cameras-{house}" / f"{seed}", lives(seed))
        for seed in range(house * HOUSE, (house + 1) * HOUSE)
    ]
    with Broker(place / f"broker-{house}") as broker, _gateway(home, broker) as gateway:
        blows = sorted((draw.uniform(0.5, 3 * _LIFE_S), draw.choice(["gateway", "broker"])) for _ in range(4))
        try:
            blows_done = _spin(cameras, broker, gateway, place / "frames", blows)
        finally:
            for camera in cameras:
                if camera.process is not None:
                    camera.process.kill()
                    camera.process.wait(10)
    found = Found(blows=blows_done)
    for camera in cameras:
        _judge(camera, home, found)
    shutil.rmtree(place / f"cameras-{house}")
    return found


@contextlib.contextmanager
def _gateway(home: Path, broker: Broker) -> Iterator[list[Child]]:
    """The one that runs now, in a list of one, so that it can be another."""
    one = [_start(home, broker)]
    try:
        yield one
    finally:
        one[0].kill()


def _start(home: Path, broker: Broker) -> Child:
    environ = {
        "HEARTHLOG_HOME": str(home),
        "HEARTHLOG_MQTT_URL": broker.url,
        "HEARTHLOG_STORAGE_FREE_FLOOR_MB": "0",
    }
    return Child("tests.bench.gateway_child", "--steps=none", environ=environ)


def _spin(
    cameras: list[Camera], broker: Broker, gateway: list[Child], frames: Path, blows: list[tuple[float, str]]
) -> int:
    """Until every camera's last life is over; how many blows fell."""
    home = Path(f"{frames.parent}/home-{cameras[0].seed // HOUSE}")
    gateway[0].wait_for("ready")
    began_s, planned = time.monotonic(), len(blows)
    while any(camera.at < len(camera.lives) for camera in cameras):
        now_s = time.monotonic()
        for camera in cameras:
            _step(camera, broker, frames, now_s)
        if blows and now_s - began_s > blows[0][0]:
            if blows.pop(0)[1] == "gateway":
                gateway[0].kill()
                gateway[0] = _start(home, broker)
            else:
                broker.end(signal.SIGKILL)
                broker.start()
        time.sleep(0.01)  # other programs: there is no event to wait on
    return planned - len(blows)


def _step(camera: Camera, broker: Broker, frames: Path, now_s: float) -> None:
    """Let a camera live on, end its life or begin the next."""
    if camera.at == len(camera.lives):
        return
    life = camera.lives[camera.at] if camera.at >= 0 else None
    if camera.process is not None and life is not None:
        status = camera.process.poll()
        last = camera.at == len(camera.lives) - 1
        limit_s = life.killed_at_s or (_DRAIN_S if last else _LIFE_S * 3)
        if status is None and now_s - camera.began_s < limit_s:
            return
        if status is None:
            camera.process.kill()
            camera.process.wait(10)
            if last:
                camera.bad_ends.append("its backlog did not drain")
        elif status not in {0, _POWER_CUT} and life.killed_at_s is None:
            camera.bad_ends.append(f"ended with {status}")
    camera.at += 1
    camera.process = None
    if camera.at == len(camera.lives):
        return
    life = camera.lives[camera.at]
    camera.folder.mkdir(parents=True, exist_ok=True)
    program = frames.parent / "build" / "hearthcam-sim"
    where = ["--broker", f"127.0.0.1:{broker.port}", "--id", camera.name, "--card", str(camera.folder / "card")]
    what = ["--frames", str(frames), "--count", str(life.pictures), "--interval", str(_INTERVAL_MS)]
    size = ["--card-mib", "24", "--segment", "512", "--telemetry", "500", "--seed", str(camera.seed * 8 + camera.at)]
    faults = ["--fault", life.faults] if life.faults else []
    with camera.said.open("a") as log:
        camera.process = subprocess.Popen([str(program), *where, *what, *size, *faults], stdout=log, text=True)
    camera.began_s = now_s


def _judge(camera: Camera, home: Path, found: Found) -> None:
    """Hold what it committed against what the gateway has."""
    said: dict[tuple[bytes, int], tuple[int, str]] = {}
    wrong = [f"{camera.name}: {each}" for each in camera.bad_ends]
    for line in camera.said.read_text().splitlines():
        words = line.split()
        if line.startswith("{"):
            with contextlib.suppress(ValueError):  # cut off by a kill
                report = json.loads(line)
                if report["quarantined"]:
                    wrong.append(f"{camera.name}: {report['quarantined']} in quarantine, {report['code']}")
        if len(words) != 6 or words[0] != "committed" or len(words[4]) != 64:
            continue
        key = (bytes.fromhex(words[2]), int(words[3]))
        if key in said:
            wrong.append(f"{camera.name}: sequence {key[1]} was used twice")
        said[key] = (int(words[1]), words[4])
    found.records += len(said)
    shelf = Shelf(home / "blobs", open_keyring(home))
    with closing(connect(home / "hearthlog.db", read_only=True)) as connection:
        gaps = connection.execute("SELECT first, last FROM gap WHERE device = ?", (camera.name,)).fetchall()
        for (boot, sequence), (kind, digest) in said.items():
            reason = _missing(connection, shelf, (camera.name, boot, sequence), digest if kind == _JPEG else "")
            if reason and any(first <= sequence <= last for first, last in gaps):
                found.named += 1
            elif reason:
                wrong.append(f"{camera.name} {sequence}: {reason}")
    found.wrong += wrong


def _missing(connection: sqlite3.Connection, shelf: Shelf, key: tuple[str, bytes, int], digest: str) -> str:
    """Why a record counts as lost; empty when it does not. `digest`: of its picture, empty when it is none."""
    ledger = connection.execute("SELECT verdict FROM ledger WHERE (device, boot_id, seq) = (?, ?, ?)", key).fetchall()
    if [row[0] for row in ledger] != ["stored"]:
        return f"{len(ledger)} lines in the ledger"
    if not digest:
        return ""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM {FROM} WHERE c.device = ? AND c.boot_id = ? AND c.seq = ?", key
    ).fetchall()
    if len(rows) != 1:
        return f"stored {len(rows)} times"
    try:
        blob = capture_from_row(connection, rows[0], shelf).blob
        if blob is None:
            return "no blob"
        return "" if hashlib.sha256(read_blob(blob)).hexdigest() == digest else "other bytes"
    except (HearthlogError, OSError) as error:
        return str(error)


def _frames(folder: Path) -> None:
    """Pictures from 4 to 100 KB: some are several pieces of the stream."""
    folder.mkdir()
    noise = np.random.default_rng(3)
    for n, side in enumerate((48, 96, 160, 320)):
        pixels = noise.integers(0, 255, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{n}.jpg", quality=80)
