"""The road from a camera to a stored row, over a real Mosquitto."""

from __future__ import annotations

import asyncio
import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import cbor2
import pytest
from PIL import Image

from gateway import metrics
from gateway.config import Mqtt, MqttSource
from gateway.decoders.record import RecordKind
from gateway.ingest.mqtt import MqttIngest
from gateway.store.db import Connection
from tests.bench.ports import free_port
from tests.e2e.conftest import Mosquitto
from tests.e2e.road import BOOT, WAIT_S, camera, eventually, house

pytestmark = [pytest.mark.slow, pytest.mark.system("mosquitto")]


def jpeg(color: int = 90, size: tuple[int, int] = (32, 24)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (color, 40, 200 - color)).save(out, "JPEG")
    return out.getvalue()


def captures(connection: Connection) -> list[tuple[str, int | None]]:
    return [tuple(row) for row in connection.execute("SELECT device, seq FROM capture ORDER BY id").fetchall()]


def refusals(connection: Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT code FROM refusal ORDER BY id").fetchall()]


async def test_record_is_acknowledged_once_its_rows_are_there(broker: Mosquitto, tmp_path: Path) -> None:
    async with house(tmp_path / "home", Mqtt(url=broker.url)) as home, camera(broker.port) as porch:
        await porch.gateway("online")
        await porch.say("rec", porch.record(41, jpeg()), qos=0)
        answer = await porch.heard("ack")
        assert answer["ranges"] == [[41, 41]]
        assert answer["boot"] == BOOT.hex()
        assert answer["nack"] == []
        assert answer["credit"] == 8
        assert await home.db.read(captures) == [("porch", 41)]
        assert await home.count("ledger") == 1


async def test_many_records_come_back_as_ranges_none_missing(broker: Mosquitto, tmp_path: Path) -> None:
    async with house(tmp_path / "home", Mqtt(url=broker.url, credit=64)) as home, camera(broker.port) as porch:
        await porch.gateway("online")
        for sequence in range(100, 200):
            await porch.say("rec", porch.record(sequence, jpeg(sequence)), qos=0)
        got: set[int] = set()
        while len(got) < 100:
            for first, last in (await porch.heard("ack"))["ranges"]:
                got |= set(range(first, last + 1))
        assert got == set(range(100, 200))
        assert await home.count("capture") == 100


async def test_broken_record_is_nacked_for_ever_with_its_code(broker: Mosquitto, tmp_path: Path) -> None:
    async with house(tmp_path / "home", Mqtt(url=broker.url)) as home, camera(broker.port) as porch:
        await porch.gateway("online")
        await porch.say("rec", porch.record(43, b"\xff\xd8 not a picture"), qos=0)
        answer = await porch.heard("ack")
        assert answer["ranges"] == []
        assert answer["nack"] == [{"seq": 43, "code": "bad-jpeg", "retry_ms": None}]
        whole = porch.record(44, jpeg())
        await porch.say("rec", whole[:-1] + bytes([whole[-1] ^ 1]), qos=0)
        assert (await porch.heard("ack"))["nack"][0]["code"] == "bad-crc"
        assert await home.db.read(refusals) == ["bad-jpeg", "bad-crc"]
        await porch.say("rec", whole, qos=0)  # it was damaged on its way only
        assert (await porch.heard("ack"))["ranges"] == [[44, 44]]


async def test_repeat_is_acknowledged_again_and_another_body_refused(broker: Mosquitto, tmp_path: Path) -> None:
    async with house(tmp_path / "home", Mqtt(url=broker.url)) as home, camera(broker.port) as porch:
        await porch.gateway("online")
        for body, ranges, codes in (
            (jpeg(1), [[7, 7]], []),
            (jpeg(1), [[7, 7]], []),
            (jpeg(2), [], ["conflict"]),
            (jpeg(1), [[7, 7]], []),
        ):
            await porch.say("rec", porch.record(7, body), qos=0)
            answer = await porch.heard("ack")
            assert answer["ranges"] == ranges
            assert [nack["code"] for nack in answer["nack"]] == codes
        assert await home.count("capture") == 1
        assert await home.db.read(refusals) == ["conflict"]


async def test_hello_is_answered_for_each_boot_it_lists(broker: Mosquitto, tmp_path: Path) -> None:
    async with house(tmp_path / "home", Mqtt(url=broker.url)), camera(broker.port) as porch:
        await porch.gateway("online")
        for sequence in (1, 2, 3, 5, 9):
            await porch.say("rec", porch.record(sequence, jpeg(sequence)), qos=0)
            await porch.heard("ack")
        other = bytes(8)
        spool = [{"boot": BOOT.hex(), "first": 2, "last": 8}, {"boot": other.hex(), "first": 1, "last": 9}]
        await porch.say("hello", {"firmware": "1", "board": "x", "boot": BOOT.hex(), "mono_us": 99, "spool": spool})
        first, second = await porch.heard("ack"), await porch.heard("ack")
        assert (first["boot"], first["ranges"]) == (BOOT.hex(), [[2, 3], [5, 5]])
        assert (second["boot"], second["ranges"]) == (other.hex(), [])


async def test_time_is_given_only_by_a_gateway_that_knows_it(broker: Mosquitto, tmp_path: Path) -> None:
    for synced in (True, False):
        async with (
            house(tmp_path / str(synced), Mqtt(url=broker.url), synced=synced),
            camera(broker.port) as porch,
        ):
            await porch.gateway("online")
            await porch.say("event", {"time": {"t0_us": 55}})
            answer = await porch.heard("time")
            assert answer["t0_us"] == 55
            assert answer["synced"] is synced
            assert (answer["utc_us"] is not None) is synced


async def test_anchor_dates_the_records_of_its_boot_again(broker: Mosquitto, tmp_path: Path) -> None:
    utc_us = 1_700_000_000_000_000
    async with house(tmp_path / "home", Mqtt(url=broker.url), synced=False) as home, camera(broker.port) as porch:
        await porch.gateway("online")
        for sequence in (1, 2, 3):
            await porch.say("rec", porch.record(sequence, jpeg(sequence)), qos=0)
            await porch.heard("ack")
        body = cbor2.dumps({"boot": BOOT, "mono_us": 2_000_000, "utc_us": utc_us, "err_us": 500})
        await porch.say("rec", porch.record(4, body, kind=RecordKind.ANCHOR), qos=0)
        assert (await porch.heard("ack"))["ranges"] == [[4, 4]]

        def dated(connection: Connection) -> list[tuple[int, str]]:
            rows = connection.execute("SELECT captured_at_us, time_source FROM capture ORDER BY seq").fetchall()
            found = [(row[0], row[1]) for row in rows]
            return found if all(source == "device-synced" for _, source in found) else []

        found = await home.until(dated)
        assert [at_us for at_us, _ in found] == [utc_us - 1_000_000, utc_us, utc_us + 1_000_000]
        puts = await home.db.read(
            lambda c: c.execute("SELECT count(*) FROM change WHERE entity = 'memory'").fetchone()[0]
        )
        assert puts == 6


async def test_gap_and_telemetry_are_kept_and_acknowledged(broker: Mosquitto, tmp_path: Path) -> None:
    async with house(tmp_path / "home", Mqtt(url=broker.url)) as home, camera(broker.port) as porch:
        await porch.gateway("online")
        gap = cbor2.dumps({"ranges": [[10, 19], [30, 30]], "why": "card-full"})
        await porch.say("rec", porch.record(31, gap, kind=RecordKind.GAP), qos=0)
        assert (await porch.heard("ack"))["ranges"] == [[31, 31]]
        told = cbor2.dumps({"battery_mv": 3_900})
        await porch.say("rec", porch.record(32, told, kind=RecordKind.TELEMETRY), qos=0)
        assert (await porch.heard("ack"))["ranges"] == [[32, 32]]
        rows = await home.db.read(lambda c: c.execute("SELECT first, last, reason FROM gap ORDER BY first").fetchall())
        assert [tuple(row) for row in rows] == [(10, 19, "card-full"), (30, 30, "card-full")]
        status = await home.db.read(lambda c: c.execute("SELECT status FROM device").fetchone()[0])
        assert json.loads(status)["telemetry"] == {"battery_mv": 3_900}


async def test_plain_picture_by_mosquitto_pub_becomes_a_memory(broker: Mosquitto, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(jpeg())
    async with house(tmp_path / "home", Mqtt(url=broker.url)) as home, camera(broker.port) as porch:
        await porch.gateway("online")
        await plain_lane_is_up(home.ingest)
        await publish(broker, "hearthlog/v1/porch/up/jpeg", photo)
        assert await home.until(captures) == [("porch", None)]


async def test_real_pictures_and_recordings_pass_the_plain_lane(broker: Mosquitto, tmp_path: Path, media: Path) -> None:
    pictures = [media / "images" / "dog.jpg", media / "ocr" / "en.jpg"]
    sound = media / "audio" / "speech.wav"
    settings = Mqtt(url=broker.url, source=(MqttSource(topic="esphome/+/sound", decoder="audio", device="hall-mic"),))
    async with house(tmp_path / "home", settings) as home:
        await plain_lane_is_up(home.ingest)
        for path in pictures:
            await publish(broker, "hearthlog/v1/porch/up/jpeg", path)
        await publish(broker, "hearthlog/v1/porch/up/wav", sound)
        await publish(broker, "esphome/x/sound", sound)
        rows = await home.until(
            lambda c: (
                found
                if len(found := c.execute("SELECT device, media_type, body_bytes FROM capture").fetchall()) == 4
                else []
            )
        )
        assert sorted(tuple(row) for row in rows) == sorted(
            [("porch", "image/jpeg", _size(path)) for path in pictures]
            + [("porch", "audio/wav", _size(sound)), ("hall-mic", "audio/wav", _size(sound))]
        )


async def test_wrong_topics_and_retained_frames_change_nothing(broker: Mosquitto, tmp_path: Path) -> None:
    async with camera(broker.port) as porch:
        await porch.say("jpeg", jpeg(1), retain=True)
        await porch.say("rec", porch.record(1, jpeg(1)), retain=True)
        settings = Mqtt(url=broker.url, source=(MqttSource(topic="frigate/+/person/snapshot"),))
        async with house(tmp_path / "home", settings) as home:
            await porch.gateway("online")
            await plain_lane_is_up(home.ingest)
            for topic in (
                "hearthlog/v1/gateway/up/jpeg",
                "hearthlog/v1/UPPER/up/jpeg",
                "hearthlog/v1/a/up/jpeg",
                "hearthlog/v1/gateway/up/rec",
                "frigate/__/person/snapshot",
            ):
                await porch.client.publish(topic, jpeg(2), qos=1)
            await porch.say("wav", jpeg(4))
            await porch.client.publish("frigate/Front_Door/person/snapshot", jpeg(3), qos=1)
            assert await home.until(captures) == [("front-door", None)]
            assert await home.db.read(refusals) == ["bad-wav"]


async def test_plain_frames_wait_in_the_broker_while_the_gateway_is_away(broker: Mosquitto, tmp_path: Path) -> None:
    settings = Mqtt(url=broker.url)
    async with camera(broker.port) as porch:
        async with house(tmp_path / "home", settings) as home:
            await plain_lane_is_up(home.ingest)
        for n in range(5):
            await porch.say("jpeg", jpeg(n * 20))
        broker.end(signal.SIGTERM)
    broker.start()
    async with house(tmp_path / "home", settings) as home:
        await home.until(lambda c: len(captures(c)) == 5)


async def test_gateway_starts_without_a_broker_and_survives_its_death(idle_broker: Mosquitto, tmp_path: Path) -> None:
    async with house(tmp_path / "home", Mqtt(url=idle_broker.url)) as home:
        await eventually(lambda: all(link.last_error for link in home.ingest.links))
        assert all(link.connected_since_us is None for link in home.ingest.links)
        idle_broker.start()
        for sequence in (1, 2):
            async with camera(idle_broker.port) as porch:
                await porch.gateway("online")
                await porch.say("rec", porch.record(sequence, jpeg(sequence)), qos=0)
                assert (await porch.heard("ack"))["ranges"] == [[sequence, sequence]]
                idle_broker.end(signal.SIGKILL)
            idle_broker.start()


async def test_a_refused_connection_is_not_connected(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "broker")
    config = tmp_path / "broker" / "mosquitto.conf"
    config.write_text(config.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    broker.start()
    try:
        async with house(tmp_path / "home", Mqtt(url=broker.url)) as home:
            await eventually(lambda: all("authori" in link.last_error.lower() for link in home.ingest.links))
            assert all(link.connected_since_us is None for link in home.ingest.links)
    finally:
        broker.end()


async def test_both_lanes_work_on_mqtt_3(broker: Mosquitto, tmp_path: Path) -> None:
    settings = Mqtt(url=broker.url, protocol="3.1.1")
    async with camera(broker.port) as porch:
        async with house(tmp_path / "home", settings) as home:
            await porch.gateway("online")
            await plain_lane_is_up(home.ingest)
            await porch.say("rec", porch.record(1, jpeg(1)), qos=0)
            assert (await porch.heard("ack"))["ranges"] == [[1, 1]]
        await porch.say("jpeg", jpeg(200))
        async with house(tmp_path / "home", settings) as home:
            assert len(await home.until(lambda c: found if len(found := captures(c)) == 2 else [])) == 2
            assert home.ingest.links[0].protocol == "3.1.1"


async def test_what_an_older_protocol_keeps_at_the_broker_is_counted_and_not_taken(
    broker: Mosquitto, tmp_path: Path
) -> None:
    async with camera(broker.port) as porch:
        await porch.say("jpeg", jpeg(1), retain=True)
        await porch.say("rec", porch.record(1, jpeg(1)), retain=True)
        before = metrics.ignored.labels("retained")._value.get()
        async with house(tmp_path / "home", Mqtt(url=broker.url, protocol="3.1.1")) as home:
            await porch.gateway("online")
            await plain_lane_is_up(home.ingest)
            await porch.say("jpeg", jpeg(200))
            assert len(await home.until(captures)) == 1
            assert metrics.ignored.labels("retained")._value.get() == before + 2


async def test_broker_without_mqtt_5_is_spoken_to_in_3(tmp_path: Path) -> None:
    amqtt = pytest.importorskip("amqtt.broker", reason="the embedded broker is not installed")
    port = free_port()
    anonymous = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    listener = {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}
    embedded = amqtt.Broker({"listeners": listener, "plugins": anonymous})
    await embedded.start()
    try:
        async with house(tmp_path / "home", Mqtt(url=f"mqtt://127.0.0.1:{port}")) as home, camera(port) as porch:
            await porch.gateway("online")
            await plain_lane_is_up(home.ingest)
            await porch.say("rec", porch.record(1, jpeg(1)), qos=0)
            assert (await porch.heard("ack"))["ranges"] == [[1, 1]]
            await porch.say("jpeg", jpeg(200))
            await home.until(lambda c: len(captures(c)) == 2)
            assert {link.protocol for link in home.ingest.links} == {"3.1.1"}
    finally:
        await embedded.shutdown()


async def test_unacknowledged_plain_frame_comes_again_after_a_gateway_was_killed(
    broker: Mosquitto, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    async with camera(broker.port) as porch:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.e2e.dying_gateway", str(home), broker.url, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert child.stdout is not None
            await asyncio.wait_for(child.stdout.readline(), WAIT_S)  # it is connected, and has no room for anything
            for n in range(6):
                await porch.say("jpeg", jpeg(n * 30))
            await porch.say("rec", porch.record(1, jpeg()), qos=0)
            assert (await porch.heard("ack"))["nack"][0]["code"] == "disk-full"
        finally:
            child.kill()
            await child.wait()
        async with house(home, Mqtt(url=broker.url)) as again:
            await again.until(lambda c: len(captures(c)) == 6)
            assert await again.count("blob") == 6


async def test_status_is_offline_after_a_clean_stop_and_by_the_will(broker: Mosquitto, tmp_path: Path) -> None:
    async with camera(broker.port) as porch:
        async with house(tmp_path / "home", Mqtt(url=broker.url)):
            await porch.gateway("online")
        await porch.gateway("offline")


async def test_unknown_camera_is_told_to_try_again_where_unknown_ones_are_refused(
    broker: Mosquitto, tmp_path: Path
) -> None:
    async with (
        house(tmp_path / "home", Mqtt(url=broker.url, unknown_devices="refuse")) as home,
        camera(broker.port) as porch,
    ):
        await porch.gateway("online")
        await porch.say("rec", porch.record(1, jpeg()), qos=0)
        nack = (await porch.heard("ack"))["nack"][0]
        assert (nack["code"], nack["retry_ms"]) == ("unknown-device", 300_000)
        assert await home.count("device") == 0


async def test_record_is_nacked_for_later_while_the_disk_is_full(broker: Mosquitto, tmp_path: Path) -> None:
    async with house(tmp_path / "home", Mqtt(url=broker.url)) as home, camera(broker.port) as porch:
        await porch.gateway("online")
        await plain_lane_is_up(home.ingest)
        home.spool.free_floor_bytes = 1 << 60
        await porch.say("rec", porch.record(1, jpeg()), qos=0)
        nack = (await porch.heard("ack"))["nack"][0]
        assert (nack["code"], nack["retry_ms"]) == ("disk-full", 5_000)
        await porch.say("jpeg", jpeg(9))  # not acknowledged to the broker, so it is still there when there is room
        await porch.say("rec", porch.record(2, jpeg()), qos=0)
        await porch.heard("ack")
        assert await home.count("capture") == 0
        home.spool.free_floor_bytes = 0
        assert await home.until(captures) == [("porch", None)]


def _size(path: Path) -> int:
    return path.stat().st_size


async def plain_lane_is_up(ingest: MqttIngest) -> None:
    await eventually(lambda: ingest.links[1].connected_since_us is not None)


async def publish(broker: Mosquitto, topic: str, path: Path) -> None:
    await asyncio.to_thread(
        subprocess.run,
        ["mosquitto_pub", "-p", str(broker.port), "-q", "1", "-t", topic, "-f", str(path)],
        check=True,
        timeout=60,
    )
