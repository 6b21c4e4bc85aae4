"""Cameras in one process: many devices on one connection, each within its credit, each keeping what is not answered.

`python -m tests.bench.cameras --port P --count N` is the publisher of the benches; the fault tests use the class.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import VariableByteIntegers

from tests.bench.frames import FRAME_BYTES, frame, record

ROOT = "hearthlog/v1"


@dataclass(slots=True)
class Device:
    """One camera's spool."""

    name: str
    boot: bytes
    waiting: deque[tuple[int, bytes]] = field(default_factory=deque)
    """Records made and not sent: (sequence, bytes)."""
    sent: dict[int, tuple[bytes, float, float]] = field(default_factory=dict)
    """In flight: sequence → (bytes, first sent at, last sent at)."""
    acked: set[int] = field(default_factory=set)
    nacked: dict[int, str] = field(default_factory=dict)
    credit: int = 1


class Cameras:
    """Single-threaded: everything happens inside `spin`."""

    def __init__(self, port: int, names: list[str], *, resend_s: float = 5.0) -> None:
        self.devices = {name: Device(name, secrets.token_bytes(8)) for name in names}
        self.latencies_s: list[float] = []
        """From a record's first sending to its acknowledgement."""
        self.on_ack: Callable[[Device, int], None] = lambda device, sequence: None
        self.resent = 0
        self._resend_s = resend_s
        self._port = port
        self._online = False
        self._lost = True
        self._swept_s = 0.0
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=f"cameras-{secrets.token_hex(4)}", protocol=MQTTv5)
        self._client.max_queued_messages_set(0)
        self._client.on_message = self._heard
        self._client.on_connect = self._connected

    @property
    def open(self) -> int:
        """Records that wait for their acknowledgement."""
        return sum(len(device.waiting) + len(device.sent) for device in self.devices.values())

    def spin(self, timeout_s: float = 0.05) -> None:
        """Do what there is to do, once."""
        if self._lost:
            try:
                self._client.connect("127.0.0.1", self._port, keepalive=30)
                own = self._client.socket()
                if own is not None:
                    own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._lost = False
            except OSError:
                time.sleep(0.05)
                return
        if self._client.loop(timeout_s) != 0:
            self._lost, self._online = True, False
            return
        if self._online:
            now_s = time.monotonic()
            if now_s - self._swept_s > 0.2:
                self._swept_s = now_s
                self._sweep(now_s)
            for device in self.devices.values():
                self._send(device)

    def close(self) -> None:
        """Hang up."""
        self._client.disconnect()

    def until(self, done: Callable[[], bool], *, limit_s: float, timeout_s: float = 0.05) -> bool:
        """Spin until `done` or until time is over: then False."""
        ends_s = time.monotonic() + limit_s
        while not done():
            if time.monotonic() > ends_s:
                return False
            self.spin(timeout_s)
        return True

    @property
    def online(self) -> bool:
        """The gateway said so."""
        return self._online

    def _connected(self, client: Client, *_: Any) -> None:  # Any: paho's arguments, not used
        client.subscribe(f"{ROOT}/gateway/status", qos=1)
        client.subscribe(f"{ROOT}/+/dn/ack", qos=0)

    def _heard(self, _: Client, __: object, message: MQTTMessage) -> None:
        answer = json.loads(message.payload)
        if message.topic.endswith("/status"):
            self._online = answer["state"] == "online"
            if self._online:
                for each in self.devices.values():
                    each.credit = 1
                    self._again(each)
            return
        device = self.devices.get(message.topic.split("/")[2])
        if device is None or answer["boot"] != device.boot.hex():
            return
        device.credit = answer["credit"]
        now_s = time.monotonic()
        for first, last in answer["ranges"]:
            for sequence in range(first, last + 1):
                held = device.sent.pop(sequence, None)
                if held is not None:
                    self.latencies_s.append(now_s - held[1])
                    device.acked.add(sequence)
                    self.on_ack(device, sequence)
        for nack in answer["nack"]:
            if nack["retry_ms"] is None:
                device.sent.pop(nack["seq"], None)
                device.nacked[nack["seq"]] = nack["code"]
        self._send(device)

    def _send(self, device: Device) -> None:
        while device.waiting and len(device.sent) < device.credit:
            sequence, data = device.waiting.popleft()
            now_s = time.monotonic()
            device.sent[sequence] = (data, now_s, now_s)
            self._publish(device, data)

    def _publish(self, device: Device, data: bytes) -> None:
        """At QoS 0, past paho, which copies it three times: a camera has a processor of its own."""
        own = self._client.socket()
        if own is None or self._client.want_write():
            self._client.publish(f"{ROOT}/{device.name}/up/rec", data, qos=0)
            return
        topic = f"{ROOT}/{device.name}/up/rec".encode()
        body = len(topic).to_bytes(2, "big") + topic + b"\x00"  # no properties
        left = [memoryview(b"\x30" + VariableByteIntegers.encode(len(body) + len(data)) + body), memoryview(data)]
        try:
            while left:
                select.select([], [own], [])
                sent = own.sendmsg(left)
                while left and sent >= len(left[0]):
                    sent -= len(left.pop(0))
                if left:
                    left[0] = left[0][sent:]
        except OSError:
            return  # `spin` will notice, and what was in flight is sent again

    def _sweep(self, now_s: float) -> None:
        for device in self.devices.values():
            for sequence, (data, first_s, last_s) in device.sent.items():
                if now_s - last_s > self._resend_s:
                    device.sent[sequence] = (data, first_s, now_s)
                    self.resent += 1
                    self._publish(device, data)

    def _again(self, device: Device) -> None:
        """The gateway is back: what was in flight is sent again, within the credit."""
        for sequence in sorted(device.sent, reverse=True):
            device.waiting.appendleft((sequence, device.sent.pop(sequence)[0]))


