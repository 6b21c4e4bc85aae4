"""What a camera is told to do: how often, how fine, when not. Kept in the home's time, told in UTC (docs/wire.md)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from zoneinfo import ZoneInfo

from gateway.entities import Json
from gateway.errors import Rejected

DAY_S = 86_400
DAY_MIN = 1_440


@dataclass(frozen=True, slots=True)
class Tuning:
    """Defaults are the firmware's own."""

    every_s: int = 10
    quality: int = 12
    """4 to 63; less is better."""
    motion: bool = False
    """Keep only what moves."""
    still_s: int = 600
    """With `motion`: keep one this often though nothing moves; 0: never."""
    privacy: bool = False
    """Take nothing."""
    quiet: tuple[int, int] | None = None
    """Minutes of the home's day between which nothing is taken."""

    def check(self) -> None:
        """Raises Rejected (`bad-tuning`) that names what is out of range."""
        for name, value, low, high in (
            ("seconds between pictures", self.every_s, 1, DAY_S),
            ("quality", self.quality, 4, 63),
            ("seconds between still pictures", self.still_s, 0, DAY_S),
            *(("quiet hours", minute, 0, DAY_MIN - 1) for minute in self.quiet or ()),
        ):
            if not low <= value <= high:
                raise Rejected(f"{name} must be {low} to {high}", code="bad-tuning")

    def on_wire(self, zone: str, now_us: int) -> Json:
        """`dn/cfg`. Quiet hours by the offset that the zone has now."""
        if self.quiet is None:
            return self.as_row()
        offset = datetime.fromtimestamp(now_us / 1_000_000, UTC).astimezone(ZoneInfo(zone)).utcoffset()
        ahead_min = round(offset.total_seconds() / 60) if offset else 0
        return {**self.as_row(), "quiet": [(minute - ahead_min) % DAY_MIN for minute in self.quiet]}

    def as_row(self) -> Json:
        """As it is kept."""
        return {**dataclasses.asdict(self), "quiet": None if self.quiet is None else list(self.quiet)}

    @classmethod
    def from_row(cls, row: Json) -> Self:
        """What `as_row` gave; {} are the defaults."""
        quiet = row.get("quiet")
        return cls(**{**row, "quiet": None if quiet is None else (int(quiet[0]), int(quiet[1]))}) if row else cls()
