"""The data folder: made with narrow rights, and held by one program at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from gateway.errors import Conflict, HearthlogError

SOCKET = Path("run") / "gateway.sock"
"""Where a running gateway answers commands, under the data folder."""


def prepare(home: Path) -> None:
    """Make the folder, 0700. Raises HearthlogError where that cannot be."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise HearthlogError(
            f"the data folder cannot be made: {error.strerror}",
            code="data-folder",
            where=str(home),
            hint="Set HEARTHLOG_HOME to a folder of yours",
        ) from error


@contextlib.contextmanager
def hold(home: Path) -> Iterator[None]:
    """Hold the data folder. Raises Conflict at once while another program holds it."""
    prepare(home)
    descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Conflict(
                "another hearthlog works with this data folder",
                code="in-use",
                where=str(home),
                hint="Stop it, or let it do the work: most commands speak to a running gateway by themselves",
            ) from error
        yield
    finally:
        os.close(descriptor)
