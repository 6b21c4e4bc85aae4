"""Blobs: sealed files whose name comes from their content.

A file is a 24-byte header and the body. Header: magic `HLB1`, version 1, cipher 1 (AES-256-GCM), 2 reserved bytes,
nonce of 12, plain length of 4 (little-endian). The header is the associated data; the 16-byte tag ends the file.
The name is a keyed hash of the content (so equal files of two owners do not look equal) and a random part (so that
an erased file's name is never given to a new one). Files that come together lie in one of 256 folders, drawn by lot:
one fsync makes all their names durable.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import os
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.entities import BlobRef
from gateway.errors import HearthlogError, NotFound, Retryable, StorageFull
from gateway.files import sync_folder
from gateway.store.keys import KEY_BYTES

_HEADER = struct.Struct("<4sBBH12sI")
_MAGIC = b"HLB1"
MAX_BYTES = 2**31
FOLDERS = 256
_DRAWN_BYTES = KEY_BYTES + 12 + 4
"""Random bytes of one blob: key, nonce, end of the name."""


@dataclass(frozen=True, slots=True)
class Body:
    """Bytes to be kept, and whose they are."""

    data: bytes = field(repr=False)
    owner_key: bytes = field(repr=False)
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """A blob that is durable as a file and not yet known to the database."""

    name: str
    """Path under the blob folder."""
    key: bytes
    body_bytes: int


class BlobFolder:
    """The folder of blobs. Its methods block: call them from a thread."""

    def __init__(self, home: Path) -> None:
        self.root = home / "blobs"
        self._parts = home / "blobs" / ".part"
        self._parts.mkdir(parents=True, exist_ok=True, mode=0o700)
        missing = {f"{n:02x}" for n in range(FOLDERS)}.difference(path.name for path in self.root.iterdir())
        for name in missing:
            (self.root / name).mkdir(exist_ok=True, mode=0o700)
        sync_folder(self.root)  # also when none is missing: whoever made them may have died before this
        sync_folder(home)

    def clear_parts(self) -> None:
        """Throw away what a crash left half-written."""
        for leftover in self._parts.iterdir():
            leftover.unlink(missing_ok=True)

    def names(self) -> set[str]:
        """Names of all blobs that lie there now, known to the database or not."""
        found: set[str] = set()
        for folder in self.root.iterdir():
            if folder != self._parts:
                found.update(f"{folder.name}/{entry}" for entry in os.listdir(folder))  # noqa: PTH208  names, no paths
        return found

    def put(self, body: bytes, *, owner_key: bytes, sha256: bytes) -> Sealed:
        """Seal `body` under a fresh key; durable (file and folders) on return.

        Raises StorageFull, or Retryable for other trouble of the disk; then nothing is left behind.
        """
        (sealed,) = self.put_all([Body(body, owner_key, sha256)])
        if isinstance(sealed, Retryable):
            raise sealed
        return sealed

    def put_all(self, bodies: Sequence[Body]) -> list[Sealed | Retryable]:
        """The same for many, which share a folder and its one fsync. What could not be stored is an error by itself."""
        shard = f"{secrets.randbelow(FOLDERS):02x}"
        drawn = secrets.token_bytes(_DRAWN_BYTES * len(bodies))
        found: list[Sealed | Retryable] = []
        with contextlib.ExitStack() as closing:
            opened: dict[int, int] = {}
            for n, body in enumerate(bodies):
                own = drawn[n * _DRAWN_BYTES : (n + 1) * _DRAWN_BYTES]
                key, nonce, tail = own[:KEY_BYTES], own[KEY_BYTES:-4], own[-4:].hex()
                digest = hmac.digest(body.owner_key, body.sha256, "sha256").hex()
                sealed = Sealed(name=f"{shard}/{digest[:40]}-{tail}", key=key, body_bytes=len(body.data))
                try:
                    opened[n] = os.open(self._part(sealed), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                    closing.callback(os.close, opened[n])
                    _write(opened[n], body.data, key, nonce)
                    found.append(sealed)
                except OSError as error:
                    self._discard(self._part(sealed))
                    found.append(_explained(error))
            for n, sealed in [(n, each) for n, each in enumerate(found) if isinstance(each, Sealed)]:
                try:
                    os.fsync(opened[n])
                except OSError as error:
                    self._discard(self._part(sealed))
                    found[n] = _explained(error)
        written = [each for each in found if isinstance(each, Sealed)]
        try:
            self._name(shard, written)
        except OSError as error:
            self._discard(*(path for each in written for path in (self._part(each), f"{self.root}/{each.name}")))
            trouble = _explained(error)
            return [trouble if isinstance(each, Sealed) else each for each in found]
        return found

    def remove(self, *names: str) -> None:
        """Unlink blobs' files; already gone is fine. Raises Retryable when the disk will not."""
        try:
            for name in names:
                (self.root / name).unlink(missing_ok=True)
        except OSError as error:
            raise _explained(error) from error

    def _part(self, sealed: Sealed) -> str:
        return f"{self._parts}/{sealed.name.replace('/', '')}"

    def _name(self, shard: str, written: Sequence[Sealed]) -> None:
        """Move synced files to their folder, and make their names durable."""
        if not written:
            return
        for sealed in written:
            os.rename(self._part(sealed), f"{self.root}/{sealed.name}")  # noqa: PTH104  Path costs more than the call
        sync_folder(self.root / shard)

    @staticmethod
    def _discard(*paths: str) -> None:
        for path in paths:
            try:
                Path(path).unlink(missing_ok=True)
            except OSError:
                continue  # a disk that refuses to write may refuse this too; clear_parts comes at the next start


