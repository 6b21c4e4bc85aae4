"""The cameras' own core as a program (hearthcam-sim), on a real Mosquitto, with the real gateway behind it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.e2e.conftest import Mosquitto

pytestmark = [pytest.mark.slow, pytest.mark.system("mosquitto"), pytest.mark.timeout(600)]

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware" / "esp32"
WAIT_S = 120
POWER_CUT = 42
JPEG = 1

Key = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class Committed:
    """What a simulated camera said that it had on its card."""

    key: Key
    kind: int
    sha256: str


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or shutil.which("make") is None:
        pytest.skip("no C compiler, or no make")
    build = tmp_path_factory.mktemp("firmware")
    subprocess.run(["make", "-s", "-C", str(FIRMWARE), "sim", f"BUILD={build}", f"CC={compiler}"], check=True)
    return build / "hearthcam-sim"


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of different sizes, up to a hundred kilobytes: more than one piece of the stream."""
    folder = tmp_path_factory.mktemp("frames")
    noise = np.random.default_rng(3)
    for n, side in enumerate((64, 160, 320, 400)):
        pixels = noise.integers(0, 255, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{n}.jpg", quality=80)
    return folder


@dataclass(slots=True)
class Gateway:
    """`hearthlog serve`, or the same without pages and models, as a process."""

    home: Path
    url: str
    command: tuple[str, ...] = ("-m", "tests.bench.gateway_child")
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        settings = {
            "HEARTHLOG_HOME": str(self.home),
            "HEARTHLOG_MQTT_URL": self.url,
            "HEARTHLOG_HTTP_PORT": "0",
            "HEARTHLOG_CLOCK_TRUST": "yes",
        }
        self.process = subprocess.Popen(
            [sys.executable, *self.command],
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=(self.home.parent / "gateway.log").open("a"),
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(("ready", "Hearthlog is at")), line

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.communicate(timeout=60)
            self.process = None

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(f"file:{self.home / 'hearthlog.db'}?mode=ro", uri=True)) as db:
            return [tuple(row) for row in db.execute(sql).fetchall()]

    def stored(self) -> Counter[Key]:
        return Counter(
            (boot, seq) for boot, seq in self.query("SELECT boot_id, seq FROM ledger WHERE verdict = 'stored'")
        )

    def pictures(self) -> dict[Key, str]:
        sql = "SELECT boot_id, seq, hex(sha256) FROM capture WHERE kind = 'image'"
        rows = self.query(sql)
        found = {(boot, seq): digest.lower() for boot, seq, digest in rows}
        assert len(found) == len(rows)  # none twice
        return found


@pytest.fixture
def gateway(broker: Mosquitto, tmp_path: Path) -> Iterator[Gateway]:
    one = Gateway(tmp_path / "home", broker.url)
    yield one
    one.end(signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Camera:
    """How to start the simulator on one card, again and again."""

    program: Path
    frames: Path
    card: Path
    port: int
    card_mib: int = 16

    def start(self, *options: str, count: int, interval_ms: int = 20) -> subprocess.Popen[str]:
        log = (self.card.parent / "said.txt").open("a")
        card = ("--card", str(self.card), "--card-mib", str(self.card_mib), "--segment", "512")
        where = ("--broker", f"127.0.0.1:{self.port}", *card)
        what = ("--frames", str(self.frames), "--count", str(count), "--interval", str(interval_ms))
        more = ("--telemetry", "500", *options)
        return subprocess.Popen([str(self.program), *where, *what, *more], stdout=log, text=True)

    def said(self) -> list[Committed]:
        found = []
        for line in (self.card.parent / "said.txt").read_text().splitlines():
            words = line.split()
            if len(words) == 6 and words[0] == "committed":
                found.append(Committed((bytes.fromhex(words[2]), int(words[3])), int(words[1]), words[4]))
        return found

    def reports(self) -> list[dict[str, Any]]:
        lines = (self.card.parent / "said.txt").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@pytest.fixture
def porch(simulator: Path, frames: Path, broker: Mosquitto, tmp_path: Path) -> Camera:
    return Camera(simulator, frames, tmp_path / "card", broker.port)


def until(look: Callable[[], bool]) -> None:
    """For what other programs do: there is no event to wait on."""
    deadline = time.monotonic() + WAIT_S
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def everything_is_stored_once(camera: Camera, gateway: Gateway) -> None:
    said = camera.said()
    stored = gateway.stored()
    assert len({one.key for one in said}) == len(said)  # no sequence was used twice
    assert {one.key for one in said} <= stored.keys()
    assert set(stored.values()) == {1}
    pictures = gateway.pictures()
    assert {one.key: one.sha256 for one in said if one.kind == JPEG} == {
        key: digest for key, digest in pictures.items() if key in {one.key for one in said}
    }


def test_every_record_is_stored_once_with_its_hash(porch: Camera, gateway: Gateway) -> None:
    gateway.command = ("-m", "gateway", "serve")
    gateway.start()
    camera = porch.start(count=60)
    assert camera.wait(WAIT_S) == 0
    report = porch.reports()[-1]
    assert (report["pictures"], report["lost"], report["nacks"], report["bad_messages"]) == (60, 0, 0, 0)
    everything_is_stored_once(porch, gateway)
    assert len(gateway.pictures()) == 60
    [(dated,)] = gateway.query("SELECT count(*) FROM capture WHERE time_source = 'device-synced'")
    assert dated > 0  # the camera asked for the time, and its pictures are dated by it


def test_killed_camera_loses_nothing_and_repeats_nothing(porch: Camera, gateway: Gateway) -> None:
    gateway.start()
    for kill_at in (15, 40, 70):
        camera = porch.start(count=200)
        until(lambda at=kill_at: len(porch.said()) >= at)  # type: ignore[misc]
        camera.kill()
        camera.wait(WAIT_S)
    assert porch.start(count=5).wait(WAIT_S) == 0
    assert len(porch.said()) >= 75
    everything_is_stored_once(porch, gateway)


def test_backlog_of_a_dead_gateway_drains_when_it_is_back(porch: Camera, gateway: Gateway) -> None:
    gateway.start()
    camera = porch.start(count=150)
    until(lambda: len(porch.said()) >= 20)
    gateway.end(signal.SIGKILL)
    until(lambda: len(porch.said()) >= 120)
    gateway.start()
    assert camera.wait(WAIT_S) == 0
    everything_is_stored_once(porch, gateway)
    assert len(gateway.pictures()) == 150


def test_dead_broker_costs_nothing(porch: Camera, gateway: Gateway, broker: Mosquitto) -> None:
    gateway.start()
    camera = porch.start(count=120)
    until(lambda: len(porch.said()) >= 20)
    broker.end(signal.SIGKILL)
    until(lambda: len(porch.said()) >= 80)
    broker.start()
    assert camera.wait(WAIT_S) == 0
    assert porch.reports()[-1]["connects"] >= 2
    everything_is_stored_once(porch, gateway)


@pytest.mark.parametrize(
    "schedule",
    [
        "drop@300,drop@700,midcut@1000,midcut@1300,drop@1600",
        "slow@200:1500,midcut@900",
        "eio@200:3,short@400:2,eio@800:1,short@1000:3",
    ],
    ids=["link", "throttled", "card"],
)
def test_faults_on_the_way_cost_nothing(porch: Camera, gateway: Gateway, schedule: str) -> None:
    gateway.start()
    assert porch.start("--fault", schedule, "--seed", "7", count=80).wait(WAIT_S) == 0
    everything_is_stored_once(porch, gateway)


def test_power_cuts_while_writing_cost_nothing(porch: Camera, gateway: Gateway) -> None:
    gateway.start()
    for seed, cut_ms in enumerate((400, 650, 900, 333)):
        wiped = ",kvwipe@0" if seed == 2 else ""
        camera = porch.start("--fault", f"power@{cut_ms}{wiped}", "--seed", str(seed), count=400)
        assert camera.wait(WAIT_S) == POWER_CUT
    assert porch.start(count=5).wait(WAIT_S) == 0
    everything_is_stored_once(porch, gateway)
    orders = [one.key[1] for one in porch.said()]
    assert orders == sorted(orders)  # also over the boot whose key-value store was empty


def test_what_a_full_card_drops_is_named_in_gaps(porch: Camera, gateway: Gateway) -> None:
    small = replace(porch, card_mib=3)
    camera = small.start(count=120)  # three times what the card holds, and no gateway
    until(lambda: len(small.said()) >= 120)
    gateway.start()
    assert camera.wait(WAIT_S) == 0
    assert small.reports()[-1]["drops"] > 0
    said = {one.key for one in small.said()}
    stored = gateway.stored()
    gaps = gateway.query("SELECT first, last FROM gap WHERE reason = 'card-full' AND from_mono_us IS NOT NULL")
    dropped = {key for key in said if any(first <= key[1] <= last for first, last in gaps)}
    assert dropped
    assert said <= stored.keys() | dropped
    assert not stored.keys() & dropped


def lateness(camera: Camera) -> dict[str, int]:
    """What the simulator says of its live records, from the card to the gateway's acknowledgement."""
    lines = (camera.card.parent / "said.txt").read_text().splitlines()
    words = next(line for line in reversed(lines) if line.startswith("live records ")).split()
    return {"count": int(words[2]), **{words[n]: int(words[n + 1]) for n in range(3, len(words), 2)}}


@pytest.mark.alone
def test_live_records_are_never_2_s_late_while_10000_drain(porch: Camera, gateway: Gateway) -> None:
    gateway.start()
    camera = replace(porch, card_mib=160).start("--backlog", "10000", "--quiet", count=100, interval_ms=250)
    assert camera.wait(WAIT_S * 2) == 0
    report, late = porch.reports()[-1], lateness(porch)
    assert (report["lost"], report["drops"], report["nacks"]) == (0, 0, 0)
    assert report["freed"] + report["skipped"] >= 10_100
    assert late["count"] >= 100
    assert late["worst_ms"] <= 2_000, late


@pytest.mark.alone
def test_50_cameras_a_frame_a_second_each_are_acknowledged_in_half_a_second(porch: Camera, gateway: Gateway) -> None:
    gateway.start()
    fleet = replace(porch, card_mib=8)
    fleet.card.mkdir()
    camera = fleet.start("--devices", "50", "--telemetry", "0", "--quiet", count=15, interval_ms=1_000)
    assert camera.wait(WAIT_S) == 0
    reports, late = fleet.reports(), lateness(fleet)
    assert len(reports) == 50
    assert sum(report["pictures"] for report in reports) == 50 * 15
    assert [report["nacks"] for report in reports] == [0] * 50
    assert late["p99_ms"] <= 500, late
