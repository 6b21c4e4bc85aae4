"""Search over many memories, with and without filters, while other processes keep the processors busy.

python -m tests.bench.search [--memories 100000] [--rounds 5] [--idle]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from gateway import footprint
from gateway.entities import Kind, Role, Viewer
from gateway.index.indexer import Index
from gateway.recall.answer import Query
from gateway.recall.search import Place, Search
from gateway.store.db import Database
from tests.bench import corpus

_QUERIES = (
    "parcel", "a dog sleeps on the sofa", "lindqvist", "bananas", "two people by the blue door", "green cap",
    "bicycle in the rain", "motorcycle", "north", "someone reads a book under the lamp",
)  # fmt: skip
_DAY_US = 86_400_000_000


def _burn(stop: object) -> None:
    os.nice(10)  # as the workers that do the steps
    matrix = np.random.default_rng(1).standard_normal((200, 200))
    while not stop.is_set():  # type: ignore[attr-defined]
        matrix = matrix @ matrix
        matrix /= np.abs(matrix).max()


def _filters(number: int) -> dict[str, Query]:
    start = corpus.START_US + (number * 37 % 200) * _DAY_US
    base = Query(parse=False)
    return {
        "none": base,
        "week": replace(base, from_us=start, to_us=start + 7 * _DAY_US),
        "camera": replace(base, devices=("porch",)),
        "camera and week": replace(base, devices=("porch",), from_us=start, to_us=start + 7 * _DAY_US),
        "kind and print": replace(base, kinds=(Kind.IMAGE,), has=frozenset({"text"})),
        "folded too": replace(base, folded=True),
    }


async def _run(path: Path, made: corpus.Corpus, viewer: Viewer, rounds: int) -> dict[str, object]:
    number = {text: n for n, text in enumerate(_QUERIES)}

    async def embed(text: str, space: str) -> bytes:
        return made.query_vector(number[text] if text in number else _number(text)).astype("<f4").tobytes()

    opened = time.perf_counter()
    async with Database(path) as db, Index(db) as index:
        ready_s = time.perf_counter() - opened
        search = Search(db, index, embed=embed, place=Place("UTC", lambda: corpus.START_US + 300 * _DAY_US))
        took: dict[str, list[float]] = {}
        await search.find(viewer, Query("parcel", parse=False))
        for round_ in range(rounds):
            for n, text in enumerate(_QUERIES):
                index.postings.forget()  # so that "none" is asked for the first time, and the filters follow it
                for name, query in _filters(n + round_).items():
                    start = time.perf_counter()
                    answer = await search.find(viewer, replace(query, text=text))
                    took.setdefault(name, []).append((time.perf_counter() - start) * 1_000)
                    assert answer.looked_at
                start = time.perf_counter()
                await search.find(viewer, Query(parse=False))
                took.setdefault("newest first", []).append((time.perf_counter() - start) * 1_000)
        recall = [await _recall(search, made, viewer, n) for n in range(100)]
        every = [value for values in took.values() for value in values]
        return {
            "memories": made.count,
            "ready_s": round(ready_s, 2),
            "p50_ms": round(float(np.percentile(every, 50)), 1),
            "p95_ms": round(float(np.percentile(every, 95)), 1),
            "max_ms": round(max(every), 1),
            "by_filter_p95_ms": {name: round(float(np.percentile(values, 95)), 1) for name, values in took.items()},
            "recall_at_10": round(float(np.mean(recall)), 4),
            "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024),
        }


async def _recall(search: Search, made: corpus.Corpus, viewer: Viewer, n: int) -> float:
    """Of the exact ten nearest, how many are the ten that a search by meaning alone answers with."""
    exact = made.vectors @ made.query_vector(n)
    answer = await search.find(viewer, Query(f"qzx{n}", limit=10, folded=True, parse=False))
    best = np.argpartition(exact, -10)[-10:] + 1
    return len({hit.memory.capture.id for hit in answer.items} & set(best.tolist())) / 10


def _number(text: str) -> int:
    """Of a text that no caption holds: the number of its seeded vector."""
    return int(text.removeprefix("qzx"))


async def _prepare(path: Path) -> Viewer:
    async with Database(path) as db:
        owner = await db.read(lambda c: str(c.execute("SELECT id FROM person").fetchone()["id"]))
    return Viewer(owner, "bench", Role.ADMIN)


def main(argv: list[str]) -> int:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--memories", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", action="store_true")
    given = parser.parse_args(argv)
    footprint.keep_small()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hearthlog.db"
        viewer = asyncio.run(_prepare(path))
        made = corpus.write(path, count=given.memories, owner=viewer.user)
        stop = context.Event()
        burners = [
            context.Process(target=_burn, args=(stop,)) for _ in range(0 if given.idle else 2 * (os.cpu_count() or 1))
        ]
        for burner in burners:
            burner.start()
        try:
            result = asyncio.run(_run(path, made, viewer, given.rounds))
        finally:
            stop.set()
            for burner in burners:
                burner.join()
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
