"""What a paired camera is told to do and what it answers, and the firmware it fetches: over a real Mosquitto."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import aiomqtt
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image

from gateway.cli.devices import COMMAND as DEVICES
from gateway.config import MqttSource
from gateway.errors import Conflict, NotFound, Rejected
from gateway.releases import read_manifest
from gateway.store.db import Connection
from tests.e2e.owned import OUTSIDE, WAIT_S, OwnBroker, OwnedHouse, Unit, jpeg_record, of, owned_house

pytestmark = pytest.mark.slow


@pytest.fixture
async def unit(house: OwnedHouse) -> Unit:
    made = Unit()
    await made.pair((await house.open_window())["text"])
    return made


async def heard(client: aiomqtt.Client, what: str) -> tuple[Any, bool]:
    """The next message on `dn/<what>`, and whether it was retained."""
    async with asyncio.timeout(WAIT_S):
        async for message in client.messages:
            if str(message.topic).endswith(f"/dn/{what}"):
                return of(message), message.retain
    raise AssertionError("the connection ended")


async def test_a_source_that_the_broker_refuses_keeps_no_other_camera_out(broker: OwnBroker) -> None:
    settings = broker.settings()
    source = MqttSource(topic="frigate/+/person/snapshot")
    async with owned_house(replace(settings, mqtt=replace(settings.mqtt, source=(source,)))) as house:
        ingest = house.gateway.ingest
        async with asyncio.timeout(WAIT_S):
            while not ingest.refused or ingest.links[1].connected_since_us is None:  # noqa: ASYNC110  another program
                await asyncio.sleep(0.02)
        assert ingest.refused == (source.topic,)
        unit = Unit()
        device = (await unit.pair((await house.open_window())["text"]))["device"]
        async with unit.connected() as client:
            body = io.BytesIO()
            Image.new("RGB", (32, 24)).save(body, "JPEG")
            await client.publish(f"hearthlog/v1/{device}/up/jpeg", body.getvalue(), qos=1)
            await house.until(lambda c: c.execute("SELECT 1 FROM capture").fetchone())


async def test_settings_reach_a_camera_that_is_there_and_one_that_comes_later(house: OwnedHouse, unit: Unit) -> None:
    device = unit.told["device"]
    wanted = {"every_s": 30, "quality": 20, "motion": True, "still_s": 0, "quiet_from": "22:00", "quiet_to": "06:30"}
    async with unit.connected() as client:
        await client.subscribe(f"hearthlog/v1/{device}/dn/cfg", qos=1)
        answer = await house.admin("PUT", f"/devices/{device}/tuning", wanted)
        assert answer["tuning"] == {**wanted, "privacy": False}
        told, _ = await heard(client, "cfg")
    assert told == {
        "every_s": 30,
        "quality": 20,
        "motion": True,
        "still_s": 0,
        "privacy": False,
        "quiet": [22 * 60, 6 * 60 + 30],
    }
    async with unit.connected() as client:
        await client.subscribe(f"hearthlog/v1/{device}/dn/cfg", qos=1)
        assert await heard(client, "cfg") == (told, True)


async def test_settings_out_of_range_change_nothing(house: OwnedHouse, unit: Unit) -> None:
    device = unit.told["device"]
    before = await house.admin("GET", f"/devices/{device}/camera")
    for wrong in (
        {"every_s": 0},
        {"quality": 3},
        {"quiet_from": "24:00", "quiet_to": "06:00"},
        {"quiet_from": "22:00"},
    ):
        with pytest.raises(Rejected):
            await house.admin("PUT", f"/devices/{device}/tuning", wrong)
    assert await house.admin("GET", f"/devices/{device}/camera") == before
    with pytest.raises(NotFound):
        await house.admin("PUT", "/devices/porch/tuning", {})


async def test_a_command_is_answered_and_its_result_told(house: OwnedHouse, unit: Unit) -> None:
    device = unit.told["device"]
    async with unit.connected() as client:
        await client.subscribe(f"hearthlog/v1/{device}/dn/cmd", qos=1)
        made = await house.admin("POST", f"/devices/{device}/commands", {"cmd": "identify"})
        assert made["state"] == "waiting"
        told, retained = await heard(client, "cmd")
        assert (told["id"], told["cmd"], told["args"], retained) == (made["id"], "identify", {}, False)
        assert 0 < told["ttl_ms"] <= 120_000
        assert told["expires_us"] > 1_700_000_000_000_000
        for noise in (b"[]", b'{"id":"x","ok":true}', b'{"id":"0123456789abcdef","ok":true}', b"\xff"):
            await client.publish(f"hearthlog/v1/{device}/up/result", noise, qos=1)
        answer = f'{{"id":"{told["id"]}","ok":false,"code":"no-light"}}'
        await client.publish(f"hearthlog/v1/{device}/up/result", answer, qos=1)
        await house.until(lambda c: c.execute("SELECT 1 FROM command WHERE answered_at_us NOT NULL").fetchone())
    commands = (await house.admin("GET", f"/devices/{device}/camera"))["commands"]
    assert [(each["cmd"], each["state"], each["code"]) for each in commands] == [("identify", "failed", "no-light")]


async def test_a_command_to_a_camera_that_is_away_is_sent_when_it_says_hello(house: OwnedHouse, unit: Unit) -> None:
    device = unit.told["device"]
    made = await house.admin("POST", f"/devices/{device}/commands", {"cmd": "snapshot"})
    async with unit.connected() as client:
        await client.subscribe(f"hearthlog/v1/{device}/dn/cmd", qos=1)
        hello = b'{"firmware":"1.4.2","board":"xiao","boot":"0123456789abcdef","mono_us":1,"spool":[]}'
        await client.publish(f"hearthlog/v1/{device}/up/hello", hello, qos=1)
        told, _ = await heard(client, "cmd")
        assert (told["id"], told["cmd"]) == (made["id"], "snapshot")


async def test_firmware_is_signed_offered_and_fetched_by_its_camera_alone(
    house: OwnedHouse, unit: Unit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = unit.told["device"]
    with pytest.raises(Conflict):
        await house.admin("POST", f"/devices/{device}/commands", {"cmd": "update"})
    body = bytes(range(256)) * 1_000
    image, key = tmp_path / "hearthcam.bin", ec.generate_private_key(ec.SECP256R1())
    image.write_bytes(body)
    private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(*private))
    monkeypatch.setenv("HEARTHLOG_HOME", str(house.settings.home))
    signing = ["firmware", "sign", str(image), "--board", "xiao-esp32s3-sense", "--version", "1.4.10"]
    for arguments in ([*signing, "--key", str(tmp_path / "key.pem")], ["firmware", "add", str(image)]):
        ran = await asyncio.to_thread(CliRunner().invoke, DEVICES, arguments)
        assert ran.exit_code == 0, (ran.output, ran.exception)
    manifest = (tmp_path / "hearthcam.bin.manifest").read_bytes()
    digest = hashlib.sha256(body).hexdigest()
    assert manifest == f"hearthlog-firmware-1\nxiao-esp32s3-sense\n1.4.10\n256000\n{digest}\n".encode()
    assert (await house.admin("GET", f"/devices/{device}/camera"))["update"] == "1.4.10"

    async with unit.connected() as client:
        await client.subscribe(f"hearthlog/v1/{device}/dn/cmd", qos=1)
        await house.admin("POST", f"/devices/{device}/commands", {"cmd": "update"})
        args = (await heard(client, "cmd"))[0]["args"]
    assert (args["version"], args["size"], args["sha256"]) == ("1.4.10", len(body), digest)
    signature = base64.b64decode(args["signature"])
    key.public_key().verify(signature, read_manifest(manifest).text(), ec.ECDSA(hashes.SHA256()))
    assert args["url"].endswith(f"/api/v1/devices/{device}/firmware?version=1.4.10")
    assert "allow_downgrade" not in args

    url = f"https://{OUTSIDE}:{house.settings.http.port}/api/v1/devices/{device}/firmware"
    mine = {"X-Hearthlog-Device-Password": unit.told["password"]}
    async with aiohttp.ClientSession() as web:
        async with web.get(url, ssl=unit.trusted, headers=mine) as answer:
            assert (answer.status, await answer.read()) == (200, body)
        async with web.get(url, ssl=unit.trusted, headers={**mine, "Range": "bytes=255999-"}) as answer:
            assert (answer.status, await answer.read()) == (206, body[-1:])
        async with web.get(f"{url}?version=1.4.9", ssl=unit.trusted, headers=mine) as answer:
            assert answer.status == 404
        for wrong in ({}, {"X-Hearthlog-Device-Password": "x" * 43}):
            async with web.get(url, ssl=unit.trusted, headers=wrong) as answer:
                assert (answer.status, (await answer.json())["code"]) == (401, "wrong-password")
        await house.admin("POST", f"/devices/{device}/revoke")
        async with web.get(url, ssl=unit.trusted, headers=mine) as answer:
            assert answer.status == 401


async def test_an_image_with_another_signature_is_not_offered_where_the_release_key_is_known(
    house: OwnedHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    folder = house.settings.home / "firmware"
    folder.mkdir()
    public = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    (folder / "release.pem").write_bytes(known.public_key().public_bytes(*public))
    private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "key.pem").write_bytes(other.private_bytes(*private))
    image = tmp_path / "hearthcam.bin"
    image.write_bytes(b"x" * 1_000)
    monkeypatch.setenv("HEARTHLOG_HOME", str(house.settings.home))
    signing = ["firmware", "sign", str(image), "--board", "xiao", "--version", "2.0.0", "--key", f"{tmp_path}/key.pem"]
    assert (await asyncio.to_thread(CliRunner().invoke, DEVICES, signing)).exit_code == 0
    ran = await asyncio.to_thread(CliRunner().invoke, DEVICES, ["firmware", "add", str(image)])
    assert isinstance(ran.exception, Rejected)
    assert ran.exception.code == "bad-signature"
    assert (await house.admin("GET", "/firmware"))["items"] == []


async def test_only_an_admin_signed_in_opens_a_window(house: OwnedHouse) -> None:
    accounts = house.gateway.parts.accounts
    nora = await accounts.owner()
    _, secret = await accounts.create_token(nora, ("read", "write"))
    url = f"http://127.0.0.1:{house.settings.http.port}/api/v1/devices/pair"
    async with aiohttp.ClientSession() as web:
        async with web.post(url, json={}) as answer:
            assert answer.status == 401
        async with web.post(url, json={}, headers={"Authorization": f"Bearer {secret}"}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (403, "scope")
        async with web.post(url, json={}, headers={"Sec-Fetch-Site": "cross-site"}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (403, "cross-site")


async def test_noise_on_every_topic_of_a_camera_changes_nothing(house: OwnedHouse, unit: Unit, media: Path) -> None:
    device = unit.told["device"]
    draw = random.Random(7)
    seeds = [
        b"{}",
        b"[]",
        b"null",
        b'{"id":"0123456789abcdef","ok":true}',
        b'{"state":1e999}',
        b'{"spool":[{}]}',
        b"\0",
    ]
    before = await house.gateway.db.read(_state_of)
    async with unit.connected() as client:
        await client.subscribe(f"hearthlog/v1/{device}/dn/ack", qos=1)
        for voice in ("hello", "status", "event", "result", "other", "rec"):
            for n in range(60):
                noise = draw.randbytes(draw.randrange(200)) if n % 2 else _bent(draw, draw.choice(seeds))
                await client.publish(f"hearthlog/v1/{device}/up/{voice}", noise, qos=0, retain=n % 7 == 0)
        record = jpeg_record((media / "images" / "burger.jpg").read_bytes())
        async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
            again = group.create_task(_send_again(client, f"hearthlog/v1/{device}/up/rec", record))
            async for message in client.messages:
                if of(message)["ranges"] == [[1, 1]]:
                    break
            again.cancel()
    assert await house.gateway.db.read(_state_of) == before


async def _send_again(client: aiomqtt.Client, topic: str, record: bytes) -> None:
    """As a camera does: behind so much noise its credit is overdrawn."""
    while True:
        await client.publish(topic, record, qos=0)
        await asyncio.sleep(0.5)


def _state_of(connection: Connection) -> list[tuple[Any, ...]]:
    """What is known of cameras, save the picture that is to come."""
    queries = (
        "SELECT id, name, owner, privacy, lane FROM device ORDER BY id",
        "SELECT device, hardware, tuning, revoked_at_us FROM camera",
        "SELECT count(*) FROM command",
        "SELECT count(*) FROM audit WHERE event <> 'broker'",
        "SELECT count(*) FROM gap",
    )
    return [tuple(row) for query in queries for row in connection.execute(query).fetchall()]


def _bent(draw: random.Random, seed: bytes) -> bytes:
    bent = bytearray(seed)
    for _ in range(draw.randrange(3)):
        bent[draw.randrange(len(bent))] = draw.randrange(256)
    return bytes(bent)
