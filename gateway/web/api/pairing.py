"""How a camera comes into the home, and how it is put out."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Literal
from urllib.parse import urlencode

from aiohttp import web
from pydantic import Field

from gateway.cameras import Cameras
from gateway.entities import Viewer
from gateway.errors import NotFound
from gateway.ingest.topics import ROOT
from gateway.pairing import Claim, Offer
from gateway.shapes import Shape, instant
from gateway.web import auth, tls
from gateway.web.parts import Parts
from gateway.web.route import Ask, Model, Nothing, Rules, reads, writes

_ID = "{id:[a-z0-9-]{1,64}}"
_PRINTABLE = r"^[ -~]{1,40}$"


class PairClaim(Model):
    """What a camera says of itself (docs/wire.md)."""

    code: str = Field(min_length=1, max_length=24)
    nonce: str = Field(pattern=r"^[0-9a-f]{32}$")
    hardware: str = Field(pattern=r"^[A-Za-z0-9:_-]{1,64}$", description="The board's serial")
    board: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    firmware: str = Field(pattern=_PRINTABLE)


class PairMqtt(Shape):
    """Where and as whom it connects; its user name is its id."""

    host: str
    port: int
    tls: bool
    client_id: str


class PairAnswer(Shape):
    """Told once, to the camera alone."""

    device: str
    password: str
    root: str
    mqtt: PairMqtt


class PairOpen(Model):
    """A window for one camera."""

    address: str = Field(
        default="",
        max_length=255,
        pattern=r"^([A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?)?$",
        description="host or host:port under which cameras reach this box; empty: as it is known",
    )


class PairWindow(Shape):
    """The window as it stands."""

    state: Literal["open", "paired", "over", "closed"]
    code: str = Field(description="Empty unless it is open")
    text: str = Field(description="What a camera reads: the code, the address, the fingerprint")
    left_s: float
    tries_left: int
    address: str
    fingerprint: str = Field(description="SHA-256 of the authority, hex; empty where only this box is served")
    device: str = Field(description="The camera that came in; empty until then")
    possible: bool = Field(description="Whether the broker gives credentials now")


class Password(Shape):
    """For another maker's camera; shown this once."""

    user: str
    password: str
    client_id: str = Field(description="The credential opens with this MQTT client id and no other")
    topic: str


class BrokerLogin(Shape):
    """Shown this once."""

    user: str
    password: str
    client_id: str = Field(description="The credential opens with this MQTT client id and no other")


class Revoked(Shape):
    """What became of it."""

    device: str
    disconnected: bool = Field(description="False: the broker is told once it can be reached")


class AuditLine(Shape):
    """Something that happened at the door."""

    at: str
    event: str
    outcome: str
    person: str
    device: str
    address: str
    about: str


class Audit(Shape):
    """The newest first."""

    items: list[AuditLine]


@writes("POST", "/pair", body=PairClaim, answer=PairAnswer, rules=Rules(scope=""))
async def pair(ask: Ask[PairClaim]) -> PairAnswer:
    """A camera with a code asks for its id and its password."""
    given = ask.given
    claim = Claim(given.code, given.nonce, given.hardware, given.board, given.firmware)
    told = await door(ask.parts).pair(claim, peer=ask.request.remote or "")
    mqtt = PairMqtt(host=told.reach.host, port=told.reach.port, tls=told.reach.tls, client_id=told.client_id)
    return PairAnswer(device=told.device, password=told.password, root=ROOT, mqtt=mqtt)


@writes("POST", "/devices/pair", body=PairOpen, answer=PairWindow)
async def open_pairing(ask: Ask[PairOpen]) -> PairWindow:
    """Open the window: five minutes, one camera, five tries. Only an admin can, signed in."""
    viewer = ask.person
    await door(ask.parts).open_window(viewer, place_of(ask.parts, ask.request, ask.given.address))
    window = await window_now(ask.parts, viewer)
    if window.fingerprint:
        await asyncio.to_thread(tls.pin, ask.parts.settings.home)
    return window


@reads("/devices/pair", query=Nothing, answer=PairWindow)
async def read_pairing(ask: Ask[Nothing]) -> PairWindow:
    """The window as it stands, for admins."""
    return await window_now(ask.parts, ask.person)


@writes("DELETE", "/devices/pair", body=Nothing, answer=Nothing)
async def close_pairing(ask: Ask[Nothing]) -> Nothing:
    """Stop pairing."""
    await door(ask.parts).close_window(ask.person)
    return Nothing()


