"""How often somebody may try. After a few failures each further try waits twice as long, up to a minute."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.errors import Retryable

_FREE = 5
_MOST_WAIT_S = 60
_FORGET_S = 900
_MOST_KEYS = 4_096


@dataclass(frozen=True, slots=True)
class _Failures:
    count: int
    last_s: float


class Attempts:
    """Failures by key (a name, an address). Kept in memory, bounded: the keys unused longest are forgotten first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def check(self, keys: Sequence[str]) -> None:
        """Raises Retryable (`too-many-tries`) with the milliseconds to wait."""
        wait_s = max((self._wait_s(key) for key in keys), default=0.0)
        if wait_s > 0:
            seconds = math.ceil(wait_s)
            raise Retryable(
                "too many wrong tries",
                code="too-many-tries",
                hint=f"Wait {seconds} s",
                retry_ms=seconds * 1_000,
            )

    def failed(self, keys: Sequence[str]) -> None:
        """It was wrong again."""
        for key in keys:
            known = self._known(key)
            self._failures[key] = _Failures((known.count if known else 0) + 1, self._clock())
            self._failures.move_to_end(key)
        while len(self._failures) > _MOST_KEYS:
            self._failures.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """It was right: what came before is forgiven."""
        self._failures.pop(key, None)

    def _known(self, key: str) -> _Failures | None:
        known = self._failures.get(key)
        if known is not None and self._clock() - known.last_s > _FORGET_S:
            del self._failures[key]
            return None
        return known

    def _wait_s(self, key: str) -> float:
        known = self._known(key)
        free = _FREE * 4 if key.startswith("address:") else _FREE
        if known is None or known.count < free:
            return 0.0
        wait_s = min(_MOST_WAIT_S, 1 << min(known.count - free, 10))
        return known.last_s + wait_s - self._clock()
