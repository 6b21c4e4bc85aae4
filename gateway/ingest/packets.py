"""What a connection receives, read in large pieces, as paho does not: the record lane would wait for most of its time.

paho asks the socket for a packet's first bytes one by one, each a system call for which the interpreter's lock is given
away and waited for, looks at the socket anew for every packet, and copies a body six times. Here one read takes what
is there, and a QoS 0 PUBLISH (MQTT 5, 3.3) becomes a message by one copy. All other packets are given to paho whole,
as it would have read them itself (paho-mqtt 2, `_in_packet` and `_packet_handle`); tests/unit/test_packets.py and
tests/e2e pin that this works.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from paho.mqtt.client import Client, MQTTErrorCode
from paho.mqtt.exception import MalformedPacket
from paho.mqtt.packettypes import PacketTypes

_READ_BYTES = 256 << 10
_PUBLISH = PacketTypes.PUBLISH << 4
_RETAINED = 0x01
_QOS = 0x06


class Broken(Exception):
    """Bytes that are no MQTT."""


@dataclass(frozen=True, slots=True)
class Published:
    """A PUBLISH at QoS 0."""

    topic: str
    payload: bytes
    retained: bool


class Packets:
    """Takes the place of a paho client's reading. `heard` is called for each PUBLISH at QoS 0, and must not raise."""

    def __init__(self, client: Client, heard: Callable[[Published], None], *, modern: bool) -> None:
        self._client = client
        self._heard = heard
        self._modern = modern
        self._held = bytearray()
        client._packet_read = self.read  # the seam that this module sits in

    def read(self) -> MQTTErrorCode:
        """Take what the socket has now, and handle every packet that is whole. Called by paho's `loop_read`."""
        try:
            came = self._client._sock_recv(_READ_BYTES)
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_AGAIN
        except OSError:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        if not came:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        with self._client._msgtime_mutex:
            self._client._last_bytes_received = time.monotonic()
        self._held += came
        try:
            return self._handle_whole()
        except (Broken, MalformedPacket):
            return MQTTErrorCode.MQTT_ERR_PROTOCOL

    def _handle_whole(self) -> MQTTErrorCode:
        at, result = 0, MQTTErrorCode.MQTT_ERR_SUCCESS
        with memoryview(self._held) as held:
            while result == MQTTErrorCode.MQTT_ERR_SUCCESS:
                body = whole_packet(held, at)
                if body is None:
                    break
                first, at = held[at], body.stop
                if first & 0xF0 == _PUBLISH and not first & _QOS:
                    self._heard(read_publish(held[body], modern=self._modern, retained=bool(first & _RETAINED)))
                else:
                    result = self._hand_on(first, bytearray(held[body]))
        del self._held[:at]
        return result

    def _hand_on(self, first: int, body: bytearray) -> MQTTErrorCode:
        packet = self._client._in_packet
        packet["command"], packet["remaining_length"], packet["packet"], packet["pos"] = first, len(body), body, 0
        return self._client._packet_handle()


def whole_packet(data: memoryview, at: int) -> slice | None:
    """Where the body of the packet that begins at `at` lies; None while it is not there whole. Raises Broken."""
    length, shift = 0, 0
    for n in range(at + 1, min(at + 5, len(data))):
        length |= (data[n] & 0x7F) << shift
        if data[n] < 0x80:
            end = n + 1 + length
            return slice(n + 1, end) if end <= len(data) else None
        shift += 7
    if shift == 28:
        raise Broken("a packet whose length has no end")
    return None


def read_publish(body: memoryview, *, modern: bool, retained: bool) -> Published:
    """The body of a PUBLISH at QoS 0. Raises Broken."""
    payload_at = 2 + int.from_bytes(body[:2], "big")
    topic = bytes(body[2:payload_at]).decode("utf-8", "replace")
    if modern:
        properties = whole_packet(body, payload_at - 1)  # they begin with their length, as a packet does behind a byte
        if properties is None:
            raise Broken("a message that ends in its properties")
        payload_at = properties.stop
    if payload_at > len(body):
        raise Broken("a message that ends in its topic")
    return Published(topic, bytes(body[payload_at:]), retained)
