"""How long a camera waits for its acknowledgement while everything that came before is being understood."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.bench.broker import Broker
from tests.bench.children import child
from tests.bench.house import give_models
from tests.bench.ingest import publish
from tests.bench.result import Result, percentile

RATE = 50.0
BAR_MS = 250.0


def run(*, quick: bool = False) -> Result:
    """50 frames of 50 KB a second; from a record's sending to its acknowledgement, at the camera."""
    seconds = 6 if quick else 20
    with tempfile.TemporaryDirectory(prefix="hearthlog-bench-") as name:
        folder = Path(name)
        models = give_models(folder / "home")
        with Broker(folder / "broker") as broker:
            environ = {"HEARTHLOG_HOME": str(folder / "home"), "HEARTHLOG_MQTT_URL": broker.url}
            with child("tests.bench.gateway_child", "--steps=all", environ=environ) as one:
                one.wait_for("ready")
                publish(broker.port, count=20)
                found = publish(broker.port, count=int(RATE * seconds), rate=RATE)
    waits_ms = [1_000 * each for each in found["latencies_s"]]
    p99_ms = percentile(waits_ms, 0.99)
    return Result(
        "acknowledgement at 50 frames/s while steps run, p99",
        f"{p99_ms:.0f} ms",
        f"≤ {BAR_MS:.0f} ms",
        p99_ms <= BAR_MS,
        f"p50 {percentile(waits_ms, 0.5):.0f} ms, most {max(waits_ms):.0f} ms, {len(waits_ms)} frames at"
        f" {found['reached']:.1f}/s; {'all models' if models else 'no models here: pixels only'}",
    )
