"""Texts as the numbers of word pieces and back, by the `tokenizer.json` that a model was published with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.errors import ModelBroken

_MAX_FILE_BYTES = 64 << 20


class Words:
    """A loaded tokeniser. `tokenizer` is a `tokenizers.Tokenizer`; `Any` because the library has no types."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._most = 0

    def ids(self, text: str, *, most: int) -> list[int]:
        """With the marks of beginning and end that the file asks for; they stay when a text is cut to `most`."""
        if most != self._most:
            try:
                self._tokenizer.enable_truncation(most)
            except Exception as error:  # the library raises Exception itself
                raise ModelBroken(f"a text cannot be cut to {most} word pieces") from error
            self._most = most
        return list(self._tokenizer.encode(text).ids)

    def text(self, ids: Sequence[int]) -> str:
        """What the pieces say, without marks; white space is made single. Unknown numbers are left out."""
        return " ".join(self._tokenizer.decode(list(ids), skip_special_tokens=True).split())

    def text_with_marks(self, ids: Sequence[int]) -> str:
        """What the pieces say, marks included as they are written in the file."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))


def read_words(path: Path) -> Words:
    """ModelBroken for a file that is no tokeniser."""
    from tokenizers import Tokenizer  # noqa: PLC0415  (heavy)

    if path.stat().st_size > _MAX_FILE_BYTES:
        raise ModelBroken("the tokeniser is too large", hint="hearthlog models verify")
    try:
        return Words(Tokenizer.from_file(str(path)))
    except Exception as error:  # the library raises Exception itself
        raise ModelBroken("the word pieces cannot be loaded", hint="hearthlog models verify") from error
