"""How the box is doing, as values: made by `jobs/health.py`, shown by the web, the API and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.entities import Priority, Viewer


@dataclass(frozen=True, slots=True)
class Busy:
    """What the sidebar tells on every page."""

    waiting: int
    """Jobs that wait or run."""
    oldest_s: float | None
    """Age of the oldest of them; None when there is none."""
    set_aside: int
    """Jobs and arrivals that a person should look at."""


@dataclass(frozen=True, slots=True)
class Node:
    """One step of the pipeline."""

    name: str
    label: str
    waiting: int
    per_minute: float
    """Ended in the last minutes, averaged."""
    oldest_s: float | None
    line: tuple[int, ...]
    """Ended per minute over the last hour, oldest first."""
    slow: bool
    """Slower than what arrives."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """A job that was buried, or an arrival that was refused."""

    id: str
    """Of a job: its number, for `retry`. Of a refusal: `refusal-<n>`; it cannot be tried again."""
    what: str
    """The step, or the lane it came in by."""
    memory: str
    """Its uid; empty for a refusal, or when it is not the viewer's to see."""
    device: str
    source_name: str
    """Hostile text: escape it."""
    code: str
    reason: str
    hint: str
    tries: int
    at_us: int
    can_retry: bool


@dataclass(frozen=True, slots=True)
class Budget:
    """One thing of which there is only so much."""

    name: str
    """`memory`, `temperature`, `disk`."""
    label: str
    used: float
    limit: float
    unit: str
    """`MB`, `°C`, `GB`."""
    over: bool
    note: str = ""
    """What comes of it, as a sentence: which originals the rules would take next."""
    past: tuple[tuple[int, float], ...] = ()
    """Instants (µs UTC) and values of the last day, oldest first, the highest of each five minutes."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something the box leans on: the broker, an index, a worker process."""

    name: str
    state: str
    """`good`, `look` or `off`."""
    detail: str


@dataclass(frozen=True, slots=True)
class Health:
    """All of it."""

    sentence: str
    nodes: tuple[Node, ...]
    priorities: Mapping[Priority, int]
    """Jobs waiting, by what goes first."""
    set_aside: tuple[SetAside, ...]
    """Newest first, at most 200."""
    budgets: tuple[Budget, ...]
    parts: tuple[Part, ...]


class HealthDoor(Protocol):
    """What the web needs of whoever watches over the box."""

    async def busy(self) -> Busy:
        """Cheap: it is asked for every page."""

    async def look(self, viewer: Viewer) -> Health:
        """Everything. Content of memories that the viewer may not see is left out."""

    async def retry(self, viewer: Viewer, job_id: int) -> None:
        """Do a buried job again. Raises NotFound; Forbidden for a guest."""

    async def retry_all(self, viewer: Viewer, *, step: str = "") -> int:
        """All buried jobs, or those of one step; how many. Raises Forbidden for a guest."""
