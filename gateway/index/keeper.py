"""Keeps Chroma equal to SQLite: feeds it from the change log, checks it, and makes it anew when it disagrees.

Chroma is never believed: it is asked for vectors that must be there (its `count()` goes on answering after its folder
is gone), and its files are looked at, because a process can serve from memory what is no longer on the disk. While it
is wrong, being made anew or down, the exact index answers.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from gateway import metrics
from gateway.entities import Cursor
from gateway.errors import HearthlogError
from gateway.index.chroma import Chroma
from gateway.index.vectors import Floats, Near
from gateway.store import changes, vectors
from gateway.store.db import Database

log = logging.getLogger(__name__)

_BATCH = 500
_SAMPLE = 32
_ALIKE = 0.999
_SQLITE = b"SQLite format 3\x00"
_HEAD_BYTES = 512


@dataclass(frozen=True, slots=True)
class Pace:
    """How often."""

    debounce_s: float = 1.0
    check_s: float = 60.0
    retry_s: float = 10.0


class Keeper:
    """One space's Chroma. `follow()` is a task of the index."""

    def __init__(self, db: Database, folder: Path, *, space: str, dimensions: int, pace: Pace | None = None) -> None:
        self._db = db
        self._folder = folder
        self._pace = pace or Pace()
        self._chroma = Chroma(folder, space, dimensions)
        self._cursor: Cursor | None = None
        self._files = _Files(folder)
        self._good = False
        self.rebuilding: float | None = None
        """How much is made again, 0 to 1; None when nothing is."""

    @property
    def good(self) -> bool:
        """Whether it agreed with SQLite when it was last asked, and nothing failed since."""
        return self._good

    @property
    def chroma(self) -> Chroma:
        """The index itself."""
        return self._chroma

    async def nearest(self, query: Floats, *, limit: int) -> list[Near]:
        """As VectorIndex. Raises HearthlogError when it is not good now."""
        if not self._good:
            raise HearthlogError("the large index is not whole", code="index-rebuilding")
        try:
            return await self._chroma.nearest(query, limit=limit)
        except HearthlogError:
            self._good = False
            raise

    async def follow(self) -> None:
        """For ever: check, feed, check again. A failure of Chroma is told and tried again, never raised."""
        try:
            while True:
                try:
                    await self._follow()
                except (HearthlogError, OSError) as error:  # also of files that Chroma changes as we look at them
                    self._good = False
                    code = error.code if isinstance(error, HearthlogError) else "disk-error"
                    log.warning("vector index failed", extra={"code": code, "index": "chroma"})
                    await asyncio.sleep(self._pace.retry_s)
        finally:
            await self._chroma.stop()

    async def _follow(self) -> None:
        await self.check()
        checked = time.monotonic()
        while True:
            seen = self._db.commits
            await self.feed()
            if time.monotonic() - checked >= self._pace.check_s:
                await self.check()
                checked = time.monotonic()
            left_s = max(0.1, self._pace.check_s - (time.monotonic() - checked))
            if self._db.commits == seen:
                try:
                    async with asyncio.timeout(left_s):
                        await self._db.next_commit()
                except TimeoutError:
                    continue
            await asyncio.sleep(self._pace.debounce_s)

    async def feed(self) -> None:
        """Take in what changed since the cursor. Raises HearthlogError when Chroma fails."""
        while True:
            lines, cursor = await self._db.read(lambda c: changes.after(c, self._cursor, limit=_BATCH))
            if cursor is None or self._cursor is None:
                await self.rebuild("restored" if cursor is None else "missing")
                return
            if not lines:
                return
            uids = list({line.entity_id: None for line in lines if line.entity == "memory"})
            if uids:
                rows, without = await self._db.read(partial(vectors.of_memories, space=self._chroma.space, uids=uids))
                if len({row[0] for row in rows}) + len(without) < len(uids):
                    await self.rebuild("erased")  # Chroma's own delete leaves the bytes in its files
                    return
                await self._put(rows)
                await self._chroma.drop(without)
                if why := await asyncio.to_thread(self._files.damage):
                    await self.rebuild(why)
                    return
                await asyncio.to_thread(self._files.remember)
                await self._db.write(partial(changes.save_cursor, name=self._name, cursor=cursor))
            self._cursor = cursor

    def start_over(self) -> None:
        """Make it anew at the next look, as when it had never been there."""
        self._cursor = None

    async def check(self) -> bool:
        """Compare with SQLite, and make it anew when it disagrees. True when it agreed."""
        why = await asyncio.to_thread(self._files.damage)
        if not why:
            try:
                if self._cursor is None:
                    self._cursor = await self._db.read(lambda c: changes.load_cursor(c, self._name))
                for _ in range(2):  # twice: a vector may be made anew between our asking SQLite and asking Chroma
                    why = await self._disagreement()
                    if not why:
                        break
            except HearthlogError as error:
                why = error.code
        if why:
            await self.rebuild(why)
            return False
        self._good = True
        return True

    async def rebuild(self, why: str) -> None:
        """Move the folder aside and fill a new one from SQLite. Raises HearthlogError when Chroma fails again."""
        self._good = False
        self.rebuilding = 0.0
        metrics.index_rebuilds.labels("chroma", why).inc()
        level = logging.INFO if why == "missing" else logging.WARNING  # the first time is no trouble
        log.log(level, "vector index is made anew", extra={"why": why, "index": "chroma"})
        try:
            await self._chroma.stop()
            await asyncio.to_thread(_clear, self._folder)
            start = await self._db.read(changes.head)
            total = await self._db.read(partial(vectors.count, space=self._chroma.space))
            last, done = 0, 0
            while rows := await self._db.read(
                partial(vectors.after, space=self._chroma.space, annotation=last, limit=_BATCH)
            ):
                last = rows[-1][0]
                await self._put([(capture, vector) for _, capture, vector in rows])
                done += len(rows)
                self.rebuilding = min(1.0, done / max(1, total))
            await asyncio.to_thread(self._files.remember)
            await self._db.write(partial(changes.save_cursor, name=self._name, cursor=start))
            self._cursor = start
            self._good = True
        finally:
            self.rebuilding = None

    async def _disagreement(self) -> str:
        wanted = dict(await self._db.read(partial(vectors.sample, space=self._chroma.space, count=_SAMPLE)))
        await self.feed()
        if not wanted:
            return ""
        held = await self._chroma.vectors(list(wanted))
        for number, vector in wanted.items():
            own = np.frombuffer(vector, "<f4")
            if len(own) != self._chroma.dimensions:
                continue
            if number not in held or float(held[number] @ own) < _ALIKE:
                return "disagrees"
        return ""

    async def _put(self, rows: list[vectors.Row]) -> None:
        fitting = {number: vector for number, vector in rows if len(vector) == 4 * self._chroma.dimensions}
        if fitting:
            matrix = np.frombuffer(b"".join(fitting.values()), "<f4").reshape(len(fitting), -1)
            await self._chroma.put(list(fitting), matrix)

    @property
    def _name(self) -> str:
        return f"index-chroma:{self._chroma.space}"


