"""Whether a camera was turned: its picture is the one before, by a quarter or a half turn."""

from __future__ import annotations

import base64

import numpy as np
import numpy.typing as npt

from gateway.entities import Json

ALIKE = 0.7
"""Correlation with the turned picture; of two unlike pictures it is rarely above .4."""
AHEAD = 0.3
"""So much more than with the picture as it stood."""
_FLAT = 4.0
"""A grid that deviates less shows nothing that could be turned."""

Grid = npt.NDArray[np.float32]


def grid_of(quality: Json) -> Grid:
    """The luma grid that `quality` keeps."""
    raw = np.frombuffer(base64.b64decode(quality["grid"]), dtype=np.uint8)
    return raw.astype(np.float32).reshape(24, 32)


def stands(before: Grid, now: Grid) -> bool:
    """Whether a picture is the one before as it stood: nobody turned the camera, or it was turned back."""
    return _likeness(before, now) >= ALIKE


def turned(before: Grid, now: Grid) -> bool:
    """By luma grids [24, 32] of two pictures of one camera. A quarter turn is looked for both ways in which it shows:
    the frame turned with the camera, or it did not and only the middle is in both."""
    if min(float(before.std()), float(now.std())) < _FLAT:
        return False
    inner = before[:, 4:-4], now[:, 4:-4]
    found = [_likeness(np.rot90(before, 2), now)]
    for quarter in (1, 3):
        found.append(_likeness(_stretched(np.rot90(before, quarter)), now))
        found.append(_likeness(np.rot90(inner[0], quarter), inner[1]))
    stood = max(_likeness(before, now), _likeness(*inner))
    return max(found) >= ALIKE and max(found) >= stood + AHEAD


def _likeness(one: Grid, other: Grid) -> float:
    """The best correlation with the one moved by up to a cell, −1 to 1."""
    inside = other[1:-1, 1:-1]
    rows, columns = inside.shape
    return max(_correlation(one[y : y + rows, x : x + columns], inside) for y in range(3) for x in range(3))


def _correlation(one: Grid, other: Grid) -> float:
    first, second = one - one.mean(), other - other.mean()
    size = float(np.sqrt((first * first).sum() * (second * second).sum()))
    return float((first * second).sum()) / size if size > 0 else 0.0


def _stretched(grid: Grid) -> Grid:
    """[32, 24] as [24, 32]: the picture of a frame that turned, measured as any picture is."""
    rows = (np.arange(24) + 0.5) * 32 / 24 - 0.5
    columns = (np.arange(32) + 0.5) * 24 / 32 - 0.5
    low, across = rows.astype(int), np.clip(columns, 0, 23).astype(int)
    by_row = grid[low] + (rows - low)[:, None] * (grid[np.minimum(low + 1, 31)] - grid[low])
    share = (np.clip(columns, 0, 23) - across).astype(np.float32)
    after = np.minimum(across + 1, 23)
    stretched: Grid = (by_row[:, across] + share * (by_row[:, after] - by_row[:, across])).astype(np.float32)
    return stretched