@writes("POST", f"/devices/{_ID}/password", body=Nothing, answer=Password)
async def give_password(ask: Ask[Nothing]) -> Password:
    """A password for another maker's camera. The one it had before opens nothing any more."""
    told = await door(ask.parts).give_password(ask.person, ask.part("id"))
    topic = ask.parts.devices.topic_of(told.device)
    return Password(user=told.device, password=told.password, client_id=told.client_id, topic=topic)


@writes("POST", "/broker/home-assistant", body=Nothing, answer=BrokerLogin)
async def give_home_assistant(ask: Ask[Nothing]) -> BrokerLogin:
    """A password for Home Assistant at the broker. The one it had before opens nothing any more."""
    user, password = await door(ask.parts).give_home_assistant(ask.person)
    return BrokerLogin(user=user, password=password, client_id=user)


@writes("POST", f"/devices/{_ID}/revoke", body=Nothing, answer=Revoked)
async def revoke_device(ask: Ask[Nothing]) -> Revoked:
    """Put a camera out: it is disconnected at once and its password opens nothing. What it took stays."""
    device = ask.part("id")
    return Revoked(device=device, disconnected=await door(ask.parts).revoke(ask.person, device))


@reads("/audit", query=Nothing, answer=Audit)
async def read_audit(ask: Ask[Nothing]) -> Audit:
    """Who tried to come in, who was let in, who was put out. For admins."""
    lines = await door(ask.parts).lines(ask.viewer)
    return Audit(
        items=[
            AuditLine(
                at=instant(line.at_us),
                event=line.event,
                outcome=line.outcome,
                person=line.person,
                device=line.device,
                address=line.place,
                about=line.about,
            )
            for line in lines
        ]
    )


ROUTES = (
    pair,
    open_pairing,
    read_pairing,
    close_pairing,
    give_password,
    give_home_assistant,
    revoke_device,
    read_audit,
)


def door(parts: Parts) -> Cameras:
    """Raises NotFound in a house without a broker."""
    if parts.cameras is None:
        raise NotFound("this house has no cameras of its own")
    return parts.cameras


async def window_now(parts: Parts, viewer: Viewer) -> PairWindow:
    """The window as an admin sees it. Raises Forbidden, NotFound."""
    cameras = door(parts)
    offer = cameras.window(viewer)
    possible = cameras.desk.control == "ready"
    if offer is None:
        return PairWindow(
            state="closed",
            code="",
            text="",
            left_s=0,
            tries_left=0,
            address="",
            fingerprint="",
            device="",
            possible=possible,
        )
    known = await asyncio.to_thread(tls.authority_fingerprint, parts.settings.home)
    fingerprint = "" if is_plain(offer.opener.place) else known.replace(":", "").lower()
    return PairWindow(
        state=offer.state,
        code=offer.code,
        text=pairing_text(offer, fingerprint),
        left_s=round(offer.left_s, 1),
        tries_left=offer.tries_left,
        address=offer.opener.place,
        fingerprint=fingerprint,
        device=offer.device,
        possible=possible,
    )


def pairing_text(offer: Offer, fingerprint: str) -> str:
    """What the QR holds; empty unless the window is open."""
    if offer.state != "open":
        return ""
    parts = {"c": offer.code, "h": offer.opener.place, **({"f": fingerprint} if fingerprint else {})}
    return f"hearthlog:pair?{urlencode(parts, safe=':[]')}"


def place_of(parts: Parts, request: web.Request, chosen: str = "") -> str:
    """`host:port` under which cameras reach this box: as chosen, as the browser does, or as this machine is known.

    An address is better than a name: cameras seldom resolve `.local`.
    """
    http = parts.settings.http
    port = request.url.port if request.url.port and not auth.is_unix(request) else http.port
    if chosen:
        return chosen if _has_port(chosen) else f"{chosen}:{port}"
    if http.host == "localhost" or (_is_address(http.host) and _loops(http.host)):
        return f"127.0.0.1:{port}"
    asked = request.url.host or ""
    for host in (asked, http.host, _outward()):
        if _is_address(host) and not ipaddress.ip_address(host).is_unspecified and not _loops(host):
            return f"{_bracketed(host)}:{port}"
    return f"{http.names[0] if http.names else socket.gethostname().lower()}:{port}"


def is_plain(place: str) -> bool:
    """Whether the gateway speaks plain HTTP there, as it does on this machine alone."""
    return place.rpartition(":")[0].strip("[]") in ("localhost", "127.0.0.1", "::1")


def _loops(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _has_port(place: str) -> bool:
    return place.rpartition("]")[2].count(":") == 1


def _outward() -> str:
    """This machine's address on the way out, without sending anything; empty when there is no way."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])