def _write(descriptor: int, plain: bytes, key: bytes, nonce: bytes) -> None:
    """Seal into a new file, and have its way to the disk begun: files that come together share the disk's time, and one
    commit of its journal, before the first of them is waited for. Only fsync says that it is there.
    """
    header = _HEADER.pack(_MAGIC, 1, 1, 0, nonce, len(plain))
    sealed = AESGCM(key).encrypt(nonce, plain, header)
    written = os.writev(descriptor, (header, sealed))
    if written < len(header) + len(sealed):  # a full disk takes a part; asking for the rest tells why
        rest = memoryview(header + sealed)[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # Linux: write back now what is dirty, and do not wait


def read_blob(ref: BlobRef) -> bytes:
    """The plain bytes. Raises NotFound when the file is gone, Retryable when the disk fails, HearthlogError
    (`blob-damaged`) when the bytes are not the ones that were stored. Safe in a worker process.
    """
    try:
        data = Path(ref.path).read_bytes()
    except FileNotFoundError as error:
        raise NotFound("the file of this memory is gone", code="blob-gone") from error
    except OSError as error:
        raise _explained(error) from error
    damaged = HearthlogError(
        "the file of this memory is damaged", code="blob-damaged", hint="Restore it from the backup"
    )
    if len(data) < _HEADER.size + 16:
        raise damaged
    header = data[: _HEADER.size]
    magic, version, cipher, _, nonce, length = _HEADER.unpack(header)
    if (magic, version, cipher) != (_MAGIC, 1, 1) or length != len(data) - _HEADER.size - 16:
        raise damaged
    try:
        body = AESGCM(ref.key).decrypt(nonce, memoryview(data)[_HEADER.size :], header)
    except InvalidTag as error:
        raise damaged from error
    if hashlib.sha256(body).digest() != ref.sha256:
        raise damaged
    return body


def _explained(error: OSError) -> Retryable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("the disk is full", hint="Make room, or lower storage.keep_gb")
    if error.errno == errno.EROFS:
        return Retryable("the data folder cannot be written", code="disk-read-only", hint="Look at the disk")
    return Retryable(f"the disk refused: {error.strerror}", code="disk-error", hint="Look at the disk")
