"""Rows of firmware that cameras can be given; the images lie in `<home>/firmware/<sha256>.bin`."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.store.db import Connection, Row


@dataclass(frozen=True, slots=True)
class Image:
    """A signed image for one board."""

    board: str
    version: str
    """`MAJOR.MINOR.PATCH`."""
    size_bytes: int
    sha256: str
    signature: str
    """base64 of a DER ECDSA signature over the manifest (docs/wire.md)."""
    added_at_us: int


def put(connection: Connection, image: Image) -> None:
    """Keep an image; the same board and version again replaces it."""
    connection.execute(
        "INSERT OR REPLACE INTO firmware(board, version, size_bytes, sha256, signature, added_at_us)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (image.board, image.version, image.size_bytes, image.sha256, image.signature, image.added_at_us),
    )


def all_of(connection: Connection) -> list[Image]:
    """Every image, by board, the newest version first."""
    found = [_image(row) for row in connection.execute("SELECT * FROM firmware").fetchall()]
    found.sort(key=lambda each: order_of(each.version), reverse=True)
    return sorted(found, key=lambda each: each.board)


def of_board(connection: Connection, board: str) -> list[Image]:
    """Every image for a board, the newest version first."""
    return [each for each in all_of(connection) if each.board == board]


def order_of(version: str) -> tuple[int, ...]:
    """`MAJOR.MINOR.PATCH` as it is compared; () for what is none, which is less than any."""
    parts = version.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) <= 5 for part in parts):
        return ()
    return tuple(int(part) for part in parts)


def _image(row: Row) -> Image:
    return Image(
        board=row["board"],
        version=row["version"],
        size_bytes=row["size_bytes"],
        sha256=row["sha256"],
        signature=row["signature"],
        added_at_us=row["added_at_us"],
    )
