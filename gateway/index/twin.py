"""A vector index in a dict, for tests of what stands above one; float32 and exact, so it is the oracle too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gateway.errors import HearthlogError
from gateway.index.vectors import Floats, Ids, Near


class TwinVectors:
    """See VectorIndex."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self._rows: dict[int, Floats] = {}

    async def put(self, ids: Sequence[int], vectors: Floats) -> None:
        """See VectorIndex."""
        if vectors.ndim != 2 or vectors.shape != (len(ids), self.dimensions):
            raise HearthlogError("a vector has another length than its space", code="vector-shape")
        self._rows.update(zip(ids, vectors.copy(), strict=True))

    async def drop(self, ids: Sequence[int]) -> None:
        """See VectorIndex."""
        for number in ids:
            self._rows.pop(number, None)

    async def nearest(self, query: Floats, *, limit: int, among: Ids | None = None) -> list[Near]:
        """See VectorIndex."""
        ids = self._rows.keys() if among is None else [number for number in among.tolist() if number in self._rows]
        near = [Near(number, float(np.dot(self._rows[number], query))) for number in ids]
        return sorted(near, key=lambda found: (-found.cosine, -found.capture_id))[:limit]

    async def holds(self, ids: Sequence[int]) -> list[int]:
        """See VectorIndex."""
        return [number for number in ids if number in self._rows]
