"""What a warm box leaves undone until it has cooled: its backlog first, and at its limit what cameras send, too."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from gateway import metrics
from gateway.entities import Priority
from gateway.health import Part

log = logging.getLogger(__name__)

MARGIN_C = 5.0
"""So far below a limit it is over: else the box would start and stop with every job."""
_ORDER = (Priority.BACKLOG, Priority.LIVE, Priority.PERSON)
"""What is still done, from a cool box to a hot one."""
_WAITS = {
    Priority.LIVE: "Too warm: backlog waits",
    Priority.PERSON: "Too warm: all waits but what people ask for",
}


@dataclass(slots=True)
class Heat:
    """Told each reading by `feel`; `lowest` and `part` say what comes of it."""

    slow_c: float
    """Above it the backlog waits."""
    stop_c: float
    """Above it what cameras send waits as well; what people ask for never does."""
    celsius: float | None = None
    """As read last; None where the box does not say, and then nothing waits."""
    _level: int = field(default=0)
    """Of _ORDER."""

    def feel(self, celsius: float | None) -> None:
        """Take a reading."""
        self.celsius = celsius
        if celsius is not None:
            metrics.temperature_celsius.set(celsius)
        level = self._level_at(celsius)
        if level != self._level:
            said = "too warm, work waits" if level > self._level else "cooler, work goes on"
            log.warning(said, extra={"celsius": celsius, "still_done": _ORDER[level].value})
        self._level = level
        metrics.temperature_waits.set(level)

    @property
    def lowest(self) -> Priority:
        """The lowest priority that may be worked on now."""
        return _ORDER[self._level]

    @property
    def part(self) -> Part | None:
        """What Health tells of it; None while nothing waits."""
        if self.celsius is None or not self._level:
            return None
        return Part("Temperature", "look", f"{_WAITS[self.lowest]}, {self.celsius:.0f} °C.")

    def _level_at(self, celsius: float | None) -> int:
        if celsius is None:
            return 0
        level = 0
        for n, limit_c in enumerate((self.slow_c, self.stop_c), 1):
            if celsius > limit_c - (MARGIN_C if self._level >= n else 0.0):
                level = n
        return level
