"""A small house behind the real web application: real database, blobs, search and health; worker processes if asked."""

from __future__ import annotations

import hashlib
import struct
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from gateway.accounts import Accounts
from gateway.config import Http, Settings
from gateway.devices import Devices
from gateway.entities import AiUsage, CapturedAt, Decoded, Kind, Lane, Privacy, Role, TimeSource, Viewer
from gateway.index.indexer import Index
from gateway.inference.models import Models
from gateway.inference.workers import Workers, open_workers
from gateway.jobs.health import Watch, Watched
from gateway.jobs.heat import Heat
from gateway.memory import Memories
from gateway.passwords import Cost
from gateway.pipeline.runner import House, Runner
from gateway.recall.search import Place, Search
from gateway.spool import Plan, Spool
from gateway.store import devices, understood
from gateway.store.arrivals import Arrival
from gateway.store.blobs import BlobFolder
from gateway.store.captures import Shelf
from gateway.store.db import Database
from gateway.store.keys import open_keyring
from gateway.testing import TwinWorkers
from gateway.web.app import make_app
from gateway.web.parts import Parts

WORDS = "three or four words"
PLAN = Plan({Kind.IMAGE: {"ocr": (), "caption": ("ocr",)}, Kind.AUDIO: {"asr": ()}, Kind.TEXT: {"note": ()}})
Client = TestClient[Request, Application]


@dataclass
class WebHouse:
    """What a test of the web needs."""

    parts: Parts
    db: Database
    spool: Spool
    index: Index
    owner: str
    reasons: list[str] = field(default_factory=list)
    clients: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def client(self, *, tells_site: bool = True) -> Client:
        """A browser of its own: with its own cookies. `tells_site`: it says that its requests come from our pages."""
        server = TestServer(make_app(self.parts))
        headers = {"Sec-Fetch-Site": "same-origin"} if tells_site else {}
        client = TestClient(server, cookie_jar=CookieJar(unsafe=True), headers=headers)
        return await self.clients.enter_async_context(client)

    async def nora(self) -> Viewer:
        """The admin, made at the first asking."""
        if await self.parts.accounts.first_run():
            await self.parts.accounts.add(None, "Nora", Role.ADMIN, WORDS)
        return await self.parts.accounts.named("Nora")

    async def signed_in(self, name: str = "Nora", *, tells_site: bool = True) -> Client:
        """A browser that is signed in."""
        await self.nora()
        client = await self.client(tells_site=tells_site)
        answer = await client.post("/api/v1/session", json={"name": name, "password": WORDS})
        assert answer.status == 200, await answer.text()
        return client

    async def token(self, *scopes: str, name: str = "Nora") -> dict[str, str]:
        """The header of a program."""
        await self.nora()
        viewer = await self.parts.accounts.named(name)
        _, secret = await self.parts.accounts.create_token(viewer, scopes)
        return {"Authorization": f"Bearer {secret}"}

    async def put(
        self,
        body: bytes,
        *,
        at_us: int = 1_700_000_000_000_000,
        kind: Kind = Kind.IMAGE,
        media_type: str = "image/jpeg",
        owner: str = "",
        privacy: Privacy = Privacy.PRIVATE,
        caption: str = "",
    ) -> str:
        """Take something in; its uid."""
        decoded = Decoded(kind, media_type, body, hashlib.sha256(body).digest(), 640, 480)
        arrival = Arrival(
            decoded=decoded,
            owner=owner or self.owner,
            privacy=privacy,
            ai_usage=AiUsage.CHAT,
            captured_at=CapturedAt(at_us, TimeSource.DEVICE_SYNCED, 1_000),
            received_at_us=at_us,
            lane=Lane.PLAIN,
            device="porch",
            source_name='<b>"../porch\r\n',
        )
        uid = (await self.spool.put(arrival)).uid
        if caption:
            number = await self.db.read(
                lambda c: int(c.execute("SELECT id FROM capture WHERE uid = ?", (uid,)).fetchone()[0])
            )
            await self.db.write(
                lambda c: understood.decide(c, number, person=self.owner, decisions=[("caption", caption)], at_us=at_us)
            )
        await self.index.catch_up()
        return uid


@asynccontextmanager
async def open_web_house(
    home: Path, *, http: Http | None = None, real_workers: bool = False
) -> AsyncIterator[WebHouse]:
    """Open one in `home`. Real workers need a moment; without them a twin answers."""
    clock = _now_us
    async with AsyncExitStack() as stack:
        keyring = open_keyring(home, environ={})
        db = await stack.enter_async_context(Database(home / "hearthlog.db"))
        folder = BlobFolder(home)
        shelf = Shelf(folder.root, keyring)
        spool = await stack.enter_async_context(Spool(db, folder, keyring, plan=PLAN, run="run-1"))
        workers: Workers = TwinWorkers()
        if real_workers:
            workers = await stack.enter_async_context(open_workers(Models(home)))
        index = await stack.enter_async_context(Index(db))
        search = Search(db, index, embed=_no_model, place=Place("Europe/Stockholm", clock), shelf=shelf)
        runner = Runner(House(db, spool, shelf, workers, {}, clock))
        watch = Watch(Watched(db, spool, runner, workers, home, 1_000, Heat(75, 85), clock, tuple, _nothing_goes))
        memories = Memories(db, shelf=shelf, spool=spool, search=search, clock=clock, zone="Europe/Stockholm")
        accounts = Accounts(db, keyring.secret("accounts"), clock, cost=Cost(memory_kib=8, passes=1))
        device = await db.write(lambda c: devices.add(c, "porch", lane=Lane.PLAIN, at_us=1))
        reasons: list[str] = []
        parts = Parts(
            settings=Settings(home=home, http=http or Http()),
            accounts=accounts,
            memories=memories,
            devices=Devices(db, clock=clock, zone="Europe/Stockholm"),
            health=watch,
            workers=workers,
            clock=clock,
            unready=lambda: reasons,
        )
        house = WebHouse(parts, db, spool, index, device.owner, reasons)
        async with house.clients:
            yield house


def with_demo_user(house: WebHouse, name: str) -> WebHouse:
    """The same house, whose loopback visitors are signed in as somebody."""
    http = replace(house.parts.settings.http, demo_user=name)
    house.parts = replace(house.parts, settings=replace(house.parts.settings, http=http))
    return house


def png(width_px: int, height_px: int) -> bytes:
    """A real picture, black."""
    rows = b"".join(b"\0" + bytes(width_px) for _ in range(height_px))
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width_px, height_px, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    chunks = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


async def _nothing_goes() -> str:
    return ""


async def _no_model(text: str, space: str) -> bytes | None:
    return None


def _now_us() -> int:
    return time.time_ns() // 1_000
