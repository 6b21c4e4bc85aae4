"""Topics and the JSON that cameras send: all of it from outside."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import Mqtt, MqttSource
from gateway.errors import ConfigError, Rejected
from gateway.ingest.broker import parse_address
from gateway.ingest.control import read_hello, read_status, read_time_question, time_answer
from gateway.ingest.lane import LONGEST_WAIT_S, Back
from gateway.ingest.mqtt import accepts_unknown
from gateway.ingest.topics import Foreign, Up, Voice, match, read_topic, valid_device

SOURCES = (
    MqttSource(topic="frigate/+/person/snapshot"),
    MqttSource(topic="bell/ring/#", device="door-bell"),
    MqttSource(topic="mic/+/wav", decoder="audio"),
)


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("hearthlog/v1/porch/up/rec", Up("porch", Voice.RECORD)),
        ("hearthlog/v1/cam-2/up/jpeg", Up("cam-2", Voice.JPEG)),
        ("hearthlog/v1/gateway/up/rec", None),
        ("hearthlog/v1/Porch/up/rec", None),
        ("hearthlog/v1/ab/up/rec", None),
        ("hearthlog/v1/porch/dn/ack", None),
        ("hearthlog/v1/porch/up/mpeg", None),
        ("hearthlog/v1/porch/up/rec/more", None),
        ("hearthlog/v1//up/rec", None),
        ("frigate/Front_Door/person/snapshot", Foreign("front-door", "image")),
        ("frigate/__/person/snapshot", None),
        ("frigate/gateway/person/snapshot", None),
        ("frigate/x/car/snapshot", None),
        ("bell/ring/a/b", Foreign("door-bell", "image")),
        ("mic/hall/wav", Foreign("hall", "audio")),
        ("else", None),
    ],
)
def test_topic_names_its_device_or_nothing(topic: str, expected: Up | Foreign | None) -> None:
    assert read_topic(topic, SOURCES) == expected


@given(st.text(max_size=80))
def test_any_topic_is_answered(topic: str) -> None:
    for start in ("", "hearthlog/v1/", "frigate/"):
        found = read_topic(start + topic, SOURCES)
        assert found is None or valid_device(found.device)


def test_filters_match_as_brokers_match() -> None:
    assert match("a/+/c", "a/b/c") == ("b",)
    assert match("a/+", "a/b/c") is None
    assert match("a/#", "a/b/c") == ()
    assert match("a/#", "a") == ()
    assert match("+/+", "/x") == ("", "x")


def test_hello_is_read() -> None:
    spool = [{"boot": "00" * 8, "first": 3, "last": 9}]
    hello = read_hello(
        json.dumps({"firmware": "1.0", "board": "s3", "boot": "0f" * 8, "mono_us": 5, "spool": spool}).encode()
    )
    assert hello.boot_id == bytes([15] * 8)
    assert (hello.spool[0].first, hello.spool[0].last) == (3, 9)
    assert hello.about == {"firmware": "1.0", "board": "s3"}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{",
        b"[" * 5_000,
        b'{"boot": "00"}',
        b'{"boot": "0f0f0f0f0f0f0f0f", "mono_us": true}',
        b'{"boot": "0f0f0f0f0f0f0f0f", "mono_us": 1, "spool": [{"boot": "0f0f0f0f0f0f0f0f", "first": 9, "last": 1}]}',
        b'{"boot": "0f0f0f0f0f0f0f0f", "mono_us": 1, "spool": {}}',
        b'{"boot": "0f0f0f0f0f0f0f0f", "mono_us": 1e9}',
        b'{"boot": "0f0f0f0f0f0f0f0f", "mono_us": NaN}',
        b'{"x": "' + b"a" * 9_000 + b'"}',
        b"\xff\xfe",
    ],
)
def test_bad_hello_is_refused(payload: bytes) -> None:
    with pytest.raises(Rejected) as refused:
        read_hello(payload)
    assert refused.value.code == "bad-hello"


@given(st.binary(max_size=200))
def test_any_words_are_answered(payload: bytes) -> None:
    for read in (read_hello, read_status, read_time_question):
        try:
            read(payload)
        except Rejected as error:
            assert error.code.startswith("bad-")


def test_status_is_flat_and_small() -> None:
    assert read_status(b'{"state": "online", "rssi": -60, "ok": true, "note": null}')["rssi"] == -60
    many: dict[str, object] = {str(n): n for n in range(40)}
    wrong: list[dict[str, object]] = [{"a": {}}, {"a": [1]}, {"a": "x" * 200}, {"a" * 40: 1}, many, {"a": 1 << 70}]
    for bad in wrong:
        with pytest.raises(Rejected):
            read_status(json.dumps(bad).encode())
    for hostile in (b'{"firmware": "\\ud800"}', b'{"rssi": 1e999}'):
        with pytest.raises(Rejected):
            read_status(hostile)


def test_question_for_the_time() -> None:
    assert read_time_question(b'{"time": {"t0_us": 55}}') == 55
    assert read_time_question(b'{"motion": true}') is None
    with pytest.raises(Rejected):
        read_time_question(b'{"time": {}}')
    assert json.loads(time_answer(55, None)) == {"t0_us": 55, "utc_us": None, "synced": False}


def test_waits_double_with_jitter_and_end_at_half_a_minute() -> None:
    least, most = Back(lambda: 0.0), Back(lambda: 1.0)
    waits = [(least.wait_s(), most.wait_s()) for _ in range(12)]
    assert waits[0] == (0.25, 0.5)
    assert waits[1] == (0.5, 1.0)
    assert waits[-1] == (LONGEST_WAIT_S / 2, LONGEST_WAIT_S)
    most.reset()
    assert most.wait_s() == 0.5


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("mqtt://127.0.0.1", True),
        ("mqtt://localhost:1884", True),
        ("mqtt://[::1]:1883", True),
        ("mqtt://192.168.1.5", False),
        ("mqtts://user:p%40ss@broker.lan", False),
    ],
)
def test_unknown_cameras_are_taken_from_a_broker_that_only_this_box_reaches(url: str, loopback: bool) -> None:
    settings = Mqtt(url=url)
    address = parse_address(settings)
    assert accepts_unknown(settings, address) is loopback
    assert accepts_unknown(Mqtt(url=url, unknown_devices="refuse"), address) is False
    assert accepts_unknown(Mqtt(url=url, unknown_devices="accept"), address) is True


def test_address_is_read_from_the_url() -> None:
    address = parse_address(Mqtt(url="mqtts://user:p%40ss@broker.lan"))
    assert (address.host, address.port, address.username, address.password) == ("broker.lan", 8883, "user", "p@ss")
    for bad in ("http://x", "mqtt://", "mqtt://h:99999"):
        with pytest.raises(ConfigError):
            parse_address(Mqtt(url=bad))
