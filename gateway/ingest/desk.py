"""The gateway's third connection: credentials at the broker, what cameras are told, and what they answer.

It carries no record and no picture, so neither lane waits for it. It is there for as long as the gateway runs: a
revocation must not wait for a connection to be made.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import aiomqtt

from gateway import metrics
from gateway.config import Mqtt
from gateway.entities import Json
from gateway.errors import HearthlogError, Rejected, Retryable
from gateway.ingest.broker import Broker, Message, Refused
from gateway.ingest.control import read_status
from gateway.ingest.dynsec import LOG, RESPONSE, TOPIC, DynSec
from gateway.ingest.lane import side_lane
from gateway.ingest.topics import Up, Voice, down, read_topic, up_filter

log = logging.getLogger(__name__)

_MESSAGE_BYTES = 1 << 20
"""The longest answer is the plugin's list of roles."""
_WAITING = 256
_COMMAND = re.compile(r"[0-9a-f]{16}")
_CODE = re.compile(r"[a-z][a-z0-9-]{0,31}")
_CONNECTED = re.compile(r"New connection from (?P<place>[0-9A-Fa-f.:]{2,45}?)(:\d+)? on port \d+\.")
_DENIED = "not authorised"
_NOT_ALLOWED = re.compile(
    r"hearthlog-audit: denied (?P<what>publish|subscribe) (?P<user>\S{1,64}) (?P<place>\S{1,45}) (?P<topic>.{0,64})"
)
"""As systemd/mosquitto-audit.c writes it."""

Control: TypeAlias = Literal["ready", "absent", "open", "off", "down"]
"""`absent`: this broker has no dynamic security. `open`: it has, and lets everyone do everything. `down`: no
connection now."""


@dataclass(frozen=True, slots=True)
class Result:
    """A camera's answer to a command."""

    command: str
    ok: bool
    code: str


@dataclass(frozen=True, slots=True)
class Denial:
    """Somebody whom the broker refused."""

    place: str
    """The address it came from; empty when that is not known."""
    user: str = ""
    """As whom it was connected; empty when it was refused at the door."""
    wanted: str = ""
    """`publish <topic>` or `subscribe <filter>`; empty at the door."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Whom the desk tells. They may raise HearthlogError, which is logged."""

    connected: Callable[[], Awaitable[None]]
    """The connection is there, or there again."""
    hello: Callable[[str], Awaitable[None]]
    """This device is there again."""
    result: Callable[[str, Result], Awaitable[None]]
    denied: Callable[[Denial], Awaitable[None]]


