"""Cameras: how each is, what it needs, and how a new one comes in."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from aiohttp import web
from markupsafe import Markup

from gateway.config import zone_name
from gateway.devices import DeviceCard
from gateway.entities import Lane, Role, Viewer
from gateway.store.audit import Line
from gateway.web.page import Page, render, viewer_of
from gateway.web.pages import svg, words
from gateway.web.pages.cards import STATES, TOPICS
from gateway.web.pages.pairing_view import pair_panel
from gateway.web.pages.shell import layout
from gateway.web.pages.thumbs import Thumb, thumb
from gateway.web.parts import PARTS

NOT_TOLD = "Not told"
_SIGNALS = ((-55, 4, "strong"), (-67, 3, "good"), (-73, 2, "fair"), (-200, 1, "weak"))
_LOW_PERCENT = 25
_FULL = 0.9


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the six, always in the same place."""

    icon: str
    name: str
    value: str
    detail: str
    bar: Markup | None = None
    bars: Markup | None = None


@dataclass(frozen=True, slots=True)
class CameraCard:
    """One camera on the page."""

    id: str
    name: str
    room: str
    state: str
    line: str
    ago: str
    thumb: Thumb | None
    figures: tuple[Figure, ...]
    look: str
    shown_by: str
    """Address of the picture that shows what is wrong with how it sees; empty: nothing is."""
    privacy: str
    may_change: bool


@dataclass(frozen=True, slots=True)
class DoorLine:
    """Something that happened at the door, for admins."""

    when: str
    what: str
    who: str
    """The camera or the address."""
    denied: bool


_DOOR = {
    "pairing opened": "A pairing window was opened",
    "pairing closed": "A pairing window was closed",
    "pairing done": "Paired",
    "pairing pairing-code": "Denied: a wrong code",
    "pairing pairing-closed": "Denied: no window was open to it",
    "pairing pairing-over": "Denied: the code was over",
    "pairing pairing-later": "Not paired: the broker did not answer",
    "revoke done": "Put out",
    "revoke later": "Put out; the broker was told later",
    "revoke cleared": "Its credential was taken away at the broker",
    "password done": "Was given a password",
    "broker not-authorised": "Denied by the broker: no such name, password and client id",
    "broker not-allowed": "Denied by the broker",
    "firmware added": "Firmware was added",
    "command update": "Was told to update",
    "command forget": "Was told to forget this home",
}
_MOST_LINES = 20


async def _door(request: web.Request, viewer: Viewer, *, zone: str, now_us: int) -> list[DoorLine]:
    cameras = request.app[PARTS].cameras
    if cameras is None:
        return []
    return [door_line(line, zone=zone, now_us=now_us) for line in (await cameras.lines(viewer))[:_MOST_LINES]]


def door_line(line: Line, *, zone: str, now_us: int) -> DoorLine:
    """A line of the audit in words."""
    what = _DOOR.get(f"{line.event} {line.outcome}", f"{line.event}: {line.outcome}".replace("-", " "))
    if line.event == "broker" and line.about:
        what = f"{what}: {line.about}"
    who = " ".join(part for part in (line.device, line.place) if part) or line.about
    denied = line.event == "broker" or line.outcome.startswith("pairing-")
    return DoorLine(words.short_when(line.at_us, now_us, zone), what, who, denied)


async def _show(request: web.Request) -> web.StreamResponse:
    parts, viewer = request.app[PARTS], viewer_of(request)
    zone, now_us = zone_name(parts.settings), parts.clock()
    found = await parts.devices.all(viewer)
    admin = viewer.role is Role.ADMIN
    pairing = admin and "pair" in request.query and parts.cameras is not None
    panel = await pair_panel(request, viewer) if pairing else None
    return await render(
        request,
        "devices.html",
        layout=layout(request),
        counts=summary(found),
        cards=[camera_card(card, viewer, now_us=now_us, zone=zone) for card in found],
        may_add=admin,
        adding=admin and "add" in request.query,
        pair=panel,
        may_pair=admin and parts.cameras is not None and not parts.cameras.hint,
        came=next((card for card in found if panel is not None and card.device.id == panel.device), None),
        door=await _door(request, viewer, zone=zone, now_us=now_us) if admin else [],
        root=TOPICS,
        host=request.url.host or "localhost",
    )


def summary(found: list[DeviceCard]) -> str:
    """`5 cameras · 3 well · 1 needs a look · 1 asleep`."""
    ours = [card for card in found if card.pairing != "revoked"]
    states = Counter(str(card.state) for card in ours)
    parts = [words.count(len(ours), "camera")]
    parts += [f"{states['awake']} well"] if states["awake"] else []
    parts += [words.count(states["look"], "needs a look", "need a look")] if states["look"] else []
    parts += [f"{states['asleep']} asleep"] if states["asleep"] else []
    parts += [f"{states['away']} away"] if states["away"] else []
    parts += [f"{len(found) - len(ours)} put out"] if len(found) > len(ours) else []
    return " · ".join(parts)


