"""What a paired camera is told to do, what it answered, and the firmware that it fetches."""

from __future__ import annotations

import asyncio
from typing import Literal

from aiohttp import web
from pydantic import Field

from gateway import releases
from gateway.cameras import About, UpdateAsked
from gateway.entities import Role
from gateway.errors import Forbidden, NotFound, Rejected
from gateway.releases import Manifest
from gateway.shapes import Shape, instant
from gateway.store.firmware import Image
from gateway.store.paired import Command
from gateway.tuning import Tuning
from gateway.web.api.pairing import door, place_of
from gateway.web.parts import Parts
from gateway.web.route import Ask, Model, Nothing, Rules, reads, writes

_ID = "{id:[a-z0-9-]{1,64}}"
_CLOCK = r"^(([01]\d|2[0-3]):[0-5]\d)?$"
PASSWORD_HEADER = "X-Hearthlog-Device-Password"  # noqa: S105  a header's name
FOLDER = "firmware"


class TuningIn(Model):
    """What a camera does. What is absent goes back to the firmware's own."""

    every_s: int = Field(default=10, ge=1, le=86_400, description="Seconds between pictures")
    quality: int = Field(default=12, ge=4, le=63, description="Less is better")
    motion: bool = Field(default=False, description="Keep only what moves")
    still_s: int = Field(default=600, ge=0, le=86_400, description="With motion: keep one this often all the same")
    privacy: bool = Field(default=False, description="Take nothing")
    quiet_from: str = Field(default="", pattern=_CLOCK, description="HH:MM of the home's day; empty: no quiet hours")
    quiet_to: str = Field(default="", pattern=_CLOCK)


class TuningOut(Shape):
    """As set; the camera's own until somebody set it."""

    every_s: int
    quality: int
    motion: bool
    still_s: int
    privacy: bool
    quiet_from: str
    quiet_to: str


class CommandIn(Model):
    """Something to do, once."""

    cmd: Literal["identify", "snapshot", "restart", "update", "forget"]
    version: str = Field(default="", max_length=17, description="With `update`: which; empty: the newest")
    allow_downgrade: bool = Field(
        default=False, description="With `update`: also one that is no newer than what it runs"
    )


class CommandOut(Shape):
    """Something a camera was asked to do."""

    id: str
    cmd: str
    at: str
    expires_at: str
    state: Literal["waiting", "done", "failed", "expired"]
    code: str = Field(description="Why it failed; empty otherwise")


class CameraOut(Shape):
    """A paired camera."""

    device: str
    hardware: str
    board: str
    paired_at: str
    revoked_at: str | None
    tuning: TuningOut
    commands: list[CommandOut]
    update: str | None = Field(description="A newer firmware's version; null when there is none")
    others: list[str] = Field(description="Versions there are that are no newer than what it runs, the newest first")


class FirmwareQuery(Model):
    """Which image."""

    version: str = Field(default="", max_length=17, description="Empty: the newest")


class FirmwareIn(Model):
    """An image that lies in the data folder."""

    board: str = Field(max_length=32)
    version: str = Field(max_length=17)
    size: int
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    signature: str = Field(max_length=releases.MAX_SIGNATURE)


class FirmwareOut(Shape):
    """An image that cameras can be given."""

    board: str
    version: str
    size: int
    sha256: str
    added_at: str


class FirmwareList(Shape):
    """By board, the newest version first."""

    items: list[FirmwareOut]


@reads(f"/devices/{_ID}/camera", query=Nothing, answer=CameraOut)
async def read_camera(ask: Ask[Nothing]) -> CameraOut:
    """What a paired camera was told, and what it answered."""
    return camera_out(_paired(await door(ask.parts).about(ask.viewer, ask.part("id"))), ask.parts.clock())


@writes("PUT", f"/devices/{_ID}/tuning", body=TuningIn, answer=CameraOut)
async def tune_device(ask: Ask[TuningIn]) -> CameraOut:
    """How often, how fine, and when not."""
    tuning = _tuning(ask.given)
    return camera_out(await door(ask.parts).tune(ask.viewer, ask.part("id"), tuning), ask.parts.clock())


@writes("POST", f"/devices/{_ID}/commands", body=CommandIn, answer=CommandOut, rules=Rules(scope="write", status=202))
async def command_device(ask: Ask[CommandIn]) -> CommandOut:
    """Ask a camera to do something; `read_camera` tells what became of it."""
    place = place_of(ask.parts, ask.request)
    update = UpdateAsked(place, ask.given.version, ask.given.allow_downgrade)
    made = await door(ask.parts).command(ask.viewer, ask.part("id"), ask.given.cmd, update=update)
    return command_out(made, ask.parts.clock())


