"""What is done once an hour. Empty the bin: what was deleted longer ago than the rules allow is erased, its key first.
What a step said before it was asked again goes too, once the newer answer of the same model stands.

A gateway that was killed between a file and its row, or between a row's end and its file's, leaves a file that nobody
can open any more: it goes too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from gateway.store import captures, changes, understood
from gateway.store.blobs import BlobFolder
from gateway.store.db import Database

EVERY_S = 3_600.0
KEEP_CHANGES = 200_000
"""Newest lines of the log of changes that are kept whole."""
_BATCH = 500
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Bin:
    """`await Bin(…).run()` empties it every hour."""

    db: Database
    folder: BlobFolder
    days: int
    now_us: Callable[[], int]

    async def run(self) -> None:
        """For ever."""
        strays: set[str] = set()
        while True:
            await self.empty()
            await self.prune()
            await self.db.write(lambda c: changes.compact(c, keep=KEEP_CHANGES))
            strays = await self.clear(strays)
            await asyncio.sleep(EVERY_S)

    async def clear(self, strays: set[str]) -> set[str]:
        """Remove the files of `strays` that still have no row; returns what has none now, for the next time.

        Asked twice, an hour apart, and never by the clock: a file may be on its way to its row.
        """
        there = await asyncio.to_thread(self.folder.names)
        rowless = there - await self.db.read(captures.blob_names)
        await asyncio.to_thread(self.folder.remove, *rowless & strays)
        return rowless - strays

    async def prune(self) -> int:
        """Drop what steps said before they were asked again; a few at a time, so that no acknowledgement waits."""
        gone = 0
        while went := await self.db.write(lambda c: understood.drop_superseded(c, limit=_BATCH)):
            gone += went
        return gone

    async def empty(self) -> int:
        """Erase what is due: rows (with every annotation, vector and word) in one transaction, then files."""
        due_us = self.now_us() - self.days * _DAY_US
        count, names = await self.db.write(lambda c: captures.erase_deleted(c, before_us=due_us))
        await asyncio.to_thread(self.folder.remove, *names)
        return count
