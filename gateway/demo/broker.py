"""A broker of one's own for the demo: Mosquitto where it is installed, else one inside this process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import HearthlogError

READY_S = 10.0
STOP_S = 5.0
_MOSQUITTO = "/usr/sbin/mosquitto"
"""Debian puts it where an ordinary PATH does not look."""


class NoBroker(HearthlogError):
    """There is no broker to be had here."""

    code = "no-broker"


@dataclass(frozen=True, slots=True)
class DemoBroker:
    """A running broker on loopback."""

    url: str
    """mqtt://127.0.0.1:PORT"""
    name: str
    """For people: `mosquitto` or `embedded`."""
    durable: bool
    """False: messages the gateway has not taken are lost with this process."""

    def __str__(self) -> str:
        return self.url


@contextlib.asynccontextmanager
async def demo_broker(home_dir: Path, *, program: str | None = None) -> AsyncIterator[DemoBroker]:
    """A broker that runs as long as the context and keeps its files in `home_dir`/broker.

    `program` is the path of a mosquitto (tests), "" for the embedded one. Raises `NoBroker`.
    """
    found = find_mosquitto() if program is None else program
    if found:
        async with _mosquitto(found, home_dir / "broker") as broker:
            yield broker
    else:
        async with _embedded() as broker:
            yield broker


def find_mosquitto() -> str:
    """The path of an installed Mosquitto, else empty."""
    found = shutil.which("mosquitto")
    if found is None and os.access(_MOSQUITTO, os.X_OK):
        found = _MOSQUITTO
    return found or ""


@contextlib.asynccontextmanager
async def _mosquitto(program: str, folder: Path) -> AsyncIterator[DemoBroker]:
    port = _free_port()
    settings = await asyncio.to_thread(_write_settings, folder, port)
    process = await asyncio.create_subprocess_exec(
        program,
        "-c",
        str(settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _until_open(port, process)
        yield DemoBroker(url=f"mqtt://127.0.0.1:{port}", name="mosquitto", durable=True)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _write_settings(folder: Path, port: int) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = folder / "mosquitto.conf"
    lines = (
        *(("user root",) if os.geteuid() == 0 else ()),  # else it changes to a user who may not read this folder
        f"listener {port} 127.0.0.1",
        "allow_anonymous true",
        "persistence true",
        f"persistence_location {folder}/",
        "autosave_interval 60",
        "max_packet_size 2097152",
        "max_queued_messages 2000",
        "set_tcp_nodelay true",
        "log_type none",
        f"pid_file {folder / 'mosquitto.pid'}",
    )
    settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return settings


async def _until_open(port: int, process: asyncio.subprocess.Process) -> None:
    """Raises `NoBroker` when it ends or does not listen in time."""
    try:
        async with asyncio.timeout(READY_S):
            while process.returncode is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.02)
                    continue
                writer.close()
                return
    except TimeoutError:
        raise NoBroker(f"mosquitto does not listen after {READY_S:.0f} s") from None
    raise NoBroker(f"mosquitto ended at once with status {process.returncode}", hint="mosquitto -v shows why")


@contextlib.asynccontextmanager
async def _embedded() -> AsyncIterator[DemoBroker]:
    try:
        from amqtt.broker import Broker  # noqa: PLC0415  (an optional extra)
    except ImportError:
        raise NoBroker(
            "no Mosquitto is installed, and the embedded broker is not either",
            hint="apt install mosquitto, or pip install 'hearthlog[demo]'",
        ) from None
    port = _free_port()
    settings = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    broker = Broker(settings)
    await broker.start()
    try:
        yield DemoBroker(url=f"mqtt://127.0.0.1:{port}", name="embedded", durable=False)
    finally:
        await broker.shutdown()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
