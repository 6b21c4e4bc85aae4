"""Acknowledgements: those of one handful per boot, as ranges, sent in one go."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from gateway import metrics
from gateway.entities import RecordKey
from gateway.ingest.accept import Outcome, Receipt

MAX_RANGES = 64

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Nack:
    """One record that is not acknowledged. `retry_ms` None: never try again."""

    sequence: int
    code: str
    retry_ms: int | None


def ranges_of(sequences: Iterable[int]) -> list[Range]:
    """Inclusive ranges, ascending, that hold these sequences and no other."""
    found: list[Range] = []
    for sequence in sorted(set(sequences)):
        if found and found[-1][1] + 1 == sequence:
            found[-1] = (found[-1][0], sequence)
        else:
            found.append((sequence, sequence))
    return found


def messages(boot_id: bytes, ranges: Sequence[Range], nacks: Sequence[Nack], *, credit: int) -> list[bytes]:
    """`dn/ack` payloads for one boot: at most 64 ranges each, and no sequence both in a range and nacked.

    A sequence that is both (stored once, then its number used for another record) is acknowledged first and
    nacked in a message after it.
    """
    clashing = [nack for nack in nacks if any(first <= nack.sequence <= last for first, last in ranges)]
    plain = [nack for nack in nacks if nack not in clashing]
    cuts = max(len(ranges), len(plain), 1)
    found = [
        _message(boot_id, ranges[at : at + MAX_RANGES], plain[at : at + MAX_RANGES], credit)
        for at in range(0, cuts, MAX_RANGES)
    ]
    found += [
        _message(boot_id, [], clashing[at : at + MAX_RANGES], credit) for at in range(0, len(clashing), MAX_RANGES)
    ]
    return found


def window(most: int, *, ack_s: float, waiting: int) -> int:
    """How many records a device may have in flight: all of `most` while the disk keeps up, fewer as it lags, never 0.

    `ack_s` is how long acknowledgements take of late, `waiting` how many pieces of writing wait.
    """
    share = 4
    for slow_s, long_queue in ((0.25, 128), (0.5, 256), (1.0, 512)):
        if ack_s > slow_s or waiting > long_queue:
            share //= 2
    return max(1, most * share // 4)


@dataclass(slots=True)
class _Pending:
    stored: list[int] = field(default_factory=list)
    nacks: list[Nack] = field(default_factory=list)
    arrived_s: list[float] = field(default_factory=list)


class AckDesk:
    """Takes receipts, sends `dn/ack`. `run` belongs into a connection's task group."""

    def __init__(self, credit: Callable[[], int]) -> None:
        self._credit = credit
        self._pending: dict[tuple[str, bytes], _Pending] = {}
        self._some = asyncio.Event()
        self.lately_s = 0.0
        """How long acknowledgements have taken of late, from a record's arrival."""

    def add(self, device: str, receipt: Receipt, *, arrived_s: float) -> None:
        """Answer a record that arrived at `arrived_s` (time.monotonic); one without a key cannot be answered."""
        key: RecordKey | None = receipt.key
        if key is None:
            return
        pending = self._pending.setdefault((device, key.boot_id), _Pending())
        if receipt.outcome in (Outcome.STORED, Outcome.REPEATED):
            pending.stored.append(key.sequence)
        else:
            pending.nacks.append(Nack(key.sequence, receipt.code, receipt.retry_ms))
        pending.arrived_s.append(arrived_s)
        self._some.set()

    async def run(self, send: Callable[[Sequence[tuple[str, bytes]]], Awaitable[None]]) -> None:
        """Send what has been added, as (device, payload), for ever. What cannot be sent is dropped: its device sends
        it again.
        """
        while True:
            await self._some.wait()
            self._some.clear()
            batch, self._pending = self._pending, {}
            credit = self._credit()
            await send(
                [
                    (device, payload)
                    for (device, boot_id), pending in batch.items()
                    for payload in messages(boot_id, ranges_of(pending.stored), pending.nacks, credit=credit)
                ]
            )
            for pending in batch.values():
                self._measure(pending.arrived_s)

    def _measure(self, arrived_s: list[float]) -> None:
        now_s = time.monotonic()
        for each in arrived_s:
            metrics.ack_seconds.observe(now_s - each)
        self.lately_s += 0.2 * (now_s - min(arrived_s) - self.lately_s)


def _message(boot_id: bytes, ranges: Sequence[Range], nacks: Sequence[Nack], credit: int) -> bytes:
    answer = {
        "boot": boot_id.hex(),
        "ranges": [list(each) for each in ranges],
        "nack": [{"seq": nack.sequence, "code": nack.code, "retry_ms": nack.retry_ms} for nack in nacks],
        "credit": credit,
    }
    return json.dumps(answer, separators=(",", ":")).encode()
