"""Cameras in Home Assistant: what goes over a real broker, and a real Home Assistant that reads it.

The real one (a release of PyPI) wants a newer Python than the product does: it runs in the Debian 13 that
test_python313.py keeps, in an environment of its own. Making that takes some two minutes on two quiet cores.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import io
import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import aiomqtt
import pytest
from PIL import Image

from gateway import app
from gateway.config import HomeAssistant, Http, Mqtt, Settings
from gateway.entities import Privacy, Role, Viewer
from gateway.store import devices as device_rows
from gateway.store import paired
from gateway.store.cameras import Setting
from gateway.store.paired import Paired
from tests.bench.ports import free_port
from tests.e2e.conftest import Mosquitto
from tests.e2e.owned import Unit, own_broker, owned_house
from tests.e2e.test_python313 import INSTALL_S, MAKE_S, debian_13, enter

pytestmark = pytest.mark.slow

HASS = "2025.12.5"
PARTS = ("home-assistant-frontend==20251203.3", "paho-mqtt==2.1.0")
"""What it would fetch by itself at its first start."""
WAIT_S = 60.0
START_S = 120.0
PORCH = "homeassistant/device/hearthlog_porch/config"


def jpeg(shade: int) -> bytes:
    out = io.BytesIO()
    picture = Image.new("RGB", (320, 240), (shade, 255 - shade, 90))
    picture.paste((255 - shade, shade, 30), (20 + shade // 2, 40, 120 + shade // 2, 200))
    picture.save(out, "JPEG", quality=90)
    return out.getvalue()


@contextlib.asynccontextmanager
async def gateway(
    home: Path, port: int, *, discovery: bool = True, understand: bool = False
) -> AsyncIterator[app.Gateway]:
    settings = Settings(
        home=home,
        mqtt=Mqtt(url=f"mqtt://127.0.0.1:{port}", unknown_devices="accept"),
        http=Http(port=0),
        home_assistant=HomeAssistant(discovery=discovery),
    )
    async with app.open_gateway(settings) as opened, asyncio.TaskGroup() as group:
        tasks = app.Tasks(group, opened.troubles)
        opened.tend(tasks, understand=understand)
        opened.watch.starting.clear()
        while any(link.connected_since_us is None for link in opened.ingest.links):  # noqa: ASYNC110  another program
            await asyncio.sleep(0.01)
        try:
            yield opened
        finally:
            tasks.stop()


@dataclass
class Ear:
    """Everything that is said at the broker, as Home Assistant would hear it."""

    client: aiomqtt.Client
    kept: dict[str, bytes] = field(default_factory=dict)
    said: list[tuple[str, bytes]] = field(default_factory=list)

    async def listen(self) -> None:
        async for message in self.client.messages:
            assert isinstance(message.payload, bytes)
            self.kept[str(message.topic)] = message.payload
            self.said.append((str(message.topic), message.payload))

    async def until(self, true: Callable[[], object], *, limit_s: float = WAIT_S) -> None:
        ends_s = time.monotonic() + limit_s
        while not true():
            assert time.monotonic() < ends_s, sorted(self.kept)
            await asyncio.sleep(0.02)  # another program's doing

    def announced(self, topic: str = PORCH) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kept.get(topic) or b"{}")
        return found


@contextlib.asynccontextmanager
async def ear(port: int) -> AsyncIterator[Ear]:
    async with aiomqtt.Client("127.0.0.1", port) as client, asyncio.TaskGroup() as group:
        for topics in ("homeassistant/#", "hearthlog/v1/+/ha/#", "hearthlog/v1/+/dn/#"):
            await client.subscribe(topics, qos=1)
        listening = Ear(client)
        task = group.create_task(listening.listen(), name="ear")
        yield listening
        task.cancel()


async def take(client: aiomqtt.Client, device: str, body: bytes) -> None:
    await client.publish(f"hearthlog/v1/{device}/up/jpeg", body, qos=1)


async def admin(house: app.Gateway) -> Viewer:
    return Viewer(await house.db.read(device_rows.first_admin), "Admin", Role.ADMIN)


async def share(house: app.Gateway, device: str, privacy: Privacy = Privacy.CIRCLE, *, name: str | None = None) -> None:
    """Once something of it is stored: what comes after is shared."""
    stored = "SELECT 1 FROM capture WHERE device = ?"
    async with asyncio.timeout(WAIT_S):
        while await house.db.read(lambda c: c.execute(stored, (device,)).fetchone()) is None:  # noqa: ASYNC110  as above
            await asyncio.sleep(0.02)
    await house.parts.devices.change(await admin(house), device, setting=Setting(name=name, privacy=privacy))


async def pair(house: app.Gateway, device: str) -> None:
    camera = Paired(device, "board-1", "xiao", "1.0.0", b"s" * 32, (await admin(house)).user, 1, None, {})
    await house.db.write(lambda c: paired.put(c, camera))


async def test_a_shared_camera_is_announced_and_a_private_one_is_not(broker: Mosquitto, tmp_path: Path) -> None:
    async with ear(broker.port) as heard, gateway(tmp_path, broker.port) as house:
        await take(heard.client, "porch", jpeg(10))
        await take(heard.client, "bedroom", jpeg(20))
        await share(house, "porch", name="Front door")
        await heard.until(heard.announced)
        found = heard.announced()
        assert found["device"]["identifiers"] == ["hearthlog_porch"]
        assert found["device"]["name"] == "Front door"
        assert found["origin"]["name"] == "Hearthlog"
        assert set(found["components"]) == {"picture", "motion", "view", "last_seen"}, "what it has not is not promised"
        assert found["components"]["picture"]["unique_id"] == "hearthlog_porch_picture"
        await heard.until(lambda: heard.kept.get("hearthlog/v1/porch/ha/state"))
        assert json.loads(heard.kept["hearthlog/v1/porch/ha/state"])["available"] == "online"
        assert "hearthlog/v1/porch/ha/picture" not in heard.kept, "what was private when it came stays so"
        await take(heard.client, "porch", jpeg(30))
        await heard.until(lambda: heard.kept.get("hearthlog/v1/porch/ha/picture") == jpeg(30))
        assert not [topic for topic in heard.kept if "bedroom" in topic]
        async with ear(broker.port) as late:
            await late.until(late.announced)
            await late.until(lambda: late.kept.get("hearthlog/v1/porch/ha/state"))
            assert "hearthlog/v1/porch/ha/picture" not in late.kept, "a picture stays with no broker"

        heard.kept.clear()
        await heard.client.publish("homeassistant/status", b"online")
        await heard.until(lambda: heard.kept.get("hearthlog/v1/porch/ha/picture"))
        assert heard.announced()["device"]["name"] == "Front door"

        await share(house, "porch", name="Porch")
        await heard.until(lambda: heard.announced()["device"]["name"] == "Porch")
        assert heard.announced()["device"]["identifiers"] == ["hearthlog_porch"]
        await share(house, "porch", Privacy.PRIVATE)
        await heard.until(lambda: heard.kept[PORCH] == b"" and heard.kept["hearthlog/v1/porch/ha/state"] == b"")


async def test_a_paired_camera_has_buttons_until_it_is_put_out(broker: Mosquitto, tmp_path: Path) -> None:
    async with ear(broker.port) as heard, gateway(tmp_path, broker.port) as house:
        await take(heard.client, "porch", jpeg(10))
        await share(house, "porch")
        await pair(house, "porch")
        await heard.until(lambda: "snapshot" in heard.announced().get("components", {}))
        button = heard.announced()["components"]["snapshot"]
        await heard.client.publish(button["command_topic"], "forget everything", qos=1)
        await heard.client.publish(button["command_topic"], button["payload_press"], qos=1)
        await heard.until(lambda: heard.kept.get("hearthlog/v1/porch/dn/cmd"))
        told = [json.loads(payload)["cmd"] for topic, payload in heard.said if topic.endswith("/dn/cmd")]
        assert told == ["snapshot"]
        await house.db.write(lambda c: paired.revoke(c, "porch", at_us=2))
        await heard.until(lambda: heard.kept[PORCH] == b"")


async def test_what_moved_is_told_and_what_stands_still_is_not(broker: Mosquitto, tmp_path: Path) -> None:
    async with ear(broker.port) as heard, gateway(tmp_path, broker.port, understand=True) as house:
        await take(heard.client, "porch", jpeg(10))
        await share(house, "porch")
        await heard.until(heard.announced)
        shown = "hearthlog/v1/porch/ha/picture"
        await take(heard.client, "porch", jpeg(11))
        await heard.until(lambda: heard.kept.get(shown) == jpeg(11), limit_s=60)
        assert "hearthlog/v1/porch/ha/motion" not in heard.kept
        noisy = io.BytesIO()
        Image.effect_noise((320, 240), 120).convert("RGB").save(noisy, "JPEG", quality=90)
        await take(heard.client, "porch", noisy.getvalue())
        await heard.until(lambda: heard.kept.get("hearthlog/v1/porch/ha/motion") == b"ON", limit_s=60)


async def test_turned_off_it_takes_back_what_it_announced(broker: Mosquitto, tmp_path: Path) -> None:
    async with ear(broker.port) as heard:
        async with gateway(tmp_path, broker.port) as house:
            await take(heard.client, "porch", jpeg(10))
            await share(house, "porch")
            await heard.until(heard.announced)
        await heard.client.publish("homeassistant/device/other/config", b"{}", retain=True)
        async with gateway(tmp_path, broker.port, discovery=False):
            await heard.until(lambda: heard.kept[PORCH] == b"")
        async with ear(broker.port) as late:
            await late.until(lambda: late.kept)
            assert list(late.kept) == ["homeassistant/device/other/config"], "what is not ours stays"


@dataclass
class RealHomeAssistant:
    """`hass` in the Debian 13, with one broker and one token."""

    root: Path
    config: Path
    broker_port: int
    login: dict[str, str] = field(default_factory=dict)
    """`username`, `password` and `client_id` at the broker; empty where it asks for none."""
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def configure(self) -> None:
        storage = self.config / ".storage"
        storage.mkdir(parents=True)
        (self.config / "configuration.yaml").write_text(
            f"homeassistant:\n  name: Home\n  time_zone: UTC\n  auth_mfa_modules: []\napi:\nhttp:\n"
            f"  server_port: {self.port}\nlogger:\n  default: warning\n"
        )
        at = "2026-01-01T00:00:00+00:00"
        entry: dict[str, object] = {
            "created_at": at,
            "modified_at": at,
            "data": {"broker": "127.0.0.1", "port": self.broker_port, **self.login},
            "disabled_by": None,
            "discovery_keys": {},
            "domain": "mqtt",
            "entry_id": "01JGFFZZZZZZZZZZZZZZZZZZZZ",
            "minor_version": 2,
            "options": {},
            "pref_disable_new_entities": False,
            "pref_disable_polling": False,
            "source": "user",
            "subentries": [],
            "title": "broker",
            "unique_id": None,
            "version": 1,
        }
        self._store(storage, "core.config_entries", {"entries": [entry]}, minor=5)
        user = {"id": "u" * 32, "group_ids": ["system-admin"], "is_owner": True, "is_active": True, "name": "Test"}
        token = {
            "id": "t" * 32,
            "user_id": user["id"],
            "client_id": None,
            "client_name": "test",
            "client_icon": None,
            "token_type": "long_lived_access_token",
            "created_at": at,
            "access_token_expiration": 315_360_000.0,
            "token": "r" * 128,
            "jwt_key": "k" * 128,
            "last_used_at": None,
            "last_used_ip": None,
            "expire_at": None,
            "credential_id": None,
            "version": None,
        }
        users = [{**user, "system_generated": False, "local_only": False}]
        groups = [{"id": "system-admin", "name": "Administrators"}]
        auth = {"users": users, "groups": groups, "credentials": [], "refresh_tokens": [token]}
        self._store(storage, "auth", auth, minor=1)

    @property
    def bearer(self) -> dict[str, str]:
        def part(value: bytes) -> str:
            return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

        now_s = int(time.time())
        head = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        body = part(json.dumps({"iss": "t" * 32, "iat": now_s, "exp": now_s + 86_400}).encode())
        mark = part(hmac.digest(b"k" * 128, f"{head}.{body}".encode(), hashlib.sha256))
        return {"Authorization": f"Bearer {head}.{body}.{mark}"}

    def start(self) -> None:
        command = f"exec /hass/bin/hass --config /source/{self.config.name} --log-no-color --skip-pip"
        self.process = subprocess.Popen(
            enter(self.root, self.config.parent, command, writable=True),
            stdin=subprocess.DEVNULL,
            stdout=(self.config / "out").open("ab"),
            stderr=subprocess.STDOUT,
            env={"HOME": "/root", "LANG": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            start_new_session=True,
        )

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(10)
            self.process = None

    async def get(self, path: str) -> tuple[int, bytes]:
        try:
            async with (
                aiohttp.ClientSession(headers=self.bearer) as session,
                session.get(f"http://127.0.0.1:{self.port}{path}") as answer,
            ):
                return answer.status, await answer.read()
        except aiohttp.ClientError:
            return 0, b""

    async def entities(self) -> dict[str, dict[str, Any]]:
        status, body = await self.get("/api/states")
        return {each["entity_id"]: each for each in json.loads(body)} if status == 200 else {}

    async def until(self, true: Callable[[dict[str, dict[str, Any]]], object], *, limit_s: float = WAIT_S) -> None:
        ends_s = time.monotonic() + limit_s
        while not true(found := await self.entities()):
            told = (self.config / "out").read_text(errors="replace")[-3_000:]
            assert time.monotonic() < ends_s, f"{sorted(found)}\n{told}"
            await asyncio.sleep(0.2)  # another program's doing

    async def picture(self, wanted: bytes) -> None:
        """Until this is what the entity shows."""
        ends_s = time.monotonic() + WAIT_S
        while (await self.get("/api/image_proxy/image.front_door_picture"))[1] != wanted:
            assert time.monotonic() < ends_s, "the picture was not shown"
            await asyncio.sleep(0.2)

    @staticmethod
    def _store(storage: Path, key: str, data: object, *, minor: int) -> None:
        (storage / key).write_text(json.dumps({"version": 1, "minor_version": minor, "key": key, "data": data}))


def install_home_assistant(root: Path) -> None:
    if (root / f"hass/installed-{HASS}").exists():
        return
    install = f"""
