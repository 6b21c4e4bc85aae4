"""Folders of pictures, recordings and notes, taken in once, file by file.

Names and contents are hostile. A file is opened without following links and read only when it is a regular one of
a size that its kind may have; what is no picture, recording or note is passed over and counted.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.decoders import audio, image, text
from gateway.decoders.decoder import Decoder
from gateway.entities import CapturedAt, Lane, TimeSource
from gateway.errors import NotFound
from gateway.ingest.accept import Gate, Outcome, Receipt, Sender
from gateway.ingest.clock import UNKNOWN_ERROR_US, named_time

MAX_DEPTH = 32
MAX_FILES = 1_000_000
AT_ONCE = 4
HEAD_BYTES = 64
_TEXT_NAMES = {".txt", ".md"}
_LIMITS = {"image": image.MAX_BYTES, "audio": audio.MAX_BYTES, "text": text.MAX_BYTES}


@dataclass(frozen=True, slots=True)
class Found:
    """A file on the way in."""

    path: Path
    name: str
    """Its place under the folder that was asked for, safe to store and to print; at most 255 characters."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file that has been read."""

    name: str
    """As `safe_name` made it."""
    data: bytes
    modified_us: int
    """When it was last written; 0: not known."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one file."""

    name: str
    receipt: Receipt


@dataclass(slots=True)
class Tally:
    """What became of all of them."""

    stored: int = 0
    repeated: int = 0
    passed_over: int = 0
    """Neither picture, recording nor note, or not a plain file."""
    refused: list[Taken] = field(default_factory=list)
    """Refused or not stored, with the reason of each; the first thousand."""
    refused_count: int = 0

    def add(self, taken: Taken | None) -> None:
        """Count one; None was passed over."""
        match taken.receipt.outcome if taken is not None else None:
            case None:
                self.passed_over += 1
            case Outcome.STORED:
                self.stored += 1
            case Outcome.REPEATED:
                self.repeated += 1
            case _:
                self.refused_count += 1
                if taken is not None and len(self.refused) < 1_000:
                    self.refused.append(taken)


async def take_in(
    gate: Gate, paths: Sequence[Path], *, sender: Sender, zone: str, tell: Callable[[Taken], None] = lambda _: None
) -> Tally:
    """Take in files and everything under folders. Raises NotFound for a path that is not there.

    `tell` is called for each file that was decided on. Files that were taken in before count as repeated.
    """
    for path in paths:
        if not await asyncio.to_thread(path.exists):
            raise NotFound("there is no such file or folder", where=safe_name(str(path)))
    tally = Tally()
    places = asyncio.Semaphore(AT_ONCE)

    async def one(found: Found) -> None:
        try:
            taken = await _one(gate, found, sender=sender, zone=zone)
        finally:
            places.release()
        tally.add(taken)
        if taken is not None:
            tell(taken)

    async with asyncio.TaskGroup() as group:
        async for found in _each(paths):
            await places.acquire()
            group.create_task(one(found), name="take-in-file")
    return tally


def find_files(path: Path) -> Iterator[Found]:
    """Plain files under `path`, or itself, in the order of their names. Links that lead out of it and hidden names
    are left out, links to folders are not followed, and what cannot be listed is as if empty."""
    if not path.is_dir():
        yield Found(path, safe_name(path.name))
        return
    root = path.resolve()
    waiting: list[tuple[Path, int]] = [(root, 0)]
    count = 0
    while waiting:
        folder, depth = waiting.pop()
        deeper: list[tuple[Path, int]] = []
        for entry in _entries(folder):
            place = folder / entry.name
            if entry.is_dir(follow_symlinks=False):
                if depth < MAX_DEPTH:
                    deeper.append((place, depth + 1))
                continue
            if entry.is_symlink() and not place.resolve().is_relative_to(root):
                continue
            count += 1
            if count > MAX_FILES:
                return
            yield Found(place, safe_name(str(place.relative_to(root))))
        waiting.extend(reversed(deeper))


def safe_name(name: str) -> str:
    """A file's name as text that can be stored and printed: its last 255 characters, nothing unprintable in them."""
    shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in shown)[-255:]


async def _each(paths: Sequence[Path]) -> AsyncIterator[Found]:
    """The files, listed in a thread a hundred at a time."""
    files = (found for path in paths for found in find_files(path))
    while batch := await asyncio.to_thread(_some, files):
        for found in batch:
            yield found


def _some(files: Iterator[Found]) -> list[Found]:
    return [found for _, found in zip(range(100), files, strict=False)]


async def _one(gate: Gate, found: Found, *, sender: Sender, zone: str) -> Taken | None:
    """None: passed over."""
    try:
        read = await asyncio.to_thread(read_file, found.path)
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        return Taken(found.name, Receipt(Outcome.REFUSED, code="unreadable-file", reason=reason))
    if read is None:
        return None
    item = Item(name=found.name, data=read[0], modified_us=read[1])
    receipt = await take_item(gate, item, sender=sender, zone=zone, lane=Lane.FOLDER)
    return Taken(found.name, receipt)


async def take_item(gate: Gate, item: Item, *, sender: Sender, zone: str, lane: Lane) -> Receipt:
    """Take in one file's bytes: dated by what is in them, else by its name, else by when it was last written."""
    decoder = decoder_for(item.data[:HEAD_BYTES], Path(item.name).suffix.lower()) or image.DECODER
    modified = CapturedAt(item.modified_us, TimeSource.ARRIVAL, UNKNOWN_ERROR_US, zone) if item.modified_us else None
    told = named_time(item.name.rpartition("/")[2], zone) or modified
    return await gate.accept_file(item.data, decoder=decoder, sender=sender, name=item.name, lane=lane, named_time=told)


def read_file(path: Path) -> tuple[bytes, int] | None:
    """A file's bytes (cut one byte past the limit of its kind), and when it was last written, in microseconds UTC.

    None for what is no picture, recording or note, or no plain file. Raises OSError.
    """
    real = path.resolve()
    descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            return None
        head = file.read(HEAD_BYTES)
        decoder = decoder_for(head, real.suffix.lower())
        if decoder is None:
            return None
        data = head + file.read(_LIMITS[decoder.name] + 1 - len(head))
    return data, about.st_mtime_ns // 1_000


def decoder_for(head: bytes, suffix: str) -> Decoder | None:
    """What should read a file that begins so and whose name ends so (`.jpg`); None: nothing here does."""
    for decoder in (image.DECODER, audio.DECODER):
        if decoder.sniff(head) or suffix in _SUFFIXES[decoder.name]:
            return decoder
    return text.DECODER if suffix in _TEXT_NAMES else None


_SUFFIXES = {"image": {".jpg", ".jpeg", ".png", ".webp"}, "audio": {".wav"}}
"""A file so named is decided on even when its bytes say nothing: then it is refused with a reason, not passed over."""


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return []
        raise
