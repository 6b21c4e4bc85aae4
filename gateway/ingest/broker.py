"""One connection to the broker: opened, its messages handed on as they come, acknowledged by hand.

aiomqtt has no manual acknowledgement and drops messages when its queue is full, so this module, with `packets` that
reads for it, reaches for the paho client inside (aiomqtt 2.5, `_client`); tests/e2e pins that this works.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiomqtt
import aiomqtt.exceptions
from paho.mqtt.client import MQTTErrorCode, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.config import Mqtt
from gateway.errors import ConfigError
from gateway.ingest.packets import Packets, Published

ANSWER_S = 10
FAREWELL_S = 2
KEEPALIVE_S = 30


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker is and who we are there."""

    host: str
    port: int
    username: str | None
    password: str | None
    tls: bool
    ca_file: str

    @property
    def loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class Session:
    """How to connect."""

    identifier: str
    """Empty: the broker names us."""
    persistent: bool
    """Keep the session and its queue while we are away, and acknowledge by hand."""
    receive_maximum: int
    expiry_s: int
    max_message_bytes: int
    will: aiomqtt.Will | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One that came in."""

    topic: str
    payload: bytes
    retained: bool
    redelivered: bool
    qos: int
    mid: int
    arrived_s: float
    """time.monotonic"""


class Refused(aiomqtt.MqttError):
    """The broker is there and will not have us, or not like this."""


def parse_address(settings: Mqtt) -> Address:
    """Raises ConfigError for a URL that names no broker, or a password file that cannot be read."""
    try:
        url = urlsplit(settings.url)
        port = url.port
    except ValueError as error:
        raise ConfigError(f"mqtt.url cannot be read: {error}") from error
    if url.scheme not in ("mqtt", "mqtts") or not url.hostname:
        raise ConfigError("mqtt.url must look like mqtt://user:password@host:1883 or mqtts://host:8883")
    password = unquote(url.password) if url.password is not None else None
    if settings.password_file:
        try:
            password = Path(settings.password_file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"mqtt.password_file cannot be read: {error}") from error
    tls = url.scheme == "mqtts"
    return Address(
        host=url.hostname,
        port=port or (8883 if tls else 1883),
        username=unquote(url.username) if url.username else None,
        password=password,
        tls=tls,
        ca_file=settings.ca_file,
    )


class Broker:
    """An open connection."""

    def __init__(self, client: aiomqtt.Client, *, modern: bool) -> None:
        self._client = client
        self._modern = modern

    async def subscribe(self, topic_filter: str, *, qos: int, retained: bool = False) -> None:
        """`retained`: have what was kept for us sent now. Raises MqttError, also when the broker refuses the filter."""
        async with asyncio.timeout(ANSWER_S):
            if self._modern:
                options = SubscribeOptions(qos=qos, retainHandling=0 if retained else 2)
                granted = await self._client.subscribe(topic_filter, options=options)
            else:
                granted = await self._client.subscribe(topic_filter, qos=qos)
        for code in granted:
            if (code if isinstance(code, int) else code.value) >= 0x80:
                raise Refused(f"the broker refuses {topic_filter}")

    async def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> None:
        """Raises MqttError when there is no connection any more, TimeoutError when the broker does not answer."""
        async with asyncio.timeout(ANSWER_S):
            await self._client.publish(topic, payload, qos=qos, retain=retain)

    async def publish_all(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """(topic, payload), at QoS 0, in this order: they wait for the socket once, not each in turn. Raises alike."""
        for topic, payload in messages[:-1]:
            said = self._client._client.publish(topic, payload)
            if said.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                raise aiomqtt.MqttCodeError(said.rc, "Could not publish message")
        for topic, payload in messages[-1:]:
            await self.publish(topic, payload)

    def acknowledge(self, message: Message) -> None:
        """Tell the broker that a message is ours; in the order in which they came (MQTT 5, 4.6)."""
        self._client._client.ack(message.mid, message.qos)

    def drop(self, why: aiomqtt.MqttError) -> None:
        """Give the connection up: `until_lost` raises `why`."""
        if not self._client._disconnected.done():
            self._client._disconnected.set_exception(why)

    async def until_lost(self) -> None:
        """Wait until the connection is lost; raises the MqttError that says why."""
        try:
            async for _ in self._client.messages:  # messages do not pass here, only the end does
                continue
        except aiomqtt.MqttError as error:
            raise error.__cause__ if isinstance(error.__cause__, aiomqtt.MqttError) else error from None


@contextlib.asynccontextmanager
async def connect(
    address: Address, session: Session, *, modern: bool, take: Callable[[Message], None], answer_s: float = ANSWER_S
) -> AsyncIterator[Broker]:
    """An open connection; `take` is called for each message, in the loop's thread, and must not raise.

    `modern` is MQTT 5, else 3.1.1. Raises aiomqtt.MqttError; `Refused` when the broker answered and said no;
    TimeoutError when it did not answer within `answer_s`.
    """
    properties = None
    if modern:
        properties = Properties(PacketTypes.CONNECT)
        properties.ReceiveMaximum = session.receive_maximum
        properties.MaximumPacketSize = session.max_message_bytes
        if session.persistent:
            properties.SessionExpiryInterval = session.expiry_s
    client = aiomqtt.Client(
        address.host,
        address.port,
        username=address.username,
        password=address.password,
        identifier=session.identifier or None,
        protocol=aiomqtt.ProtocolVersion.V5 if modern else aiomqtt.ProtocolVersion.V311,
        will=session.will,
        timeout=math.inf,  # its own timeouts swallow a cancellation that comes with an answer (asyncio.wait_for, 3.11)
        keepalive=KEEPALIVE_S,
        properties=properties,
        tls_context=await asyncio.to_thread(_tls, address) if address.tls else None,
        socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
        **({"clean_start": not session.persistent} if modern else {"clean_session": not session.persistent}),  # type: ignore[arg-type]  # two names of one switch
    )
    inner = client._client
    if session.persistent:
        inner.manual_ack_set(True)

    def heard(came: Published) -> None:
        take(
            Message(
                topic=came.topic,
                payload=came.payload,
                retained=came.retained,
                redelivered=False,
                qos=0,
                mid=0,
                arrived_s=time.monotonic(),
            )
        )

    def on_message(_: object, __: object, message: MQTTMessage) -> None:
        payload = message.payload
        take(
            Message(
                topic=message.topic,
                payload=payload,
                retained=message.retain,
                redelivered=message.dup,
                qos=message.qos,
                mid=message.mid,
                arrived_s=time.monotonic(),
            )
        )

    inner.on_message = on_message
    Packets(inner, heard, modern=modern)
    try:
        async with asyncio.timeout(answer_s):
            await client.__aenter__()
    except aiomqtt.exceptions.MqttConnectError as error:
        raise Refused(str(error)) from error
    finally:
        done = client._connected.done() and not client._connected.cancelled()
        if not done or client._connected.exception() is not None:
            inner._sock_close()  # else a half-open socket stays behind at every try
    try:
        yield Broker(client, modern=modern)
    finally:
        with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await client.__aexit__(None, None, None)
        inner._sock_close()
        ended = client._disconnected
        if ended.done() and not ended.cancelled():
            ended.exception()  # looked at, so that asyncio does not report it as forgotten


def _tls(address: Address) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=address.ca_file or None)
