"""Packets as they come from the socket: cut anywhere, mixed, broken."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import Client, MQTTErrorCode, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from gateway.ingest.packets import Broken, Packets, Published, read_publish, whole_packet

FIVE, THREE = (MQTTv5, b"\x00"), (MQTTv311, b"")


def packet(first: int, body: bytes) -> bytes:
    length, left = b"", len(body)
    while True:
        left, low = divmod(left, 128)
        length += bytes([low | (0x80 if left else 0)])
        if not left:
            return bytes([first]) + length + body


def publish(topic: str, payload: bytes, *, properties: bytes = b"\x00", first: int = 0x30, mid: bytes = b"") -> bytes:
    name = topic.encode()
    return packet(first, len(name).to_bytes(2, "big") + name + mid + properties + payload)


@dataclass
class Wire:
    """A paho client at one end of a socket, and a broker's hand at the other."""

    far: socket.socket
    client: Client
    heard: list[Published] = field(default_factory=list)
    others: list[MQTTMessage] = field(default_factory=list)

    def say(self, data: bytes) -> MQTTErrorCode:
        self.far.sendall(data)
        return self.client.loop_read()


@pytest.fixture(params=[FIVE, THREE], ids=["5", "3.1.1"])
def wire(request: pytest.FixtureRequest) -> Iterator[tuple[Wire, bytes]]:
    protocol, properties = request.param
    near, far = socket.socketpair()
    near.setblocking(False)
    with far:
        client = Client(CallbackAPIVersion.VERSION2, protocol=protocol)
        client._sock = near
        one = Wire(far, client)
        client.on_message = lambda _, __, message: one.others.append(message)
        Packets(client, one.heard.append, modern=protocol == MQTTv5)
        yield one, properties
        near.close()


def test_packets_of_one_read_are_all_heard_and_the_half_of_one_is_kept(wire: tuple[Wire, bytes]) -> None:
    one, properties = wire
    last = publish("hearthlog/v1/porch/up/rec", b"c" * 300, properties=properties, first=0x31)
    whole = publish("a", b"1", properties=properties) + publish("b", b"", properties=properties)
    assert one.say(whole + last[:200]) == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert one.heard == [Published("a", b"1", False), Published("b", b"", False)]
    assert one.say(last[200:]) == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert one.heard[2:] == [Published("hearthlog/v1/porch/up/rec", b"c" * 300, True)]


def test_what_is_not_at_qos_0_goes_through_paho_in_its_turn(wire: tuple[Wire, bytes]) -> None:
    one, properties = wire
    one.client.manual_ack_set(True)
    first = publish("a", b"1", properties=properties)
    second = publish("b", b"2", properties=properties, first=0x3B, mid=b"\x00\x07")
    one.say(first + second + first)
    assert [each.topic for each in one.heard] == ["a", "a"]
    assert [(each.topic, each.payload, each.mid, each.dup) for each in one.others] == [("b", b"2", 7, True)]


def test_end_of_the_connection_is_noticed(wire: tuple[Wire, bytes]) -> None:
    one, _ = wire
    assert one.client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS  # nothing there yet
    one.far.shutdown(socket.SHUT_RDWR)
    assert one.client.loop_read() == MQTTErrorCode.MQTT_ERR_CONN_LOST


@pytest.mark.parametrize("data", [b"\x30\xff\xff\xff\xff\x01", b"\x30\x03\x00\x05a", b"\x30\x01\x00", b"\xf1\x00"])
def test_bytes_that_are_no_mqtt_end_the_connection(wire: tuple[Wire, bytes], data: bytes) -> None:
    one, _ = wire
    assert one.say(data) != MQTTErrorCode.MQTT_ERR_SUCCESS
    assert one.client._sock is None
    assert one.heard == []


@given(st.lists(st.tuples(st.text(max_size=40), st.binary(max_size=400)), max_size=8), st.data())
def test_messages_are_the_same_wherever_they_are_cut(said: list[tuple[str, bytes]], data: st.DataObject) -> None:
    stream = b"".join(publish(topic, payload, properties=b"\x02\x01\x00") for topic, payload in said)
    at, found, held = 0, [], b""
    while at < len(stream) or held:
        step = data.draw(st.integers(1, 200))
        held, at = held + stream[at : at + step], at + step
        while (body := whole_packet(memoryview(held), 0)) is not None:
            found.append(read_publish(memoryview(held)[body], modern=True, retained=False))
            held = held[body.stop :]
    assert found == [Published(topic, payload, False) for topic, payload in said]


@given(st.binary(max_size=40), st.booleans())
def test_no_body_does_more_than_break(body: bytes, modern: bool) -> None:
    try:
        found = read_publish(memoryview(body), modern=modern, retained=False)
    except Broken:
        return
    assert len(found.payload) < len(body)
