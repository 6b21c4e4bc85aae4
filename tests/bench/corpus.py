"""A seeded house of many memories, written straight into the tables: what search is measured on.

Captions are put together from a home's things; vectors are unit vectors around a few hundred seeded topics, so that
neighbours exist as they do in real ones. No pictures are written: search never reads them.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gateway.index import text
from gateway.store import words
from gateway.store.db import connect
from gateway.store.words import Source

DIMENSIONS = 384
SPACE = "minilm-l6-v2@bench/mean"
IMAGE_SPACE = "mobilenet-v1@bench/224"
ROOMS = ("porch", "hall", "kitchen", "living-room", "driveway")
START_US = 1_767_225_600_000_000
"""2026-01-01 UTC."""
_TOPICS = 400
_SPREAD = 0.75

_WHO = ("A person", "Two people", "A cat", "A dog", "A child", "Someone in a green cap", "A courier", "Nobody")
_WHAT = (
    "carries a parcel", "opens the door", "sits at the table", "sleeps on the sofa", "waters the plant", "reads a book",
    "cooks a meal", "leaves with a bag", "comes home", "rides a bicycle", "pushes a motorcycle", "eats bananas",
)  # fmt: skip
_WHERE = (
    "by the blue door", "on the mat", "near the window", "under the lamp", "in the rain", "at dusk",
    "in the morning light", "beside the bench", "behind the car", "next to the stove",
)  # fmt: skip
_NAMES = ("LINDQVIST", "ALDER LANE", "BOOKS", "FRAGILE", "ROSEGARDEN", "HELIOS", "NORTHWIND", "QUILL", "TERRAZZO")


@dataclass(frozen=True)
class Corpus:
    """What was written."""

    count: int
    vectors: npt.NDArray[np.float32]
    """Row n belongs to capture n + 1."""
    topics: npt.NDArray[np.float32]

    def query_vector(self, number: int) -> npt.NDArray[np.float32]:
        """A seeded vector near one of the topics."""
        random = np.random.default_rng(10_000 + number)
        return _unit(
            self.topics[number % len(self.topics)]
            + np.float32(0.6) * random.standard_normal(DIMENSIONS).astype(np.float32) / np.float32(np.sqrt(DIMENSIONS))
        )


def write(path: Path, *, count: int, owner: str, seed: int = 7) -> Corpus:
    """Fill a database whose schema is there. Blocks; nothing else may have it open for writing."""
    random = np.random.default_rng(seed)
    topics = _unit(random.standard_normal((_TOPICS, DIMENSIONS)).astype(np.float32))
    which = random.integers(0, _TOPICS, count)
    noise = random.standard_normal((count, DIMENSIONS), dtype=np.float32) / np.float32(np.sqrt(DIMENSIONS))
    vectors = _unit(topics[which] + np.float32(_SPREAD) * noise)
    connection = connect(path, read_only=False)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    for room in ROOMS:
        connection.execute(
            "INSERT OR IGNORE INTO device(id, name, room, owner, privacy, ai_usage, lane, first_seen_us, last_seen_us)"
            " VALUES (?, ?, ?, ?, 'circle', 'chat', 'record', 1, 1)",
            (room, room.replace("-", " ").capitalize(), room, owner),
        )
    for start in range(0, count, 5_000):
        _write_some(connection, range(start, min(start + 5_000, count)), owner=owner, random=random, vectors=vectors)
    connection.execute("COMMIT")
    connection.close()
    return Corpus(count, vectors, topics)


def _write_some(
    connection: sqlite3.Connection,
    numbers: range,
    *,
    owner: str,
    random: np.random.Generator,
    vectors: npt.NDArray[np.float32],
) -> None:
    captures, annotations, embeddings, understood, sources = [], [], [], [], []
    for n in numbers:
        who, what, where = (random.integers(0, len(list_)) for list_ in (_WHO, _WHAT, _WHERE))
        caption = f"{_WHO[who]} {_WHAT[what]} {_WHERE[where]}."
        printed = f"N. {_NAMES[random.integers(0, len(_NAMES))]} {random.integers(1, 4_000)}" if n % 17 == 0 else ""
        tags = ["person"] if who < 2 else []
        folded = "static" if n % 5 == 4 else ""
        at_us = START_US + n * 262_000_000
        captures.append(
            (n + 1, f"u{n:023d}", ROOMS[n % len(ROOMS)], owner, "private" if n % 50 == 0 else "circle", at_us, at_us)
        )
        for step, offset in (("caption", 1), ("embed", 2)):
            annotations.append((2 * n + offset, n + 1, step))
        embeddings.append((2 * n + 2, n + 1, SPACE, vectors[n].tobytes()))
        understood.append((n + 1, caption, printed, json.dumps(tags), folded))
        sources.append(Source(n + 1, caption, printed, "", tuple(tags)))
    connection.executemany(
        "INSERT INTO capture(id, uid, kind, device, owner, privacy, ai_usage, captured_at_us, time_source,"
        " time_error_us, zone, received_at_us, lane, sha256, body_bytes, media_type, width_px, height_px, source_name)"
        " VALUES (?, ?, 'image', ?, ?, ?, 'chat', ?, 'device-synced', 1000, 'UTC', ?, 'record', zeroblob(32), 50000,"
        " 'image/jpeg', 640, 480, '')",
        captures,
    )
    connection.executemany(
        "INSERT INTO annotation(id, capture, step, fingerprint, step_version, model, revision, preprocessing, data,"
        " at_us, took_ms) VALUES (?, ?, ?, 'f', 1, 'm', 'r', 'p', '{}', 1, 1.0)",
        annotations,
    )
    connection.executemany("INSERT INTO embedding(annotation, capture, space, vector) VALUES (?, ?, ?, ?)", embeddings)
    connection.executemany(
        "INSERT INTO understood(capture, caption, caption_source, text, tags, folded)"
        " VALUES (?, ?, 'composed', ?, ?, ?)",
        understood,
    )
    connection.executemany(
        "INSERT INTO change(entity, entity_id, operation, at_us) VALUES ('memory', ?, 'put', 1)",
        [(row[1],) for row in captures],
    )
    words.put(connection, [text.row(source) for source in sources])
    connection.execute(
        "INSERT OR REPLACE INTO cursor(name, epoch, sequence) SELECT 'index-words', m.value, s.seq FROM meta AS m,"
        " sqlite_sequence AS s WHERE m.key = 'epoch' AND s.name = 'change'"
    )


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    scaled: npt.NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return scaled
