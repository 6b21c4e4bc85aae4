"""Why a hit is one: the words where they stand, the nearness in meaning, the filters it passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.entities import Memory
from gateway.index import text
from gateway.recall.answer import Why
from gateway.recall.rank import WEAK
from gateway.recall.understand import Parsed
from gateway.store import words
from gateway.store.words import Source

_CLOSE = 0.65


def reasons(
    memories: Sequence[Memory],
    asked: Parsed,
    values: Mapping[int, tuple[float, float | None]],
) -> dict[int, tuple[Why, ...]]:
    """capture → its reasons: words by field, then meaning, then filters. `values`: (share of words, cosine)."""
    wanted = text.words(asked.query.text, leave_out=asked.spans)
    marked: dict[int, tuple[str, str, str, str]] = {}
    if wanted:
        sources = [
            Source(memory.capture.id, memory.caption, memory.text, memory.transcript, memory.tags)
            for memory in memories
            if values[memory.capture.id][0] > 0
        ]
        marked = words.marked([text.row(source) for source in sources], text.any_of(wanted))
    filters = tuple(Why("filter", label) for label in asked.labels)
    found = {}
    for memory in memories:
        share, cosine = values[memory.capture.id]
        own: list[Why] = []
        if share > 0:
            own += _words(memory, marked.get(memory.capture.id), share)
            own = own or [Why("words", " ".join(word.text for word in wanted), share)]
        if cosine is not None and asked.rest:
            own.append(Why("meaning", "close" if cosine >= _CLOSE else "near" if cosine >= WEAK else "weak", cosine))
        found[memory.capture.id] = (*own, *filters)
    return found


def _words(memory: Memory, columns: tuple[str, str, str, str] | None, share: float) -> list[Why]:
    if columns is None:
        return []
    originals = {
        "caption": memory.caption,
        "text": memory.text,
        "transcript": memory.transcript,
        "tags": ", ".join(memory.tags),
    }
    found = []
    for name, column in zip(words.COLUMNS, columns, strict=True):
        places = text.marks(originals[name], column) if words.OPEN in column else ()
        if places:
            said = dict.fromkeys(originals[name][start:end].lower() for start, end in places)
            found.append(Why("words", " ".join(said), share, name, places))
    return found
