"""Seeded schedules of faults, end to end: the cameras' own core as a program, a real Mosquitto, the real gateway.

A seed is one camera and all that befalls it: lives that end in power cuts or kills, links dropped, half open, throttled
and cut within a record, writes that fail, find no room or end early, acknowledgements lost, repeated and turned round,
a key-value store that is empty, a gateway whose clock is years off. Some come in by pairing and speak TLS; their
credential is taken away in the middle of a life, which they live on with what their card keeps, and are paired again.
Six share a house, whose gateway and broker are killed too. The same seed is the same again: its house with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import shutil
import sqlite3
import subprocess
import tempfile
import time
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
from tests.bench.result import Result
from tests.fault.owning import OwningHouse

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware" / "esp32"
HOUSE = 6
"""Seeds that share a gateway and a broker."""
_POWER_CUT = 42
_JPEG = 1
_LIFE_S = 2.0
_DRAIN_S = 150.0
_INTERVAL_MS = 40
_PAIRING_S = 40.0
_PAIRINGS = 12
"""Tries: the window goes with a gateway that is killed."""
_FAREWELL_S = 1.3
"""What was on its way when a camera was put out has arrived or was refused by then: the gate holds a row for 1 s."""
_OUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Life:
    """One run of a camera, from a start to what ends it."""

    faults: str
    pictures: int
    killed_at_s: float | None = None
    """SIGKILL; None: a power cut of the schedule's, or its own end."""
    put_out_at_s: float | None = None
    """Its credential is taken away; it is killed `_OUT_S` later."""