def camera_card(card: DeviceCard, viewer: Viewer, *, now_us: int, zone: str) -> CameraCard:
    """One camera in words."""
    device = card.device
    plain = card.lane is not Lane.RECORD
    state = STATES[card.state]
    if card.state == "away":
        state = f"Away since {words.short_when(card.since_us, now_us, zone)}"
    elif card.wakes_at_us is not None:
        state = f"Asleep until {words.short_when(card.wakes_at_us, now_us, zone)}"
    if card.pairing == "revoked":
        state = "Put out of this home"
    kind = "another maker’s camera, plain pictures" if plain and not card.board else card.board or ""
    line = " · ".join(part for part in (state, kind, card.firmware or "") if part)
    newest = card.last_memory
    return CameraCard(
        id=device.id,
        name=device.name,
        room=device.room,
        state=card.state,
        line=line,
        ago=words.ago(newest.capture.captured_at.at_us, now_us) if newest else "",
        thumb=thumb(newest, zone, size=480, here=True) if newest else None,
        figures=(
            _power(card),
            _signal(card),
            _spool(card, plain=plain),
            _clock(card, plain=plain),
            _acknowledged(card, now_us, plain=plain),
            _frames(card, plain=plain),
        ),
        look=card.look,
        shown_by=f"/memory/{card.sight.uid}" if card.sight else "",
        privacy=device.privacy.value,
        may_change=viewer.role is Role.ADMIN or viewer.user == device.owner,
    )


def _power(card: DeviceCard) -> Figure:
    if card.mains:
        return Figure("battery", "Power", "Mains", "no battery")
    if card.battery_percent is None:
        return Figure("battery", "Power", NOT_TOLD, "it does not say")
    percent = card.battery_percent
    low = percent < _LOW_PERCENT
    return Figure("battery", "Battery", f"{percent}%", "low" if low else "", svg.bar(percent / 100, look=low))


def _signal(card: DeviceCard) -> Figure:
    if card.rssi_dbm is None:
        return Figure("signal", "Signal", NOT_TOLD, "it does not say")
    bars, told = next((bars, told) for least, bars, told in _SIGNALS if card.rssi_dbm >= least)
    detail = told if card.state in ("awake", "look") else f"{told}, at last contact"
    return Figure("signal", "Signal", f"−{abs(card.rssi_dbm)} dBm", detail, bars=svg.signal(bars))


def _spool(card: DeviceCard, *, plain: bool) -> Figure:
    if card.card_fill is None:
        if plain:
            return Figure("spool", "On its card", "Keeps nothing", "losses cannot be counted")
        waiting = NOT_TOLD if card.card_waiting is None else f"{card.card_waiting:,} waiting"
        return Figure("spool", "On its card", waiting, "how full is not told")
    waits = (
        ""
        if card.card_waiting is None
        else f"{card.card_waiting:,} waiting"
        if card.card_waiting
        else "nothing waiting"
    )
    if card.quarantined:
        waits = ", ".join(part for part in (waits, f"{card.quarantined:,} in quarantine") if part)
    full = card.card_fill >= _FULL
    return Figure("spool", "On its card", f"{card.card_fill:.0%} full", waits, svg.bar(card.card_fill, look=full))


def _clock(card: DeviceCard, *, plain: bool) -> Figure:
    if card.clock_error_us is not None:
        return Figure("clock", "Clock", words.plus_minus(card.clock_error_us), "as it says itself")
    if card.clock_unknown:
        return Figure("clock", "Clock", "Not set", "it does not know the time")
    if plain:
        return Figure("clock", "Clock", "None", "dated on arrival")
    return Figure("clock", "Clock", NOT_TOLD, "it does not say")


def _acknowledged(card: DeviceCard, now_us: int, *, plain: bool) -> Figure:
    if card.last_ack_us is None:
        return Figure("check", "Last acknowledged", "Nothing yet", "")
    frame = "by content" if plain or card.last_sequence is None else f"frame {card.last_sequence:,}"
    return Figure("check", "Last acknowledged", words.ago(card.last_ack_us, now_us), frame)


def _frames(card: DeviceCard, *, plain: bool) -> Figure:
    lost = "received" if plain else f"{card.lost_today:,} lost" if card.lost_today else "none lost"
    return Figure("picture", "Frames today", f"{card.frames_today:,}", lost)


PAGE = Page(path="/devices", name="devices", handler=_show, label="Devices", order=3)
