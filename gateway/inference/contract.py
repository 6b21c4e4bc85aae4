"""What a graph takes and gives: as its manifest says it, against what the graph says of itself.

A line is `name type[side, …]`, such as `input_ids int64[batch, tokens]`. A side is a number, which the graph must
have, or a word: what has one word has one length throughout the graph, and a side that the graph leaves open fits
both. `*` in a name stands for any piece of it (`past_key_values.*.key`), and `?` behind it marks what some exports of
a model have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any  # of two libraries without types

from gateway.errors import ModelBroken

KINDS = ("float32", "float16", "float64", "int64", "int32", "int8", "uint8", "bool", "string")
_LINE = re.compile(r"([A-Za-z0-9_./*-]{1,120})(\??) ([a-z0-9]{3,8})\[([a-z0-9_, ]{0,120})\]")
_SIDE = re.compile(r"[0-9]{1,9}|[a-z][a-z0-9_]{0,29}")
_OF_ONNX = {"tensor(float)": "float32", "tensor(double)": "float64"}
_SHOWN = 120
"""Characters of a name that a file gives, in an error."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output."""

    name: str
    kind: str
    """One of KINDS, where a manifest says it."""
    shape: tuple[int | str | None, ...]
    """In a manifest numbers and words; of a graph a number where a side is fixed, anything else where it is not."""
    may_lack: bool = False

    def __str__(self) -> str:
        sides = ", ".join(str(side) if isinstance(side, int) else "?" for side in self.shape)
        return f"{self.name[:_SHOWN]} {self.kind[:_SHOWN]}[{sides[:_SHOWN]}]"


@dataclass(frozen=True, slots=True)
class Graph:
    """The contract of one file."""

    file: str
    """Its name, as in the manifest's files or its build."""
    inputs: tuple[str, ...]
    """Lines, one each: all that the graph takes."""
    outputs: tuple[str, ...]
    """Lines of what is asked of it. It may give more."""

    def refuse_another(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """ModelBroken that names the first thing in which a graph is another one than the manifest says."""
        lengths: dict[str, int] = {}
        for verb, lines, found in (("takes", self.inputs, inputs), ("gives", self.outputs, outputs)):
            wanted = [tensor_of(line) for line in lines]
            for each in wanted:
                like = [one for one in found if fnmatchcase(one.name, each.name)]
                if not like and not each.may_lack:
                    raise self._another(f"nothing that it {verb} is called {each.name}")
                for one in like:
                    if one.kind != each.kind or not _fits(each, one, lengths):
                        raise self._another(f"it {verb} {one}, where the manifest says {lines[wanted.index(each)]}")
            known = [one for one in found if any(fnmatchcase(one.name, each.name) for each in wanted)]
            if verb == "takes" and len(known) < len(found):
                odd = next(one for one in found if one not in known)
                raise self._another(f"it takes {odd}, of which the manifest says nothing")

    def _another(self, why: str) -> ModelBroken:
        return ModelBroken(f"{self.file} is another graph than its manifest describes: {why}")


def tensor_of(line: str) -> Tensor:
    """A line of a manifest; ValueError when it is not one."""
    match = _LINE.fullmatch(line)
    sides = [side.strip() for side in match[4].split(",")] if match and match[4].strip() else []
    if match is None or match[3] not in KINDS or not all(_SIDE.fullmatch(side) for side in sides):
        raise ValueError(f"not a line of a contract, name type[side, …]: {line[:_SHOWN]!r}")
    shape = tuple(int(side) if side.isdigit() else side for side in sides)
    return Tensor(match[1], match[3], shape, may_lack=bool(match[2]))


def of_onnx(ports: Sequence[Any]) -> list[Tensor]:
    """Inputs or outputs of a session of ONNX Runtime."""
    return [Tensor(str(each.name), _kind(str(each.type)), tuple(each.shape)) for each in ports]


def of_lite(details: Sequence[Mapping[str, Any]]) -> list[Tensor]:
    """Inputs or outputs of a LiteRT interpreter, which writes -1 for a side that is open."""
    found = []
    for each in details:
        shape = tuple(int(side) if side >= 0 else None for side in each["shape_signature"])
        found.append(Tensor(str(each["name"]), str(each["dtype"].__name__), shape))
    return found


def _kind(told: str) -> str:
    """A type as ONNX Runtime writes it, as a manifest does: `tensor(float)` is float32."""
    return _OF_ONNX.get(told, told.removeprefix("tensor(").removesuffix(")"))


def _fits(wanted: Tensor, found: Tensor, lengths: dict[str, int]) -> bool:
    """Whether the shapes agree; notes in `lengths` what a word turned out to be."""
    if len(wanted.shape) != len(found.shape):
        return False
    for want, have in zip(wanted.shape, found.shape, strict=True):
        if isinstance(want, int):
            if have != want:
                return False
        elif isinstance(have, int) and lengths.setdefault(str(want), have) != have:
            return False
    return True
