"""Cameras as devices of Home Assistant, by its MQTT discovery, on a connection of their own.

Home Assistant is one more of the circle: it learns of the cameras that the circle may know of, and is shown the
pictures that the circle may see. A private camera is not announced at all (docs/decisions/021). What names no moment
(discovery, battery, signal) is retained at the broker, pictures never are: a broker keeps what is retained as it came.
Source: Home Assistant, MQTT integration, "Device discovery payload" and "Birth message".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway import __version__, metrics
from gateway.cameras import Cameras
from gateway.config import HomeAssistant as Settings
from gateway.config import Mqtt
from gateway.devices import DeviceCard, Devices
from gateway.entities import BlobRef, Json, Kind, Memory, Role, Viewer
from gateway.errors import HearthlogError
from gateway.ingest.broker import Broker, Message
from gateway.ingest.lane import side_lane
from gateway.ingest.topics import ROOT, STATUS, match, valid_device
from gateway.memory import Memories
from gateway.store.blobs import read_blob
from gateway.store.db import Database

log = logging.getLogger(__name__)

CIRCLE = Viewer("", "Home Assistant", Role.MEMBER)
"""As whom it looks: a member who owns nothing."""
MOTION_S = 60
"""How long something that moved counts as motion."""
_FRESH_US = 120_000_000
_MAX_PICTURE_BYTES = 4 << 20
_MESSAGE_BYTES = 64 << 10
_LEAST_S = 1.0
"""Changes closer together than this are told together."""
_SETTLE_S = 2.0
"""From an announcement to its first state: Home Assistant subscribes to a state once it has read the announcement."""
_LOOK_S = 30.0
"""Cameras grow silent without a change that tells of it."""
_PRESSES = {"snapshot", "identify", "restart"}
_WAITING = 32
_PREFIX = "hearthlog_"
_MARK = "INSERT OR REPLACE INTO meta(key, value) VALUES ('home-assistant', 'announced')"
_MARKED = "SELECT 1 FROM meta WHERE key = 'home-assistant'"
_UNMARK = "DELETE FROM meta WHERE key = 'home-assistant'"


@dataclass(frozen=True, slots=True)
class Doors:
    """What it looks and acts through."""

    devices: Devices
    memories: Memories
    cameras: Cameras


@dataclass(slots=True)
class _Said:
    """What this connection has told, so that only changes are told again."""

    kept: dict[str, bytes] = field(default_factory=dict)
    """Retained topic → payload."""
    pictures: dict[str, str] = field(default_factory=dict)
    """Camera → uid of the picture that was shown last."""


class HomeAssistant:
    """`run` belongs into a task. It does nothing while `home_assistant.discovery` is off, but takes back what was
    announced before.
    """

    def __init__(
        self,
        db: Database,
        doors: Doors,
        *,
        mqtt: Mqtt,
        settings: Settings,
        now_us: Callable[[], int],
    ) -> None:
        self._db = db
        self._devices = doors.devices
        self._memories = doors.memories
        self._cameras = doors.cameras
        self._prefix = settings.prefix
        self._announce = settings.discovery
        self._now_us = now_us
        self._said = _Said()
        self._moved: dict[str, str] = {}
        self._found: set[str] = set()
        self._born = asyncio.Event()
        self._over = asyncio.Event()
        self._presses: asyncio.Queue[tuple[str, str]] = asyncio.Queue(_WAITING)
        self._lane = side_lane("home-assistant", mqtt, max_message_bytes=_MESSAGE_BYTES)

    async def run(self) -> None:
        """Keep the connection and tell what changes, for ever; or take back what was announced, and return."""
        if self._announce:
            await self._db.write(lambda c: c.execute(_MARK))
            await self._lane.run(self._use, self._take)
        if await self._db.read(lambda c: c.execute(_MARKED).fetchone()) is None:
            return
        lane = asyncio.create_task(self._lane.run(self._use, self._take), name="home-assistant-farewell")
        try:
            await self._over.wait()
        finally:
            lane.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await lane
        await self._db.write(lambda c: c.execute(_UNMARK))

    async def _use(self, broker: Broker) -> None:
        self._said, self._found = _Said(), set()
        await broker.subscribe(f"{self._prefix}/device/+/config", qos=1, retained=True)
        await broker.subscribe(f"{self._prefix}/status", qos=1)
        await broker.subscribe(f"{ROOT}/+/ha/press", qos=1)
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(self._tell_changes(broker), name="home-assistant-tell")
            pressing = group.create_task(self._press(), name="home-assistant-press")
            try:
                await broker.until_lost()
            finally:
                telling.cancel()
                pressing.cancel()

    def _take(self, message: Message) -> None:
        press = match(f"{ROOT}/+/ha/press", message.topic)
        config = match(f"{self._prefix}/device/+/config", message.topic)
        if message.topic == f"{self._prefix}/status":
            if message.payload == b"online":
                self._born.set()
        elif config is not None:
            if config[0].startswith(_PREFIX) and message.payload:
                self._found.add(message.topic)
        elif press is None or not valid_device(press[0]) or message.retained or self._presses.full():
            metrics.ignored.labels("home-assistant").inc()
        else:
            self._presses.put_nowait((press[0], message.payload[:16].decode("ascii", "replace")))

    async def _tell_changes(self, broker: Broker) -> None:
        while True:
            commits = self._memories.commits
            if self._born.is_set():
                self._born.clear()
                self._said = _Said()
            cards = await self._devices.all(CIRCLE) if self._announce else []
            if not self._announce:
                await asyncio.sleep(_SETTLE_S)  # what was retained is on its way
            await self._tell(broker, {card.device.id: card for card in cards if card.pairing != "revoked"})
            if not self._announce:
                self._over.set()
                return
            await asyncio.sleep(_LEAST_S)
            if self._memories.commits == commits and not self._born.is_set():
                await self._something()

    async def _something(self) -> None:
        """Until something is committed, Home Assistant came up, or it is time to look anyway."""
        waits = [
            asyncio.create_task(self._memories.wait_for_changes(), name="home-assistant-changes"),
            asyncio.create_task(self._born.wait(), name="home-assistant-birth"),
        ]
        try:
            await asyncio.wait(waits, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    async def _tell(self, broker: Broker, cards: Mapping[str, DeviceCard]) -> None:
        said = self._said
        announced = {self._config(device): announcement(card) for device, card in cards.items()}
        states = {_topic(device, "state"): state(card) for device, card in cards.items()}
        gone = (self._found | said.kept.keys()) - announced.keys() - states.keys()
        for topic in gone:
            await broker.publish(topic, b"", qos=1, retain=True)
            said.kept.pop(topic, None)
            self._found.discard(topic)
        if await self._keep(broker, announced):
            await asyncio.sleep(_SETTLE_S)
        await self._keep(broker, states)
        for device in list(said.pictures):
            if device not in cards:
                del said.pictures[device]
        for device, card in cards.items():
            if card.last_memory is not None and card.last_memory.capture.kind is Kind.IMAGE:
                await self._show(broker, device, card.last_memory)
                await self._move(broker, device, card.last_memory)

    async def _keep(self, broker: Broker, wanted: Mapping[str, bytes]) -> bool:
        """Publish what is new or changed; whether anything was."""
        new = {topic: payload for topic, payload in wanted.items() if self._said.kept.get(topic) != payload}
        for topic, payload in new.items():
            await broker.publish(topic, payload, qos=1, retain=True)
            self._said.kept[topic] = payload
        return bool(new)

    async def _show(self, broker: Broker, device: str, memory: Memory) -> None:
        capture = memory.capture
        if self._said.pictures.get(device) == capture.uid:
            return
        self._said.pictures[device] = capture.uid
        if capture.media_type != "image/jpeg" or capture.body_bytes > _MAX_PICTURE_BYTES:
            return
        with contextlib.suppress(HearthlogError):  # gone meanwhile, or a disk in trouble: the next one will do
            ref: BlobRef = await self._memories.blob(CIRCLE, capture.uid)
            await broker.publish(_topic(device, "picture"), await asyncio.to_thread(read_blob, ref))

    async def _move(self, broker: Broker, device: str, memory: Memory) -> None:
        """Motion is a picture that shows something else than those before: the step `dedupe` has looked at it."""
        capture = memory.capture
        if device not in self._moved:  # what is there when it begins to look is no news
            self._moved[device] = capture.uid
        if self._moved[device] == capture.uid or all(note.step != "dedupe" for note in memory.annotations):
            return
        self._moved[device] = capture.uid
        fresh = self._now_us() - capture.captured_at.at_us < _FRESH_US
        if fresh and memory.duplicate is None:
            await broker.publish(_topic(device, "motion"), b"ON")

    async def _press(self) -> None:
        while True:
            device, cmd = await self._presses.get()
            if cmd not in _PRESSES:
                metrics.ignored.labels("home-assistant").inc()
                continue
            try:
                card = await self._devices.get(CIRCLE, device)
                await self._cameras.command(Viewer(card.device.owner, CIRCLE.name, Role.MEMBER), device, cmd)
            except HearthlogError as error:
                log.info("not pressed", extra={"device": device, "code": error.code})

    def _config(self, device: str) -> str:
        return f"{self._prefix}/device/{_PREFIX}{device}/config"


def announcement(card: DeviceCard) -> bytes:
    """The discovery payload of one camera. Its ids are made of the camera's, which no rename changes."""
    device = card.device
    about: dict[str, object] = {
        "identifiers": [f"{_PREFIX}{device.id}"],
        "name": device.name,
        "manufacturer": "Hearthlog",
        "suggested_area": device.room,
    }
    if card.board:
        about["model"] = card.board
    if card.firmware:
        about["sw_version"] = card.firmware
    payload = {
        "device": about,
        "origin": {"name": "Hearthlog", "sw_version": __version__},
        "availability": [
            {"topic": STATUS, "value_template": "{{ value_json.state }}"},
            {"topic": _topic(device.id, "state"), "value_template": "{{ value_json.available }}"},
        ],
        "availability_mode": "all",
        "qos": 1,
        "components": {
            part: {"unique_id": f"{_PREFIX}{device.id}_{part}", **about_part}
            for part, about_part in _components(card).items()
        },
    }
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()


