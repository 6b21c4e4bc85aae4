"""The pairing window in words, for the Devices page."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web
from markupsafe import Markup

from gateway.entities import Viewer
from gateway.pairing import WINDOW_S
from gateway.web.api.pairing import PairWindow, window_now
from gateway.web.pages import svg, words
from gateway.web.pages.qr import qr
from gateway.web.parts import PARTS


@dataclass(frozen=True, slots=True)
class PairPanel:
    """What the panel shows."""

    state: str
    """`open`, `paired`, `over`, `closed`, or `impossible`."""
    code: str
    """`K7QM-4XRD`."""
    left: str
    """`4:38 left`."""
    left_s: int
    whole_s: int
    tries: str
    tries_left: int
    bar: Markup | None
    qr: Markup | None
    text: str
    address: str
    fingerprint: tuple[str, ...]
    """Groups of four, upper case."""
    device: str
    why: str
    """Why no camera can be paired now, and what helps."""


async def pair_panel(request: web.Request, viewer: Viewer) -> PairPanel:
    """The window as an admin sees it. Raises Forbidden, NotFound."""
    parts = request.app[PARTS]
    window = await window_now(parts, viewer)
    why = "" if window.possible or parts.cameras is None else parts.cameras.hint
    return panel_of(window, why)


def panel_of(window: PairWindow, why: str) -> PairPanel:
    """A window in words."""
    opened = window.state == "open"
    left_s = int(window.left_s)
    print_ = window.fingerprint.upper()
    return PairPanel(
        state="impossible" if window.state == "closed" and why else window.state,
        code=f"{window.code[:4]}-{window.code[4:]}" if opened else "",
        left=f"{left_s // 60}:{left_s % 60:02} left",
        left_s=left_s,
        whole_s=WINDOW_S,
        tries=f"{words.count(window.tries_left, 'try', 'tries')} left",
        tries_left=window.tries_left,
        bar=svg.bar(window.left_s / WINDOW_S) if opened else None,
        qr=qr(window.text) if opened else None,
        text=window.text,
        address=window.address,
        fingerprint=tuple(print_[at : at + 4] for at in range(0, len(print_), 4)),
        device=window.device,
        why=why,
    )
