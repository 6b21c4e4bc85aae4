"""A camera comes in by a code, over HTTPS with a pinned authority, to a real Mosquitto, and is put out again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from aiomqtt.exceptions import MqttCodeError, MqttError

from gateway.decoders import image
from gateway.ingest.accept import Receipt
from gateway.pairing import TRIES, WINDOW_S
from tests.e2e.owned import OUTSIDE, WAIT_S, OwnBroker, OwnedHouse, Unit, jpeg_record, of, own_broker, owned_house

pytestmark = pytest.mark.slow
NOT_ALLOWED = 0x87


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """What notes the broker's denials, built as the guide says."""
    if not Path("/usr/include/mosquitto_plugin.h").exists():
        pytest.skip("this machine has no headers of Mosquitto: apt-get install libmosquitto-dev mosquitto-dev")
    made = tmp_path / "hearthlog_audit.so"
    source = Path(__file__).resolve().parents[3] / "systemd" / "mosquitto-audit.c"
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
    subprocess.run(["cc", *flags, "-o", made, source], check=True, timeout=60)
    return made


async def test_a_paired_camera_sends_a_record_that_becomes_a_memory(house: OwnedHouse, unit: Unit, media: Path) -> None:
    device = unit.told["device"]
    async with unit.connected() as client:
        await client.subscribe(f"hearthlog/v1/{device}/dn/#", qos=1)
        picture = (media / "images" / "dog.jpg").read_bytes()
        await client.publish(f"hearthlog/v1/{device}/up/rec", jpeg_record(picture), qos=0)
        async with asyncio.timeout(WAIT_S):
            async for message in client.messages:
                if str(message.topic).endswith("/dn/ack"):
                    assert of(message)["ranges"] == [[1, 1]]
                    break
    found = await house.admin("GET", f"/devices/{device}")
    assert found["last_memory"] is not None
    memory = await house.admin("GET", f"/memories/{found['last_memory']}")
    assert (memory["device"], memory["kind"], memory["privacy"]) == (device, "image", "private")


async def test_the_same_question_gets_the_same_answer_and_the_window_then_is_shut(house: OwnedHouse) -> None:
    first, second = Unit(), Unit(hardware="second")
    text = (await house.open_window())["text"]
    told = await first.pair(text)
    assert (await first.ask(await first.trust(text))) == (200, told)
    status, problem = await second.ask(await second.trust(text))
    assert (status, problem["code"]) == (403, "pairing-closed")
    window = await house.admin("GET", "/devices/pair")
    assert (window["state"], window["device"], window["code"], window["text"]) == ("paired", told["device"], "", "")


async def test_a_camera_speaks_and_hears_below_its_own_name_only(house: OwnedHouse, unit: Unit) -> None:
    device = unit.told["device"]
    async with unit.connected() as client:
        for topic in (
            "hearthlog/v1/porch/up/jpeg",
            f"hearthlog/v1/{device}/dn/cmd",
            "hearthlog/v1/gateway/status",
            "x",
        ):
            with pytest.raises(MqttCodeError) as refused:
                await _publish(client, topic)
            assert refused.value.rc == NOT_ALLOWED, topic
        for wanted in ("hearthlog/v1/porch/dn/#", "hearthlog/v1/+/dn/ack", "#", "$SYS/#", "$CONTROL/#"):
            assert (await client.subscribe(wanted))[0].is_failure, wanted
        for wanted in (f"hearthlog/v1/{device}/dn/#", "hearthlog/v1/gateway/status"):
            assert not (await client.subscribe(wanted))[0].is_failure, wanted


@pytest.mark.system("cc")
async def test_what_a_camera_may_not_is_denied_with_a_line_in_the_audit(
    tmp_path: Path, mosquitto: Path, plugin: Path
) -> None:
    unit = Unit()
    with own_broker(mosquitto, tmp_path, audit=str(plugin)) as broker:
        async with owned_house(broker.settings()) as house:
            await unit.pair((await house.open_window())["text"])
            async with unit.connected() as client:
                with pytest.raises(MqttCodeError):
                    await _publish(client, "hearthlog/v1/porch/up/jpeg")
                assert (await client.subscribe("hearthlog/v1/porch/dn/#"))[0].is_failure
                await _publish(client, f"hearthlog/v1/{unit.told['device']}/up/event")
            await house.until(lambda c: c.execute("SELECT 1 FROM audit WHERE about LIKE 'subscribe%'").fetchone())
            lines = (await house.admin("GET", "/audit"))["items"]
    denied = [(line["device"], line["about"]) for line in lines if line["outcome"] == "not-allowed"]
    assert denied == [
        (unit.told["device"], "subscribe hearthlog/v1/porch/dn/#"),
        (unit.told["device"], "publish hearthlog/v1/porch/up/jpeg"),
    ]


