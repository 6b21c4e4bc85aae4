"""What a model family is: code that loads a model's files and answers requests for its task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

from gateway.entities import BlobRef, Json
from gateway.errors import ModelBroken, Rejected

MAX_TEXTS = 64
MAX_TEXT_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to look at, listen to or embed."""

    blob: BlobRef | None
    """Absent for tasks on text."""
    params: Json

    def the_blob(self) -> BlobRef:
        """The blob, or Rejected for a request that came without."""
        if self.blob is None:
            raise Rejected("this task needs a blob", code="no-blob")
        return self.blob

    def the_texts(self) -> list[str]:
        """`params["texts"]`, checked and each cut to MAX_TEXT_CHARACTERS; Rejected otherwise."""
        texts = self.params.get("texts")
        if not isinstance(texts, list) or len(texts) > MAX_TEXTS or not all(isinstance(each, str) for each in texts):
            raise Rejected(f"params.texts must be at most {MAX_TEXTS} strings", code="bad-params")
        return [text[:MAX_TEXT_CHARACTERS] for text in texts]


Runner: TypeAlias = Callable[[Request], Json]
"""Answers with a CBOR-able map: numbers, strings, bytes, lists and maps of them. Vectors are float32 LE bytes."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a family may be told when it loads."""

    threads: int
    """For one operator; there is never more than one operator at work."""
    table: Json
    """The manifest's [options]."""

    def number(self, name: str, default: float) -> float:
        """An option that is a number; ModelBroken when it is something else."""
        value = self.table.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ModelBroken(f"option {name} must be a number")
        return float(value)


def the_file(files: Mapping[str, Path], like: str) -> Path:
    """The one file whose name fits a shell pattern; ModelBroken when there is none, or more."""
    matching = [path for name, path in files.items() if fnmatchcase(name, like)]
    if len(matching) != 1:
        raise ModelBroken(f"this model needs exactly one file named {like}")
    return matching[0]


Load: TypeAlias = Callable[[Mapping[str, Path], Options], Runner]
"""Files by their manifest names → a runner. Heavy libraries are imported here and nowhere else."""


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of model. Its module in `families/` has the same name."""

    name: str
    tasks: tuple[str, ...]
    """What its models may serve; the module's docstring says what each answers."""
    load: Load
