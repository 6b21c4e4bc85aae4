"""Keys: the installation's wraps each owner's, an owner's wraps each blob's.

Wrapping is AES-256-GCM with a random 12-byte nonce in front and the wrapped key's name as associated data.
Losing the installation's key loses everything; forgetting a blob's key forgets the blob.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import HearthlogError
from gateway.files import write_whole

KEY_BYTES = 32
_CREDENTIAL = "hearthlog.key"


class Keyring:
    """The installation's key, and the owners' keys as they are asked for."""

    def __init__(self, installation: bytes) -> None:
        if len(installation) != KEY_BYTES:
            raise HearthlogError(
                "the installation's key is damaged", code="key-damaged", hint="Restore it from the backup"
            )
        self._installation = installation
        self._owners: dict[str, bytes] = {}

    def remembered(self, owner: str) -> bytes | None:
        """The key of one owner, if it was asked for before."""
        return self._owners.get(owner)

    def known_owner(self, connection: sqlite3.Connection, owner: str) -> bytes | None:
        """The key of one owner; None when none was made yet. Remembered when it is read outside a transaction: within
        one it may have been made a moment ago, and the commit may still fail.
        """
        if owner in self._owners:
            return self._owners[owner]
        row = connection.execute("SELECT wrapped FROM owner_key WHERE owner = ?", (owner,)).fetchone()
        if row is None:
            return None
        key = unwrap(self._installation, row["wrapped"], owner)
        return key if connection.in_transaction else self._owners.setdefault(owner, key)

    def owner(self, connection: sqlite3.Connection, owner: str) -> bytes:
        """The key of one owner, made at the first asking: that needs the writer's connection."""
        known = self.known_owner(connection, owner)
        if known is not None:
            return known
        key = secrets.token_bytes(KEY_BYTES)
        connection.execute(
            "INSERT INTO owner_key(owner, wrapped) VALUES (?, ?)", (owner, wrap(self._installation, key, owner))
        )
        return key  # remembered when it is read back: this transaction may still be rolled back

    def secret(self, purpose: str) -> bytes:
        """32 bytes for one purpose (signing cursors, naming tokens), derived from the installation's key."""
        return hmac.new(self._installation, b"hearthlog:" + purpose.encode(), hashlib.sha256).digest()


def wrap(key: bytes, secret: bytes, name: str, *, nonce: bytes | None = None) -> bytes:
    """`secret` under `key`: nonce ‖ ciphertext ‖ tag, bound to `name`. A `nonce` that is given is random, and new."""
    nonce = nonce or secrets.token_bytes(12)
    return nonce + AESGCM(key).encrypt(nonce, secret, name.encode())


def unwrap(key: bytes, wrapped: bytes, name: str) -> bytes:
    """The secret again. Raises HearthlogError when key, bytes or name do not belong together."""
    try:
        return AESGCM(key).decrypt(wrapped[:12], wrapped[12:], name.encode())
    except (InvalidTag, ValueError) as error:
        raise HearthlogError(
            "a key does not fit its lock", code="key-damaged", hint="Restore it from the backup"
        ) from error


def open_keyring(home: Path, environ: Mapping[str, str] = os.environ) -> Keyring:
    """The installation's key: a systemd credential if there is one, else `<home>/installation.key`, made at first use.

    Raises HearthlogError when the file is damaged, or gone while there is data that needs it.
    """
    credential = Path(environ.get("CREDENTIALS_DIRECTORY", "/nonexistent")) / _CREDENTIAL
    if credential.is_file():
        return Keyring(credential.read_bytes())
    path = home / "installation.key"
    if path.exists():
        return Keyring(path.read_bytes())
    if (home / "hearthlog.db").exists():
        raise HearthlogError(
            "the installation's key is gone, and the data cannot be read without it",
            code="key-gone",
            where=str(path),
            hint="Put the file back, or restore a backup",
        )
    key = secrets.token_bytes(KEY_BYTES)
    write_whole(path, key)
    return Keyring(key)
