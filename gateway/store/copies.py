"""Vectors by which copies are found, of each picture that stands by itself. They serve no search and are in no index.

A byte a number: they name a handful of candidates, and what names a copy is the pixels. A picture has one vector for
each of its views (the whole, and what it shows where it is a screenshot), one behind the other in its row. A vector has
two halves (in its colours, and in even light), and two pictures are as near as the nearest pair of halves.
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

DIM = 128
"""Numbers of a view."""
_AT_ONCE = 4_096
"""Rows that are held at a time."""
_VIEWS = 2
"""At most."""
EARLIER = "c.id < ?"
BROUGHT_LATER = "c.id > ? AND +c.device IS NULL"
"""A camera's frames are compared with those of their camera. Plus: there are few later ones, and many of no camera."""
_NEAR = (
    "SELECT v.capture, v.vector FROM copy_vector AS v JOIN capture AS c ON c.id = v.capture"
    f" WHERE {{when}} AND v.space = ? AND length(v.vector) % {DIM} = 0 AND c.owner = ? AND c.deleted_at_us IS NULL"
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
    views = _numbers([_bytes_of(wanted.vector)])
    found: dict[int, float] = {}
    cursor = connection.execute(_NEAR.format(when=BROUGHT_LATER if brought_later else EARLIER), chosen)
    while rows := cursor.fetchmany(_AT_ONCE):
        ids = np.repeat([row["capture"] for row in rows], [len(row["vector"]) // DIM for row in rows])
        alike = nearness(views, _numbers([row["vector"] for row in rows]))
        for place in np.argsort(alike, kind="stable")[-_VIEWS * limit :]:
            number = int(ids[place])
            found[number] = max(found.get(number, -1.0), float(alike[place]))
        found = dict(sorted(found.items(), key=lambda each: (-each[1], each[0]))[:limit])
    return [(cosine, number) for number, cosine in found.items()]


def nearness(views: Floats, others: Floats) -> Floats:
    """[n] cosines of the nearest halves, of a picture's views [v, DIM] and others [n, DIM]."""
    mine, theirs = (_unit(each.reshape(len(each), 2, -1)) for each in (views, others))
    nearest: Floats = np.max([(view * theirs).sum(2).max(1) for view in mine], axis=0)
    return nearest


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
    """float32 little-endian, each view of length 1 → one signed byte a number."""
    values = np.frombuffer(vector, dtype="<f4")
    top = max(float(np.abs(values).max(initial=0.0)), 1e-9)
    return np.rint(values / top * 127).astype(np.int8).tobytes()


def _numbers(vectors: Sequence[bytes]) -> Floats:
    return np.frombuffer(b"".join(vectors), dtype=np.int8).reshape(-1, DIM).astype(np.float32)


def _unit(halves: Floats) -> Floats:
    unit: Floats = halves / np.maximum(np.linalg.norm(halves, axis=2, keepdims=True), np.float32(1e-9))
    return unit
