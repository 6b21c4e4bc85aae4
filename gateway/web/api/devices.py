"""Cameras."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.devices import DeviceCard, Devices, State
from gateway.entities import AiUsage, Lane, Privacy
from gateway.shapes import Shape, instant
from gateway.store.cameras import Setting
from gateway.web.route import Ask, Model, Nothing, Rules, reads, writes

_ID = "{id:[a-z0-9-]{1,64}}"


class SightOut(Shape):
    """What is wrong with how a camera sees, by its own pictures."""

    what: Literal["covered", "turned", "blurred"]
    since: str
    memory: str = Field(description="The one that shows it")


class DeviceOut(Shape):
    """A camera. Null: it never told, which is not 0."""

    id: str
    name: str
    room: str
    owner: str
    privacy: Privacy
    ai_usage: AiUsage
    lane: Lane
    topic: str = Field(description="Where it publishes pictures on the plain lane")
    state: State
    since: str
    look: str = Field(description="What needs a look; empty when nothing does")
    sight: SightOut | None
    first_seen_at: str
    last_seen_at: str
    last_memory: str | None
    frames_today: int
    lost_today: int
    battery_percent: int | None
    mains: bool | None
    rssi_dbm: int | None
    card_fill: float | None
    card_waiting: int | None
    clock_error_us: int | None
    firmware: str | None
    board: str | None
    last_ack_at: str | None
    last_sequence: int | None
    clock_unknown: bool = Field(description="It says itself that it does not know the time")
    quarantined: int | None = Field(description="Records on its card that were refused for ever")
    card_faults: int | None
    wakes_at: str | None = Field(description="When one that sleeps means to be back")
    pairing: Literal["", "paired", "revoked"] = Field(description="Empty: it did not come in by a code")


class DeviceList(Shape):
    """By name."""

    items: list[DeviceOut]


class DeviceSetting(Model):
    """What can be set of a camera; what is absent stays."""

    name: str | None = Field(default=None, max_length=200)
    room: str | None = Field(default=None, max_length=200)
    privacy: Privacy | None = None
    ai_usage: AiUsage | None = None


class NewDevice(DeviceSetting):
    """A camera that publishes to its plain topic, or will."""

    id: str = Field(max_length=64, description="As in its topic: a-z, 0-9 and -, 3 to 32 characters")


@reads("/devices", query=Nothing, answer=DeviceList)
async def list_devices(ask: Ask[Nothing]) -> DeviceList:
    """Every camera one may know of."""
    return DeviceList(items=[device_out(card) for card in await ask.parts.devices.all(ask.viewer)])


@reads(f"/devices/{_ID}", query=Nothing, answer=DeviceOut)
async def read_device(ask: Ask[Nothing]) -> DeviceOut:
    """One camera."""
    return device_out(await ask.parts.devices.get(ask.viewer, ask.part("id")))


@writes("POST", "/devices", body=NewDevice, answer=DeviceOut, rules=Rules(scope="write", status=201))
async def add_device(ask: Ask[NewDevice]) -> DeviceOut:
    """Name a camera. Only an admin can."""
    return device_out(await ask.parts.devices.add(ask.viewer, ask.given.id, setting=_setting(ask.given)))


@writes("PATCH", f"/devices/{_ID}", body=DeviceSetting, answer=DeviceOut)
async def change_device(ask: Ask[DeviceSetting]) -> DeviceOut:
    """Name it, say where it is, who may see what it takes and what machines may use it for."""
    return device_out(await ask.parts.devices.change(ask.viewer, ask.part("id"), setting=_setting(ask.given)))


ROUTES = (list_devices, read_device, add_device, change_device)


def device_out(card: DeviceCard) -> DeviceOut:
    """A camera as JSON has it."""
    device = card.device
    return DeviceOut(
        id=device.id,
        name=device.name,
        room=device.room,
        owner=device.owner,
        privacy=device.privacy,
        ai_usage=device.ai_usage,
        lane=card.lane,
        topic=Devices.topic_of(device.id),
        state=card.state,
        since=instant(card.since_us),
        look=card.look,
        sight=None
        if card.sight is None
        else SightOut(what=card.sight.what, since=instant(card.sight.since_us), memory=card.sight.uid),
        first_seen_at=instant(device.first_seen_us),
        last_seen_at=instant(device.last_seen_us),
        last_memory=None if card.last_memory is None else card.last_memory.capture.uid,
        frames_today=card.frames_today,
        lost_today=card.lost_today,
        battery_percent=card.battery_percent,
        mains=card.mains,
        rssi_dbm=card.rssi_dbm,
        card_fill=card.card_fill,
        card_waiting=card.card_waiting,
        clock_error_us=card.clock_error_us,
        firmware=card.firmware,
        board=card.board,
        last_ack_at=None if card.last_ack_us is None else instant(card.last_ack_us),
        last_sequence=card.last_sequence,
        clock_unknown=card.clock_unknown,
        quarantined=card.quarantined,
        card_faults=card.card_faults,
        wakes_at=None if card.wakes_at_us is None else instant(card.wakes_at_us),
        pairing=card.pairing,
    )


def _setting(given: DeviceSetting) -> Setting:
    return Setting(given.name, given.room, given.privacy, given.ai_usage)
