"""A house under load, for faults: cameras on both lanes, a gateway that can be killed, and what was promised."""

from __future__ import annotations

import contextlib
import hashlib
import random
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from tests.bench.broker import Broker
from tests.bench.cameras import Cameras, Device
from tests.bench.children import Child, family
from tests.bench.frames import frame, record
from tests.fault.evidence import Key

FRAME_BYTES = 9_000
KEPT_BUSY = 12
"""Records that each device has to send, always or (see `Load.every_s`) at most."""


class PlainCamera:
    """A camera of the plain lane: QoS 1, one frame at a time, each sent until the broker has acknowledged it."""

    def __init__(self, port: int, name: str) -> None:
        self.acked: list[bytes] = []
        """SHA-256 of what the broker acknowledged."""
        self._topic = f"hearthlog/v1/{name}/up/jpeg"
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=f"plain-{secrets.token_hex(4)}", protocol=MQTTv5)
        self._client.on_publish = self._published
        self._client.connect("127.0.0.1", port)
        self._open: dict[int, bytes] = {}
        self._next_s = 0.0

    def spin(self) -> None:
        """Send the next frame when the last is acknowledged, 30 a second at most."""
        self._client.loop(0.0)
        if not self._open and time.monotonic() > self._next_s:
            self._next_s = time.monotonic() + 1 / 30
            body = frame(random.getrandbits(40), size_bytes=FRAME_BYTES)
            self._open[self._client.publish(self._topic, body, qos=1).mid] = hashlib.sha256(body).digest()

    def finish(self, limit_s: float) -> None:
        """Wait for the last acknowledgement."""
        ends_s = time.monotonic() + limit_s
        while self._open and time.monotonic() < ends_s:
            self._client.loop(0.05)
        self._client.disconnect()

    def _published(self, _: Any, __: Any, mid: int, *___: Any) -> None:  # Any: paho's own
        digest = self._open.pop(mid, None)
        if digest is not None:
            self.acked.append(digest)


@dataclass(slots=True)
class Load:
    """Everything but the broker's life. Spin it; it never blocks for long."""

    broker: Broker
    home: Path
    cameras: Cameras
    steps: str = "cheap"
    mutant: str = ""
    every_s: float = 0.0
    """Time from one record to the next, of all devices; 0: as fast as they are taken in."""
    promised: dict[Key, bytes] = field(default_factory=dict)
    """What `dn/ack` acknowledged, with its hash."""
    gateway: Child | None = None
    plain: PlainCamera | None = None
    _made: dict[Key, bytes] = field(default_factory=dict)
    _next: int = 1
    _due_s: float = 0.0

    def __post_init__(self) -> None:
        self.cameras.on_ack = self._acked

    def start(self, *, limit_s: float = 60.0) -> None:
        """Start the gateway and keep the cameras going until it is ready."""
        arguments = [f"--steps={self.steps}", *([f"--mutant={self.mutant}"] if self.mutant else [])]
        environ = {
            "HEARTHLOG_HOME": str(self.home),
            "HEARTHLOG_MQTT_URL": self.broker.url,
            "HEARTHLOG_STORAGE_FREE_FLOOR_MB": "0",
        }
        self.gateway = Child("tests.bench.gateway_child", *arguments, environ=environ)
        ends_s = time.monotonic() + limit_s
        while "ready" not in self.gateway.lines():
            if time.monotonic() > ends_s or not self.gateway.running:
                raise AssertionError("the gateway did not start")
            self.spin(0.02)

    def spin(self, timeout_s: float = 0.01) -> None:
        """Keep every camera busy."""
        for device in self.cameras.devices.values():
            while len(device.waiting) + len(device.sent) < KEPT_BUSY and self._due():
                self._give(device)
        self.cameras.spin(timeout_s)
        if self.plain is not None:
            self.plain.spin()

    def spin_until(self, more: int, *, limit_s: float = 5.0) -> None:
        """Load until so many more are acknowledged."""
        ends_s, wanted = time.monotonic() + limit_s, len(self.promised) + more
        while len(self.promised) < wanted and time.monotonic() < ends_s:
            self.spin()

    def spin_for(self, seconds: float) -> None:
        """Load for so long."""
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s:
            self.spin()

    def drain(self, done: Callable[[], bool], *, limit_s: float) -> bool:
        """No new records; until `done` or time is over."""
        return self.cameras.until(done, limit_s=limit_s)

    def workers(self) -> list[int]:
        """The gateway's worker processes."""
        if self.gateway is None:
            return []
        return [pid for pid in family(self.gateway.pid)[1:] if "inference.worker" in _command(pid)]

    def _due(self) -> bool:
        now_s = time.monotonic()
        if now_s < self._due_s:
            return False
        self._due_s = now_s + self.every_s
        return True

    def _give(self, device: Device) -> None:
        sequence, self._next = self._next, self._next + 1
        body = frame(random.getrandbits(40), size_bytes=FRAME_BYTES)
        self._made[device.name, device.boot, sequence] = hashlib.sha256(body).digest()
        device.waiting.append((sequence, record(body, boot=device.boot, sequence=sequence)))

    def _acked(self, device: Device, sequence: int) -> None:
        key = (device.name, device.boot, sequence)
        self.promised[key] = self._made.pop(key)


@contextlib.contextmanager
def loaded(
    broker: Broker, home: Path, *, steps: str = "cheap", mutant: str = "", every_s: float = 0.0
) -> Iterator[Load]:
    """A load of three devices, whose gateway is killed at the end."""
    cameras = Cameras(broker.port, [f"cam-{n:02d}" for n in range(3)], resend_s=2.0)
    load = Load(broker, home, cameras, steps=steps, mutant=mutant, every_s=every_s)
    try:
        yield load
    finally:
        if load.gateway is not None:
            load.gateway.kill()


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
