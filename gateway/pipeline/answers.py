"""Which model answered a step, and whether another one would answer better now (docs/decisions/034).

What was asked is kept beside an annotation as task → `Provenance.name`: empty where there was no model, and marked
where what the model said is kept although its input changed, because no model as good was there to say it anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.errors import ModelBroken, ModelMissing
from gateway.inference.workers import Workers

_OWED = "~"
_NONE: Mapping[str, str] = {}


def answering(tasks: Iterable[str], workers: Workers, *, spaces: Mapping[str, str] = _NONE) -> dict[str, str]:
    """Task → the model that would answer now, that of a space where `spaces` has one for it; empty where none would."""
    found = {}
    for task in tasks:
        try:
            found[task] = workers.provenance(task, space=spaces.get(task, "")).name
        except (ModelMissing, ModelBroken):
            found[task] = ""
    return found


def outdated(asked: Mapping[str, str], now: Mapping[str, str], workers: Workers) -> bool:
    """Whether for something that was asked a model would answer now that is to be preferred to the one that did, or is
    another revision of it. A model that is there no more outdates nothing."""
    return any(
        model != said and not _is_less(task, model, said.removeprefix(_OWED), workers)
        for task, said in asked.items()
        if (model := now.get(task))
    )


def lost(asked: Mapping[str, str], again: Mapping[str, str], workers: Workers, *, original: bool) -> dict[str, str]:
    """What of `asked` no model as good was asked `again`, nor would be; marked as owed. Without the `original` what was
    not asked could not be."""
    return {
        task: said if said.startswith(_OWED) else _OWED + said
        for task, said in asked.items()
        if said and _is_less(task, again.get(task, said if original else ""), said.removeprefix(_OWED), workers)
    }


def unanswered(asked: Mapping[str, str]) -> dict[str, str]:
    """What of it no model answered, or one is to answer again."""
    return {task: said for task, said in asked.items() if not said or said.startswith(_OWED)}


def _is_less(task: str, model: str, said: str, workers: Workers) -> bool:
    """Whether a model is less than the one that answered, whose mark is off. One that no manifest knows any more is
    less than any."""
    if not model:
        return bool(said)
    order = workers.order(task)
    one, other = model.partition("@")[0], said.partition("@")[0]
    return other in order and (one not in order or order.index(one) > order.index(other))
