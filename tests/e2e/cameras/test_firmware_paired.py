"""The cameras' own core, paired: over TLS to the house's own Mosquitto, taking orders and new firmware, revoked."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image

from gateway.cameras import UpdateAsked, update_args
from gateway.cli.devices import COMMAND as DEVICES
from gateway.errors import Conflict
from gateway.store import firmware, paired
from gateway.store.paired import Command
from tests.e2e.owned import OUTSIDE, OwnedHouse

pytestmark = [pytest.mark.slow, pytest.mark.system("gcc", "make"), pytest.mark.timeout(300)]

FIRMWARE = Path(__file__).resolve().parents[3] / "firmware" / "esp32"
WAIT_S = 60


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = tmp_path_factory.mktemp("firmware")
    make = shutil.which("make")
    assert make is not None
    subprocess.run([make, "-s", "-C", str(FIRMWARE), "sim", f"BUILD={build}"], check=True)
    (build / "frames").mkdir()
    Image.effect_noise((160, 120), 60).convert("RGB").save(build / "frames" / "0.jpg")
    return build / "hearthcam-sim"


class Program:
    """A running hearthcam-sim and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.device = ""

    async def line(self, beginning: str) -> str:
        """The next line that begins so."""
        assert self._process.stdout is not None
        async with asyncio.timeout(WAIT_S):
            while line := (await self._process.stdout.readline()).decode():
                if line.startswith(beginning):
                    return line.strip()
        raise AssertionError(f"it ended, and never said {beginning}")

    async def ended(self) -> int:
        """Its exit status, once it ends by itself."""
        assert self._process.stdout is not None
        async with asyncio.timeout(WAIT_S):
            await self._process.stdout.read()
            return await self._process.wait()

    async def last_words(self) -> dict[str, Any]:
        """End it: what it tells of itself then."""
        self._process.terminate()
        told: dict[str, Any] = json.loads(await self.line("{"))
        return told

    async def end(self) -> int:
        with suppress(ProcessLookupError):
            self._process.terminate()
        assert self._process.stdout is not None
        await self._process.stdout.read()
        return await self._process.wait()


async def started(simulator: Path, card: Path, *more: str) -> Program:
    frames = simulator.parent / "frames"
    arguments = ["--card", str(card), "--frames", str(frames), "--count", "1000000", "--interval", "200", *more]
    process = await asyncio.create_subprocess_exec(str(simulator), *arguments, stdout=asyncio.subprocess.PIPE)
    return Program(process)


