"""A small house with an index, a search and the door of memories; its meaning is a bag of hashed words."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from gateway.entities import (
    AiUsage,
    Annotation,
    CapturedAt,
    Decoded,
    Duplicate,
    DuplicateKind,
    Embedding,
    Kind,
    Lane,
    Privacy,
    Provenance,
    Role,
    Stored,
    TimeSource,
    Viewer,
)
from gateway.index.indexer import Index
from gateway.memory import Memories
from gateway.recall.search import Place, Search
from gateway.store import devices, understood
from gateway.store.db import Connection
from tests.unit.conftest import SmallHouse, open_small_house

ZONE = "Europe/Stockholm"
NOW = datetime(2026, 9, 24, 18, 42, tzinfo=ZoneInfo(ZONE))
SPACE = "bag@1/words"
DIMENSIONS = 64
MINUTE_US = 60_000_000


def us(*when: int) -> int:
    """An instant of the home's zone, by year, month, day, hour, …"""
    return int(datetime(*when, tzinfo=ZoneInfo(ZONE)).timestamp() * 1_000_000)  # type: ignore[arg-type,misc]


def bag(text: str) -> bytes:
    """A unit vector of the words in a text: alike when words are shared."""
    vector = np.full(DIMENSIONS, 0.01, np.float32)
    for word in re.findall(r"\w+", text.lower()):
        seed = int.from_bytes(hashlib.sha256(word.rstrip("s").encode()).digest()[:4], "little")
        vector += np.random.default_rng(seed).standard_normal(DIMENSIONS).astype(np.float32)
    return (vector / np.linalg.norm(vector)).astype("<f4").tobytes()


@dataclass
class RecallHome:
    """What a test of recall needs."""

    house: SmallHouse
    index: Index
    search: Search
    memories: Memories
    nora: Viewer
    embedded: list[str] = field(default_factory=list)
    count: int = 0

    async def see(self, caption: str = "", *, at_us: int | None = None, **more: object) -> str:
        """Take something in and say what it shows. Returns its uid."""
        self.count += 1
        body = f"body {self.count}".encode()
        at = at_us if at_us is not None else us(2026, 9, 24, 11) + self.count * 1_000_000
        kind = Kind(str(more.get("kind", "image")))
        device = more.get("device", "porch")
        put = await self.house.spool.put(
            self.house.arrival(
                body,
                decoded=Decoded(kind, "image/jpeg", body, hashlib.sha256(body).digest(), 640, 480),
                captured_at=CapturedAt(at, TimeSource.DEVICE_SYNCED, int(str(more.get("error_us", 1_000))), ZONE),
                device=device,
                owner=more.get("owner", self.house.owner),
                privacy=more.get("privacy", Privacy.CIRCLE),
                ai_usage=AiUsage.CHAT,
                received_at_us=at + 1_000,
            )
        )
        await self.say(put.uid, caption, **more)
        return put.uid

    async def say(self, uid: str, caption: str, **more: object) -> None:
        """A step's answer about it, and its vector."""

        def write(connection: Connection) -> None:
            number = connection.execute("SELECT id FROM capture WHERE uid = ?", (uid,)).fetchone()[0]
            copy = None
            if more.get("copy_of"):
                kept = connection.execute("SELECT id FROM capture WHERE uid = ?", (more["copy_of"],)).fetchone()[0]
                copy = Duplicate(DuplicateKind(str(more.get("copy", "static"))), kept, {"cells": 0.0})
            words = {name: str(more.get(name, "")) for name in ("text", "transcript")}
            tags = tuple(more.get("tags", ()))  # type: ignore[arg-type,var-annotated]
            notes = [
                ("dedupe", Annotation(duplicate=copy)),
                ("caption", Annotation(caption=caption, tags=tags, **words)),
            ]
            said = " ".join((caption, *words.values(), *tags)).strip()
            if said and more.get("vector", True):
                made_by = Provenance("bag", "1", "words")
                notes.append(("embed", Annotation(embedding=Embedding(SPACE, bag(said)), provenance=made_by)))
            for step, note in notes:
                understood.put_annotation(connection, Stored(number, step, 1, "f", 5, 1.0, note, "", "", ""))
            connection.execute("DELETE FROM job WHERE capture = ? AND step = 'dedupe'", (number,))
            understood.touch(connection, number, at_us=5)

        await self.house.db.write(write)

    async def ready(self) -> None:
        """Everything that was said can be found."""
        await self.index.catch_up()

    async def person(self, name: str, role: Role = Role.MEMBER) -> Viewer:
        """Someone else in the house."""
        uid = f"p-{name.lower()}"
        await self.house.db.write(
            lambda c: (
                c.execute(
                    "INSERT INTO person(id, name, role, created_at_us) VALUES (?, ?, ?, 1)", (uid, name, role.value)
                ).rowcount
            )
        )
        return Viewer(uid, name, role)

    async def camera(self, device: str, *, name: str = "", room: str = "", privacy: Privacy = Privacy.CIRCLE) -> None:
        """Another camera, or another name for one."""

        def write(connection: Connection) -> None:
            devices.add(connection, device, lane=Lane.RECORD, at_us=1)
            connection.execute(
                "UPDATE device SET name = ?, room = ?, privacy = ? WHERE id = ?",
                (name or device, room or name or device, privacy.value, device),
            )
            devices.set_status(connection, device, {}, at_us=2)

        await self.house.db.write(write)


@asynccontextmanager
async def open_home(path: Path, *, now: datetime = NOW) -> AsyncIterator[RecallHome]:
    """Open a house with everything that recall needs."""
    house = await open_small_house(path)
    embedded: list[str] = []

    async def embed(text: str, space: str) -> bytes | None:
        embedded.append(text)
        return bag(text)

    def clock() -> int:
        return int(now.timestamp() * 1_000_000)

    async with house.stack, Index(house.db) as index:
        await house.db.write(lambda c: c.execute("UPDATE person SET name = 'Nora' WHERE name = ''").rowcount)
        search = Search(house.db, index, embed=embed, place=Place(ZONE, clock), shelf=house.shelf)
        memories = Memories(house.db, shelf=house.shelf, spool=house.spool, search=search, clock=clock, zone=ZONE)
        nora = Viewer(house.owner, "Nora", Role.ADMIN)
        home = RecallHome(house, index, search, memories, nora, embedded)
        await home.camera("porch", name="Porch")
        yield home


def uids(items: Sequence[object]) -> list[str]:
    """The uids of hits."""
    return [hit.memory.capture.uid for hit in items]  # type: ignore[attr-defined]
