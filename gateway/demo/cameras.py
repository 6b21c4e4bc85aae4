"""Simulated cameras on a real broker: devices of the record lane, as the protocol asks of firmware.

Each has a card that it frees on the gateway's acknowledgement alone, says hello, holds its uploads while the gateway
is offline, keeps within its credit, tries again with growing pauses, asks for the time and tells how it fares. The
day runs through them `pace` times faster than it was lived, as backlog; what is taken from now on is live.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import aiomqtt

from gateway.demo.card import Card
from gateway.demo.home import LIVE_EVERY_S, Home
from gateway.demo.roll import CLOCK_ERROR_US, Entry, Roll, vitals
from gateway.entities import Json

log = logging.getLogger(__name__)

ROOT = "hearthlog/v1"
GATEWAY_STATUS = f"{ROOT}/gateway/status"
FIRMWARE = "demo-1.0.0"
STATUS_EVERY_S = 30.0
ASK_TIME_EVERY_S = 600.0
MAX_DOWN_BYTES = 65_536
MAX_CREDIT = 64
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 30.0
_DRAW_AT_ONCE = 2


@dataclass(slots=True)
class Report:
    """What the cameras did. It grows while they run; read it at any time."""

    taken: int = 0
    """Records that went onto a card."""
    sent: int = 0
    """Records published, counting every try."""
    acked: int = 0
    """Records that the gateway acknowledged and a card freed."""
    repeated: int = 0
    """Sent a second time on purpose, after they had been acknowledged."""
    retransmitted: int = 0
    """Sent again because no acknowledgement came, or a try-later did."""
    lost: int = 0
    """Frames that gap records report."""
    connects: int = 0
    nacked: Counter[str] = field(default_factory=Counter)
    """By the gateway's code."""
    by_kind: Counter[str] = field(default_factory=Counter)
    """Records taken, by their kind."""
    missing: set[str] = field(default_factory=set)
    """What the demo has to do without here, and why."""
    waiting: int = 0
    """Records on the cards, not yet acknowledged."""
    telling: int = -1
    """Cameras that have not come to the end of their 24 hours; -1 before they begin."""

    @property
    def told(self) -> bool:
        """Whether the 24 hours are over and all that was taken is with the gateway (or was refused by it)."""
        return self.telling == 0 and self.waiting == 0


async def run_cameras(
    home: Home, *, url: str, pace: float, until: asyncio.Event, report: Report | None = None
) -> Report:
    """Run all cameras of `home` on the broker at `url` (mqtt://user:password@host:port) until `until` is set.

    `pace`: how many times faster than lived the 24 hours are told; 2160 tells them in 40 s. The broker may come and
    go. Pass a `report` to watch it grow; the same one is returned.
    """
    report = report if report is not None else Report()
    draw = asyncio.Semaphore(_DRAW_AT_ONCE)
    rolls = await asyncio.gather(*(asyncio.to_thread(Roll, home, camera) for camera in home.cameras))
    report.telling = len(rolls)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_Camera(home, roll, url, report, draw).run(pace), name=f"camera-{roll.camera}")
            for roll in rolls
        ]
        await until.wait()
        for task in tasks:
            task.cancel()
    return report


