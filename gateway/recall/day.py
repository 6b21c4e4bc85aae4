"""A day of the home as Today shows it. Plain values; the work is in `daybook.py`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from gateway.entities import Device, Gap, Memory


@dataclass(frozen=True, slots=True)
class StripRow:
    """One camera's day, by quarters of an hour."""

    device: Device
    counts: tuple[int, ...]
    """Pictures that stand (not folded) in each quarter of an hour from the day's first instant: 96 of them, 100 or 92
    on the days when the clock is changed."""
    total: int
    """Pictures and sounds that stand."""
    lost: tuple[tuple[int, int, int], ...]
    """(from_us, to_us, frames) that the camera says it lost, cut to the day."""
    off: tuple[tuple[int, int], ...]
    """(from_us, to_us) in which nothing came from it, folded or not, for long beyond its habit."""


@dataclass(frozen=True, slots=True)
class Where:
    """Where every frame of the cameras went. taken - lost = stored; stored = the other four together."""

    taken: int
    lost: int
    stored: int
    folded_static: int
    folded_copies: int
    set_aside: int
    shown: int


@dataclass(frozen=True, slots=True)
class MomentRow:
    """Frames of one camera that stand, with pauses under five minutes."""

    from_us: int
    to_us: int
    device: Device | None
    """None: added by people or from a folder."""
    memories: tuple[Memory, ...]
    """At most 12, spread over the moment, oldest first."""
    pictures: int
    sounds: int
    caption: str
    """The caption that says most: of the most frequent ones the longest. Empty when none was made."""


@dataclass(frozen=True, slots=True)
class QuietRow:
    """At least ten minutes in which every frame of every camera was folded away."""

    from_us: int
    to_us: int
    frames: int
    """Folded frames in it, at least one."""
    folded_into: int
    """How many frames stand for them."""
    devices: tuple[Device, ...]
    """Cameras that sent them."""


@dataclass(frozen=True, slots=True)
class GapRow:
    """Frames that a camera says it lost."""

    gap: Gap
    device: Device


@dataclass(frozen=True, slots=True)
class SoundRow:
    """A recording in which something was heard."""

    memory: Memory


@dataclass(frozen=True, slots=True)
class UncertainRow:
    """Frames of one camera whose time is not known to two minutes. They are in no moment."""

    device: Device | None
    frames: int
    from_us: int
    to_us: int
    error_us: int
    """The widest half interval among them."""
    why: str
    """Which time this is, for people."""
    memories: tuple[Memory, ...]
    """At most 12, oldest first."""


@dataclass(frozen=True, slots=True)
class NoteRow:
    """Something written."""

    memory: Memory


Row: TypeAlias = MomentRow | QuietRow | GapRow | SoundRow | UncertainRow | NoteRow


@dataclass(frozen=True, slots=True)
class Day:
    """One day, newest first."""

    day: date
    zone: str
    from_us: int
    to_us: int
    """[from_us, to_us): the day in the home's zone, 23 to 25 hours."""
    now_us: int
    devices: tuple[Device, ...]
    """Cameras the viewer may see something of, by name."""
    strip: tuple[StripRow, ...]
    people: tuple[tuple[int, str], ...]
    """(at_us, uid) of what people added, oldest first."""
    rows: tuple[Row, ...]
    totals: Where
    memories: int
    """Everything shown that day: `totals.shown` and what people added."""


@dataclass(frozen=True, slots=True)
class DayCount:
    """One day pill."""

    day: date
    memories: int
    """What stands, of cameras and people."""
