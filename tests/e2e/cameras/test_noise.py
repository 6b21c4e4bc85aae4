"""Anything at all on any topic that the gateway hears changes no state beyond a counter; what is right is then taken.

`HEARTHLOG_TEST_SEED` draws other noise.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from PIL import Image

from gateway import metrics
from gateway.config import HomeAssistant, MqttSource, Settings
from gateway.ingest.topics import ROOT, Voice
from gateway.store.db import Connection
from tests.e2e.owned import OwnBroker, OwnedHouse, Unit, jpeg_record

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("HEARTHLOG_TEST_SEED", "11"))
EACH = 40
"""Messages on a topic, as many of each kind of noise as of the other."""
WHOLE = (
    b'{"firmware":"1.4.2","board":"xiao","boot":"0123456789abcdef","mono_us":5,"spool":[{"boot":"0123456789abcdef",'
    b'"first":1,"last":9}]}',
    b'{"state":"online","rssi_dbm":-61,"spool_fill":0.5}',
    b'{"time":{"t0_us":5}}',
    b'{"id":"0123456789abcdef","ok":true,"code":""}',
    b'{"responses":[{"command":"listClients","data":{}}]}',
    b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00data",
)
STATE = (
    "SELECT id, name, room, owner, privacy, ai_usage, lane, added, first_seen_us, status FROM device",
    *(
        f"SELECT * FROM {table}"
        for table in ("boot", "anchor", "undated", "ledger", "gap", "capture", "camera", "command")
    ),
    *(f"SELECT * FROM {table}" for table in ("person", "firmware", "decision", "annotation", "blob", "job")),
    "SELECT * FROM audit WHERE event <> 'broker'",
)


@pytest.fixture
def settings(broker: OwnBroker) -> Settings:
    found = broker.settings()
    source = MqttSource(topic="homeassistant/foreign/+/snapshot")  # of what its credential may read
    mqtt = replace(found.mqtt, source=(source,), unknown_devices="refuse")
    return replace(found, mqtt=mqtt, home_assistant=HomeAssistant(discovery=True))


def noise(draw: random.Random) -> list[bytes]:
    """Random bytes, and what would count but for a piece that is missing or a few bytes that are others."""
    found = [draw.randbytes(draw.choice((0, 1, 3, 30, 300, 3_000))) for _ in range(EACH // 2)]
    record = jpeg_record(_picture(draw.randrange(1 << 30)))
    while len(found) < EACH:
        whole = draw.choice((*WHOLE, record[:48], record))
        bent = bytearray(whole[: draw.randrange(len(whole))] if draw.random() < 0.5 else whole)
        for _ in range(draw.randrange(1, 9)):
            if bent:
                bent[draw.randrange(min(len(bent), 48))] ^= draw.randrange(1, 256)
        if not _would_count(bytes(bent)):
            found.append(bytes(bent))
    draw.shuffle(found)
    return found


def _would_count(payload: bytes) -> bool:
    """What is an object has a meaning, another than was meant: that is no noise."""
    try:
        return isinstance(json.loads(payload), dict)
    except ValueError:
        return False


def _picture(seed: int) -> bytes:
    body = io.BytesIO()
    Image.frombytes("RGB", (16, 16), random.Random(seed).randbytes(768)).save(body, "JPEG")
    return body.getvalue()


@dataclass(frozen=True)
class Speaker:
    """Somebody with a credential, and where it may speak."""

    client: aiomqtt.Client
    topics: Sequence[str]


@contextlib.asynccontextmanager
async def speakers(house: OwnedHouse, unit: Unit) -> AsyncIterator[list[Speaker]]:
    """A paired camera, Home Assistant, and one who has got hold of the gateway's own password."""
    device, mqtt = unit.told["device"], house.settings.mqtt
    given = await house.admin("POST", "/broker/home-assistant")
    who = {"username": given["user"], "password": given["password"], "identifier": given["client_id"]}
    port = int(mqtt.url.rpartition(":")[2])
    own = Path(mqtt.password_file).read_text()
    voices = [f"{ROOT}/{device}/up/{voice}" for voice in (*Voice, "other", "rec/more", "")]
    taken = [f"{ROOT}/gateway/status", "homeassistant/device/hearthlog-x/config", "homeassistant/foreign/Door/snapshot"]
    spoken = [*taken, "homeassistant/device//config", f"{ROOT}/{device}/ha/state", f"{ROOT}/{device}/ha/press"]
    pressed = [f"{ROOT}/{device}/ha/press", f"{ROOT}/UPPER/ha/press", "homeassistant/status"]
    async with (
        unit.connected() as camera,
        aiomqtt.Client("127.0.0.1", port, **who) as assistant,
        aiomqtt.Client("127.0.0.1", port, username="gateway", password=own) as thief,
    ):
        yield [Speaker(camera, voices), Speaker(assistant, pressed), Speaker(thief, spoken)]


async def test_noise_on_every_topic_that_the_gateway_hears_changes_no_state(house: OwnedHouse) -> None:
    draw = random.Random(SEED)
    unit = Unit()
    device = (await unit.pair((await house.open_window())["text"]))["device"]
    async with speakers(house, unit) as found:
        before = await house.gateway.db.read(_state)
        counted = _counted()
        for speaker in found:
            for topic in speaker.topics:
                for n, payload in enumerate(noise(draw)):
                    await speaker.client.publish(topic, payload, qos=n % 2, retain=n % 7 == 0)
        await _right_is_taken(found[0].client, house, device)
        after = await house.gateway.db.read(_state)
    assert _counted() > counted
    lost = [row for row in before if row not in after]
    came = [row for row in after if row not in before]
    assert lost == []
    of_the_pictures = {"annotation", "blob", "boot", "capture", "decision", "job", "ledger"}
    assert {str(row[0]) for row in came} <= of_the_pictures, came
    assert sum(row[0] == "capture" for row in came) == 2
    assert house.gateway.cameras.desk.control == "ready"
    assert all(link.connected_since_us for link in house.gateway.ingest.links)


async def _right_is_taken(client: aiomqtt.Client, house: OwnedHouse, device: str) -> None:
    """By both lanes: what was sent before has been decided on then."""
    pictures = [_picture(n) for n in (1, 2)]
    await client.publish(f"{ROOT}/{device}/up/jpeg", pictures[0], qos=1)

    async def send() -> None:
        while True:  # as a camera does: behind so much noise its credit is overdrawn
            await client.publish(f"{ROOT}/{device}/up/rec", jpeg_record(pictures[1], 7), qos=0)
            await asyncio.sleep(0.5)

    async with asyncio.TaskGroup() as group:
        sending = group.create_task(send())
        await house.until(lambda c: c.execute("SELECT 1 WHERE (SELECT count(*) FROM capture) = 2").fetchone())
        sending.cancel()


def _state(connection: Connection) -> list[tuple[Any, ...]]:
    """Every row that is not a counter's, with its table."""
    return [
        (query.partition(" FROM ")[2].split()[0], *row)
        for query in STATE
        for row in connection.execute(query).fetchall()
    ]


def _counted() -> float:
    return sum(
        sample.value
        for counter in (metrics.ignored, metrics.rejected)
        for each in counter.collect()
        for sample in each.samples
        if sample.name.endswith("_total")
    )