@reads(
    f"/devices/{_ID}/firmware",
    query=FirmwareQuery,
    answer=Nothing,
    rules=Rules(scope="", media=("application/octet-stream",)),
)
async def device_firmware(ask: Ask[FirmwareQuery]) -> web.StreamResponse:
    """An image for a camera's board, for that camera: its MQTT password in `X-Hearthlog-Device-Password`."""
    cameras, device = door(ask.parts), ask.part("id")
    password = ask.request.headers.get(PASSWORD_HEADER, "")
    if not 0 < len(password) <= 128 or not await cameras.opens(device, password):
        raise Forbidden("this password opens nothing", code="wrong-password")
    image = await cameras.image_for(device, ask.given.version)
    path = None if image is None else releases.image_path(ask.parts.settings.home / FOLDER, image.sha256)
    if path is None or not await asyncio.to_thread(path.is_file):
        raise NotFound("there is no firmware for this camera")
    return web.FileResponse(path, headers={"Content-Type": "application/octet-stream"})


@reads("/firmware", query=Nothing, answer=FirmwareList)
async def list_firmware(ask: Ask[Nothing]) -> FirmwareList:
    """Images that cameras can be given. For admins."""
    return FirmwareList(items=[_firmware_out(each) for each in await door(ask.parts).images(ask.viewer)])


@writes("POST", "/firmware", body=FirmwareIn, answer=FirmwareOut, rules=Rules(scope="write", status=201))
async def add_firmware(ask: Ask[FirmwareIn]) -> FirmwareOut:
    """Offer an image that was put into the data folder. Only on the console: `hearthlog devices firmware add`."""
    if not ask.caller.console or ask.viewer.role is not Role.ADMIN:
        raise Forbidden("firmware is added on the box itself", hint="hearthlog devices firmware add")
    given, parts = ask.given, ask.parts
    manifest = Manifest(given.board, given.version, given.size, given.sha256)
    await asyncio.to_thread(_check_image, parts, manifest, given.signature)
    image = Image(given.board, given.version, given.size, given.sha256, given.signature, parts.clock())
    await door(parts).add_image(ask.viewer, image)
    return _firmware_out(image)


ROUTES = (read_camera, tune_device, command_device, device_firmware, list_firmware, add_firmware)


def camera_out(about: About, now_us: int) -> CameraOut:
    """A paired camera as JSON has it."""
    paired, tuning = about.paired, about.tuning
    quiet = ("", "") if tuning.quiet is None else (clock_text(tuning.quiet[0]), clock_text(tuning.quiet[1]))
    return CameraOut(
        device=paired.device,
        hardware=paired.hardware,
        board=paired.board,
        paired_at=instant(paired.paired_at_us),
        revoked_at=None if paired.revoked_at_us is None else instant(paired.revoked_at_us),
        tuning=TuningOut(
            every_s=tuning.every_s,
            quality=tuning.quality,
            motion=tuning.motion,
            still_s=tuning.still_s,
            privacy=tuning.privacy,
            quiet_from=quiet[0],
            quiet_to=quiet[1],
        ),
        commands=[command_out(each, now_us) for each in about.commands],
        update=about.newer[0].version if about.newer else None,
        others=[each.version for each in about.others],
    )


def command_out(command: Command, now_us: int) -> CommandOut:
    """A command as JSON has it."""
    return CommandOut(
        id=command.id,
        cmd=command.cmd,
        at=instant(command.at_us),
        expires_at=instant(command.expires_us),
        state=command_state(command, now_us),
        code=command.code,
    )


def command_state(command: Command, now_us: int) -> Literal["waiting", "done", "failed", "expired"]:
    """What became of it."""
    if command.answered_at_us is not None:
        return "done" if command.ok else "failed"
    return "waiting" if now_us < command.expires_us else "expired"


def clock_text(minute: int) -> str:
    """`HH:MM`."""
    return f"{minute // 60:02}:{minute % 60:02}"


def _tuning(given: TuningIn) -> Tuning:
    if bool(given.quiet_from) is not bool(given.quiet_to):
        raise Rejected("quiet hours need a beginning and an end", code="bad-tuning")
    quiet = (_minute(given.quiet_from), _minute(given.quiet_to)) if given.quiet_from else None
    return Tuning(
        every_s=given.every_s,
        quality=given.quality,
        motion=given.motion,
        still_s=given.still_s,
        privacy=given.privacy,
        quiet=quiet,
    )


def _minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _paired(about: About | None) -> About:
    if about is None:
        raise NotFound("this camera is not paired")
    return about


def _check_image(parts: Parts, manifest: Manifest, signature: str) -> None:
    folder = parts.settings.home / FOLDER
    manifest.check()
    releases.check_signature(manifest, signature, folder)
    if not releases.is_whole(releases.image_path(folder, manifest.sha256), manifest):
        raise NotFound("the image is not in the data folder, or is not whole")


def _firmware_out(image: Image) -> FirmwareOut:
    return FirmwareOut(
        board=image.board,
        version=image.version,
        size=image.size_bytes,
        sha256=image.sha256,
        added_at=instant(image.added_at_us),
    )