class CameraDesk:
    """`run` belongs into a task of its own and never returns."""

    def __init__(self, settings: Mqtt) -> None:
        self._wanted = settings.control == "auto"
        self._control: Control = "down" if self._wanted else "off"
        self._broker: Broker | None = None
        self._heard: Heard | None = None
        self._inbox: asyncio.Queue[tuple[str, Message]] = asyncio.Queue(_WAITING)
        self._place = ""
        self.dynsec = DynSec(self._ask)
        self._lane = side_lane("control", settings, max_message_bytes=_MESSAGE_BYTES)

    @property
    def control(self) -> Control:
        """Whether credentials can be made and taken away at this broker."""
        return self._control

    async def run(self, heard: Heard) -> None:
        """Keep the connection, for ever."""
        self._heard = heard
        await self._lane.run(self._use, self._take)

    async def tell(self, device: str, what: str, payload: Json | None, *, retain: bool = False) -> None:
        """Publish on `dn/<what>` at QoS 1; None clears what was retained. Raises Retryable without a connection."""
        data = b"" if payload is None else json.dumps(payload, separators=(",", ":")).encode()
        await self._publish(down(device, what), data, retain=retain)

    async def _ask(self, payload: bytes) -> None:
        await self._publish(TOPIC, payload)

    async def _publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        if self._broker is None:
            raise Retryable("the broker cannot be reached", code="pairing-later", retry_ms=5_000)
        try:
            await self._broker.publish(topic, payload, qos=1, retain=retain)
        except (aiomqtt.MqttError, TimeoutError) as error:
            raise Retryable("the broker cannot be reached", code="pairing-later", retry_ms=5_000) from error

    async def _use(self, broker: Broker) -> None:
        self._broker = broker
        try:
            await broker.subscribe(up_filter(Voice.RESULT), qos=1)
            await broker.subscribe(up_filter(Voice.HELLO), qos=1)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._begin(broker), name="control-begin")
                group.create_task(self._listen(), name="control-listen")
                await broker.until_lost()
        finally:
            self._broker = None
            self._control = "down" if self._wanted else "off"

    async def _begin(self, broker: Broker) -> None:
        if self._wanted:
            self._control = await self._look(broker)
            log.info("broker's dynamic security", extra={"control": self._control})
        assert self._heard is not None
        await _kept(self._heard.connected())

    async def _look(self, broker: Broker) -> Control:
        try:
            await broker.subscribe(RESPONSE, qos=1)
            defaults = await self.dynsec.defaults()
        except (Refused, Retryable):
            return "absent"
        try:
            await broker.subscribe(LOG, qos=0)
        except Refused:
            log.info("the broker does not tell whom it refuses")
        everyone = defaults.get("publishClientSend", True) or defaults.get("subscribe", True)
        return "open" if everyone else "ready"

    def _take(self, message: Message) -> None:
        if message.topic == RESPONSE:
            self.dynsec.take(message.payload)
        elif message.retained:
            metrics.ignored.labels("retained").inc()
        elif self._inbox.full():
            metrics.ignored.labels("control-flood").inc()
        else:
            self._inbox.put_nowait((message.topic, message))

    async def _listen(self) -> None:
        assert self._heard is not None
        while True:
            topic, message = await self._inbox.get()
            if topic == LOG:
                await self._logged(message.payload)
                continue
            up = read_topic(topic, ())
            if not isinstance(up, Up):
                metrics.ignored.labels("bad-topic").inc()
            elif up.voice is Voice.HELLO:
                await _kept(self._heard.hello(up.device))
            elif up.voice is Voice.RESULT:
                try:
                    result = read_result(message.payload)
                except Rejected as error:
                    metrics.ignored.labels(error.code).inc()
                else:
                    await _kept(self._heard.result(up.device, result))

    async def _logged(self, payload: bytes) -> None:
        """The broker tells of an address when it connects, and in the next line that it was refused."""
        assert self._heard is not None
        line = payload[:300].decode("utf-8", "replace")
        refused = _NOT_ALLOWED.search(line)
        if refused:
            wanted = f"{refused['what']} {refused['topic']}"
            await _kept(self._heard.denied(Denial(refused["place"], refused["user"], wanted)))
            return
        came = _CONNECTED.search(line)
        if _DENIED in line:
            await _kept(self._heard.denied(Denial(self._place)))
        self._place = came["place"] if came else ""


def read_result(payload: bytes) -> Result:
    """`up/result`. Raises `Rejected("bad-result")`, or as `read_status` does."""
    value = read_status(payload)
    command, ok, code = value.get("id"), value.get("ok"), value.get("code", "")
    if not isinstance(command, str) or not _COMMAND.fullmatch(command) or not isinstance(ok, bool):
        raise Rejected("a result without id and ok", code="bad-result")
    if not isinstance(code, str) or not (code == "" or _CODE.fullmatch(code)):
        raise Rejected("a result's code is a short kebab-case word", code="bad-result")
    return Result(command, ok, "" if ok else code or "failed")


async def _kept(work: Awaitable[None]) -> None:
    """One thing that fails is logged; the connection and what comes after do not notice."""
    try:
        await work
    except HearthlogError as error:
        log.warning("camera desk", extra={"code": error.code})
