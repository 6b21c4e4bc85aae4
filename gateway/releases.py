"""Signed firmware: the manifest's exact bytes, and the signature over them (docs/wire.md, Update).

ECDSA P-256 with SHA-256. The release key's public half is in the firmware, which is what decides; the gateway checks
what it can so that a wrong file is told to a person and not found by a camera.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from gateway.errors import Rejected
from gateway.files import write_whole

MAX_IMAGE_BYTES = 16 << 20
MAX_SIGNATURE = 96
RELEASE_KEY = "release.pem"
"""In the firmware folder, when a home wants every image checked against it."""
_MAGIC = "hearthlog-firmware-1"
_BOARD = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_VERSION = re.compile(r"(0|[1-9]\d{0,4})\.(0|[1-9]\d{0,4})\.(0|[1-9]\d{0,4})", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is signed."""

    board: str
    version: str
    size_bytes: int
    sha256: str

    def check(self) -> None:
        """Raises Rejected (`bad-manifest`)."""
        parts = self.version.split(".")
        good = (
            _BOARD.fullmatch(self.board)
            and _VERSION.fullmatch(self.version)
            and all(int(part) < 1 << 16 for part in parts)
            and 0 < self.size_bytes <= MAX_IMAGE_BYTES
            and _SHA256.fullmatch(self.sha256)
        )
        if not good:
            raise Rejected(
                "this is no firmware's manifest",
                code="bad-manifest",
                hint=f"board, MAJOR.MINOR.PATCH, at most {MAX_IMAGE_BYTES >> 20} MiB",
            )

    def text(self) -> bytes:
        """The exact bytes that are signed."""
        return f"{_MAGIC}\n{self.board}\n{self.version}\n{self.size_bytes}\n{self.sha256}\n".encode("ascii")


def read_manifest(text: bytes) -> Manifest:
    """Raises Rejected (`bad-manifest`) for anything but what `Manifest.text` gives."""
    try:
        magic, board, version, size, sha256, end = text[:256].decode("ascii").split("\n")
        found = Manifest(board, version, int(size), sha256)
    except ValueError:
        raise Rejected("this is no firmware's manifest", code="bad-manifest") from None
    found.check()
    if magic != _MAGIC or end or found.text() != text:
        raise Rejected("this is no firmware's manifest", code="bad-manifest")
    return found


def manifest_of(image: bytes, *, board: str, version: str) -> Manifest:
    """Raises Rejected (`bad-manifest`)."""
    made = Manifest(board, version, len(image), hashlib.sha256(image).hexdigest())
    made.check()
    return made


def sign(manifest: Manifest, key: ec.EllipticCurvePrivateKey) -> str:
    """base64 of the DER signature."""
    return base64.b64encode(key.sign(manifest.text(), ec.ECDSA(hashes.SHA256()))).decode()


def check_signature(manifest: Manifest, signature: str, folder: Path) -> None:
    """That it can be a signature, and is the release key's where that key lies in the folder. Blocks.

    Raises Rejected (`bad-signature`).
    """
    try:
        raw = base64.b64decode(signature, validate=True)
        utils.decode_dss_signature(raw)
        if len(signature) > MAX_SIGNATURE:
            raise ValueError("too long")
        pem = folder / RELEASE_KEY
        if pem.exists():
            public = serialization.load_pem_public_key(pem.read_bytes())
            if not isinstance(public, ec.EllipticCurvePublicKey):
                raise ValueError("not a P-256 key")
            public.verify(raw, manifest.text(), ec.ECDSA(hashes.SHA256()))
    except (ValueError, binascii.Error, InvalidSignature):
        raise Rejected("this signature is not the release key's", code="bad-signature") from None


def keep(folder: Path, image: bytes) -> Path:
    """The image under its hash, durable. Blocks."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = image_path(folder, hashlib.sha256(image).hexdigest())
    write_whole(path, image)
    return path


def image_path(folder: Path, sha256: str) -> Path:
    """Where an image lies."""
    assert _SHA256.fullmatch(sha256)
    return folder / f"{sha256}.bin"


def is_whole(path: Path, manifest: Manifest) -> bool:
    """Whether the file is what the manifest says. Blocks."""
    try:
        if path.stat().st_size != manifest.size_bytes:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == manifest.sha256
    except OSError:
        return False
