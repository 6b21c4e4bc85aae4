"""Ids that are made here."""

from __future__ import annotations

import base64
import secrets


def new_uid(now_us: int) -> str:
    """An opaque id for a memory: sorts by the time it was made, cannot be guessed (64 random bits)."""
    raw = (now_us // 1_000).to_bytes(6, "big") + secrets.token_bytes(9)
    return base64.b32hexencode(raw).decode().lower()
