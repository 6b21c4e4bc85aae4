"""A simulated camera's card: what is not yet acknowledged, what is on its way, and what may go next.

Nothing here waits or sends; time is given. The rules are the protocol's: a record is freed by the gateway's own
acknowledgement alone, the credit is a window of records in flight, live goes before backlog 3 to 1.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.demo.roll import Entry

FIRST_RETRY_S = 5.0
LAST_RETRY_S = 300.0
LIVE_PER_BACKLOG = 3
Name = tuple[bytes, int]
"""(boot id, sequence)"""


@dataclass(frozen=True, slots=True)
class Flight:
    """A record that was sent and not yet answered."""

    entry: Entry
    tries: int
    until_s: float


class Card:
    """The spool of one camera. `now_s` is any monotonic clock, the same for all calls."""

    def __init__(self, *, seed: int = 0) -> None:
        self.credit = 1
        self.quarantine: dict[Name, str] = {}
        """What the gateway refused for ever, with its code."""
        self._live: deque[Entry] = deque()
        self._backlog: deque[Entry] = deque()
        self._flying: dict[Name, Flight] = {}
        self._later: list[tuple[float, Entry, int]] = []
        self._tries: dict[Name, int] = {}
        self._since_backlog = 0
        self._random = random.Random(seed)  # noqa: S311  (jitter)

    def add(self, entry: Entry) -> None:
        """A record was taken."""
        (self._live if entry.live else self._backlog).append(entry)

    def next(self, now_s: float) -> Entry | None:
        """What to send now; absent while the window is full or nothing waits. The caller sends it."""
        self._due(now_s)
        if len(self._flying) >= self.credit:
            return None
        entry = self._pick()
        if entry is not None:
            tries = self._tries.pop(_name(entry), 0)
            self._flying[_name(entry)] = Flight(entry, tries + 1, now_s + self._pause(tries))
        return entry

    def acknowledged(self, boot_id: bytes, ranges: Sequence[tuple[int, int]]) -> list[Entry]:
        """Free what the gateway holds; the freed records. Unknown sequences are passed over."""
        freed = []
        for name, entry in [
            *((n, f.entry) for n, f in self._flying.items()),
            *((_name(e), e) for e in self._waiting()),
        ]:
            if name[0] == boot_id and any(first <= name[1] <= last for first, last in ranges):
                freed.append(entry)
                self._drop(name)
        return freed

    def refused(self, name: Name, code: str, retry_ms: int | None, now_s: float) -> None:
        """The gateway did not take it: into quarantine for ever, or again later."""
        flight = self._flying.pop(name, None)
        if flight is None:
            return
        if retry_ms is None:
            self.quarantine[name] = code
        else:
            self._later.append((now_s + max(retry_ms / 1_000, self._pause(flight.tries)), flight.entry, flight.tries))

    def lost_connection(self) -> None:
        """Whatever was on its way goes to the front of its queue; the window starts over."""
        for flight in reversed(self._flying.values()):
            self._tries[_name(flight.entry)] = flight.tries
            (self._live if flight.entry.live else self._backlog).appendleft(flight.entry)
        self._flying.clear()
        self.credit = 1

    def tries(self, entry: Entry) -> int:
        """How often this record has been sent, the try on its way counted."""
        flight = self._flying.get(_name(entry))
        return flight.tries if flight else self._tries.get(_name(entry), 0)

    def wakes_at(self) -> float | None:
        """When something becomes due by time alone."""
        times = [flight.until_s for flight in self._flying.values()] + [at_s for at_s, _, _ in self._later]
        return min(times, default=None)

    def spans(self) -> list[tuple[bytes, int, int]]:
        """(boot, first, last) of what the card still holds, for the hello."""
        held: dict[bytes, list[int]] = {}
        for entry in [*(flight.entry for flight in self._flying.values()), *self._waiting()]:
            held.setdefault(entry.key.boot_id, []).append(entry.key.sequence)
        return [(boot_id, min(numbers), max(numbers)) for boot_id, numbers in held.items()]

    def __len__(self) -> int:
        return len(self._flying) + len(self._live) + len(self._backlog) + len(self._later)

    def _due(self, now_s: float) -> None:
        """Unanswered records and those told to wait come back when their time is over."""
        for name, flight in [*self._flying.items()]:
            if flight.until_s <= now_s:
                del self._flying[name]
                self._again(flight.entry, flight.tries)
        for at_s, entry, tries in [*self._later]:
            if at_s <= now_s:
                self._later.remove((at_s, entry, tries))
                self._again(entry, tries)

    def _again(self, entry: Entry, tries: int) -> None:
        self._tries[_name(entry)] = tries
        (self._live if entry.live else self._backlog).appendleft(entry)

    def _pick(self) -> Entry | None:
        if self._live and (self._since_backlog < LIVE_PER_BACKLOG or not self._backlog):
            self._since_backlog += 1
            return self._live.popleft()
        if self._backlog:
            self._since_backlog = 0
            return self._backlog.popleft()
        return None

    def _pause(self, tries: int) -> float:
        return float(min(LAST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(tries, 10))) * self._random.uniform(0.8, 1.2)

    def _waiting(self) -> list[Entry]:
        return [*self._live, *self._backlog, *(entry for _, entry, _ in self._later)]

    def _drop(self, name: Name) -> None:
        self._flying.pop(name, None)
        self._tries.pop(name, None)
        self._later = [one for one in self._later if _name(one[1]) != name]
        for queue in (self._live, self._backlog):
            for entry in [one for one in queue if _name(one) == name]:
                queue.remove(entry)


def _name(entry: Entry) -> Name:
    return entry.key.boot_id, entry.key.sequence