@dataclass(slots=True)
class _Files:
    """What Chroma's files looked like when they were last known to be good. Its methods block."""

    folder: Path
    sizes: dict[Path, int] = field(default_factory=dict)
    written: set[Path] = field(default_factory=set)
    """Files whose first bytes are not all zero; a fresh one of Chroma's may be."""

    def remember(self) -> None:
        """Take the files as they are for good."""
        paths = [path for path in self._paths() if path.name in _WATCHED]
        self.sizes = {path: path.stat().st_size for path in paths}
        self.written = {path for path in paths if any(_head(path))}

    def damage(self) -> str:
        """What is wrong with the files; empty when nothing can be seen."""
        if not self.folder.exists():
            return "missing" if not self.sizes else "deleted"
        database = self.folder / "chroma.sqlite3"
        if not database.exists():
            return "deleted" if self.sizes else "missing"
        for path in self._paths():
            if path.name not in _WATCHED:
                continue
            try:
                head = _head(path)
                size = path.stat().st_size
            except OSError:
                return "unreadable"
            if size < self.sizes.get(path, 0):
                return "truncated"
            if path in self.written and not any(head):
                return "zeroed"
            if path == database and not head.startswith(_SQLITE):
                return "damaged"
        if any(not path.exists() for path in self.sizes):
            return "deleted"
        return ""

    def _paths(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()] if self.folder.exists() else []


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


_WATCHED = ("chroma.sqlite3", "header.bin", "data_level0.bin")


def _clear(folder: Path) -> None:
    """Move the old folder aside, so that a new one can be filled at once, and remove it."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = folder.with_name(f"{folder.name}.aside-{time.time_ns()}")
    if folder.exists():
        folder.rename(aside)
    for old in folder.parent.glob(f"{folder.name}.aside-*"):
        shutil.rmtree(old, ignore_errors=True)
    folder.mkdir(mode=0o700)
