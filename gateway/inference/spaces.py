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
_MARGIN = HEIGHT_PX // 10
"""Rows at the top and bottom that may belong to other lines."""
_TIMES, _PLUS = 1.25, 0.08
"""A word gap is wider than _TIMES the line's usual gap and _PLUS heights of the print …"""
_LEAST_SMALL, _LEAST_FIGURES, _LEAST_CAPITALS = 0.17, 0.25, 0.27
"""… and than so many heights: small letters stand closer than figures, and those than capitals.
Fitted to rendered labels of 14 to 30 px: word gaps .20 to .49, gaps between letters up to .14 small, .28 tall."""
_USUAL_SHARE = 0.4
"""The usual gap is at this quantile of all: a line of short words has one gap in three between words."""
_FEW, _FEW_USUAL = 5, 0.15
"""With fewer gaps than _FEW the usual one cannot be told; it is taken for at least _FEW_USUAL heights."""
_THIN = 0.13
"""A 1 is thin and leaves white on its sides: more is asked for, in heights, for each 1 between figures."""
_TIGHT = 0.3
"""How much more is asked for beside marks that cling to a word."""

Grey = npt.NDArray[np.uint8]


def spaced(text: str, centres: Sequence[float], line: Grey) -> str:
    """`text` with the missing spaces.

    `centres` holds the x of each character of `text` in pixels of `line`, rising; `line` is one upright line of
    print, [HEIGHT_PX, width] grey. Spaces that the text has already are kept.
    """
    if len(text) < 2 or len(centres) != len(text) or line.size == 0:
        return text
    ink = _ink(line)
    gaps = _gaps(ink[_MARGIN:-_MARGIN].sum(axis=0) >= 0.8, centres[0], centres[-1])
    if not gaps:
        return text
    tall = max(1.0, float(((ink > 0.5).sum(axis=1) >= max(2.0, 0.01 * ink.shape[1])).sum()))
    usual = float(np.quantile([width for width, _ in gaps], _USUAL_SHARE)) / tall
    if len(gaps) < _FEW:
        usual = max(usual, _FEW_USUAL)
    middles = np.array([(left + right) / 2 for left, right in itertools.pairwise(centres)])
    breaks: set[int] = set()
    for width, at in gaps:
        boundary = int(np.abs(middles - at).argmin())
        if width / tall >= _TIMES * usual + _PLUS and _may_part(text, boundary, width / tall):
            breaks.add(boundary)
    return "".join(char + (" " if i in breaks else "") for i, char in enumerate(text))


def _may_part(text: str, boundary: int, width: float) -> bool:
    """Whether a gap, in heights of the print, may be a space behind text[boundary]."""
    left, right = text[boundary], text[boundary + 1]
    if " " in left + right or _is_dense(left) or _is_dense(right):
        return False
    least = _LEAST_SMALL
    if _is_tall(left) and _is_tall(right):
        least = _LEAST_FIGURES if left.isdigit() and right.isdigit() else _LEAST_CAPITALS
    if right in ".,;:!?)]}%'’" or left in "([{#/'’":
        least += _TIGHT
    elif left.isdigit() and right.isdigit():
        least += _THIN * (left + right).count("1")
    elif (left in ".,-/:" and right.isdigit()) or (left.isdigit() and right in "-/"):
        least += _THIN
    return width >= least


def _is_tall(char: str) -> bool:
    return char.isupper() or char.isdigit() or char in "-/"


def _is_dense(char: str) -> bool:
    """Whether it is of a script that is written without spaces."""
    return (
        "\u2e80" <= char <= "\u9fff"
        or "\uac00" <= char <= "\ud7a3"
        or "\uf900" <= char <= "\ufaff"
        or ("\uff00" <= char <= "\uffef")
    )


def _gaps(inked: npt.NDArray[np.bool_], first: float, last: float) -> list[tuple[float, float]]:
    """Width and middle, in pixels, of each run of columns without ink between two characters' centres."""
    printed = np.flatnonzero(inked)
    if not len(printed):
        return []
    # The first character's centre may lie in the margin before it: a gap has print on both its sides.
    left, right = max(int(first), int(printed[0])), min(int(last), int(printed[-1])) + 1
    edges = np.flatnonzero(np.diff(np.concatenate([[True], inked[left:right], [True]]).astype(np.int8)))
    starts, ends = edges[::2] + left, edges[1::2] + left
    return [(float(end - start), float(start + end) / 2) for start, end in zip(starts, ends, strict=True)]


def _ink(line: Grey) -> npt.NDArray[np.float32]:
    """How far each pixel is covered by print, 0..1. Print is what is rarer: dark on light or light on dark."""
    grey = line.astype(np.float32)
    dark = grey < _otsu(line)
    print_ = dark if dark.mean() <= 0.5 else ~dark
    if not print_.any():
        return np.zeros_like(grey)
    paper, solid = float(np.median(grey[~print_])), float(np.median(grey[print_]))
    if abs(solid - paper) < 8:
        return np.zeros_like(grey)
    # Half-covered pixels at the edges of glyphs count in proportion, so that blurred print does not run together.
    covered = np.clip((grey - paper) / (solid - paper), 0.0, 1.0)
    covered[covered < 0.35] = 0.0
    share: npt.NDArray[np.float32] = covered.astype(np.float32)
    return share


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