async def test_a_credential_opens_for_its_own_client_and_nobody_else(house: OwnedHouse, unit: Unit) -> None:
    assert await unit.is_let_in()
    assert not await unit.is_let_in(identifier="hearthlog-gateway-plain")
    assert not await unit.is_let_in(password="x" * 43)
    assert not await unit.is_let_in(username="nobody", identifier="hearthcam-nobody")
    assert not await unit.is_let_in(username=None, password=None)
    await house.until(lambda c: c.execute("SELECT 1 FROM audit WHERE event = 'broker'").fetchone())
    assert ("broker", "not-authorised") in await house.audit()


async def test_the_sixth_try_is_denied_even_with_the_right_code(house: OwnedHouse) -> None:
    unit = Unit()
    code = await unit.trust((await house.open_window())["text"])
    for _ in range(TRIES):
        status, problem = await unit.ask("00000000" if code != "00000000" else "11111111")
        assert (status, problem["code"], problem.get("faults")) == (403, "pairing-code", [])
        assert "tries" not in str(problem).lower()
    status, problem = await unit.ask(code)
    assert (status, problem["code"]) == (403, "pairing-over")
    assert (await house.audit())[: TRIES + 1] == [("pairing", "pairing-over"), *[("pairing", "pairing-code")] * TRIES]
    assert (await house.admin("GET", "/devices/pair"))["state"] == "over"