def state(card: DeviceCard) -> bytes:
    """What its sensors read. A value that was not told is null, which Home Assistant shows as unknown."""
    seen = datetime.fromtimestamp(card.device.last_seen_us // 1_000_000, UTC).isoformat()
    values = {
        "available": "offline" if card.state == "away" else "online",
        "battery": card.battery_percent,
        "signal": card.rssi_dbm,
        "last_seen": seen if card.device.last_seen_us else None,
        "view": "ok" if card.sight is None else card.sight.what,
    }
    return json.dumps(values, separators=(",", ":")).encode()


def _components(card: DeviceCard) -> dict[str, Json]:
    device = card.device.id
    sensor = {"platform": "sensor", "state_topic": _topic(device, "state"), "entity_category": "diagnostic"}
    found: dict[str, Json] = {
        "picture": {
            "platform": "image",
            "name": "Picture",
            "image_topic": _topic(device, "picture"),
            "content_type": "image/jpeg",
        },
        "motion": {
            "platform": "binary_sensor",
            "name": "Motion",
            "device_class": "motion",
            "state_topic": _topic(device, "motion"),
            "payload_on": "ON",
            "off_delay": MOTION_S,
        },
        "view": {
            **sensor,
            "platform": "binary_sensor",
            "name": "Covered or turned",
            "device_class": "problem",
            "value_template": "{{ 'OFF' if value_json.view == 'ok' else 'ON' }}",
        },
        "last_seen": {
            **sensor,
            "name": "Last seen",
            "device_class": "timestamp",
            "value_template": "{{ value_json.last_seen }}",
        },
    }
    if card.battery_percent is not None:
        battery = {"device_class": "battery", "unit_of_measurement": "%", "value_template": "{{ value_json.battery }}"}
        found["battery"] = {**sensor, "name": "Battery", **battery}
    if card.rssi_dbm is not None:
        signal = {"device_class": "signal_strength", "unit_of_measurement": "dBm"}
        found["signal"] = {**sensor, "name": "Signal", **signal, "value_template": "{{ value_json.signal }}"}
    if card.pairing == "paired":
        press = {"platform": "button", "command_topic": _topic(device, "press")}
        found["snapshot"] = {**press, "name": "Take a picture", "payload_press": "snapshot"}
        found["identify"] = {**press, "name": "Identify", "device_class": "identify", "payload_press": "identify"}
        found["restart"] = {**press, "name": "Restart", "device_class": "restart", "payload_press": "restart"}
    return found


def _topic(device: str, what: str) -> str:
    return f"{ROOT}/{device}/ha/{what}"
