"""Passwords as argon2id hashes, as dear as this box can afford and never below OWASP's floor (19 MiB, t=2, p=1)."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.errors import Rejected, Retryable

P = TypeVar("P")
Q = TypeVar("Q")
T = TypeVar("T")
LEAST_CHARACTERS = 12
MOST_CHARACTERS = 1_024
_AT_ONCE = 2
_MOST_WAITING = 16
_FLOOR_KIB = 19_456
_FLOOR_PASSES = 2
_MOST_PASSES = 24
_TARGET_S = 0.15


@dataclass(frozen=True, slots=True)
class Cost:
    """How dear a hash is."""

    memory_kib: int = _FLOOR_KIB
    passes: int = _FLOOR_PASSES

    def __str__(self) -> str:
        return f"{self.memory_kib},{self.passes}"


def cost_from(text: str) -> Cost | None:
    """A cost as `str` wrote it; None when there is none yet. Never below the floor."""
    if not text:
        return None
    memory_kib, _, passes = text.partition(",")
    return Cost(max(_FLOOR_KIB, int(memory_kib)), max(_FLOOR_PASSES, int(passes)))


def calibrate() -> Cost:
    """The cost that takes this box about 150 ms. Blocks about that long."""
    floor = Cost()
    started = time.perf_counter()
    _hasher(floor).hash("how long does one take")
    took_s = time.perf_counter() - started
    return Cost(floor.memory_kib, max(_FLOOR_PASSES, min(_MOST_PASSES, round(_FLOOR_PASSES * _TARGET_S / took_s))))


def check(password: str) -> None:
    """Raises Rejected for a password that may not be chosen. Length is the only rule."""
    if len(password) < LEAST_CHARACTERS:
        raise Rejected(
            f"{len(password)} characters are too few",
            code="password-short",
            hint=f"Use at least {LEAST_CHARACTERS}; three or four words are good",
        )
    if len(password) > MOST_CHARACTERS:
        raise Rejected("the password is too long", code="password-long", hint=f"At most {MOST_CHARACTERS} characters")


class Passwords:
    """Hashing, two at a time, off the event loop."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._decoys: dict[Cost, str] = {}

    async def hash(self, password: str, cost: Cost) -> str:
        """Raises Retryable when too many wait."""
        return await self._in_turn(_hash, password, cost)

    async def fits(self, hashed: str, password: str, cost: Cost) -> bool:
        """Whether it is the password. An empty `hashed` takes as long as a wrong password, and never fits."""
        if len(password) > MOST_CHARACTERS:
            return False
        if not hashed:
            decoy = self._decoys.get(cost)
            if decoy is None:
                decoy = self._decoys[cost] = await self._in_turn(_hash, secrets.token_hex(), cost)
            await self._in_turn(_verify, decoy, password)
            return False
        return await self._in_turn(_verify, hashed, password)

    async def calibrated(self, measure: Callable[[], Cost]) -> Cost:
        """What `measure` finds, while nothing else is hashed in this turn."""
        async with self._turn:
            return await asyncio.to_thread(measure)

    async def _in_turn(self, work: Callable[[P, Q], T], first: P, second: Q) -> T:
        if self._waiting >= _MOST_WAITING:
            raise Retryable("too many people sign in at once", code="busy", retry_ms=2_000)
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(work, first, second)
        finally:
            self._waiting -= 1


def _hash(password: str, cost: Cost) -> str:
    return _hasher(cost).hash(password)


def _verify(hashed: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def _hasher(cost: Cost) -> PasswordHasher:
    return PasswordHasher(time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=1)