def main() -> None:
    """Publish `count` records as fast as credit allows, or at `rate`; print what came of it as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--rate", type=float, default=0.0, help="records a second; 0: as credit allows")
    parser.add_argument("--bytes", type=int, default=FRAME_BYTES)
    parser.add_argument("--limit", type=float, default=120.0)
    given = parser.parse_args()
    cameras = Cameras(given.port, [f"bench-{n:02d}" for n in range(given.devices)])
    devices = list(cameras.devices.values())
    seed = random.getrandbits(40)
    made = [
        (device, sequence, record(frame(seed + n, size_bytes=given.bytes), boot=device.boot, sequence=sequence))
        for n in range(given.count)
        for device, sequence in ((devices[n % len(devices)], n // len(devices)),)
    ]
    if not cameras.until(lambda: cameras.online, limit_s=30):
        raise SystemExit("no gateway")
    print("ready", flush=True)
    input()
    began_s = time.monotonic()
    if given.rate:
        at = iter(enumerate(made))
        nxt = next(at, None)
        while nxt is not None and time.monotonic() - began_s < given.limit:
            n, (device, sequence, data) = nxt
            due_s = began_s + n / given.rate - time.monotonic()
            if due_s > 0:
                cameras.spin(min(due_s, 0.02))
                continue
            device.waiting.append((sequence, data))
            nxt = next(at, None)
    else:
        for device, sequence, data in made:
            device.waiting.append((sequence, data))
    cameras.until(lambda: cameras.open == 0, limit_s=given.limit)
    took_s = time.monotonic() - began_s
    acked = sum(len(device.acked) for device in devices)
    print(
        json.dumps(
            {
                "acked": acked,
                "nacked": sum(len(device.nacked) for device in devices),
                "open": cameras.open,
                "resent": cameras.resent,
                "took_s": took_s,
                "latencies_s": cameras.latencies_s,
            }
        )
    )
    cameras.close()


if __name__ == "__main__":
    main()
