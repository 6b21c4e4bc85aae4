"""Words of any script, as the text index holds them and as a query asks for them.

FTS5's unicode61 cuts words at spaces and marks, and porter stems English. Scripts that are written without spaces
(Chinese, Japanese, Thai, Lao, Khmer, Burmese) get a space around each character when they are written and when they
are asked for, so that any run of characters is found inside a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.store.words import CLOSE, OPEN, Source

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao; Burmese; Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Chinese characters
    "\U00020000-\U0003ffff"
)
_CHARACTER = re.compile(f"([{_UNSPACED}])")
_MANY_SPACES = re.compile(r" {2,}")
_PIECE = re.compile(r"\S+")
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by did do does for from had has have he her his i in is it its me my of on or our she"
        " that the their them there they this to was we were what when where which who with you your",
    )
)
_OURS = (OPEN, CLOSE, "\x00")
_CLEANED = {ord(character): " " for character in _OURS}
"""Our own marks, and NUL, which would end an expression of FTS5."""
MAX_WORDS = 12
"""Words of a query that are looked for; what follows is left to meaning."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a query."""

    text: str
    start: int
    end: int
    phrase: str
    """As an FTS5 string, quoted."""
    prefix: bool
    """It may be the beginning of a word: it is the last one and may still be being typed."""


def spaced(text: str) -> str:
    """The text with a space around each character of a script that has none, without our own marks."""
    clean = text.translate(_CLEANED)
    if clean.isascii():
        return clean
    return _MANY_SPACES.sub(" ", _CHARACTER.sub(r" \1 ", clean)).strip()


def row(source: Source) -> tuple[int, str, str, str, str]:
    """A row of the index."""
    tags = ", ".join(source.tags)
    return (
        source.capture_id,
        spaced(source.caption),
        spaced(source.text),
        spaced(source.transcript),
        spaced(tags),
    )


def words(text: str, *, leave_out: Sequence[tuple[int, int]] = ()) -> list[Word]:
    """The words to look for, in order. Stretches in `leave_out` were understood as something else.

    Words that are in every sentence are left out unless there is nothing else.
    """
    found: list[Word] = []
    last_end = len(text.rstrip())
    for match in _PIECE.finditer(text):
        start, end = match.span()
        while start < end and not text[start].isalnum():
            start += 1
        while end > start and not text[end - 1].isalnum() and not _CHARACTER.match(text[end - 1]):
            end -= 1
        piece = text[start:end]
        if not piece or any(start < stop and begin < end for begin, stop in leave_out):
            continue
        phrase = '"' + spaced(piece).replace('"', '""') + '"'
        typing = match.end() == last_end and text[-1:] == piece[-1:] and len(piece) > 1
        found.append(Word(piece, start, end, phrase, prefix=typing and piece.isalnum()))
    telling = [word for word in found if word.text.lower() not in _COMMON]
    return (telling or found)[:MAX_WORDS]


def any_of(wanted: Sequence[Word]) -> str:
    """An FTS5 expression: one of the words at least."""
    return " OR ".join(f"{word.phrase}*" if word.prefix else word.phrase for word in wanted)


def marks(original: str, highlighted: str) -> tuple[tuple[int, int], ...]:
    """Where the marked stretches of an index column stand in the text that it was made from.

    Spaces that were put in are stepped over; when the two do not belong together (the text changed since), nothing.
    """
    if original.isascii() and original == highlighted.replace(OPEN, "").replace(CLOSE, ""):
        return _marks_between(highlighted)
    found: list[tuple[int, int]] = []
    at, start, opened = 0, 0, False
    for character in highlighted:
        if character == OPEN:
            start, opened = at, True
        elif character == CLOSE:
            if found and not original[found[-1][1] : start].strip() and _CHARACTER.match(original[start]):
                start = found.pop()[0]  # characters that were spaced by us stand together again
            found.append((start, at))
        elif not character.isspace():
            while at < len(original) and (original[at].isspace() or original[at] in _OURS):
                at += 1
            if original[at : at + 1] != character:
                return ()
            start, opened, at = (at if opened else start), False, at + 1
    return tuple(found)


def _marks_between(highlighted: str) -> tuple[tuple[int, int], ...]:
    """Where the marked stretches stand once the marks are gone."""
    before, *marked = highlighted.split(OPEN)
    found, at = [], len(before)
    for piece in marked:
        inside, _, after = piece.partition(CLOSE)
        found.append((at, at + len(inside)))
        at += len(inside) + len(after)
    return tuple(found)
