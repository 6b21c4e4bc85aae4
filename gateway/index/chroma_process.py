"""The process that holds Chroma: `python -m gateway.index.chroma_process FOLDER`, spoken to by `chroma.py`.

Requests are maps with `op` and `space`; ids are whole numbers, vectors float32 little-endian in one string.
`put` {ids, vectors, dimensions} → {}; `drop` {ids} → {}; `nearest` {query, limit, among?} → {ids, cosines};
`vectors` {ids} → {ids, vectors}. One collection a space, without an embedding function: the vectors are ours.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from gateway.child import serve
from gateway.entities import Json
from gateway.errors import Rejected

_BATCH = 1_000


class _Store:
    """Chroma's client, opened at the first request."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._client: Any = None  # Any: chromadb has no types that mypy can follow
        self._collections: dict[str, Any] = {}

    def handle(self, request: Json) -> Json:
        collection = self._collection(str(request["space"]))
        match request["op"]:
            case "put":
                return self._put(collection, request)
            case "drop":
                present = collection.get(ids=_names(request["ids"]), include=[])["ids"]
                if present:
                    collection.delete(ids=present)
                return {}
            case "nearest":
                return self._nearest(collection, request)
            case "vectors":
                found = collection.get(ids=_names(request["ids"]), include=["embeddings"])
                matrix = np.asarray(found["embeddings"], "<f4")
                return {"ids": [int(name) for name in found["ids"]], "vectors": matrix.tobytes()}
        raise Rejected("unknown request", code="bad-request")

    def _collection(self, space: str) -> Any:
        if self._client is None:
            import chromadb  # noqa: PLC0415  heavy, and only this process needs it
            from chromadb.config import Settings  # noqa: PLC0415

            self._client = chromadb.PersistentClient(
                self._folder, settings=Settings(anonymized_telemetry=False, is_persistent=True)
            )
        if space not in self._collections:
            self._collections[space] = self._client.get_or_create_collection(
                "space-" + hashlib.sha256(space.encode()).hexdigest()[:40],
                embedding_function=None,
                configuration={"hnsw": {"space": "cosine", "ef_search": 400, "ef_construction": 100}},
            )
        return self._collections[space]

    @staticmethod
    def _put(collection: Any, request: Json) -> Json:
        names = _names(request["ids"])
        matrix = np.frombuffer(request["vectors"], "<f4").reshape(len(names), int(request["dimensions"]))
        for start in range(0, len(names), _BATCH):
            collection.upsert(ids=names[start : start + _BATCH], embeddings=matrix[start : start + _BATCH])
        return {}

    @staticmethod
    def _nearest(collection: Any, request: Json) -> Json:
        limit = min(int(request["limit"]), max(1, collection.count()))
        among = request.get("among")
        if among is not None:
            among = collection.get(ids=_names(among), include=[])["ids"]
            if not among:
                return {"ids": [], "cosines": []}
            limit = min(limit, len(among))
        found = collection.query(
            query_embeddings=[np.frombuffer(request["query"], "<f4")], n_results=limit, ids=among, include=["distances"]
        )
        distances = found["distances"][0]
        return {"ids": [int(name) for name in found["ids"][0]], "cosines": [1.0 - float(far) for far in distances]}


def _names(ids: Sequence[int]) -> list[str]:
    return [str(int(number)) for number in ids]


if __name__ == "__main__":
    serve(_Store(sys.argv[1]).handle)
