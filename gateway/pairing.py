"""The window in which one camera may come into the home: a code, five minutes, five tries.

Everything is in memory and is forgotten with the process; a code is never written down. Time is monotonic, so a clock
that jumps neither closes a window nor keeps one open.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from gateway.errors import Forbidden

WINDOW_S = 300
TRIES = 5
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: no I, L, O, U. Eight of them are 40 bits."""
LENGTH = 8
_NONCES = 256
"""Of earlier windows, which open no later one."""
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
_CODE = re.compile(f"[{ALPHABET}]{{{LENGTH}}}")

State: TypeAlias = Literal["open", "paired", "over"]


@dataclass(frozen=True, slots=True)
class Opener:
    """Who opened the window, and under which address the box is to be reached."""

    person: str
    """A person's id: the camera will be theirs."""
    place: str
    """`host:port` as the pairing text has it."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A window as the admin sees it."""

    code: str
    opener: Opener
    left_s: float
    """0 when it is over."""
    tries_left: int
    state: State
    device: str
    """The camera that came in; empty until then."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a camera says of itself; its fields are checked by whoever reads them off the wire."""

    code: str
    nonce: str
    """32 hex digits."""
    hardware: str
    board: str
    firmware: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What the camera that came in was given, kept so that the same question gets the same answer."""

    nonce: str
    hardware: str
    device: str
    password: str


@dataclass(frozen=True, slots=True)
class _Window:
    code: str
    opener: Opener
    until_s: float
    tries_left: int = TRIES
    grant: Grant | None = None


class Pairing:
    """At most one window. Not for threads: used in the loop only."""

    def __init__(
        self, clock_s: Callable[[], float] = time.monotonic, draw: Callable[[str], str] = secrets.choice
    ) -> None:
        self._clock_s = clock_s
        self._draw = draw
        self._window: _Window | None = None
        self._used: deque[str] = deque(maxlen=_NONCES)

    def open(self, opener: Opener) -> Offer:
        """A new window with a new code; one that was there is over without a word."""
        code = "".join(self._draw(ALPHABET) for _ in range(LENGTH))
        self._window = _Window(code, opener, self._clock_s() + WINDOW_S)
        return _offer(self._window, self._clock_s())

    def close(self) -> None:
        """No window, and nothing of it is kept."""
        self._window = None

    @property
    def offer(self) -> Offer | None:
        """The window as it stands; None when none was opened, or the last one was closed."""
        return None if self._window is None else _offer(self._window, self._clock_s())

    def check(self, claim: Claim) -> tuple[Opener, Grant | None]:
        """Whose camera this becomes, and what it was given already if it asks again.

        Raises Forbidden: `pairing-closed`, `pairing-over`, or `pairing-code`, which costs a try. Codes are compared
        in constant time.
        """
        window = self._window
        if window is None:
            raise Forbidden("no pairing window is open", code="pairing-closed")
        if self._clock_s() >= window.until_s or window.tries_left <= 0:
            self._window = _spent(window)
            raise Forbidden("this pairing window is over", code="pairing-over")
        right = hmac.compare_digest(normal(claim.code).encode(), window.code.encode())
        grant = window.grant
        if grant is not None:
            same = hmac.compare_digest(claim.nonce, grant.nonce) and hmac.compare_digest(
                claim.hardware.encode(), grant.hardware.encode()
            )
            if right and same:
                return window.opener, grant
            raise Forbidden("this window had its one camera", code="pairing-closed")
        if right and claim.nonce in self._used:
            raise Forbidden("this question was asked in an earlier window", code="pairing-closed")
        if not right:
            self._window = replace(window, tries_left=window.tries_left - 1)
            raise Forbidden("this is not the code", code="pairing-code")
        return window.opener, None

    def settle(self, grant: Grant) -> None:
        """The camera is in: the window takes no other."""
        if self._window is not None:
            self._window = replace(self._window, grant=grant)
            self._used.append(grant.nonce)


def normal(code: str) -> str:
    """A code as people type it, in the alphabet; what cannot be one comes back as it may, and fits none."""
    text = code.strip().upper().translate(_READ_AS)
    return text if _CODE.fullmatch(text) else "?"


def _spent(window: _Window) -> _Window:
    """A window that is over keeps whom it let in, and nothing that opens."""
    return window if window.grant is None else replace(window, grant=replace(window.grant, password=""))


def _offer(window: _Window, now_s: float) -> Offer:
    over = now_s >= window.until_s or window.tries_left <= 0
    return Offer(
        code="" if over or window.grant is not None else window.code,
        opener=window.opener,
        left_s=max(0.0, window.until_s - now_s) if not over else 0.0,
        tries_left=window.tries_left,
        state="paired" if window.grant is not None else "over" if over else "open",
        device="" if window.grant is None else window.grant.device,
    )
