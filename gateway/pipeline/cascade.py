"""What costs sees key frames only."""

from __future__ import annotations

from gateway.entities import Priority
from gateway.errors import Skip
from gateway.pipeline.step import Context
from gateway.store.captures import FOLDED_KINDS

_WORDS = {
    "exact": "the same file as an earlier one",
    "reencoded": "the same picture as an earlier one",
    "burst": "of a burst whose first picture was looked at",
    "static": "the same still scene as an earlier picture",
}


def not_folded(ctx: Context) -> None:
    """Pass over a copy, unless a person asked for it."""
    note = ctx.notes.get("dedupe")
    if note is None or ctx.priority is Priority.PERSON:
        return
    copy = note.annotation.duplicate
    if copy is not None and copy.kind in FOLDED_KINDS:
        raise Skip(_WORDS[copy.kind.value], code="folded")
