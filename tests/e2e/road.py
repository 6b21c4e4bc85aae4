"""Helpers for tests of the way in: a gateway's ingest on a real store, and a camera that speaks MQTT."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiomqtt

from gateway.config import Mqtt
from gateway.decoders.record import RecordKind, encode_record
from gateway.entities import Json, RecordKey
from gateway.ingest.accept import Gate, GateSettings
from gateway.ingest.dating import Dating
from gateway.ingest.mqtt import MqttIngest, Times
from gateway.spool import Plan, Spool
from gateway.store.blobs import BlobFolder
from gateway.store.db import Connection, Database
from gateway.store.keys import Keyring, open_keyring

T = TypeVar("T")
WAIT_S = 60
BOOT = bytes(range(8))


@dataclass(slots=True)
class House:
    """A gateway that only takes in."""

    db: Database
    spool: Spool
    gate: Gate
    ingest: MqttIngest

    async def until(self, look: Callable[[Connection], T]) -> T:
        """Wait until `look` finds something; looks again after each commit."""
        async with asyncio.timeout(WAIT_S):
            while True:
                committed = asyncio.ensure_future(self.db.next_commit())
                await asyncio.sleep(0)
                found = await self.db.read(look)
                if found:
                    committed.cancel()
                    return found
                await committed

    async def count(self, table: str) -> int:
        return await self.db.read(lambda c: int(c.execute(f"SELECT count(*) FROM {table}").fetchone()[0]))


@contextlib.asynccontextmanager
async def house(home: Path, settings: Mqtt, *, synced: bool = True) -> AsyncIterator[House]:
    keyring = _opened(home)
    async with (
        Database(home / "hearthlog.db") as db,
        Spool(db, BlobFolder(home), keyring, plan=Plan(), run="test") as spool,
    ):
        dating = Dating(db, zone="UTC", now_us=now_us)
        gate = Gate(spool, dating, GateSettings(zone="UTC", accept_unknown=settings.unknown_devices != "refuse"))
        ingest = MqttIngest(gate, db, settings, times=Times(now_us, lambda: synced))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(ingest.run(), name="ingest"),
                group.create_task(dating.run(), name="dating"),
            ]
            try:
                yield House(db, spool, gate, ingest)
            finally:
                for task in tasks:
                    task.cancel()


def _opened(home: Path) -> Keyring:
    home.mkdir(parents=True, exist_ok=True)
    return open_keyring(home)


async def eventually(look: Callable[[], bool]) -> None:
    """For what no event tells of: another program's doings."""
    async with asyncio.timeout(WAIT_S):
        while not look():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def now_us() -> int:
    return time.time_ns() // 1_000


@dataclass(slots=True)
class Camera:
    """A device on the record lane."""

    name: str
    client: aiomqtt.Client
    inbox: asyncio.Queue[tuple[str, Any]] = field(default_factory=asyncio.Queue)
    boot: bytes = BOOT
    counter: int = 1

    async def say(self, voice: str, payload: bytes | Json, *, qos: int = 1, retain: bool = False) -> None:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        await self.client.publish(f"hearthlog/v1/{self.name}/up/{voice}", data, qos=qos, retain=retain)

    def record(
        self,
        sequence: int,
        body: bytes,
        *,
        kind: RecordKind = RecordKind.JPEG,
        meta: Json | None = None,
        mono_us: int = 0,
    ) -> bytes:
        key = RecordKey(self.boot, self.counter, sequence, mono_us or sequence * 1_000_000)
        return encode_record(kind=kind, key=key, meta=meta or {}, body=body)

    async def heard(self, what: str) -> Any:
        """The next message on `dn/<what>`."""
        async with asyncio.timeout(WAIT_S):
            while True:
                topic, value = await self.inbox.get()
                if topic.endswith(f"/dn/{what}"):
                    return value

    async def gateway(self, state: str) -> None:
        """Wait until the gateway says that it is online or offline."""
        async with asyncio.timeout(WAIT_S):
            while True:
                topic, value = await self.inbox.get()
                if topic.endswith("gateway/status") and value["state"] == state:
                    return


@contextlib.asynccontextmanager
async def camera(port: int, name: str = "porch") -> AsyncIterator[Camera]:
    """A camera that is connected and knows the gateway to be online."""
    async with aiomqtt.Client("127.0.0.1", port, max_queued_outgoing_messages=0) as client:
        one = Camera(name, client)

        async def listen() -> None:
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                one.inbox.put_nowait((str(message.topic), json.loads(message.payload)))

        await client.subscribe(f"hearthlog/v1/{name}/dn/#", qos=1)
        await client.subscribe("hearthlog/v1/gateway/status", qos=1)
        task = asyncio.create_task(listen(), name=f"camera-{name}")
        try:
            yield one
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
                await task