@dataclass(slots=True)
class Camera:
    """One seed's camera and how far it is."""

    seed: int
    folder: Path
    lives: list[Life]
    process: subprocess.Popen[str] | None = None
    began_s: float = 0.0
    at: int = 0
    device: str = ""
    """Its id; empty until it is paired."""
    password: str = ""
    """Of one that is not paired."""
    admitted: bool = False
    tries: int = 0
    """Pairings that came to nothing."""
    said_before: int = 0
    """Bytes that it had printed before this life."""
    out_s: float | None = None
    """When it was put out, while it is."""
    decided: int | None = None
    """Of its records, then."""
    outings: list[int] = field(default_factory=list)
    """For each time that it was put out, how many records it committed meanwhile."""
    bad_ends: list[str] = field(default_factory=list)

    @property
    def owned(self) -> bool:
        """Whether it comes in by pairing."""
        return any(life.put_out_at_s is not None for life in self.lives)

    @property
    def name(self) -> str:
        """Its id."""
        return f"seed-{self.seed:05d}"

    @property
    def said(self) -> Path:
        """What it printed, over all of its lives."""
        return self.folder / "said.txt"

    def news(self) -> list[str]:
        """What it printed in this life."""
        with self.said.open("rb") as file:
            file.seek(self.said_before)
            return file.read().decode().splitlines()

    @property
    def committed(self) -> int:
        """Records in this life."""
        return sum(line.startswith("committed ") for line in self.news())


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
    if draw.random() < 0.4:
        faults = ",".join(_fault(draw) for _ in range(draw.randint(0, 3)))
        out = Life(faults, pictures=1_000, put_out_at_s=draw.uniform(0.1, _LIFE_S))
        found.insert(draw.randint(0, len(found)), out)
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
    records = blows = named = outs = meanwhile = 0
    with tempfile.TemporaryDirectory(prefix="hearthlog-schedules-") as folder:
        place = Path(folder)
        subprocess.run(["make", "-s", "-C", str(FIRMWARE), "sim", f"BUILD={place / 'build'}"], check=True)
        _frames(place / "frames")
        for house in range(seed // HOUSE, (seed + count - 1) // HOUSE + 1):
            found = _house(place, house)
            records += found.records
            blows += found.blows
            named += found.named
            outs += found.outs
            meanwhile += found.meanwhile
            wrong += found.wrong
    return [
        Result(
            "fault schedules end to end",
            f"{count} schedules, {records} records, {len(wrong)} wrong"
            + (f": {'; '.join(wrong[:4])}" if wrong else ""),
            "each record stored once with its hash, or named in a gap; every backlog drains",
            not wrong and records > 0,
            f"{blows} kills of gateway or broker, {outs} credentials revoked and {meanwhile} records committed until"
            f" their cameras were paired again, {named} records named in gaps; seeds {seed} to {seed + count - 1}",
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
    outs: int = 0
    """Credentials that were taken away."""
    meanwhile: int = 0
    """Records that those cameras committed until they were paired again."""
    wrong: list[str] = field(default_factory=list)


def _house(place: Path, number: int) -> Found:
    draw = random.Random(f"house {number}")
    cameras = [
        Camera(seed, place / f"cameras-{number}" / f"{seed}", lives(seed))
        for seed in range(number * HOUSE, (number + 1) * HOUSE)
    ]
    blows = sorted((draw.uniform(0.5, 3 * _LIFE_S), draw.choice(["gateway", "broker"])) for _ in range(4))
    with OwningHouse(place / f"house-{number}") as house:
        try:
            found = Found(blows=_spin(cameras, house, place / "frames", blows))
        finally:
            for camera in cameras:
                if camera.process is not None:
                    camera.process.kill()
                    camera.process.wait(10)
    for camera in cameras:
        _judge(camera, house.home, found)
    shutil.rmtree(place / f"cameras-{number}")
    shutil.rmtree(place / f"house-{number}")
    return found


def _spin(cameras: list[Camera], house: OwningHouse, frames: Path, blows: list[tuple[float, str]]) -> int:
    """Until every camera's last life is over; how many blows fell."""
    began_s, planned = time.monotonic(), len(blows)
    while any(camera.at < len(camera.lives) for camera in cameras):
        for camera in cameras:
            may_pair = not any(_is_pairing(other) for other in cameras if other is not camera)
            _step(camera, house, frames, may_pair=may_pair)
        if blows and time.monotonic() - began_s > blows[0][0]:
            house.strike(blows.pop(0)[1])
        time.sleep(0.01)  # other programs: there is no event to wait on
    return planned - len(blows)


def _is_pairing(camera: Camera) -> bool:
    return camera.process is not None and camera.owned and not camera.admitted and camera.out_s is None


def _step(camera: Camera, house: OwningHouse, frames: Path, *, may_pair: bool) -> None:
    """Let a camera live on, end its life or begin the next."""
    if camera.process is not None:
        if _is_pairing(camera):
            _look_at_the_door(camera)
        elif camera.owned:
            _put_out(camera, house)
        if not _has_ended(camera):
            return
    if camera.at < len(camera.lives):
        _begin(camera, house, frames, may_pair=may_pair)


def _look_at_the_door(camera: Camera) -> None:
    paired = next((line.split()[1] for line in camera.news() if line.startswith("paired ")), "")
    if not paired:
        return
    if camera.device not in ("", paired):
        camera.bad_ends.append("was paired under another id")
    camera.device, camera.admitted = paired, True
    camera.began_s = time.monotonic()


def _put_out(camera: Camera, house: OwningHouse) -> None:
    """Take its credential away when it is time, and see then that nothing more comes in."""
    at_s, now_s = camera.lives[camera.at].put_out_at_s, time.monotonic()
    if camera.out_s is not None:
        if camera.decided is None and now_s - camera.out_s > _FAREWELL_S:
            camera.decided = house.decided(camera.device)
    elif at_s is not None and now_s - camera.began_s > at_s and house.put_out(camera.device):
        camera.admitted = False
        camera.out_s = time.monotonic()
        camera.outings.append(-camera.committed)


def _has_ended(camera: Camera) -> bool:
    """Whether this life is over, ending it when it is time."""
    assert camera.process is not None
    life, last = camera.lives[camera.at], camera.at == len(camera.lives) - 1
    status, lived_s = camera.process.poll(), time.monotonic() - camera.began_s
    if _is_pairing(camera):
        over = lived_s > _PAIRING_S
    elif life.put_out_at_s is not None:
        over = camera.decided is not None and camera.out_s is not None and time.monotonic() - camera.out_s > _OUT_S
    else:
        over = lived_s > (life.killed_at_s or (_DRAIN_S if last else _LIFE_S * 3))
    if status is None and not over and lived_s < 2 * _DRAIN_S:
        return False
    if status is None:
        camera.process.kill()
        camera.process.wait(10)
        if last and not _is_pairing(camera):
            camera.bad_ends.append("its backlog did not drain")
    if _is_pairing(camera):
        camera.tries += 1
        if camera.tries < _PAIRINGS:
            camera.process = None
            return True  # the same life once more
        camera.bad_ends.append("was not paired")
    elif status not in {None, 0, _POWER_CUT} and life.killed_at_s is None:
        camera.bad_ends.append(f"ended with {status}")
    if camera.out_s is not None:
        camera.outings[-1] += camera.committed
    camera.process = None
    camera.at += 1
    return True


def _begin(camera: Camera, house: OwningHouse, frames: Path, *, may_pair: bool) -> None:
    """Start its next life; not yet when it has to be let in first and cannot be now."""
    life = camera.lives[camera.at]
    if "kvwipe" in life.faults:
        camera.admitted = False  # its credential goes too
    if camera.out_s is not None:
        if camera.decided not in (None, house.decided(camera.device)):
            camera.bad_ends.append("was heard after it was put out")
        camera.out_s = camera.decided = None
    who = _introduction(camera, house, may_pair=may_pair)
    if not who:
        return
    camera.folder.mkdir(parents=True, exist_ok=True)
    program = frames.parent / "build" / "hearthcam-sim"
    what = ["--frames", str(frames), "--count", str(life.pictures), "--interval", str(_INTERVAL_MS)]
    size = ["--card-mib", "24", "--segment", "512", "--telemetry", "500", "--seed", str(camera.seed * 8 + camera.at)]
    faults = ["--fault", life.faults] if life.faults else []
    camera.said_before = camera.said.stat().st_size if camera.said.exists() else 0
    with camera.said.open("a") as log:
        command = [str(program), *who, "--card", str(camera.folder / "card"), *what, *size, *faults]
        camera.process = subprocess.Popen(command, stdout=log, stderr=subprocess.DEVNULL, text=True)
    camera.began_s = time.monotonic()


def _introduction(camera: Camera, house: OwningHouse, *, may_pair: bool) -> list[str]:
    """How it is told who it is; empty: that cannot be had now."""
    if camera.owned and camera.admitted:
        return ["--hardware", camera.name]
    if camera.owned:
        text = house.open_window() if may_pair else ""
        return ["--pair", text, "--hardware", camera.name] if text else []
    camera.device = camera.name
    camera.password = camera.password or house.password(camera.name)
    where = ["--broker", f"127.0.0.1:{house.broker.port}"]
    who = ["--id", camera.name, "--user", camera.name, "--password", camera.password, "--client-id", camera.name]
    return [*where, *who] if camera.password else []


def _judge(camera: Camera, home: Path, found: Found) -> None:
    """Hold what it committed against what the gateway has."""
    found.outs += len(camera.outings)
    found.meanwhile += sum(camera.outings)
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
        gaps = connection.execute("SELECT first, last FROM gap WHERE device = ?", (camera.device,)).fetchall()
        for (boot, sequence), (kind, digest) in said.items():
            reason = _missing(connection, shelf, (camera.device, boot, sequence), digest if kind == _JPEG else "")
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
