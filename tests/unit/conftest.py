"""A small house: a real database, real blobs and a spool, in a temporary folder."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.entities import (
    AiUsage,
    CapturedAt,
    Decoded,
    Kind,
    Lane,
    Priority,
    Privacy,
    RecordKey,
    TimeSource,
)
from gateway.spool import Plan, Spool
from gateway.store import devices, jobs
from gateway.store.arrivals import Arrival, Put
from gateway.store.blobs import BlobFolder
from gateway.store.captures import Shelf
from gateway.store.db import Database
from gateway.store.keys import Keyring, open_keyring

BOOT = bytes.fromhex("0011223344556677")
STEPS: Mapping[Kind, Mapping[str, Sequence[str]]] = {
    Kind.IMAGE: {"quality": (), "dedupe": ("quality",), "ocr": ("dedupe",), "caption": ("dedupe", "ocr")},
    Kind.AUDIO: {"vad": ()},
    Kind.TEXT: {"note": ()},
}


@dataclass
class SmallHouse:
    """What a test of the store needs."""

    path: Path
    db: Database
    folder: BlobFolder
    keyring: Keyring
    spool: Spool
    owner: str
    stack: AsyncExitStack = field(repr=False)

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.folder.root, self.keyring)

    def arrival(self, body: bytes, *, at_us: int = 1_000_000, seq: int | None = None, **changes: object) -> Arrival:
        """A picture's arrival from the porch camera; with `seq` it has a record's key."""
        sha256 = hashlib.sha256(body).digest()
        values: dict[str, object] = {
            "decoded": Decoded(Kind.IMAGE, "image/jpeg", body, sha256, 640, 480),
            "owner": self.owner,
            "privacy": Privacy.PRIVATE,
            "ai_usage": AiUsage.CHAT,
            "captured_at": CapturedAt(at_us, TimeSource.DEVICE_SYNCED, 1_000),
            "received_at_us": at_us,
            "lane": Lane.PLAIN if seq is None else Lane.RECORD,
            "device": "porch",
            "record": None if seq is None else RecordKey(BOOT, 1, seq, at_us),
            "record_hash": b"" if seq is None else sha256,
            "source_name": "porch",
            "priority": Priority.LIVE,
        }
        return Arrival(**{**values, **changes})  # type: ignore[arg-type]  # a test's keywords

    async def put(self, body: bytes, **changes: object) -> Put:
        """Take a picture in."""
        return await self.spool.put(self.arrival(body, **changes))  # type: ignore[arg-type]  # as above

    async def until_idle(self) -> None:
        """Until no job waits or runs."""
        async with asyncio.timeout(20):
            while True:
                wake = asyncio.create_task(self.db.next_commit(), name="wake")
                await asyncio.sleep(0)
                if not any(each.waiting + each.running for each in await self.db.read(jobs.backlogs)):
                    wake.cancel()
                    return
                await wake

    async def count(self, table: str) -> int:
        """Rows of a table."""
        return await self.db.read(lambda c: int(c.execute(f"SELECT count(*) FROM {table}").fetchone()[0]))


async def open_small_house(path: Path, *, plan: Plan | None = None, run: str = "run-1") -> SmallHouse:
    """Open (again) what is in `path`."""
    stack = AsyncExitStack()
    keyring = open_keyring(path, environ={})
    db = await stack.enter_async_context(Database(path / "hearthlog.db"))
    folder = BlobFolder(path)
    spool = await stack.enter_async_context(Spool(db, folder, keyring, plan=plan or Plan(STEPS), run=run))
    device = await db.write(lambda c: devices.add(c, "porch", lane=Lane.RECORD, at_us=1))
    return SmallHouse(path, db, folder, keyring, spool, device.owner, stack)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[SmallHouse]:
    small = await open_small_house(tmp_path)
    async with small.stack:
        yield small
