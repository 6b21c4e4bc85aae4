"""One SQLite file: a single writer thread with group commit, and a small pool of readers.

Group commit: the writer takes everything that waits, gives each piece of work a savepoint, and commits once
(WAL, synchronous=FULL). A piece that fails is rolled back alone; when the commit fails, all of the batch fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import sqlite3
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from gateway.errors import HearthlogError, Retryable, StorageFull
from gateway.store import migrations

log = logging.getLogger(__name__)

T = TypeVar("T")
Row = sqlite3.Row
Connection = sqlite3.Connection
_BATCH = 512
_PROBE_BYTES = 4_096
_READERS = 4


class _Work(Generic[T]):
    """One piece of writing and the future that waits for its commit."""

    __slots__ = ("error", "fn", "future", "result")

    def __init__(self, fn: Callable[[Connection], T], future: asyncio.Future[T]) -> None:
        self.fn = fn
        self.future = future
        self.result: T | None = None
        self.error: Exception | None = None


class Database:
    """`async with Database(path) as db`. Opening brings the schema up to date."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._queue: queue.SimpleQueue[_Work[Any] | None] = queue.SimpleQueue()  # Any: works of every result type
        self._writer = threading.Thread(target=self._write_loop, name="store-writer", daemon=True)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="store-reader")
        self._local = threading.local()
        self._opened: list[Connection] = []
        self._committed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failed_to_open: Future[None] = Future()
        self.commits = 0
        """Commits that changed something. Compare before waiting in `next_commit`, and none is missed."""

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._writer.start()
        await asyncio.wrap_future(self._failed_to_open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.put(None)
        await asyncio.to_thread(self._writer.join)
        self._readers.shutdown(wait=True)
        for connection in self._opened:
            connection.close()

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in the writer's thread and return its result once it is committed and on the disk.

        Raises what `fn` raises; StorageFull when there is no room; Retryable for other trouble of the disk.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        work = _Work(fn, future)
        self._queue.put(work)
        return await future

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on a read-only connection, in a thread of the pool. It sees everything committed before."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self.read_here, fn)

    @property
    def waiting(self) -> int:
        """Pieces of writing that wait for the writer."""
        return self._queue.qsize()

    async def next_commit(self) -> None:
        """Wait until something more is committed. Writing that changed no row wakes nobody: who looks for work by
        writing would wake itself, and all others, for ever.
        """
        await self._committed.wait()

    def read_here(self, fn: Callable[[Connection], T]) -> T:
        """`read` for threads of our own: on a connection that the calling thread keeps."""
        connection: Connection | None = getattr(self._local, "connection", None)
        try:
            if connection is None:
                connection = connect(self.path, read_only=True)
                self._local.connection = connection
                self._opened.append(connection)
            return fn(connection)
        except sqlite3.Error as error:
            raise explained(error, self.path) from error

    def _write_loop(self) -> None:
        try:
            connection = connect(self.path, read_only=False)
            migrations.apply(connection)
        except BaseException as error:  # noqa: BLE001  whatever stops the writer must reach the one who opens
            told = explained(error, self.path) if isinstance(error, sqlite3.Error) else error
            told.__cause__ = error if told is not error else error.__cause__
            self._failed_to_open.set_exception(told)
            return
        self._failed_to_open.set_result(None)
        open_ = True
        while open_:
            batch: list[_Work[Any]] = []
            work = self._queue.get()
            while True:
                if work is None:
                    open_ = False
                    break
                if not work.future.cancelled():  # its caller may have been, before it began
                    batch.append(work)
                if len(batch) >= _BATCH:
                    break
                try:
                    work = self._queue.get_nowait()
                except queue.Empty:
                    break
            if batch:
                self._commit(connection, batch)
        connection.close()

    def _commit(self, connection: Connection, batch: list[_Work[Any]]) -> None:
        rows, committed = connection.total_changes, False
        try:
            connection.execute("BEGIN IMMEDIATE")
            for work in batch:
                self._run(connection, work)
            connection.execute("COMMIT")
            committed = True
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):  # a disk that fails this too must not end the writer
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            told = explained(error, self.path)
            log.warning("commit failed", extra={"code": told.code, "works": len(batch)})
            for work in batch:
                work.error = work.error or told
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, batch, committed and connection.total_changes != rows)

    def _run(self, connection: Connection, work: _Work[Any]) -> None:
        """Do one piece, and keep its result or its error. A disk error is raised: it ends the batch."""
        connection.execute("SAVEPOINT work")
        try:
            work.result = work.fn(connection)
        except Exception as error:
            if isinstance(error, sqlite3.Error) and not connection.in_transaction:
                raise  # SQLite itself gave the transaction up (disk full, I/O error)
            connection.execute("ROLLBACK TO work")
            connection.execute("RELEASE work")
            work.error = explained(error, self.path) if isinstance(error, sqlite3.Error) else error
            return
        connection.execute("RELEASE work")

    def _tell(self, batch: list[_Work[Any]], changed: bool) -> None:
        """In the loop's thread, once for the whole batch: a wake-up for each would cost more than the writing."""
        for work in batch:
            if work.future.done():
                continue
            if work.error is not None:
                work.future.set_exception(work.error)
            else:
                work.future.set_result(work.result)
        if not changed:
            return
        self.commits += 1
        announced, self._committed = self._committed, asyncio.Event()
        announced.set()


def connect(path: Path, *, read_only: bool) -> Connection:
    """A connection as every part of the house has it. Raises sqlite3.Error."""
    mode = "ro" if read_only else "rwc"
    uri = f"file:{str(path).replace('%', '%25').replace('?', '%3f').replace('#', '%23')}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
    connection.row_factory = sqlite3.Row
    if not read_only:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a new file; an old one stays as it is
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = FAST")
        connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -8000")
    return connection


def explained(error: sqlite3.Error, path: Path) -> HearthlogError:
    """SQLite's errors in the house's words; `path` is the database's."""
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StorageFull("the disk is full", hint="Make room, or lower storage.keep_gb")
    if code == sqlite3.SQLITE_IOERR:
        return Retryable("the disk reported an error", code="disk-error", hint="Look at the disk")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        return Retryable(
            "the data folder cannot be written", code="disk-read-only", hint="hearthlog doctor says what is wrong"
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Retryable("another program holds the database", code="database-busy")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        if not _disk_works(path):
            return Retryable("the disk reported an error", code="disk-error", hint="Look at the disk")
        return HearthlogError(
            "the database is damaged",
            code="database-damaged",
            where=str(path),
            hint="Nothing was changed. hearthlog doctor says what can be done",
        )
    return HearthlogError(f"the database refused: {error}", code="database")


def _disk_works(path: Path) -> bool:
    """Whether the disk reads both ends of the database and writes beside it: one that fails half-way can look to
    SQLite like a file that is damaged.
    """
    try:
        with path.open("rb", buffering=0) as file:
            file.read(_PROBE_BYTES)
            file.seek(-min(_PROBE_BYTES, path.stat().st_size), os.SEEK_END)
            file.read(_PROBE_BYTES)
        with tempfile.TemporaryFile(dir=path.parent, buffering=0) as file:
            file.write(bytes(_PROBE_BYTES))
            os.fsync(file.fileno())
    except OSError:
        return False
    return True