@pytest.fixture
async def camera(simulator: Path, house: OwnedHouse, tmp_path: Path) -> AsyncIterator[Program]:
    """Paired, with the public half of `key.pem` in it."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    public = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    (tmp_path / "key.pem").write_bytes(key.private_bytes(*private))
    (tmp_path / "public.pem").write_bytes(key.public_key().public_bytes(*public))
    text = (await house.open_window())["text"]
    about = ["--hardware", "sim-7", "--firmware", "1.0.0", "--key", str(tmp_path / "public.pem")]
    program = await started(simulator, tmp_path / "card", "--pair", text, *about)
    program.device = (await program.line("paired ")).split()[1]
    yield program
    await program.end()


async def stored(house: OwnedHouse, device: str, *, more_than: int) -> int:
    """How many pictures of this camera there are, once there are more than that."""
    query = "SELECT count(*) FROM capture WHERE device = ? HAVING count(*) > ?"
    return int((await house.until(lambda c: c.execute(query, (device, more_than)).fetchone()))[0])


async def ordered(house: OwnedHouse, device: str, what: str, **more: Any) -> tuple[str, str]:
    """Tell a camera something; (state, code) once it has answered."""
    made = await house.admin("POST", f"/devices/{device}/commands", {"cmd": what, **more})
    query = "SELECT 1 FROM command WHERE id = ? AND answered_at_us NOT NULL"
    await house.until(lambda c: c.execute(query, (made["id"],)).fetchone())
    commands: list[dict[str, Any]] = (await house.admin("GET", f"/devices/{device}/camera"))["commands"]
    return next((each["state"], each["code"]) for each in commands if each["id"] == made["id"])


async def add_firmware(tmp_path: Path, version: str, body: bytes) -> None:
    """Signed with `key.pem` and offered, as a maker and an admin do."""
    image = tmp_path / f"sim-{version}.bin"
    image.write_bytes(f"hearthcam-sim {version}\n".encode() + body)
    signing = ["firmware", "sign", str(image), "--board", "simulated", "--version", version]
    for arguments in ([*signing, "--key", str(tmp_path / "key.pem")], ["firmware", "add", str(image)]):
        ran = await asyncio.to_thread(CliRunner().invoke, DEVICES, arguments)
        assert ran.exit_code == 0, (ran.output, ran.exception)


async def test_paired_camera_speaks_tls_and_obeys(house: OwnedHouse, camera: Program) -> None:
    await stored(house, camera.device, more_than=3)
    assert await ordered(house, camera.device, "identify") == ("done", "")
    await camera.line("identified ")
    assert await ordered(house, camera.device, "snapshot") == ("done", "")
    await house.admin("PUT", f"/devices/{camera.device}/tuning", {"privacy": True})
    for _ in range(50):  # the setting and the command go different ways: the camera may hear the command first
        if await ordered(house, camera.device, "snapshot") == ("failed", "private"):
            break
    else:
        raise AssertionError("privacy never reached the camera")


async def test_new_firmware_is_fetched_started_and_kept(
    house: OwnedHouse, camera: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await stored(house, camera.device, more_than=2)
    monkeypatch.setenv("HEARTHLOG_HOME", str(house.settings.home))
    await add_firmware(tmp_path, "1.1.0", bytes(range(256)) * 2_000)
    assert await ordered(house, camera.device, "update") == ("done", "")
    assert await camera.line("started ") == f"started {camera.device} 1.1.0"
    assert await camera.line("confirmed ") == "confirmed 1.1.0"
    await stored(house, camera.device, more_than=before)


async def test_older_firmware_is_taken_only_where_an_admin_asks_for_it(
    house: OwnedHouse, camera: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored(house, camera.device, more_than=0)
    monkeypatch.setenv("HEARTHLOG_HOME", str(house.settings.home))
    for version in ("0.9.1", "0.9.2"):
        await add_firmware(tmp_path, version, version.encode() * 1_000)
    known = await house.admin("GET", f"/devices/{camera.device}/camera")
    assert (known["update"], known["others"]) == (None, ["0.9.2", "0.9.1"])
    for asked, code in (({}, "no-update"), ({"version": "0.9.1"}, "not-newer"), ({"version": "0.9.3"}, "no-update")):
        with pytest.raises(Conflict) as refused:
            await house.admin("POST", f"/devices/{camera.device}/commands", {"cmd": "update", **asked})
        assert refused.value.code == code

    told = ["update", camera.device, "--version", "0.9.1"]
    assert (await asyncio.to_thread(CliRunner().invoke, DEVICES, told)).exit_code != 0
    ran = await asyncio.to_thread(CliRunner().invoke, DEVICES, [*told, "--allow-downgrade"])
    assert ran.exit_code == 0, (ran.output, ran.exception)
    assert await camera.line("started ") == f"started {camera.device} 0.9.1"
    assert await camera.line("confirmed ") == "confirmed 0.9.1"
    assert ("command", "update") in await house.audit()
    known = await house.admin("GET", f"/devices/{camera.device}/camera")
    assert (known["update"], known["others"]) == ("0.9.2", ["0.9.1"])
    assert await ordered(house, camera.device, "update") == ("done", "")
    assert await camera.line("confirmed ") == "confirmed 0.9.2"


async def test_a_camera_itself_refuses_an_older_image_that_nobody_asked_for(
    house: OwnedHouse, camera: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored(house, camera.device, more_than=0)
    monkeypatch.setenv("HEARTHLOG_HOME", str(house.settings.home))
    await add_firmware(tmp_path, "0.9.1", b"x" * 1_000)
    (image,) = await house.gateway.db.read(firmware.all_of)
    args = update_args(camera.device, image, UpdateAsked(f"{OUTSIDE}:{house.settings.http.port}"))
    number, now_us = "0123456789abcdef", time.time_ns() // 1_000
    command = Command(number, camera.device, "update", args, "", now_us, now_us + 60_000_000)
    await house.gateway.db.write(lambda c: paired.put_command(c, command))
    await house.gateway.cameras._send(command)
    query = "SELECT ok, code FROM command WHERE id = ? AND answered_at_us NOT NULL"
    row = await house.until(lambda c: c.execute(query, (number,)).fetchone())
    assert tuple(row) == (0, "not-newer")


async def test_firmware_that_somebody_else_signed_is_refused_by_the_camera(
    house: OwnedHouse, camera: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored(house, camera.device, more_than=0)
    other = ec.generate_private_key(ec.SECP256R1())
    private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "other.pem").write_bytes(other.private_bytes(*private))
    image = tmp_path / "sim.bin"
    image.write_bytes(b"hearthcam-sim 6.6.6\n")
    monkeypatch.setenv("HEARTHLOG_HOME", str(house.settings.home))
    signing = ["firmware", "sign", str(image), "--board", "simulated", "--version", "6.6.6"]
    for arguments in ([*signing, "--key", str(tmp_path / "other.pem")], ["firmware", "add", str(image)]):
        ran = await asyncio.to_thread(CliRunner().invoke, DEVICES, arguments)
        assert ran.exit_code == 0, (ran.output, ran.exception)
    assert await ordered(house, camera.device, "update") == ("failed", "bad-signature")
    assert await ordered(house, camera.device, "identify") == ("done", "")


async def test_credential_outlives_a_restart_and_forget_ends_it(
    house: OwnedHouse, camera: Program, simulator: Path, tmp_path: Path
) -> None:
    before = await stored(house, camera.device, more_than=0)
    await camera.end()
    again = await started(simulator, tmp_path / "card")  # neither a broker nor a pairing text
    try:
        await stored(house, camera.device, more_than=before + 1)
        assert await ordered(house, camera.device, "forget") == ("done", "")
        await again.line("started ")
    finally:
        await again.end()
    third = await started(simulator, tmp_path / "card")
    assert await third.ended() != 0  # there is nothing left that it could be


MEANT_OTHERWISE = {
    "ack": (
        b"{}",
        b'{"boot":"0123456789abcdef","ranges":[[2,1]],"nack":[],"credit":4}',
        b'{"boot":"0123456789abcdef","ranges":[],"nack":[{"seq":1,"code":"x"}],"credit":4}',
        b'{"boot":"0123456789abcdef","ranges":[],"nack":[],"credit":-1}',
        b'{"boot":"0123456789abcdef","ranges":[[0,9007199254740991]],"nack":[],"credit":1000}',
    ),
    "cfg": (b'{"every_s":0}', b'{"quality":64}', b'{"quiet":[1]}', b'{"motion":1}', b'{"every_s":5,"every_s":6}'),
    "cmd": (
        b'{"id":"0123456789abcdef","cmd":"forget"}',
        b'{"id":"0123456789ABCDEF","cmd":"forget","args":{},"expires_us":9000000000000000,"ttl_ms":60000}',
        b'{"id":"0123456789abcdef","cmd":"forget","args":[],"expires_us":9000000000000000,"ttl_ms":60000}',
        b'{"id":"0123456789abcdef","cmd":"forget","args":{},"expires_us":-1,"ttl_ms":60000}',
    ),
    "time": (b'{"t0_us":1}', b'{"t0_us":1,"utc_us":"x","synced":true}', b'{"t0_us":-1,"utc_us":1,"synced":true}'),
    "other": (b"{}",),
}
"""Whole JSON that is none of what a camera may be told."""


async def test_noise_on_every_topic_that_a_camera_hears_changes_no_state(
    house: OwnedHouse, camera: Program, tmp_path: Path
) -> None:
    before = await stored(house, camera.device, more_than=2)
    await house.admin("PUT", f"/devices/{camera.device}/tuning", {"every_s": 30})
    assert await ordered(house, camera.device, "identify") == ("done", "")
    kv, mqtt, draw = tmp_path / "card" / "kv", house.settings.mqtt, random.Random(5)
    kept = ("cfg0", "cfg1", "cmds", "cred0", "cred1", "ca0", "ca1", "trial", "boot")
    async with asyncio.timeout(WAIT_S):
        while not any((kv / name).exists() for name in ("cfg0", "cfg1")):  # noqa: ASYNC110  another program
            await asyncio.sleep(0.02)
    known = {name: (kv / name).read_bytes() for name in kept if (kv / name).exists()}
    password, port = Path(mqtt.password_file).read_text(), int(mqtt.url.rpartition(":")[2])
    async with aiomqtt.Client("127.0.0.1", port, username="gateway", password=password) as thief:
        topics = {f"hearthlog/v1/{camera.device}/dn/{what}": meant for what, meant in MEANT_OTHERWISE.items()}
        for topic, meant in {**topics, "hearthlog/v1/gateway/status": (b'{"state":"on"}', b'{"state":7}')}.items():
            for n in range(60):
                whole = draw.choice(meant)
                cut = whole[: draw.randrange(len(whole))]
                payload = (draw.randbytes(draw.randrange(2_000)), cut, whole)[n % 3]
                await thief.publish(topic, payload, qos=n % 2)
    assert await ordered(house, camera.device, "identify") == ("done", "")  # heard after all of that
    now = {name: (kv / name).read_bytes() for name in kept if (kv / name).exists()}
    assert {**now, "cmds": b""} == {**known, "cmds": b""}
    await stored(house, camera.device, more_than=before + 5)
    report = await camera.last_words()
    assert report["bad_messages"] > 200
    assert (report["quarantined"], report["lost"], report["nacks"]) == (0, 0, 0)


async def test_a_wrong_code_is_told_and_nothing_is_kept(house: OwnedHouse, simulator: Path, tmp_path: Path) -> None:
    text = (await house.open_window())["text"]
    code = text.split("c=")[1].split("&")[0]
    wrong = text.replace(code, "00000000" if code != "00000000" else "11111111")
    program = await started(simulator, tmp_path / "card", "--pair", wrong, "--hardware", "sim-8")
    assert await program.ended() == 1
    program = await started(simulator, tmp_path / "card", "--pair", text, "--hardware", "sim-8")
    assert (await program.line("paired ")).split()[1]
    await program.end()


async def test_a_box_with_another_authority_is_not_given_the_code(
    house: OwnedHouse, simulator: Path, tmp_path: Path
) -> None:
    text = (await house.open_window())["text"]
    other = text[:-1] + ("0" if text[-1] != "0" else "1")
    program = await started(simulator, tmp_path / "card", "--pair", other, "--hardware", "sim-9")
    assert await program.ended() == 1
    window = await house.admin("GET", "/devices/pair")
    assert (window["state"], window["tries_left"]) == ("open", 5)
    assert [line for line in await house.audit() if line[1] != "opened"] == []
