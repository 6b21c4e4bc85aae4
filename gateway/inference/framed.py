"""The picture that a screen shows: in a screenshot of a chat or a window, on a page, or with bars around it.

An XY-cut (Nagy and Seth 1984): lines of one brightness from side to side part what lies above from what lies below,
and so on across and down within each part; the largest part that is left is the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

_SIDE_PX = 256
"""It is looked for in a picture made this small."""
_FLAT = 8
"""Luma within a line that is taken for one brightness."""
_GAP_PX, _RIM_PX = 2, 1
_LEAST, _MOST = 0.05, 0.9
"""Share of the whole. A larger one is the whole."""
_LEAST_SIDE_PX = 16
_DEEP = 8

Luma: TypeAlias = npt.NDArray[np.uint8]
Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, right, bottom."""


def framed(image: Image.Image) -> Image.Image | None:
    """The part that is a picture; None where that is all of it, or nothing. A millisecond or two."""
    scale = max(1.0, max(image.size) / _SIDE_PX)
    size = (max(1, round(image.width / scale)), max(1, round(image.height / scale)))
    luma = np.asarray(image.convert("L").resize(size, Image.Resampling.BOX))
    left, top, right, bottom = max(_parts(luma, (0, 0, *size), _DEEP), key=_area, default=(0, 0, 0, 0))
    if not _LEAST <= (right - left) * (bottom - top) / (size[0] * size[1]) <= _MOST:
        return None
    across, down = image.width / size[0], image.height / size[1]
    return image.crop((round(left * across), round(top * down), round(right * across), round(bottom * down)))


def _parts(luma: Luma, box: Box, deep: int) -> Iterator[Box]:
    """Parts that no line parts further."""
    left, top, right, bottom = box
    if min(right - left, bottom - top) < _LEAST_SIDE_PX:
        return
    part = luma[top:bottom, left:right]
    rows, columns = (_between(np.ptp(part, axis=axis) <= _FLAT) for axis in (1, 0))
    if not deep or (rows == [(0, bottom - top)] and columns == [(0, right - left)]):
        yield box
        return
    # Without its rim, where it runs into what is around it, and which would keep every line of it from being flat.
    if rows != [(0, bottom - top)]:
        inner = [(left, top + start + _RIM_PX, right, top + end - _RIM_PX) for start, end in rows]
    else:
        inner = [(left + start + _RIM_PX, top, left + end - _RIM_PX, bottom) for start, end in columns]
    for each in inner:
        yield from _parts(luma, each, deep - 1)


def _between(flat: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Runs of lines with something in them, as (start, end). Gaps within are as wide as `_GAP_PX` at least; flat lines
    at the ends go in any case."""
    busy = np.flatnonzero(~flat)
    if not len(busy):
        return []
    breaks = np.flatnonzero(np.diff(busy) > _GAP_PX)
    starts = [int(busy[0]), *(int(busy[place + 1]) for place in breaks)]
    ends = [*(int(busy[place]) + 1 for place in breaks), int(busy[-1]) + 1]
    return list(zip(starts, ends, strict=True))


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