class _Camera:
    """One device."""

    def __init__(self, home: Home, roll: Roll, url: str, report: Report, draw: asyncio.Semaphore) -> None:
        self._home = home
        self._roll = roll
        self._url = url
        self._report = report
        self._draw = draw
        self._seed = sum(roll.camera.encode()) + home.seed
        self._random = random.Random(self._seed)  # noqa: S311  (jitter)
        self._card = Card(seed=self._seed)
        self._wake = asyncio.Event()
        self._online = False
        self._clock_error_us = CLOCK_ERROR_US
        self._every_s = LIVE_EVERY_S
        self._counted = 0

    async def run(self, pace: float) -> None:
        """Take pictures and send them, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._shutter(pace), name=f"shutter-{self._roll.camera}")
            group.create_task(self._radio(), name=f"radio-{self._roll.camera}")

    async def _shutter(self, pace: float) -> None:
        if self._roll.spoken_missing:
            self._report.missing.add(self._roll.spoken_missing)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell(pace), name=f"tell-{self._roll.camera}")
            group.create_task(self._live(), name=f"live-{self._roll.camera}")

    async def _tell(self, pace: float) -> None:
        begun_s = time.monotonic()
        for entry in self._roll.entries:
            due_s = begun_s + (entry.at_us - self._home.starts_at_us) / 1e6 / pace
            wait_s = due_s - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            self._take(entry)
        self._report.telling -= 1

    async def _live(self) -> None:
        await asyncio.sleep(self._random.uniform(0.2, 1.0) * self._every_s)
        while True:
            self._take(self._roll.live(time.time_ns() // 1_000, self._clock_error_us))
            await asyncio.sleep(self._every_s * self._random.uniform(0.95, 1.05))

    def _take(self, entry: Entry) -> None:
        self._card.add(entry)
        self._report.taken += 1
        self._report.lost += entry.lost
        self._report.by_kind[entry.kind.name.lower()] += 1
        self._changed()

    async def _radio(self) -> None:
        """Stay connected: pauses grow from half a second to thirty, with jitter."""
        pause_s = FIRST_PAUSE_S
        while True:
            connected_s = time.monotonic()
            try:
                await self._session()
            except* aiomqtt.MqttError as errors:
                log.info("camera disconnected", extra={"camera": self._roll.camera, "why": repr(errors.exceptions[0])})
            self._online = False
            self._card.lost_connection()
            if time.monotonic() - connected_s > LAST_PAUSE_S:
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(pause_s * self._random.uniform(0.5, 1.5))
            pause_s = min(LAST_PAUSE_S, 2 * pause_s)

    async def _session(self) -> None:
        url = urlsplit(self._url)
        client = aiomqtt.Client(
            url.hostname or "127.0.0.1",
            url.port or 1883,
            username=unquote(url.username) if url.username else None,
            password=unquote(url.password) if url.password else None,
            identifier=f"camera-{self._roll.camera}",
            protocol=aiomqtt.ProtocolVersion.V311,  # as firmware speaks it: any broker has it
            will=aiomqtt.Will(self._up("status"), json.dumps({"state": "offline"}), qos=1, retain=True),
            timeout=10,
            socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
        )
        async with client:
            self._report.connects += 1
            for what, qos in (("ack", 0), ("cfg", 1), ("cmd", 1), ("time", 0)):
                await client.subscribe(f"{ROOT}/{self._roll.camera}/dn/{what}", qos=qos)
            await client.subscribe(GATEWAY_STATUS, qos=1)
            await self._hello(client)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._listen(client), name=f"listen-{self._roll.camera}")
                    group.create_task(self._upload(client), name=f"upload-{self._roll.camera}")
                    group.create_task(self._tell_status(client), name=f"status-{self._roll.camera}")
                    group.create_task(self._ask_time(client), name=f"time-{self._roll.camera}")
            finally:
                with contextlib.suppress(aiomqtt.MqttError, TimeoutError):  # a broken line says it by the will
                    async with asyncio.timeout(2):
                        await client.publish(self._up("status"), json.dumps({"state": "offline"}), qos=1, retain=True)

    async def _upload(self, client: aiomqtt.Client) -> None:
        while True:
            self._wake.clear()
            entry = self._card.next(time.monotonic()) if self._online else None
            if entry is None:
                await self._until_woken()
                continue
            if self._card.tries(entry) > 1:
                self._report.retransmitted += 1
            async with self._draw:
                record = await asyncio.to_thread(entry.encode)
            await client.publish(self._up("rec"), record, qos=0)
            self._report.sent += 1

    async def _until_woken(self) -> None:
        wakes_at = self._card.wakes_at() if self._online else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if wakes_at is None else max(0.01, wakes_at - time.monotonic())):
                await self._wake.wait()

    async def _listen(self, client: aiomqtt.Client) -> None:
        handlers: dict[str, Callable[[Json], None]] = {
            f"{ROOT}/{self._roll.camera}/dn/ack": self._on_ack,
            f"{ROOT}/{self._roll.camera}/dn/cfg": self._on_settings,
            f"{ROOT}/{self._roll.camera}/dn/time": self._on_time,
        }
        async for message in client.messages:
            topic, value = str(message.topic), _json(message.payload)
            if topic == GATEWAY_STATUS:
                await self._on_gateway(client, value.get("state") == "online")
            elif topic.endswith("/dn/cmd"):
                answer = {"id": value.get("id"), "ok": False, "code": "unknown-command"}
                await client.publish(self._up("result"), json.dumps(answer), qos=1)
            elif topic in handlers:
                handlers[topic](value)
            self._changed()

    async def _on_gateway(self, client: aiomqtt.Client, online: bool) -> None:
        came = online and not self._online
        self._online = online
        if not online:
            self._card.lost_connection()
        elif came:
            await self._hello(client)
            await self._ask(client)

    def _on_ack(self, value: Json) -> None:
        try:
            boot_id = bytes.fromhex(value["boot"])
            ranges = [(int(first), int(last)) for first, last in value["ranges"][:64]]
            nacks = [(int(one["seq"]), str(one["code"])[:40], one.get("retry_ms")) for one in value.get("nack", [])]
            self._card.credit = max(1, min(MAX_CREDIT, int(value["credit"])))
        except (KeyError, TypeError, ValueError):
            log.warning("acknowledgement that cannot be read", extra={"camera": self._roll.camera})
            return
        for entry in self._card.acknowledged(boot_id, ranges):
            self._freed(entry)
        for sequence, code, retry_ms in nacks:
            self._report.nacked[code] += 1
            self._card.refused((boot_id, sequence), code, retry_ms, time.monotonic())

    def _freed(self, entry: Entry) -> None:
        self._report.acked += 1
        if entry.again:
            self._report.repeated += 1
            self._card.add(entry.once_more())

    def _on_settings(self, value: Json) -> None:
        every_s = value.get("every_s")
        if isinstance(every_s, int | float) and 1 <= every_s <= 3_600:
            self._every_s = float(every_s)

    def _on_time(self, value: Json) -> None:
        """Half the round trip is the clock's error. This camera's clock is this machine's, so nothing else changes."""
        t0_us = value.get("t0_us")
        if value.get("synced") and isinstance(t0_us, int):
            trip_us = self._mono_us() - t0_us
            if 0 <= trip_us < 60_000_000:
                self._clock_error_us = max(1_000, trip_us // 2)

    async def _hello(self, client: aiomqtt.Client) -> None:
        spool = [{"boot": boot.hex(), "first": first, "last": last} for boot, first, last in self._card.spans()]
        boot_id = self._roll.boot.boot_id.hex()
        hello = {"firmware": FIRMWARE, "board": "simulated", "boot": boot_id, "mono_us": self._mono_us()}
        await client.publish(self._up("hello"), json.dumps({**hello, "spool": spool}), qos=1)

    async def _tell_status(self, client: aiomqtt.Client) -> None:
        n = 8
        while True:
            status = {"state": "online", "firmware": FIRMWARE, **vitals(self._roll.camera, n)}
            await client.publish(self._up("status"), json.dumps(status), qos=1, retain=True)
            await asyncio.sleep(STATUS_EVERY_S)
            n += 1

    async def _ask_time(self, client: aiomqtt.Client) -> None:
        while True:
            await self._ask(client)
            await asyncio.sleep(ASK_TIME_EVERY_S)

    async def _ask(self, client: aiomqtt.Client) -> None:
        question = {"time": {"t0_us": self._mono_us()}}
        await client.publish(self._up("event"), json.dumps(question), qos=1)

    def _mono_us(self) -> int:
        return self._roll.mono_us(time.time_ns() // 1_000)

    def _up(self, what: str) -> str:
        return f"{ROOT}/{self._roll.camera}/up/{what}"

    def _changed(self) -> None:
        held = len(self._card)
        self._report.waiting += held - self._counted
        self._counted = held
        self._wake.set()


def _json(payload: object) -> Json:
    """What a message says; nothing at all when it is not a JSON object of a bearable size."""
    if not isinstance(payload, bytes | bytearray) or len(payload) > MAX_DOWN_BYTES:
        return {}
    try:
        value = json.loads(payload)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
