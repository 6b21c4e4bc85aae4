"""How quickly what waits on cameras' cards comes in: the firmware's own core against the real gateway.

`hearthcam-sim` starts with 10,000 records on its cards; the gateway's own limit is what the bench's publisher, which
reads from no card, has stored a second of records of the same size, in the same round.
"""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path

from tests.bench.broker import Broker
from tests.bench.children import child
from tests.bench.frames import frame
from tests.bench.ingest import publish
from tests.bench.result import Result

_FIRMWARE = Path(__file__).resolve().parents[2] / "firmware" / "esp32"
_BYTES = 6_000
_DEVICES = 8
_LIMIT_S = 240
BAR = 0.70


def run(*, quick: bool = False, rounds: int = 3) -> Result:
    """Stored records a second from cards, over stored records a second from memory."""
    name, bar = "backlog of 10,000 records from simulated cameras over the gateway's own limit", f"≥ {BAR:.2f}"
    if shutil.which("cc") is None:
        return Result(name, "", bar, None, "no C compiler: hearthcam-sim cannot be built")
    subprocess.run(["make", "-s", "-C", _FIRMWARE, "sim"], check=True, timeout=120)
    each = (1_200 if quick else 10_000) // _DEVICES
    seen = []
    with tempfile.TemporaryDirectory(prefix="hearthlog-backlog-") as folder, Broker(Path(folder) / "broker") as broker:
        for n in range(rounds):
            limit = _stored(broker, Path(folder) / f"limit-{n}", None, each)
            seen.append((_stored(broker, Path(folder) / f"cards-{n}", Path(folder), each), limit))
    ratio = statistics.median(cards / limit for cards, limit in seen)
    return Result(
        name,
        f"{ratio:.2f} ({statistics.median(cards for cards, _ in seen):.0f} records/s)",
        bar,
        ratio >= BAR,
        f"{_BYTES} bytes each, {_DEVICES} cameras; (from cards, from memory) by round:"
        f" {[(round(cards), round(limit)) for cards, limit in seen]}",
    )


def _stored(broker: Broker, home: Path, scratch: Path | None, each: int) -> float:
    """Records a second into a new home: from cards when there is a folder for them, else from memory."""
    environ = {"HEARTHLOG_HOME": str(home), "HEARTHLOG_MQTT_URL": broker.url}
    with child("tests.bench.gateway_child", environ=environ) as gateway:
        gateway.wait_for("ready")
        if scratch is None:
            return float(publish(broker.port, count=each * _DEVICES, size_bytes=_BYTES)["reached"])
        return _from_cards(broker, home, scratch / f"sim-{home.name}", each)


def _from_cards(broker: Broker, home: Path, folder: Path, each: int) -> float:
    frames = folder / "frames"
    frames.mkdir(parents=True)
    (folder / "cards").mkdir()
    (frames / "one.jpg").write_bytes(frame(1, size_bytes=_BYTES))
    command = [str(_FIRMWARE / "build/hearthcam-sim"), "--broker", f"127.0.0.1:{broker.port}", "--quiet"]
    command += ["--card", str(folder / "cards"), "--frames", str(frames), "--count", "1", "--telemetry", "0"]
    command += ["--devices", str(_DEVICES), "--backlog", str(each), "--backlog-bytes", str(_BYTES)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as simulator:
        try:
            return _rate(home / "hearthlog.db", each * _DEVICES)
        finally:
            simulator.kill()


def _rate(path: Path, wanted: int) -> float:
    """Rows a second, from the first to the last."""
    began_s, count, ends_s = 0.0, 0, time.monotonic() + _LIMIT_S
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        while count < wanted:
            if time.monotonic() > ends_s:
                raise AssertionError(f"{count} of {wanted} came in")
            if began_s:
                time.sleep(0.02)  # another process: there is no event to wait on
            count = connection.execute("SELECT count(*) FROM ledger").fetchone()[0]
            began_s = began_s or (time.monotonic() if count else 0.0)
    return wanted / (time.monotonic() - began_s)
