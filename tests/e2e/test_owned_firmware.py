"""The firmware's own core (hearthcam-sim) comes into a real gateway by its pairing text, over TLS and a real Mosquitto:
pictures, settings, commands, an update that is signed, and the end of it all.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.cli.devices import COMMAND as DEVICES
from tests.e2e.owned import OwnBroker, OwnedHouse, own_broker, owned_house

pytestmark = [pytest.mark.slow, pytest.mark.system("mosquitto")]
FIRMWARE = Path(__file__).resolve().parents[2] / "firmware" / "esp32"
BOARD = "simulated"
WAIT_S = 30


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or shutil.which("make") is None:
        pytest.skip("no C compiler, or no make")
    build = tmp_path_factory.mktemp("firmware")
    subprocess.run(["make", "-s", "-C", str(FIRMWARE), "sim", f"BUILD={build}", f"CC={compiler}"], check=True)
    return build / "hearthcam-sim"


@pytest.fixture
def broker(tmp_path: Path, mosquitto: Path) -> Iterator[OwnBroker]:
    with own_broker(mosquitto, tmp_path) as made:
        yield made


@pytest.fixture
async def house(broker: OwnBroker) -> AsyncIterator[OwnedHouse]:
    async with owned_house(broker.settings()) as made:
        yield made


@dataclass
class Sim:
    """A simulated camera, and what it says."""

    process: asyncio.subprocess.Process
    said: list[str] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.said.append(line.decode().rstrip())
            self._more.set()

    async def says(self, words: str) -> str:
        async with asyncio.timeout(WAIT_S):
            while True:
                found = next((line for line in self.said if words in line), None)
                if found is not None:
                    return found
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def running(simulator: Path, *arguments: str) -> AsyncIterator[Sim]:
    process = await asyncio.create_subprocess_exec(
        simulator, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    sim = Sim(process)
    listening = asyncio.create_task(sim.listen())
    try:
        yield sim
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await listening


async def until(house: OwnedHouse, path: str, look: Callable[[Any], bool]) -> Any:
    """The answer once it is as awaited; asked again after each commit."""
    async with asyncio.timeout(WAIT_S):
        while True:
            committed = asyncio.ensure_future(house.gateway.db.next_commit())
            await asyncio.sleep(0)
            found = await house.admin("GET", path)
            if look(found):
                committed.cancel()
                return found
            await committed


async def test_a_camera_with_our_firmware_lives_its_whole_life_here(
    house: OwnedHouse, simulator: Path, tmp_path: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    _write_keys(key, tmp_path)
    monkeypatch.setenv("HEARTHLOG_HOME", str(house.settings.home))
    window = await house.open_window()
    arguments = ["--card", f"{tmp_path}/card", "--frames", f"{media}/images", "--count", "1000", "--interval", "500"]
    arguments += ["--board", BOARD, "--firmware", "1.0.0", "--key", f"{tmp_path}/public.pem", "--stay", "--quiet"]
    async with running(simulator, "--pair", window["text"], *arguments) as sim:
        device = (await sim.says("paired ")).split()[-1]
        assert (await house.admin("GET", f"/devices/{device}"))["pairing"] == "paired"
        found = await until(house, f"/devices/{device}", lambda each: each["frames_today"] >= 2)
        assert (found["state"], found["lane"], found["quarantined"]) == ("awake", "record", 0)

        for cmd in ("identify", "snapshot"):
            await house.admin("POST", f"/devices/{device}/commands", {"cmd": cmd})
        await until(house, f"/devices/{device}/camera", lambda each: _states(each) == {"done"})

        await _offer(tmp_path, "1.0.1", b"hearthcam-sim 1.0.1\n" + bytes(200_000))
        assert (await house.admin("GET", f"/devices/{device}/camera"))["update"] == "1.0.1"
        await house.admin("POST", f"/devices/{device}/commands", {"cmd": "update"})
        await sim.says(f"started {device} 1.0.1")
        await until(house, f"/devices/{device}", lambda each: each["firmware"] == "1.0.1")
        assert (await house.admin("GET", f"/devices/{device}/camera"))["update"] is None

        before = (await house.admin("GET", f"/devices/{device}"))["frames_today"]
        await until(house, f"/devices/{device}", lambda each: each["frames_today"] > before)
        assert (await house.admin("POST", f"/devices/{device}/revoke"))["disconnected"]
        after = await house.admin("GET", f"/devices/{device}")
        await house.until(lambda c: c.execute("SELECT 1 FROM audit WHERE event = 'broker'").fetchone())
        assert (await house.admin("GET", f"/devices/{device}"))["frames_today"] <= after["frames_today"] + 1


async def test_a_camera_with_our_firmware_does_not_come_to_another_authority(
    house: OwnedHouse, simulator: Path, tmp_path: Path
) -> None:
    text = (await house.open_window())["text"]
    wrong = text[:-1] + ("0" if text[-1] != "0" else "1")
    async with running(simulator, "--pair", wrong, "--card", f"{tmp_path}/card", "--count", "1") as sim:
        assert await asyncio.wait_for(sim.process.wait(), WAIT_S) not in (0, None)
    window = await house.admin("GET", "/devices/pair")
    assert (window["state"], window["tries_left"]) == ("open", 5)
    assert [line for line in await house.audit() if line[1] != "opened"] == []


def _states(camera: Any) -> set[str]:
    return {each["state"] for each in camera["commands"]}


def _write_keys(key: ec.EllipticCurvePrivateKey, folder: Path) -> None:
    private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    public = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    (folder / "key.pem").write_bytes(key.private_bytes(*private))
    (folder / "public.pem").write_bytes(key.public_key().public_bytes(*public))


async def _offer(folder: Path, version: str, body: bytes) -> None:
    image = folder / "image.bin"
    await asyncio.to_thread(image.write_bytes, body)
    signing = ["firmware", "sign", str(image), "--board", BOARD, "--version", version, "--key", f"{folder}/key.pem"]
    for arguments in (signing, ["firmware", "add", str(image)]):
        ran = await asyncio.to_thread(CliRunner().invoke, DEVICES, arguments)
        assert ran.exit_code == 0, (ran.output, ran.exception)
