"""Durable ingest against the slower of two bare loops, measured in turns."""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any  # of a JSON object

from tests.bench.broker import Broker
from tests.bench.children import child
from tests.bench.frames import FRAME_BYTES
from tests.bench.result import Result

CREDIT = 8
DEVICES = 8
BAR = 0.70


def publish(
    port: int, *, count: int, devices: int = DEVICES, rate: float = 0.0, size_bytes: int = FRAME_BYTES
) -> dict[str, Any]:
    """Have records published by a process of their own; its JSON, with `reached` (acknowledged a second) beside."""
    arguments = [
        f"--port={port}",
        f"--count={count}",
        f"--devices={devices}",
        f"--rate={rate}",
        f"--bytes={size_bytes}",
    ]
    with child("tests.bench.cameras", *arguments) as cameras:
        cameras.wait_for("ready")
        cameras.say()
        found: dict[str, Any] = json.loads(cameras.line(limit_s=180))
    if found["acked"] != count:
        raise AssertionError(f"{found['acked']} of {count} acknowledged, {found['nacked']} refused")
    return {**found, "reached": count / found["took_s"]}


def run(*, quick: bool = False, rounds: int = 5) -> Result:
    """Files a second through the gateway, over the slower of receive-and-drop and write-and-commit."""
    count = 600 if quick else 3_000
    ratios, seen = [], []
    with tempfile.TemporaryDirectory(prefix="hearthlog-bench-") as name:
        folder = Path(name)
        with Broker(folder / "broker") as broker:
            for n in range(rounds):
                with child("tests.bench.drop_child", f"--port={broker.port}", f"--credit={CREDIT}") as one:
                    one.wait_for("ready")
                    dropped = publish(broker.port, count=count)["reached"]
                gateway = through_gateway(broker, folder / f"home-{n}", count=count)["reached"]
                arguments = [f"--port={broker.port}", f"--folder={folder / f'lean-{n}'}", f"--credit={CREDIT}"]
                with child("tests.bench.lean_child", *arguments) as one:
                    one.wait_for("ready")
                    lean = publish(broker.port, count=count)["reached"]
                with child("tests.bench.write_child", f"--folder={folder / f'bare-{n}'}", f"--count={count}") as one:
                    written = float(one.line(limit_s=120))
                ratios.append(gateway / min(dropped, written))
                seen.append((round(gateway), round(dropped), round(written), round(lean)))
    ratio = statistics.median(ratios)
    ceiling = statistics.median(lean / min(dropped, written) for _, dropped, written, lean in seen)
    return Result(
        "durable ingest of 50 KB frames over the slower bare loop",
        f"{ratio:.2f} ({statistics.median(each[0] for each in seen)} frames/s)",
        f"≥ {BAR:.2f}",
        ratio >= BAR,
        f"the leanest program with the same libraries, the broker and the cameras beside it, reaches {ceiling:.2f}; "
        f"(gateway, receive and drop, write and commit, leanest) frames/s by round: {seen}",
    )


def through_gateway(broker: Broker, home: Path, *, count: int, profile: str = "") -> dict[str, Any]:
    """One round through the real way in, with steps paused."""
    environ = {
        "HEARTHLOG_HOME": str(home),
        "HEARTHLOG_MQTT_URL": broker.url,
        "HEARTHLOG_MQTT_CREDIT": str(CREDIT),
    }
    arguments = [f"--profile={profile}"] if profile else []
    with child("tests.bench.gateway_child", *arguments, environ=environ) as one:
        one.wait_for("ready")
        return publish(broker.port, count=count)
