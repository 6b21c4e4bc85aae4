"""A house of written notes whose text model changes: real store, queue, steps, index and search."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from gateway.entities import (
    CapturedAt,
    Decoded,
    Json,
    Kind,
    Lane,
    Priority,
    Privacy,
    Provenance,
    Role,
    TimeSource,
    Viewer,
)
from gateway.index.indexer import Index
from gateway.inference.family import Request
from gateway.inference.workers import Workers
from gateway.jobs.reembed import Reembed
from gateway.memory import Memories
from gateway.pipeline.plan import find_steps, queue_plan
from gateway.pipeline.runner import House, Runner
from gateway.recall.answer import Answer, Query
from gateway.recall.search import Place, Search
from gateway.spool import Spool
from gateway.store import jobs
from gateway.testing import TwinWorkers
from tests.unit.conftest import SmallHouse, open_small_house

NOW_US = 1_790_000_000_000_000
OLD, NEW = "twin-embed-text@1/1", "twin-embed-text@2/1"
NOTES = (
    "the red bicycle leans on the garden fence",
    "a parcel for the neighbours lies on the mat",
    "soup and bread for supper",
    "the cat sleeps on the radiator",
    "grandmother telephones about the wedding",
    "a heron stands in the pond",
)


@dataclass
class Twin(TwinWorkers):
    """The twin, and which texts each revision read."""

    read: list[tuple[str, str]] = field(default_factory=list)
    """(revision, text)"""

    def __init__(self) -> None:
        super().__init__()
        self.read = []

    async def answer(self, task: str, request: Request, used: Provenance) -> Json:
        said = await super().answer(task, request, used)
        self.read += [(used.revision, text) for text in request.params.get("texts", ())]
        return said


@dataclass
class Home:
    """What the tests look at."""

    house: SmallHouse
    workers: Workers
    runner: Runner
    index: Index
    reembed: Reembed
    memories: Memories
    viewer: Viewer

    async def write(self, *notes: str, **more: object) -> list[str]:
        """Take notes in; their uids."""
        found = []
        for note in notes:
            body = note.encode()
            arrival = self.house.arrival(
                body,
                decoded=Decoded(Kind.TEXT, "text/plain", body, hashlib.sha256(body).digest(), None, None),
                captured_at=CapturedAt(NOW_US, TimeSource.ARRIVAL, 0, "UTC"),
                privacy=more.get("privacy", Privacy.CIRCLE),
                owner=more.get("owner", self.house.owner),
                device=None,
                lane=Lane.UPLOAD,
            )
            found.append((await self.house.spool.put(arrival)).uid)
        return found

    async def show(self, *bodies: bytes) -> list[str]:
        """Take pictures in; their uids."""
        return [
            (await self.house.put(body, privacy=Privacy.CIRCLE, source_name=f"{n}.jpg")).uid
            for n, body in enumerate(bodies)
        ]

    async def understood(self) -> None:
        """Until no job waits or runs, and all can be found."""
        task = asyncio.create_task(self.runner.run(), name="runner")
        try:
            async with asyncio.timeout(30):
                while True:
                    seen = self.house.db.commits
                    if not any(each.waiting + each.running for each in await self.house.db.read(jobs.backlogs)):
                        break
                    if self.house.db.commits == seen:
                        await self.house.db.next_commit()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self.index.catch_up()

    async def done(self, step: str = "embed") -> None:
        """Let the re-embedding do all that there is to do."""
        for _ in range(1_000):
            if not await self.reembed.tend(step):
                return
        raise AssertionError("it never ends")

    async def ask(self, words: str, viewer: Viewer | None = None) -> Answer:
        return await self.memories.search(viewer or self.viewer, Query(words))

    async def meant(self, words: str, viewer: Viewer | None = None) -> list[str]:
        """Texts of what is found by meaning, nearest first, when nothing keeps it from being asked."""
        answer = await self.ask(words, viewer)
        assert not answer.meaning_off, answer.meaning_off
        return [
            hit.memory.text
            for hit in answer.items
            if any(why.kind == "meaning" and (why.value or 0) > 0.3 for why in hit.why)
        ]

    async def rows(self, sql: str, **values: object) -> list[tuple[object, ...]]:
        return await self.house.db.read(lambda c: [tuple(row) for row in c.execute(sql, values).fetchall()])

    async def spaces(self) -> dict[str, str]:
        """Role → space of the texts."""
        return {
            str(role): str(name) for role, name in await self.rows("SELECT role, name FROM space WHERE step = 'embed'")
        }

    async def vectors(self) -> dict[str, int]:
        """Space → vectors."""
        return {
            str(name): int(str(n)) for name, n in await self.rows("SELECT space, count(*) FROM embedding GROUP BY 1")
        }


@asynccontextmanager
async def open_home(path: Path, workers: Workers, *, chroma: Path | None = None) -> AsyncIterator[Home]:
    """`chroma`: a folder for the large index, which then answers whatever it can."""
    steps = find_steps()
    small = await open_small_house(path, plan=queue_plan(steps))
    async with small.stack, Index(small.db, folder=chroma, exact_up_to=0 if chroma else 150_000) as index:
        spool: Spool = small.spool
        house = House(small.db, spool, small.shelf, workers, steps, lambda: NOW_US)
        reembed = Reembed(house, index)
        await reembed.settle()

        async def embed(text: str, space: str) -> bytes:
            reply = await workers.run("embed-text", params={"texts": [text]}, priority=Priority.PERSON, space=space)
            return bytes(reply.data["vectors"][0])

        search = Search(small.db, index, embed=embed, place=Place("UTC", lambda: NOW_US), shelf=small.shelf)
        memories = Memories(small.db, shelf=small.shelf, spool=spool, search=search, clock=lambda: NOW_US, zone="UTC")
        viewer = Viewer(small.owner, "", Role.ADMIN)
        yield Home(small, workers, Runner(house), index, reembed, memories, viewer)
