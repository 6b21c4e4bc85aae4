"""Put the spaces back that a recogniser dropped, by measuring the gaps between the glyphs of a line.

The recogniser says which characters there are and roughly where (the column at which its output peaked); the picture
says where nothing is printed. A gap that is clearly wider than the line's usual ones becomes a space at the nearest
boundary between two characters. No dictionary: names, codes and other languages are treated alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

HEIGHT_PX = 48
"""Lines are brought to this height before gaps are measured."""
_EXTRA = 0.085
"""How much wider than the line's usual gap a word gap is, in heights of the line."""
_LEAST = 0.115
"""A word gap is never narrower than this, in heights of the line."""
_DIGITS_EXTRA = 0.30
"""Between two digits only a very wide gap parts two numbers: a narrow 1 leaves white on both its sides."""

Grey = npt.NDArray[np.uint8]


def spaced(text: str, centres: Sequence[float], line: Grey) -> str:
    """`text` with the missing spaces.

    `centres` holds the x of each character of `text` in pixels of `line`, rising; `line` is one upright line of
    print, [HEIGHT_PX, width] grey. Spaces that the text has already are kept.
    """
    if len(text) < 2 or len(centres) != len(text) or line.size == 0:
        return text
    gaps = _gaps(line, centres[0], centres[-1])
    if not gaps:
        return text
    usual = float(np.median([width for width, _ in gaps])) if len(gaps) >= 4 else 0.0
    least = max(_LEAST * HEIGHT_PX, min(usual, 0.12 * HEIGHT_PX) + _EXTRA * HEIGHT_PX)
    middles = np.array([(left + right) / 2 for left, right in itertools.pairwise(centres)])
    breaks: set[int] = set()
    for width, at in gaps:
        if width < least:
            continue
        boundary = int(np.abs(middles - at).argmin())
        if _may_part(text, boundary, width, least):
            breaks.add(boundary)
    return "".join(char + (" " if i in breaks else "") for i, char in enumerate(text))


def _may_part(text: str, boundary: int, width: float, least: float) -> bool:
    left, right = text[boundary], text[boundary + 1]
    near = text[max(0, boundary - 1) : boundary + 3]
    if " " in near[:1] + left + right or _is_dense(left) or _is_dense(right):
        return False
    if right in ".,;:!?)]}%'’" or left in "([{#/'’" or (left in ".,-/:" and right.isdigit() and boundary):
        return width >= least + _DIGITS_EXTRA * HEIGHT_PX
    if left.isdigit() and (right.isdigit() or right in "-/"):
        return width >= least + _DIGITS_EXTRA * HEIGHT_PX
    return True


def _is_dense(char: str) -> bool:
    """Whether it is of a script that is written without spaces."""
    return (
        "\u2e80" <= char <= "\u9fff"
        or "\uac00" <= char <= "\ud7a3"
        or "\uf900" <= char <= "\ufaff"
        or ("\uff00" <= char <= "\uffef")
    )


def _gaps(line: Grey, first: float, last: float) -> list[tuple[float, float]]:
    """Width and middle, in pixels, of each run of columns without ink between two characters' centres."""
    inked = _ink(line)
    left, right = max(0, int(first)), min(len(inked), int(last) + 1)
    edges = np.flatnonzero(np.diff(np.concatenate([[True], inked[left:right], [True]]).astype(np.int8)))
    starts, ends = edges[::2] + left, edges[1::2] + left
    return [(float(end - start), float(start + end) / 2) for start, end in zip(starts, ends, strict=True)]


def _ink(line: Grey) -> npt.NDArray[np.bool_]:
    """For each column, whether something is printed there. Print is what is rarer: dark on light or light on dark."""
    body = line[HEIGHT_PX // 10 : HEIGHT_PX - HEIGHT_PX // 10].astype(np.float32)
    level = _otsu(line)
    dark = body < level
    ink = dark if dark.mean() <= 0.5 else ~dark
    # Half-covered pixels at the edges of glyphs count in proportion, so that blurred print does not run together.
    paper = float(np.median(body[~ink])) if (~ink).any() else 255.0
    solid = float(np.median(body[ink])) if ink.any() else 0.0
    spread = solid - paper
    if abs(spread) < 8:
        return np.zeros(line.shape[1], dtype=bool)
    covered = np.clip((body - paper) / spread, 0.0, 1.0)
    covered[covered < 0.35] = 0.0
    inked: npt.NDArray[np.bool_] = covered.sum(axis=0) >= 0.8
    return inked


def _otsu(grey: Grey) -> float:
    """The level that parts two classes best (Otsu 1979)."""
    counts = np.bincount(grey.ravel(), minlength=256).astype(np.float64)
    levels = np.arange(256)
    below, total = counts.cumsum(), counts.sum()
    mass = (counts * levels).cumsum()
    above = total - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (mass / below - (mass[-1] - mass) / above) ** 2
    return float(np.nan_to_num(between).argmax()) + 0.5
