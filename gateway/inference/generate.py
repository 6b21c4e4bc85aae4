"""Say something with a decoder, one piece after the other: the likeliest each time, with a cache of what was said.

The contract of a decoder is that of Optimum's `decoder_model_merged`: one graph for the first pass and all later ones.
It takes `input_ids` [1, n] or `inputs_embeds` [1, n, D], `encoder_hidden_states` [1, E, D], `encoder_attention_mask`
[1, E] where it asks for it, `use_cache_branch` [1], and for each layer `past_key_values.<n>.key` and `.value`
[1, heads, said, d], or `past_key_values.<n>.decoder.key` and so on beside `.encoder.` ones, which the first pass
fills and later ones leave as they are. It gives `logits` [1, n, V] and `present.…` of the same names.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.family import Options
from gateway.inference.runtime import Array, OnnxModel, Port

_PAST, _PRESENT = "past_key_values.", "present."
_KINDS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_MAX_TOKENS = 1024

Embed: TypeAlias = Callable[[Array], Array]
"""Pieces [1, n] → their vectors [1, n, D]."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When to begin and when to stop. A number of a piece that is −1 stands for none."""

    start_id: int
    """What every answer begins with; not a part of it."""
    end_id: int
    """Ends an answer, and is its last piece."""
    max_tokens: int
    """Pieces of an answer at most."""
    budget_s: float
    """Seconds after which no other piece is asked for."""
    first_id: int = -1
    """The first piece, whatever the model says."""
    last_id: int = -1
    """The last one of an answer that has reached its full length."""
    no_repeat: int = 0
    """No run of so many pieces comes twice; 0: they may."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer."""

    tokens: tuple[int, ...]
    """The end mark included where the model gave it."""
    stopped: str
    """`end` (the model was done), `length` or `time`."""
    confidence: float
    """The geometric mean of the pieces' likelihoods, 0..1."""

    def about(self) -> Json:
        """What an answer tells of how it was made."""
        return {"tokens": list(self.tokens), "stopped": self.stopped, "confidence": self.confidence}


def rules(options: Options) -> Rules:
    """From a manifest's options of the same names. ModelBroken for what is out of range."""
    found = Rules(
        start_id=int(options.number("start_id", -1)),
        end_id=int(options.number("end_id", -1)),
        max_tokens=int(options.number("max_tokens", 20)),
        budget_s=options.number("budget_s", 12.0),
        first_id=int(options.number("first_id", -1)),
        last_id=int(options.number("last_id", -1)),
        no_repeat=int(options.number("no_repeat", 0)),
    )
    if found.start_id < 0 or found.end_id < 0:
        raise ModelBroken("options start_id and end_id must name pieces")
    if not 1 <= found.max_tokens <= _MAX_TOKENS:
        raise ModelBroken(f"option max_tokens must be 1 to {_MAX_TOKENS}")
    return found


class Decoder:
    """A merged decoder. `embed` is for one that takes vectors in place of numbers."""

    def __init__(
        self, model: OnnxModel, *, embed: Embed | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._model = model
        self._embed = embed
        self._clock = clock
        self._past = {name: port for name, port in model.inputs.items() if name.startswith(_PAST)}
        if not self._past or "use_cache_branch" not in model.inputs or "logits" not in model.outputs:
            raise ModelBroken("the decoder is not one graph with a cache")
        if ("inputs_embeds" in model.inputs) != (embed is not None):
            raise ModelBroken("the decoder takes numbers where vectors are at hand, or the other way round")
        if not all(_present(name) in model.outputs for name in self._past):
            raise ModelBroken("the decoder does not give back what it takes")

    def greedy(self, seen: Mapping[str, Array], how: Rules, *, since: float | None = None) -> Said:
        """The likeliest piece each time (beam 1). `seen` is what each pass gets of the encoder: inputs that the
        decoder does not ask for are left out. The budget counts from `since`, by the same clock."""
        until = (self._clock() if since is None else since) + how.budget_s
        fixed = {name: value for name, value in seen.items() if name in self._model.inputs}
        past = {name: _empty(port) for name, port in self._past.items()}
        said = [how.start_id]
        logs: list[float] = []
        stopped = "length"
        while len(said) <= how.max_tokens:
            if self._clock() >= until:
                stopped = "time"
                break
            logits, past = self._pass(fixed, past, said)
            piece = _chosen(logits, said, how)
            if piece >= len(logits):
                raise ModelBroken("an option names a piece that the decoder does not have")
            logs.append(_log_likelihood(logits, piece))
            said.append(piece)
            if piece == how.end_id:
                stopped = "end"
                break
        confidence = float(np.exp(np.mean(logs))) if logs else 0.0
        return Said(tokens=tuple(said[1:]), stopped=stopped, confidence=confidence)

    def _pass(
        self, fixed: Mapping[str, Array], past: Mapping[str, Array], said: Sequence[int]
    ) -> tuple[Array, dict[str, Array]]:
        """Logits [V] of the next piece, and the cache grown by one."""
        first = len(said) == 1
        ids = np.array([said[-1:]], np.int64)
        words = {"input_ids": ids} if self._embed is None else {"inputs_embeds": self._embed(ids)}
        feeds = {**fixed, **past, **words, "use_cache_branch": np.array([not first])}
        outputs = dict(zip(self._model.outputs, self._model.run(feeds), strict=True))
        logits = outputs["logits"]
        if logits.ndim != 3 or logits.shape[:2] != (1, 1):
            raise ModelBroken("the decoder's output is not one row of likelihoods")
        grown = {
            # What was seen does not grow: later passes give nothing back for it.
            name: past[name] if ".encoder." in name and not first else outputs[_present(name)]
            for name in past
        }
        return logits[0, 0].astype(np.float64), grown


def _chosen(logits: Array, said: Sequence[int], how: Rules) -> int:
    """In the order of transformers' processors: what may not be repeated, then the forced first and last piece."""
    if how.first_id >= 0 and len(said) == 1:
        return how.first_id
    if how.last_id >= 0 and len(said) == how.max_tokens:
        return how.last_id
    if how.no_repeat > 0:
        logits = logits.copy()
        logits[_repeating(said, how.no_repeat)] = -np.inf
    return int(np.argmax(logits))


def _repeating(said: Sequence[int], length: int) -> list[int]:
    """Pieces that would end a run of `length` that was said before."""
    tail = list(said[len(said) - length + 1 :]) if length > 1 else []
    if len(said) < length:
        return []
    runs = range(len(said) - length + 1)
    return [said[at + length - 1] for at in runs if list(said[at : at + length - 1]) == tail]


def _log_likelihood(logits: Array, piece: int) -> float:
    if not np.isfinite(logits).all():
        raise ModelBroken("the decoder's likelihoods are no numbers")
    top = float(logits.max())
    return float(logits[piece]) - top - float(np.log(np.exp(logits - top).sum()))


def _present(past: str) -> str:
    return _PRESENT + past.removeprefix(_PAST)


def _empty(port: Port) -> Array:
    """The cache of a layer before anything was said."""
    if len(port.shape) != 4 or port.kind not in _KINDS:
        raise ModelBroken("the decoder's cache has another shape than is known")
    _, heads, _, width = port.shape
    if not isinstance(heads, int) or not isinstance(width, int):
        raise ModelBroken("the decoder's cache does not say how many heads it has")
    return np.zeros((1, heads, 0, width), _KINDS[port.kind])