async def test_a_nonce_that_is_replayed_is_denied(house: OwnedHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = Unit()
    text = (await house.open_window())["text"]
    await unit.pair(text)
    code = await unit.trust(text)
    status, problem = await unit.ask(code, hardware="another")
    assert (status, problem["code"]) == (403, "pairing-closed")
    _later(house, WINDOW_S)
    status, problem = await unit.ask(code)
    assert (status, problem["code"]) == (403, "pairing-over")
    fresh = await unit.trust((await house.open_window())["text"])
    status, problem = await unit.ask(fresh)
    assert (status, problem["code"]) == (403, "pairing-closed")
    denied = [line for line in await house.audit() if line[1].startswith("pairing-")]
    assert denied == [("pairing", "pairing-closed"), ("pairing", "pairing-over"), ("pairing", "pairing-closed")]


async def test_an_expired_window_is_shut(house: OwnedHouse) -> None:
    unit = Unit()
    code = await unit.trust((await house.open_window())["text"])
    _later(house, WINDOW_S)
    status, problem = await unit.ask(code)
    assert (status, problem["code"]) == (403, "pairing-over")
    assert (await house.audit())[0] == ("pairing", "pairing-over")


async def test_without_a_window_nobody_is_paired(house: OwnedHouse) -> None:
    unit = Unit()
    code = await unit.trust((await house.open_window())["text"])
    await house.admin("DELETE", "/devices/pair")
    status, problem = await unit.ask(code)
    assert (status, problem["code"]) == (403, "pairing-closed")
    assert (await house.audit())[0] == ("pairing", "pairing-closed")


async def test_who_tries_on_and_on_has_to_wait(house: OwnedHouse) -> None:
    unit = Unit()
    await unit.trust((await house.open_window())["text"])
    await house.admin("DELETE", "/devices/pair")
    answers = [await unit.ask("00000000") for _ in range(25)]
    codes = [problem["code"] for _, problem in answers]
    assert codes[:20] == ["pairing-closed"] * 20
    assert (codes[-1], answers[-1][0]) == ("too-many-tries", 429)
    denied = [line for line in await house.audit() if line[1] == "pairing-closed"]
    assert 20 <= len(denied) < 25


@pytest.mark.parametrize(
    "changed",
    [{"nonce": "x"}, {"hardware": "a b"}, {"board": "../x"}, {"firmware": "\n"}, {"code": ""}, {"more": 1}],
    ids=lambda changed: next(iter(changed)),
)
async def test_what_is_not_a_claim_costs_nothing(house: OwnedHouse, changed: dict[str, Any]) -> None:
    unit = Unit()
    code = await unit.trust((await house.open_window())["text"])
    status, problem = await unit.ask(**{"code": code, **changed})
    assert (status, problem["code"]) == (422, "invalid")
    assert (await house.admin("GET", "/devices/pair"))["tries_left"] == TRIES


async def test_revocation_disconnects_at_once_and_the_credential_opens_nothing_more(
    house: OwnedHouse, unit: Unit
) -> None:
    device = unit.told["device"]
    gone = asyncio.Event()

    async def stay() -> None:
        try:
            async with unit.connected() as client:
                there.set()
                async for _ in client.messages:
                    pass
        except MqttError:
            gone.set()

    there = asyncio.Event()
    task = asyncio.create_task(stay())
    await asyncio.wait_for(there.wait(), 10)
    assert await house.admin("POST", f"/devices/{device}/revoke") == {"device": device, "disconnected": True}
    await asyncio.wait_for(gone.wait(), 2)
    await task
    assert not await unit.is_let_in()
    assert (await house.admin("GET", f"/devices/{device}"))["id"] == device
    assert ("revoke", "done") in await house.audit()


async def test_a_board_that_is_paired_again_is_the_same_camera_with_a_new_password(
    house: OwnedHouse, unit: Unit
) -> None:
    again = Unit()
    told = await again.pair((await house.open_window())["text"])
    assert told["device"] == unit.told["device"]
    assert told["password"] != unit.told["password"]
    assert await again.is_let_in()
    assert not await unit.is_let_in()


async def test_pairings_outlive_restarts_of_the_broker_and_the_gateway(broker: OwnBroker) -> None:
    unit, other = Unit(), Unit(hardware="other")
    settings = broker.settings()
    async with owned_house(settings) as house:
        await unit.pair((await house.open_window())["text"])
        await other.pair((await house.open_window())["text"])
    broker.stop()
    broker.start()
    async with owned_house(settings) as house:
        assert await unit.is_let_in()
        broker.stop()
        answer = await house.admin("POST", f"/devices/{other.told['device']}/revoke")
        assert answer["disconnected"] is False
        broker.start()
        await house.until(lambda c: c.execute("SELECT 1 FROM audit WHERE outcome = 'cleared'").fetchone())
        assert not await other.is_let_in()
        assert await unit.is_let_in()


async def test_a_broker_without_dynamic_security_says_what_helps(tmp_path: Path, mosquitto: Path) -> None:
    from gateway.config import Http, Mqtt, Settings
    from gateway.errors import Conflict
    from tests.e2e.conftest import Mosquitto

    plain = Mosquitto(tmp_path / "plain")
    plain.start()
    try:
        settings = Settings(home=tmp_path / "home", mqtt=Mqtt(url=plain.url), http=Http(port=0))
        async with owned_house(settings) as house:
            with pytest.raises(Conflict) as refused:
                await house.admin("POST", "/devices/pair")
            assert refused.value.code == "pairing-impossible"
            assert "hearthlog broker setup" in refused.value.hint
    finally:
        plain.end()


async def _frame_of(house: OwnedHouse, device: str) -> Receipt:
    return await house.gateway.gate.accept_plain(device, b"no picture", decoder=image.DECODER, source_name="test")


async def _publish(client: aiomqtt.Client, topic: str) -> None:
    """At QoS 1, and wait for the broker's word on it."""
    told: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    inner = client._client
    before = inner.on_publish

    def heard(*given: Any) -> None:
        code = given[3].value
        inner._loop_hint = code
        if not told.done():
            told.get_loop().call_soon_threadsafe(told.set_result, code)

    inner.on_publish = heard
    try:
        inner.publish(topic, b"x", qos=1)
        code = await asyncio.wait_for(told, 10)
    finally:
        inner.on_publish = before
    if code >= 0x80:
        raise MqttCodeError(code)


def _later(house: OwnedHouse, seconds: float) -> None:
    """Time goes by in the window."""
    clock = house.gateway.cameras.pairing._clock_s
    house.gateway.cameras.pairing._clock_s = lambda: clock() + seconds


async def test_the_command_shows_a_code_and_waits_for_the_camera(house: OwnedHouse) -> None:
    told: list[str] = []
    command = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("hearthlog"),
        *("devices", "pair", "--address", f"{OUTSIDE}:{house.settings.http.port}"),
        env=os.environ | {"HEARTHLOG_HOME": str(house.settings.home), "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
    )
    assert command.stdout is not None
    async for line in command.stdout:
        told.append(line.decode())
        if line.startswith(b"Text"):
            break
    unit = Unit()
    await unit.pair(told[-1].removeprefix("Text").strip())
    rest = (await asyncio.wait_for(command.stdout.read(), 15)).decode()
    assert await command.wait() == 0
    assert f"{unit.told['device']} is in" in rest
    assert unit.told["password"] not in "".join(told) + rest
    assert "█" in "".join(told)


async def test_another_makers_camera_gets_a_password_by_hand(house: OwnedHouse) -> None:
    await house.admin("POST", "/devices", {"id": "porch", "name": "Porch"})
    given = await house.admin("POST", "/devices/porch/password")
    assert (given["user"], given["client_id"]) == ("porch", "porch")
    broker = {"hostname": "127.0.0.1", "port": int(house.settings.mqtt.url.rpartition(":")[2])}
    who = {"username": "porch", "password": given["password"], "identifier": "porch"}
    async with aiomqtt.Client(**broker, **who, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await _publish(client, "hearthlog/v1/porch/up/jpeg")
        with pytest.raises(MqttCodeError):
            await _publish(client, "hearthlog/v1/attic/up/jpeg")
    with pytest.raises(MqttError):
        async with aiomqtt.Client(**broker, **{**who, "identifier": "hearthlog-gateway-plain"}):
            pass
    again = await house.admin("POST", "/devices/porch/password")
    assert again["password"] != given["password"]
    await house.admin("POST", "/devices/porch/revoke")
    with pytest.raises(MqttError):
        async with aiomqtt.Client(**broker, **{**who, "password": again["password"]}):
            pass


async def test_home_assistant_hears_what_is_told_to_it_and_no_more(house: OwnedHouse) -> None:
    given = await house.admin("POST", "/broker/home-assistant")
    broker = {"hostname": "127.0.0.1", "port": int(house.settings.mqtt.url.rpartition(":")[2])}
    who = {"username": given["user"], "password": given["password"], "protocol": aiomqtt.ProtocolVersion.V5}
    for other in ("hearthlog-gateway", "hearthlog-gateway-plain", "anything", None):
        with pytest.raises(MqttError):
            async with aiomqtt.Client(**broker, **who, identifier=other):
                pass
    async with aiomqtt.Client(**broker, **who, identifier=given["client_id"]) as client:
        for allowed in ("homeassistant/#", "hearthlog/v1/+/ha/state", "hearthlog/v1/gateway/status"):
            assert not (await client.subscribe(allowed))[0].is_failure, allowed
        for denied in ("#", "hearthlog/v1/+/up/#", "hearthlog/v1/+/dn/#", "$SYS/#"):
            assert (await client.subscribe(denied))[0].is_failure, denied
        await _publish(client, "hearthlog/v1/porch/ha/press")
        with pytest.raises(MqttCodeError):
            await _publish(client, "hearthlog/v1/porch/dn/cmd")


async def test_from_the_first_pairing_on_nobody_comes_in_unasked(broker: OwnBroker) -> None:
    settings = broker.settings()
    async with owned_house(settings) as house:
        assert (await _frame_of(house, "before")).code != "unknown-device"
        await Unit().pair((await house.open_window())["text"])
    async with owned_house(settings) as house:
        assert (await _frame_of(house, "after")).code == "unknown-device"


async def test_a_credential_that_the_broker_lost_is_told(broker: OwnBroker) -> None:
    unit = Unit()
    async with owned_house(broker.settings()) as house:
        await unit.pair((await house.open_window())["text"])
        await house.gateway.cameras.desk.dynsec.expel(unit.told["device"])
        await house.gateway.cameras._connected()
        assert house.gateway.cameras.forgotten == {unit.told["device"]}
        told = [part["detail"] for part in (await house.admin("GET", "/health"))["parts"]]
        assert any(unit.told["device"] in sentence for sentence in told), told
        await Unit().pair((await house.open_window())["text"])
        assert house.gateway.cameras.forgotten == frozenset()
