"""Helpers for tests of owning cameras: the house's own Mosquitto, a whole gateway beside it, and a camera that pairs as
its author would write it from docs/wire.md."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import secrets
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import aiomqtt
from aiomqtt.exceptions import MqttError

from gateway import app
from gateway.cli.client import Request, call
from gateway.config import Http, Mqtt, Settings
from gateway.decoders.record import RecordKind, encode_record
from gateway.entities import RecordKey
from gateway.web import broker_files, tls
from tests.bench.broker import ended, own_lines, started
from tests.bench.ports import free_port

WAIT_S = 60
OUTSIDE = "127.0.0.2"
"""An address of this machine that is not 127.0.0.1: there the gateway speaks HTTPS, as to the home's network."""


@dataclass
class OwnBroker:
    """Mosquitto as `hearthlog broker setup` makes it."""

    program: Path
    home: Path
    folder: Path
    port: int = field(default_factory=free_port)
    tls_port: int = field(default_factory=free_port)
    audit: str = ""
    process: subprocess.Popen[bytes] | None = None

    def configure(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        plan = broker_files.Plan(self.folder, str(self.folder), self.port, self.tls_port, audit=self.audit)
        broker_files.write(self.home, plan, names=tls.own_names(), now=datetime.now(UTC))
        config = self.folder / "hearthlog.conf"
        (self.folder / "mosquitto.conf").write_text("\n".join(own_lines(self.folder)) + "\n" + config.read_text())

    def start(self) -> None:
        self.process = started(self.program, self.folder / "mosquitto.conf", self.port)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            ended(self.process, how)
            self.process = None

    def settings(self) -> Settings:
        return Settings(
            home=self.home,
            mqtt=Mqtt(
                url=f"mqtt://gateway@127.0.0.1:{self.port}",
                password_file=str(self.home / broker_files.PASSWORD_FILE),
                device_url=f"mqtts://127.0.0.1:{self.tls_port}",
            ),
            http=Http(host="0.0.0.0", port=free_port()),
        )


@contextlib.contextmanager
def own_broker(program: Path, folder: Path, *, audit: str = "") -> Iterator[OwnBroker]:
    made = OwnBroker(program, folder / "home", folder / "broker", audit=audit)
    made.configure()
    made.start()
    try:
        yield made
    finally:
        made.stop()


@dataclass
class OwnedHouse:
    """A whole gateway, and the admin's way to it."""

    gateway: app.Gateway
    settings: Settings

    async def admin(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return await asyncio.to_thread(call, self.settings.home, Request(method, path, body=body))

    async def open_window(self) -> Any:
        return await self.admin("POST", "/devices/pair", {"address": f"{OUTSIDE}:{self.settings.http.port}"})

    async def audit(self) -> list[tuple[str, str]]:
        """(event, outcome), the newest first."""
        return [(line["event"], line["outcome"]) for line in (await self.admin("GET", "/audit"))["items"]]

    async def until(self, look: Any) -> Any:
        """Wait until `look(connection)` finds something; looks again after each commit."""
        async with asyncio.timeout(WAIT_S):
            while True:
                committed = asyncio.ensure_future(self.gateway.db.next_commit())
                await asyncio.sleep(0)
                found = await self.gateway.db.read(look)
                if found:
                    committed.cancel()
                    return found
                await committed


@contextlib.asynccontextmanager
async def owned_house(settings: Settings) -> AsyncIterator[OwnedHouse]:
    """Running, and with its desk at the broker."""
    async with app.running(settings) as (gateway, _):
        async with asyncio.timeout(WAIT_S):
            while gateway.cameras.desk.control == "down":  # noqa: ASYNC110  the broker tells nobody
                await asyncio.sleep(0.01)
        yield OwnedHouse(gateway, settings)


@dataclass
class Unit:
    """A board fresh from its box."""

    hardware: str = "f4:12:fa:9c:7c:2e"
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))
    trusted: ssl.SSLContext | None = None
    told: dict[str, Any] = field(default_factory=dict)

    async def trust(self, text: str) -> str:
        """Read a pairing text, fetch the authority and check it. Returns the code."""
        parts = parse_qs(text.removeprefix("hearthlog:pair?"), strict_parsing=True)
        blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
        async with aiohttp.ClientSession() as web, web.get(f"https://{parts['h'][0]}/ca.pem", ssl=blind) as answer:
            pem = await answer.text()
        assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() == parts["f"][0]
        self.trusted = ssl.create_default_context(cadata=pem)
        self.trusted.check_hostname = False
        self.place = parts["h"][0]
        return parts["c"][0]

    async def ask(self, code: str, **changed: Any) -> tuple[int, dict[str, Any]]:
        """Status and body of a request to be paired."""
        assert self.trusted is not None
        body = {
            "code": code,
            "nonce": self.nonce,
            "hardware": self.hardware,
            "board": "xiao-esp32s3-sense",
            "firmware": "1.4.2",
            **changed,
        }
        async with (
            aiohttp.ClientSession() as web,
            web.post(f"https://{self.place}/api/v1/pair", json=body, ssl=self.trusted) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    async def pair(self, text: str) -> dict[str, Any]:
        status, self.told = await self.ask(await self.trust(text))
        assert status == 200, self.told
        return self.told

    @contextlib.asynccontextmanager
    async def connected(self, **other: Any) -> AsyncIterator[aiomqtt.Client]:
        """On the broker by TLS, as told. Raises MqttError when it is refused."""
        mqtt = self.told["mqtt"]
        kept = {"username": self.told["device"], "password": self.told["password"], "identifier": mqtt["client_id"]}
        async with aiomqtt.Client(
            mqtt["host"],
            mqtt["port"],
            tls_context=self.trusted,
            protocol=aiomqtt.ProtocolVersion.V5,
            timeout=WAIT_S,
            **{**kept, **other},
        ) as client:
            yield client

    async def is_let_in(self, **other: Any) -> bool:
        try:
            async with self.connected(**other):
                return True
        except MqttError:
            return False

    def like(self, **changed: Any) -> Unit:
        return replace(self, **changed)


def jpeg_record(body: bytes, sequence: int = 1) -> bytes:
    key = RecordKey(bytes(range(8)), 1, sequence, sequence * 1_000_000)
    return encode_record(kind=RecordKind.JPEG, key=key, meta={}, body=body)


def of(message: aiomqtt.Message) -> Any:
    assert isinstance(message.payload, bytes)
    return json.loads(message.payload)
