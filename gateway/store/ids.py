"""Ids that are made here."""

from __future__ import annotations

import secrets

_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]
"""Base 32 (RFC 4648's extended hex, lower case), ten bits at a time."""


def new_uid(now_us: int, noise: bytes = b"") -> str:
    """An opaque id for a memory: sorts by the time it was made, cannot be guessed (64 random bits).

    `noise`: 9 random bytes, where the caller has drawn them for many.
    """
    raw = (now_us // 1_000).to_bytes(6, "big") + (noise or secrets.token_bytes(9))
    number = int.from_bytes(raw, "big")
    return "".join([_PAIRS[number >> shift & 1_023] for shift in range(110, -1, -10)])
