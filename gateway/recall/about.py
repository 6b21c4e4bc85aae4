"""What a memory's page tells beside the memory itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decision:
    """Something a person decided about a memory."""

    person_name: str
    what: str
    """`caption`, `transcript`, `tag`, `untag`, `not-duplicate`, `duplicate-again`, `privacy`, `ai-usage`."""
    value: str
    at_us: int


@dataclass(frozen=True, slots=True)
class Sees:
    """Whether one person can see a memory, and why."""

    person_id: str
    name: str
    can: bool
    why: str
