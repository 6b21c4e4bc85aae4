"""What the web needs of the rest of the house, and where a request keeps what is known of its sender."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from gateway.accounts import Accounts
from gateway.cameras import Cameras
from gateway.config import Settings
from gateway.devices import Devices
from gateway.entities import Viewer
from gateway.health import HealthDoor
from gateway.inference.workers import Workers
from gateway.ingest.accept import Gate
from gateway.memory import Memories


@dataclass(frozen=True, slots=True)
class Parts:
    """The doors, opened by `app.py` and closed by it."""

    settings: Settings
    accounts: Accounts
    memories: Memories
    devices: Devices
    health: HealthDoor
    workers: Workers
    """For thumbnails only."""
    clock: Callable[[], int]
    """Now, in microseconds since 1970 UTC."""
    unready: Callable[[], Sequence[str]]
    """Why the box is not ready yet, as sentences; empty when it is."""
    cameras: Cameras | None = None
    """Pairing, and what cameras are told; absent in a house without a broker."""
    gate: Gate | None = None
    """The way in for files that people bring; absent in a house that takes nothing in."""
    reindex: Callable[[], Awaitable[None]] | None = None
    """Make the indexes anew; absent in a house without them."""


@dataclass(frozen=True, slots=True)
class Caller:
    """How the sender of a request was recognised."""

    viewer: Viewer
    scopes: frozenset[str]
    """`read`, `write`; a session and the unix socket have both."""
    session: str = ""
    """The session's secret; empty for a token or the unix socket."""
    bearer: str = ""
    """The token; empty otherwise."""
    console: bool = False
    """It came over the unix socket: from the owner of the data folder."""


PARTS = web.AppKey("parts", Parts)
VIEWER = web.RequestKey("viewer", Viewer)
"""request[VIEWER]: Viewer, when somebody is signed in."""
PAGE_NAME = web.RequestKey("page-name", str)
"""request[PAGE_NAME]: the name of the page that answers; empty elsewhere."""
CALLER = web.RequestKey("caller", Caller)
"""request[CALLER]: Caller, likewise."""
