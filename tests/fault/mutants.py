"""Three gateways that break the first promise, each in one way: the harness must notice every one of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.store import blobs, db

_LATER_S = 0.02
"""How much later than its acknowledgement a commit of the third mutant is: a busy disk's."""


def _synchronous_normal() -> None:
    """Commits that are not on the disk yet when they return."""
    real = db.connect

    def connect(path: Path, *, read_only: bool) -> db.Connection:
        connection = real(path, read_only=read_only)
        if not read_only:
            connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    db.connect = connect


def _no_file_fsync() -> None:
    """Rows on the disk whose files are not."""

    class Os:
        """The os module, but nothing is sent to the disk."""

        def __getattr__(self, name: str) -> Any:  # Any: whatever os has by that name
            return (lambda *_: None) if name in ("fsync", "posix_fadvise") else getattr(_real_os, name)

    _real_os = os
    setattr(blobs, "os", Os())  # noqa: B010  a module's own import, replaced: plain assignment is none of its exports
    setattr(blobs, "sync_folder", lambda folder: None)  # noqa: B010


def _acknowledge_before_commit() -> None:
    """Callers told of their writing before it is committed."""
    real = db.Database._commit

    class Early:
        """A connection that tells of the works as soon as COMMIT is asked for, and not when it is done."""

        def __init__(self, connection: db.Connection, tell: Callable[[], object]) -> None:
            self._connection = connection
            self._tell = tell

        def __getattr__(self, name: str) -> Any:  # Any: whatever a connection has by that name
            return getattr(self._connection, name)

        def execute(self, sql: str, *given: Any) -> Any:  # Any: as sqlite3's own
            if sql == "COMMIT":
                self._tell()
                time.sleep(_LATER_S)
            return self._connection.execute(sql, *given)

    def commit(self: db.Database, connection: db.Connection, batch: list[Any]) -> None:
        loop = self._loop
        assert loop is not None
        early = Early(connection, lambda: loop.call_soon_threadsafe(self._tell, list(batch), True))
        real(self, early, batch)  # type: ignore[arg-type]  # a connection in all that is asked of it

    db.Database._commit = commit  # type: ignore[method-assign]


MUTANTS: Mapping[str, Callable[[], None]] = {
    "normal": _synchronous_normal,
    "no-file-fsync": _no_file_fsync,
    "ack-before-commit": _acknowledge_before_commit,
}
