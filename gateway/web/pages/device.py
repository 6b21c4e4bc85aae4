"""One camera: its figures, what it lost, what it is told to do, and how it is put out."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from gateway.cameras import About
from gateway.config import zone_name
from gateway.devices import DeviceCard
from gateway.entities import Gap, Role
from gateway.store.paired import Command
from gateway.web.api.cameras import camera_out, command_state
from gateway.web.page import Page, render, viewer_of
from gateway.web.pages import words
from gateway.web.pages.devices import NOT_TOLD, camera_card
from gateway.web.pages.shell import layout
from gateway.web.parts import PARTS

_CMDS = {
    "identify": "Show where it is",
    "snapshot": "Take a picture",
    "restart": "Start anew",
    "update": "Update",
    "forget": "Forget this home",
}
_STATES = {"waiting": "Waiting for its answer", "done": "Done", "expired": "It did not answer"}
_WHY = {
    "card-full": "its card was full",
    "card-error": "its card did not take it",
    "private": "it takes nothing now",
    "not-newer": "it runs this or a newer one",
    "bad-signature": "the signature is not the maker’s",
}


@dataclass(frozen=True, slots=True)
class Lost:
    """A stretch of records that it says it lost."""

    when: str
    count: str
    why: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A command and what became of it."""

    what: str
    when: str
    outcome: str
    tone: str
    """`good`, `look`, or empty."""


async def _show(request: web.Request) -> web.StreamResponse:
    parts, viewer = request.app[PARTS], viewer_of(request)
    zone, now_us = zone_name(parts.settings), parts.clock()
    device = request.match_info["id"]
    card = await parts.devices.get(viewer, device)
    about = await parts.cameras.about(viewer, device) if parts.cameras is not None else None
    shown = camera_card(card, viewer, now_us=now_us, zone=zone)
    return await render(
        request,
        "device.html",
        layout=layout(request),
        card=shown,
        lane=card.lane.value,
        more=more(card, about, now_us=now_us, zone=zone),
        lost=[_lost(gap, now_us, zone) for gap in await parts.devices.gaps(viewer, device)],
        camera=camera_out(about, now_us) if about is not None and card.pairing == "paired" else None,
        asked=[_asked(each, now_us, zone) for each in (about.commands if about is not None else ())],
        cmds=_CMDS,
        admin=viewer.role is Role.ADMIN,
        topic=parts.devices.topic_of(device),
    )


def more(card: DeviceCard, about: About | None, *, now_us: int, zone: str) -> list[tuple[str, str]]:
    """What the six figures leave out: (name, value)."""
    device = card.device
    found = [("Last heard", words.short_when(device.last_seen_us, now_us, zone))]
    if card.state == "asleep":
        wakes = NOT_TOLD if card.wakes_at_us is None else words.short_when(card.wakes_at_us, now_us, zone)
        found.append(("Wakes", wakes))
    found.append(("In quarantine", NOT_TOLD if card.quarantined is None else _records(card.quarantined)))
    found.append(("Faults of its card", NOT_TOLD if card.card_faults is None else f"{card.card_faults:,}"))
    found.append(("Firmware", card.firmware or NOT_TOLD))
    if about is not None and about.paired.board:
        found.append(("Board", about.paired.board))
        found.append(("Serial", about.paired.hardware))
    if about is not None:
        found.append(("Paired", words.short_when(about.paired.paired_at_us, now_us, zone)))
        if about.paired.revoked_at_us is not None:
            found.append(("Put out", words.short_when(about.paired.revoked_at_us, now_us, zone)))
    return found


def _records(count: int) -> str:
    return "Nothing" if count == 0 else words.count(count, "record")


def _lost(gap: Gap, now_us: int, zone: str) -> Lost:
    when = words.short_when(gap.from_us, now_us, zone)
    return Lost(
        when=f"{when} to {words.clock(gap.to_us, zone)}",
        count=f"{gap.last - gap.first + 1:,}",
        why=_WHY.get(gap.reason, gap.reason.replace("-", " ")),
    )


def _asked(command: Command, now_us: int, zone: str) -> Asked:
    state = command_state(command, now_us)
    outcome = _STATES.get(state, "")
    if state == "failed":
        outcome = f"It could not: {_WHY.get(command.code, command.code.replace('-', ' '))}"
    tone = {"done": "good", "waiting": ""}.get(state, "look")
    return Asked(_CMDS.get(command.cmd, command.cmd), words.short_when(command.at_us, now_us, zone), outcome, tone)


PAGE = Page(path="/devices/{id:[a-z0-9-]{1,64}}", name="device", handler=_show)
