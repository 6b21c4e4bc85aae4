"""What a decoder is: checks bytes cheaply, on the gateway's own loop, before anyone is told they are ours.

A decoder never decodes pixels or samples: it walks markers and lengths. Its cost is a few passes over the bytes in C.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.entities import Decoded


@dataclass(frozen=True, slots=True)
class Decoder:
    """One way to read bytes. Each module of this package holds at most one, as `DECODER`."""

    name: str
    media_types: tuple[str, ...]
    sniff: Callable[[bytes], bool]
    """True when the first 64 bytes or so say that this decoder should read them. Never raises."""
    decode: Callable[[bytes], Decoded]
    """Raises `Rejected` with a precise code; anything else it raises is a bug."""