apt-get -q update || true
apt-get -qy --no-install-recommends install gcc libc6-dev python3-dev
python3 -m venv --clear /hass
/hass/bin/pip --disable-pip-version-check install --quiet --progress-bar off homeassistant=={HASS} {" ".join(PARTS)}
touch /hass/installed-{HASS}
"""
    environ = {"HOME": "/root", "DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    command = enter(root, root, install)
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=INSTALL_S, check=False, env=os.environ | environ
    )
    if done.returncode != 0:
        pytest.skip(f"this machine gets no Home Assistant: {done.stderr.strip().splitlines()[-1:]}")


@pytest.mark.system("debootstrap", "unshare", "chroot")
@pytest.mark.timeout(MAKE_S + INSTALL_S + 600)
async def test_a_real_home_assistant_shows_the_camera_through_restarts(broker: Mosquitto, tmp_path: Path) -> None:
    root = await asyncio.to_thread(debian_13)
    await asyncio.to_thread(install_home_assistant, root)
    hass = RealHomeAssistant(root, tmp_path / "hass", broker.port)
    hass.configure()
    home = tmp_path / "home"
    image, seen, button = "image.front_door_picture", "sensor.front_door_last_seen", "button.front_door_take_a_picture"
    try:
        async with aiomqtt.Client("127.0.0.1", broker.port) as camera:
            async with gateway(home, broker.port) as house:
                await take(camera, "porch", jpeg(10))
                await share(house, "porch", name="Front door")
                await pair(house, "porch")
                hass.start()
                await hass.until(lambda found: {image, seen, button} <= set(found), limit_s=START_S)
                await take(camera, "porch", jpeg(40))
                await hass.picture(jpeg(40))
                await take(camera, "porch", jpeg(80))
                await hass.picture(jpeg(80))
                hass.stop()
                hass.start()
                await hass.until(
                    lambda found: found.get(image, {}).get("state") not in (None, "unavailable"), limit_s=START_S
                )
                await hass.picture(jpeg(80))
            await hass.until(lambda found: found[image]["state"] == "unavailable")
            async with gateway(home, broker.port) as house:
                await hass.until(lambda found: found[image]["state"] != "unavailable")
                await hass.picture(jpeg(80))
                registry = json.loads((hass.config / ".storage/core.device_registry").read_text())
                ours = [
                    each for each in registry["data"]["devices"] if ["mqtt", "hearthlog_porch"] in each["identifiers"]
                ]
                assert len(ours) == 1, "one device, before and after the restarts"
                await house.db.write(lambda c: paired.revoke(c, "porch", at_us=2))
                await hass.until(lambda found: not [each for each in found if "front_door" in each])
    finally:
        hass.stop()


@pytest.mark.system("debootstrap", "unshare", "chroot")
@pytest.mark.timeout(MAKE_S + INSTALL_S + 600)
async def test_a_real_home_assistant_comes_in_by_the_credential_that_it_was_given(
    mosquitto: Path, tmp_path: Path
) -> None:
    root = await asyncio.to_thread(debian_13)
    await asyncio.to_thread(install_home_assistant, root)
    unit, image = Unit(), "image.front_door_picture"
    with own_broker(mosquitto, tmp_path) as broker:
        settings = replace(broker.settings(), home_assistant=HomeAssistant(discovery=True))
        async with owned_house(settings) as house:
            device = (await unit.pair((await house.open_window())["text"]))["device"]
            given = await house.admin("POST", "/broker/home-assistant")
            login = {"username": given["user"], "password": given["password"], "client_id": given["client_id"]}
            hass = RealHomeAssistant(root, tmp_path / "hass", broker.port, login)
            hass.configure()
            try:
                async with unit.connected() as camera:
                    await take(camera, device, jpeg(10))
                    await share(house.gateway, device, name="Front door")
                    hass.start()
                    await hass.until(lambda found: image in found, limit_s=START_S)
                    await take(camera, device, jpeg(40))
                    await hass.picture(jpeg(40))
                await house.admin("POST", f"/devices/{device}/revoke")
                await hass.until(lambda found: not [each for each in found if "front_door" in each])
            finally:
                hass.stop()
