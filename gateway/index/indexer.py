"""Follows the change log and keeps what is derived from it: the text index, the filters' columns, the vectors.

Everything here can be thrown away: it is made again from SQLite. What is written back (the text index) saves its
cursor in the same transaction. What lies in memory is loaded at the start and followed from there.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from gateway import metrics
from gateway.entities import Cursor
from gateway.index import text
from gateway.index.catalog import Catalog
from gateway.index.keeper import Keeper
from gateway.index.postings import CURSOR, Postings
from gateway.index.vectors import Exact, Floats, Spaces
from gateway.store import changes, columns, spaces, vectors, words
from gateway.store.db import Connection, Database

log = logging.getLogger(__name__)

_BATCH = 500
_TEXT_STEP, _IMAGE_STEP = "embed", "look"
_WHOLE = 512
"""Vectors of up to so many numbers are kept whole; longer ones as a projection, re-scored before they are shown."""
_PROJECTED = 256


class Index:
    """`async with Index(db) as index`: loaded when it is entered; `follow()` is a task of the app."""

    def __init__(
        self,
        db: Database,
        *,
        folder: Path | None = None,
        exact_up_to: int = 150_000,
        debounce_s: float = 0.05,
    ) -> None:
        self.catalog = Catalog()
        self.postings = Postings()
        self.exact_up_to = exact_up_to
        """Up to so many vectors are scanned exactly; beyond it Chroma is asked, while it is whole."""
        self.keeper: Keeper | None = None
        """Of the text space's Chroma; None without a folder for it, or while there are no vectors."""
        self._folder = folder
        self._db = db
        self._debounce_s = debounce_s
        self._cursor: Cursor | None = None
        self._held: dict[str, Held] = {}
        self._spaces = Spaces()
        self._moved = asyncio.Condition()
        self._choosing = asyncio.Lock()
        """Held while vectors are loaded or follow the log: what changes meanwhile is neither missed nor undone."""

    async def __aenter__(self) -> Self:
        await self._db.read(self.catalog.refresh)
        await self._check_words()
        await self._choose_spaces()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for held in self._held.values():
            held.exact.close()

    @property
    def spaces(self) -> Spaces:
        """The spaces in use."""
        return self._spaces

    def held(self, space: str) -> Held | None:
        """The vectors of a space; None when it has none."""
        return self._held.get(space)

    async def follow(self) -> None:
        """Follow the log for ever; with a folder, keep Chroma in it too."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_log(), name="index-log")
            if self._folder is not None:
                tasks.create_task(self._keep(self._folder), name="index-chroma")

    @property
    def rebuilding(self) -> float | None:
        """How much of the large index is made again, 0 to 1; None when nothing is, or nobody asks it yet."""
        keeper = self.keeper
        return keeper.rebuilding if keeper is not None else None

    async def _keep(self, folder: Path) -> None:
        while True:
            async with self._moved:
                await self._moved.wait_for(lambda: self._spaces.text in self._held)
            space = self._spaces.text
            self.keeper = Keeper(self._db, folder, space=space, dimensions=self._held[space].dimensions)
            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(self.keeper.follow(), name="index-keeper")
                async with self._moved:
                    await self._moved.wait_for(lambda space=space: self._spaces.text != space)  # type: ignore[misc]
                task.cancel()

    async def _follow_log(self) -> None:
        while True:
            seen = self._db.commits
            await self.catch_up()
            if self._db.commits == seen:
                await self._db.next_commit()
            await asyncio.sleep(self._debounce_s)  # so that a burst of commits is one piece of work

    async def catch_up(self) -> None:
        """Read the log to its end once."""
        while await self._batch():
            pass
        await self._db.read(self.catalog.refresh)
        async with self._moved:
            self._moved.notify_all()

    async def wait_for(self, cursor: Cursor) -> None:
        """Until everything up to `cursor` can be found, while `follow` runs."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._cursor is not None and self._cursor.sequence >= cursor.sequence)

    async def move(self) -> None:
        """Take up the spaces that answer now. Those that answered before do so until the new ones are loaded."""
        async with self._choosing:
            await self._choose_spaces()
        async with self._moved:
            self._moved.notify_all()

    async def start_over(self) -> None:
        """Make everything derived anew: the text index now, the large vector index next, by itself.

        Searches find everything meanwhile but what has not been put back into the text index yet.
        """
        await self.rebuild_words("asked")
        await self._db.write(lambda c: changes.forget_cursors(c, "index-chroma"))
        if self.keeper is not None:
            self.keeper.start_over()

    async def rebuild_words(self, why: str) -> None:
        """Empty the text index and fill it again from what was understood."""
        metrics.index_rebuilds.labels("words", why).inc()
        level = logging.INFO if why in ("missing", "asked") else logging.WARNING  # neither is trouble
        log.log(level, "text index is made anew", extra={"why": why})
        start = await self._db.read(changes.head)
        await self._db.write(throw_words_away)
        self.postings.forget()
        last = 0
        while True:
            found = await self._db.read(partial(words.sources_after, capture_id=last, limit=_BATCH))
            if not found:
                break
            last = found[-1].capture_id
            rows = [text.row(source) for source in found]
            await self._db.write(partial(words.put, rows=rows))
        await self._db.write(lambda c: changes.save_cursor(c, CURSOR, start))
        self._cursor = start

    async def _check_words(self) -> None:
        self._cursor = await self._db.read(lambda c: changes.load_cursor(c, CURSOR))
        if not await self._db.read(words.sound):
            await self.rebuild_words("damaged")
        elif self._cursor is None:
            head = await self._db.read(changes.head)
            if head.sequence:
                await self.rebuild_words("missing")
            else:
                self._cursor = head

    async def _batch(self) -> bool:
        lines, cursor = await self._db.read(lambda c: changes.after(c, self._cursor, limit=_BATCH))
        if cursor is None:
            await self.rebuild_words("restored")
            async with self._choosing:
                await self._load_spaces()
            return True
        uids = list({line.entity_id: None for line in lines if line.entity == "memory"})
        if uids:
            gone = any(line.operation == "gone" for line in lines)
            await self._follow_words(uids, cursor, gone)
            async with self._choosing:
                await self._follow_vectors(uids, gone)
        self._cursor = cursor
        return bool(lines)

    async def _follow_words(self, uids: list[str], cursor: Cursor, strays: bool) -> None:
        found = await self._db.read(lambda c: words.sources(c, uids))
        rows = [text.row(source) for source in found]

        def write(connection: Connection) -> None:
            words.put(connection, rows)
            if strays and len(rows) < len(uids):
                words.drop_strays(connection)
            changes.save_cursor(connection, CURSOR, cursor)

        await self._db.write(write)

    async def _follow_vectors(self, uids: list[str], gone: bool) -> None:
        await self._choose_spaces()
        left = await self._db.read(columns.ids) if gone else None
        loop = asyncio.get_running_loop()
        for space, held in list(self._held.items()):
            rows, without = await self._db.read(partial(vectors.of_memories, space=space, uids=uids))
            await loop.run_in_executor(held.exact.thread, held.take, rows)
            erased = [] if left is None else np.setdiff1d(held.exact.ids(), left).tolist()
            await loop.run_in_executor(held.exact.thread, held.exact.remove, without + erased)

    async def _choose_spaces(self) -> None:
        known, roles = await self._db.read(lambda c: (vectors.spaces(c), spaces.roles(c)))
        sizes = {space: size // 4 for space, _, size in known}

        def of(step: str) -> str:
            answers = roles[step].answers if step in roles else ""
            return answers or next((space for space, made_by, _ in known if made_by == step), "")

        chosen = Spaces(of(_TEXT_STEP), of(_IMAGE_STEP))
        wanted = {space for space in (chosen.text, chosen.image) if space in sizes}
        for space in wanted - set(self._held):
            self._held[space] = await self._db.read(partial(load, space=space, dimensions=sizes[space]))
        self._spaces = chosen
        for space in set(self._held) - wanted:
            del self._held[space]  # not closed: a search may still be at work with it; its thread goes with it

    async def _load_spaces(self) -> None:
        for held in self._held.values():
            held.exact.close()
        self._held.clear()
        await self._choose_spaces()


def throw_words_away(connection: Connection) -> None:
    """Empty the text index, and forget its place: whoever stops before it is filled finds it missing."""
    words.empty(connection)
    changes.forget_cursors(connection, CURSOR)


class Held:
    """The vectors of one space in memory: whole when they are short, as a random projection when they are long.

    A projection onto 256 seeded directions keeps cosines to about ±.04 (Johnson and Lindenstrauss 1984), less for
    near ones: enough to pick what is then re-scored.
    """

    def __init__(self, space: str, dimensions: int) -> None:
        self.dimensions = dimensions
        """Of the vectors as they are stored."""
        self._projection: Floats | None = None
        if dimensions > _WHOLE:
            random = np.random.default_rng(zlib.crc32(space.encode()))
            self._projection = random.standard_normal((dimensions, _PROJECTED), dtype=np.float32)
        whole = self._projection is None
        self.exact = Exact(space, dimensions if whole else _PROJECTED, signs=whole)

    def take(self, rows: list[vectors.Row]) -> None:
        """Keep these; ones of another length are left out. Blocks: call it in the index's thread."""
        fitting = {number: vector for number, vector in rows if len(vector) == 4 * self.dimensions}
        if fitting:
            matrix = np.frombuffer(b"".join(fitting.values()), "<f4").reshape(len(fitting), self.dimensions)
            self.exact.insert(list(fitting), self.seen(matrix))

    def seen(self, matrix: Floats) -> Floats:
        """Vectors as this index compares them, shape (n, dimensions) in."""
        if self._projection is None:
            return matrix
        projected = matrix @ self._projection
        projected /= np.maximum(np.linalg.norm(projected, axis=1, keepdims=True), np.float32(1e-12))
        return projected


def load(connection: Connection, space: str, dimensions: int) -> Held:
    """All vectors of a space. Blocks: call it where SQLite is read."""
    held = Held(space, dimensions)
    for rows in vectors.of_space(connection, space):
        held.take(rows)
    return held
