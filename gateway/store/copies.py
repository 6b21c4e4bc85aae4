"""Vectors by which copies are found: one a picture that stands by itself. They serve no search and are in no index.

A byte a number: they name a handful of candidates, and what names a copy is the pixels. A vector has two halves (a
picture in its colours, and in even light), and two pictures are as near as the nearer pair of halves.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gateway.entities import Capture, Embedding
from gateway.store import duplicates
from gateway.store.db import Connection

Floats: TypeAlias = npt.NDArray[np.float32]

_AT_ONCE = 4_096
"""Rows that are held at a time."""
EARLIER = "c.id < ?"
BROUGHT_LATER = "c.id > ? AND c.device IS NULL"
"""A camera's frames are compared with those of their camera."""
_NEAR = (
    "SELECT v.capture, v.vector FROM copy_vector AS v JOIN capture AS c ON c.id = v.capture"
    " WHERE {when} AND v.space = ? AND c.owner = ? AND c.deleted_at_us IS NULL"
    " AND c.id NOT IN (SELECT value FROM json_each(?)) ORDER BY v.capture"
)


def near(
    connection: Connection, capture: Capture, wanted: Embedding, *, limit: int, brought_later: bool = False
) -> list[tuple[float, int]]:
    """The `limit` earlier pictures of the same owner with the nearest vectors of the same space, as (cosine, capture
    id), the nearest first; `brought_later`: of those that people brought after this one came. Those of which a person
    said that they are not the same are left out.
    """
    apart = json.dumps(sorted(duplicates.apart_from(connection, capture.id)))
    chosen = (capture.id, wanted.space, capture.owner, apart)
    one = _bytes_of(wanted.vector)
    found: list[tuple[float, int]] = []
    cursor = connection.execute(_NEAR.format(when=BROUGHT_LATER if brought_later else EARLIER), chosen)
    while rows := cursor.fetchmany(_AT_ONCE):
        kept = [row for row in rows if len(row["vector"]) == len(one)]
        if kept:
            alike = nearness(_numbers([one])[0], _numbers([row["vector"] for row in kept])).tolist()
            found += [(float(cosine), int(row["capture"])) for cosine, row in zip(alike, kept, strict=True)]
            found = sorted(found, key=lambda each: (-each[0], each[1]))[:limit]
    return found


def nearness(one: Floats, others: Floats) -> Floats:
    """[n] cosines of the nearer halves, of a vector [d] and others [n, d]."""
    mine, theirs = _unit(one.reshape(1, 2, -1)), _unit(others.reshape(len(others), 2, -1))
    nearer: Floats = (mine * theirs).sum(2).max(1)
    return nearer


def known(connection: Connection, capture_id: int, space: str) -> bool:
    """Whether it is found by its vector of this space already."""
    found = connection.execute("SELECT 1 FROM copy_vector WHERE capture = ? AND space = ?", (capture_id, space))
    return found.fetchone() is not None


def put(connection: Connection, capture_id: int, vector: Embedding) -> None:
    """Keep a picture's vector in the place of the one it had."""
    connection.execute(
        "INSERT OR REPLACE INTO copy_vector(capture, space, vector) VALUES (?,?,?)",
        (capture_id, vector.space, _bytes_of(vector.vector)),
    )


def _bytes_of(vector: bytes) -> bytes:
    """float32 little-endian of length 1 → one signed byte a number."""
    values = np.frombuffer(vector, dtype="<f4")
    top = max(float(np.abs(values).max(initial=0.0)), 1e-9)
    return np.rint(values / top * 127).astype(np.int8).tobytes()


def _numbers(vectors: Sequence[bytes]) -> Floats:
    return np.frombuffer(b"".join(vectors), dtype=np.int8).reshape(len(vectors), -1).astype(np.float32)


def _unit(halves: Floats) -> Floats:
    unit: Floats = halves / np.maximum(np.linalg.norm(halves, axis=2, keepdims=True), np.float32(1e-9))
    return unit
