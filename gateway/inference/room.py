"""The memory that all workers share. Nobody begins before there is room for what it may take: idle ones end first, the
longest idle before others, and then who needs more waits until others are through. The one for queries is never ended
and never waits: what it takes is kept free for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.errors import Retryable

OVERTAKES = 20
"""So many requests that fit go before one that waits for room: what is quick does not stand behind what is long, and
who needs much is not overtaken for ever."""


class Tenant(Protocol):
    """A worker, as far as its memory goes."""

    name: str

    @property
    def pid(self) -> int | None:
        """None while no process runs."""

    @property
    def rss_mb(self) -> int:
        """What it has."""

    @property
    def idle_since(self) -> float:
        """time.monotonic() when its last request ended."""

    async def stop(self) -> None:
        """End its process."""


class Room:
    """One for all workers."""

    def __init__(self, ceiling_mb: int | None, *, kept: str = "", unasked: str = "") -> None:
        self._ceiling_mb = ceiling_mb
        self._kept, self._unasked = kept, unasked
        self.tenants: Sequence[Tenant] = ()
        """All of them; set once they are made."""
        self.kept_mb: Callable[[], int] = lambda: 0
        """What the worker `kept` will take while it does not run."""
        self._promised: dict[str, int] = {}
        """Worker that has a request → what it may have by its end, MB."""
        self._door = asyncio.Lock()
        """They enter one after the other."""
        self._overtaken = 0
        """How many went before the one that waits now."""
        self._left = asyncio.Event()

    async def enter(self, wanted: Tenant, needs_mb: Callable[[], int]) -> None:
        """Wait until a request that may take so much more fits. Where nobody else is left it may begin in any case: a
        model that needs more than the ceiling is still asked. Raises Retryable (`no-memory`) for the worker `unasked`,
        which nobody waits for.
        """
        if wanted.name == self._kept:
            self._promise(wanted, needs_mb())
            return
        if self._door.locked() and self._overtaken < OVERTAKES and self._over_mb(wanted, needs_mb()) <= 0:
            self._overtaken += 1
            self._promise(wanted, needs_mb())
            return
        async with self._door:
            self._overtaken = 0
            while (over_mb := self._over_mb(wanted, needs_mb())) > 0:
                others = self._others(wanted)
                idle = [each for each in others if each.name not in self._promised]
                if idle and (len(idle) == len(others) or sum(each.rss_mb for each in idle) >= over_mb):
                    await min(idle, key=lambda each: each.idle_since).stop()
                elif wanted.name == self._unasked:
                    raise Retryable("there is no memory to load a second model", code="no-memory")
                elif not others:
                    break
                else:  # to end idle ones would not be enough, and cost them a start
                    self._left.clear()
                    await self._left.wait()
            self._promise(wanted, needs_mb())

    def leave(self, who: Tenant) -> None:
        """Its request ended."""
        self._promised.pop(who.name, None)
        self._left.set()

    def _promise(self, who: Tenant, needs_mb: int) -> None:
        self._promised[who.name] = who.rss_mb + needs_mb

    def _others(self, wanted: Tenant) -> list[Tenant]:
        return [
            each
            for each in self.tenants
            if each is not wanted and each.name != self._kept and (each.pid is not None or each.name in self._promised)
        ]

    def _over_mb(self, wanted: Tenant, needs_mb: int) -> int:
        """What is missing."""
        if self._ceiling_mb is None:
            return 0
        kept_mb = max((self._takes_mb(each) for each in self.tenants if each.name == self._kept), default=0)
        taken_mb = sum(self._takes_mb(each) for each in self._others(wanted))
        if wanted.name != self._kept:
            taken_mb += kept_mb or self.kept_mb()
        return taken_mb + wanted.rss_mb + needs_mb - self._ceiling_mb

    def _takes_mb(self, who: Tenant) -> int:
        return max(who.rss_mb, self._promised.get(who.name, 0))
