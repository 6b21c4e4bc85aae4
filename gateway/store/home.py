"""The data folder: made with narrow rights, and held by one program at a time."""

from __future__ import annotations

import contextlib
import errno
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
        raise explained(error, home) from error


@contextlib.contextmanager
def hold(home: Path) -> Iterator[None]:
    """Hold the data folder. Raises Conflict at once while another program holds it, HearthlogError where it cannot be
    written.
    """
    prepare(home)
    try:
        descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise explained(error, home) from error
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


def held(home: Path) -> bool:
    """Whether another program holds the data folder now. Raises OSError where nobody can tell."""
    descriptor = os.open(home / "lock", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def explained(error: OSError, path: Path) -> HearthlogError:
    """What a file system refuses, in the house's words: what happened, where, and what helps."""
    code, what, hint = _SAID.get(error.errno or 0, ("disk-error", f"the disk refused: {error.strerror}", _LOOK))
    if error.errno in (errno.EACCES, errno.EPERM):
        owner = _owner(path)
        code, what = "not-yours", "this user may not read or write here"
        hint = f"It belongs to {owner}: run this as {owner}, or set HEARTHLOG_HOME to a folder of yours"
    return HearthlogError(what, code=code, where=str(path), hint=hint)


_LOOK = "Look at the disk (dmesg), and at the folder's owner and rights (ls -ld)"
_ANOTHER = "Set HEARTHLOG_HOME to a folder of yours"
_SAID = {
    errno.EROFS: (
        "disk-read-only",
        "the disk is mounted read-only",
        "Mount it for writing; a memory card that turns read-only by itself is worn, so copy what is on it first",
    ),
    errno.ENOSPC: ("disk-full", "the disk is full", "Make room"),
    errno.EDQUOT: ("disk-full", "this user's share of the disk is full", "Make room"),
    errno.EEXIST: ("data-folder", "there is a file where a folder should be", _ANOTHER),
    errno.ENOTDIR: ("data-folder", "there is a file where a folder should be", _ANOTHER),
    errno.ENOENT: ("not-there", "there is no such file", "Look whether its name is right"),
}


def _owner(path: Path) -> str:
    """Whose the path is, or the nearest folder above it that can be asked."""
    for each in (path, *path.parents):
        with contextlib.suppress(OSError, KeyError):
            return each.owner()
    return "somebody else"
