"""Chroma as a vector index, in a process of its own. Derived: whatever it says is checked, and it may die any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gateway.child import Child, Limits, python_argv
from gateway.entities import Json
from gateway.errors import HearthlogError, WorkerFailed
from gateway.index.vectors import Floats, Ids, Near

_WRITE_S = 60.0
_ASK_S = 2.0
_LOAD_S = 60.0


class Chroma:
    """One space. `async with chroma:` ends its process on the way out; nothing runs before the first request."""

    def __init__(self, folder: Path, space: str, dimensions: int) -> None:
        self.folder = folder
        self.space = space
        self.dimensions = dimensions
        self._child = Child(
            python_argv("gateway.index.chroma_process", str(folder)),
            name="chroma",
            limits=Limits(network=False, idle_s=900.0),
        )

    async def __aenter__(self) -> Chroma:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """Its process, if one runs."""
        return self._child.pid

    async def stop(self) -> None:
        """End the process; the next request starts a new one, which reads the folder anew."""
        await self._child.stop()

    async def put(self, ids: Sequence[int], vectors: Floats) -> None:
        """See VectorIndex."""
        if vectors.ndim != 2 or vectors.shape != (len(ids), self.dimensions):
            raise HearthlogError("a vector has another length than its space", code="vector-shape", where=self.space)
        if len(ids):
            body = np.ascontiguousarray(vectors, "<f4").tobytes()
            await self._call({"op": "put", "ids": list(ids), "vectors": body, "dimensions": self.dimensions}, _WRITE_S)

    async def drop(self, ids: Sequence[int]) -> None:
        """See VectorIndex."""
        if len(ids):
            await self._call({"op": "drop", "ids": list(ids)}, _WRITE_S)

    async def nearest(self, query: Floats, *, limit: int, among: Ids | None = None) -> list[Near]:
        """See VectorIndex. Raises WorkerFailed when it does not answer in time."""
        request: dict[str, object] = {"op": "nearest", "query": query.astype("<f4").tobytes(), "limit": limit}
        if among is not None:
            request["among"] = among.tolist()
        reply = await self._call(request, _ASK_S if self.pid else _LOAD_S)
        ids, cosines = reply.get("ids"), reply.get("cosines")
        if not isinstance(ids, list) or not isinstance(cosines, list) or len(ids) != len(cosines):
            raise WorkerFailed("the index gave an answer that makes no sense", code="bad-reply", where="chroma")
        near = [Near(int(number), float(cosine)) for number, cosine in zip(ids, cosines, strict=True)]
        return sorted(near, key=lambda found: (-found.cosine, -found.capture_id))

    async def holds(self, ids: Sequence[int]) -> list[int]:
        """See VectorIndex."""
        found = await self.vectors(ids)
        return [number for number in ids if number in found]

    async def vectors(self, ids: Sequence[int]) -> Mapping[int, Floats]:
        """The vectors that it has of these ids."""
        reply = await self._call({"op": "vectors", "ids": list(ids)}, _WRITE_S)
        names, body = reply.get("ids"), reply.get("vectors")
        if not isinstance(names, list) or not isinstance(body, bytes) or len(body) != 4 * self.dimensions * len(names):
            raise WorkerFailed("the index gave an answer that makes no sense", code="bad-reply", where="chroma")
        matrix = np.frombuffer(body, "<f4").reshape(len(names), self.dimensions)
        return {int(number): row for number, row in zip(names, matrix, strict=True)}

    async def _call(self, request: Mapping[str, object], timeout_s: float) -> Json:
        return await self._child.call({**request, "space": self.space}, timeout_s=timeout_s)
