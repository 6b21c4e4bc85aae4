"""Owning cameras: the door by which one comes in by a code, is told what to do, and is put out again.

`devices` shows how cameras are; what changes who may speak to this home goes through here, and each attempt leaves a
line in the audit. Order of a pairing: the broker learns the credential, then the row is written, then the camera is
told: what breaks off in between leaves a credential that nobody has, and the next connection clears it away.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from gateway.attempts import Attempts
from gateway.config import Mqtt
from gateway.entities import Device, Json, Role, Viewer
from gateway.errors import Conflict, Forbidden, HearthlogError, NotFound, Rejected, Retryable
from gateway.ingest.desk import CameraDesk, Control, Denial, Heard, Result
from gateway.ingest.dynsec import HOME_ASSISTANT
from gateway.ingest.reach import Reach, client_id_of, reach_of
from gateway.pairing import Claim, Grant, Offer, Opener, Pairing
from gateway.store import audit, devices, firmware, paired
from gateway.store.audit import Line
from gateway.store.db import Connection, Database
from gateway.store.firmware import Image
from gateway.store.paired import Command, Paired
from gateway.tuning import Tuning

log = logging.getLogger(__name__)

COMMAND_S = 120
"""How long a command to a camera that is awake may take; one that sleeps hears it when it wakes, so it has longer."""
SLEEPER_S = 86_400
_DENIED_EVERY_US = 60_000_000
_PLACES = 256
_OFFSET_S = 900.0
_COMMANDS = frozenset({"identify", "snapshot", "restart", "update", "forget"})
_ADMINS = frozenset({"update", "forget"})
_HINTS: dict[Control, str] = {
    "absent": "This broker has no dynamic security: set it up with `hearthlog broker setup`, or ask for a password by"
    " hand and set mqtt.control to off",
    "open": "This broker lets everyone do everything: set its default access to deny, or set it up with"
    " `hearthlog broker setup`",
    "off": "mqtt.control is off: this home gives its cameras their passwords by hand",
    "down": "The broker cannot be reached now",
}


@dataclass(frozen=True, slots=True)
class Told:
    """What a camera that came in is told, and nobody after."""

    device: str
    password: str
    client_id: str
    reach: Reach


@dataclass(frozen=True, slots=True)
class About:
    """A paired camera as its page shows it."""

    paired: Paired
    tuning: Tuning
    commands: tuple[Command, ...]
    newer: tuple[Image, ...]
    """Firmware for its board that is newer than what it says it runs, the newest first; none when it never said."""
    others: tuple[Image, ...]
    """The rest of it."""


@dataclass(frozen=True, slots=True)
class UpdateAsked:
    """Which firmware a camera is to have."""

    place: str = ""
    """`host:port` where it fetches it."""
    version: str = ""
    """Empty: the newest there is."""
    allow_downgrade: bool = False
    """Also one that is no newer than what it runs."""


_NEWEST = UpdateAsked()


class Cameras:
    """Made once by the app. `run` keeps the connection to the broker and belongs into a task."""

    def __init__(self, db: Database, settings: Mqtt, *, clock: Callable[[], int], zone: str) -> None:
        self._db = db
        self._settings = settings
        self._clock = clock
        self._zone = zone
        self._turn = asyncio.Lock()
        self._denied_us: dict[str, int] = {}
        self._attempts = Attempts()
        self.pairing = Pairing()
        self.desk = CameraDesk(settings)
        self.any_paired = False
        """Whether a camera was ever paired: from then on nobody comes in unasked. Right after `look`."""
        self.when_first: Callable[[], None] = _nothing
        """Called once, when the first camera of this home was paired."""
        self.forgotten: frozenset[str] = frozenset()
        """Cameras that are paired here and have no credential at the broker: they have to be paired again."""

    async def run(self) -> None:
        """Keep the desk, for ever."""
        await self.look()
        async with asyncio.TaskGroup() as group:
            heard = Heard(self._connected, self._hello, self._result, self._denied)
            group.create_task(self.desk.run(heard), name="camera-desk")
            group.create_task(self._follow_zone(), name="camera-zone")

    async def look(self) -> None:
        """Learn from the database whether anything was ever paired."""
        self.any_paired = await self._db.read(paired.any_paired)

    @property
    def hint(self) -> str:
        """Why no camera can be paired now, and what helps; empty when one can."""
        return _HINTS.get(self.desk.control, "")

    async def open_window(self, viewer: Viewer, place: str) -> Offer:
        """A window for one camera, which will be the viewer's. `place` is `host:port` of this box.

        Raises Forbidden; Conflict (`pairing-impossible`) when this broker gives no credentials, with what helps.
        """
        _admin(viewer)
        if self.desk.control != "ready":
            raise Conflict("no camera can be paired now", code="pairing-impossible", hint=self.hint)
        offer = self.pairing.open(Opener(viewer.user, place))
        await self._audit(Line("pairing", "opened", self._clock(), person=viewer.user))
        return offer

    def window(self, viewer: Viewer) -> Offer | None:
        """The window as it stands; None when there is none. Raises Forbidden."""
        _admin(viewer)
        return self.pairing.offer

    async def close_window(self, viewer: Viewer) -> None:
        """No window. Raises Forbidden."""
        _admin(viewer)
        if self.pairing.offer is not None:
            self.pairing.close()
            await self._audit(Line("pairing", "closed", self._clock(), person=viewer.user))

    async def pair(self, claim: Claim, *, peer: str) -> Told:
        """A camera asks to come in. `peer` is the address it asks from, which may not try for ever.

        Raises Forbidden (`pairing-…`), Retryable (`pairing-later`, `too-many-tries`).
        """
        keys = (f"address:{peer}",)
        self._attempts.check(keys)
        async with self._turn:
            try:
                opener, grant = self.pairing.check(claim)
                if grant is None:
                    grant = await self._let_in(claim, opener)
            except HearthlogError as error:
                if isinstance(error, Forbidden):
                    self._attempts.failed(keys)
                about = f"{claim.board} {claim.hardware}"
                await self._audit(Line("pairing", error.code, self._clock(), place=peer, about=about))
                raise
        reach = reach_of(self._settings, opener.place)
        return Told(grant.device, grant.password, client_id_of(grant.device), reach)

    async def give_password(self, viewer: Viewer, device: str) -> Told:
        """A credential for another maker's camera, typed by hand; the one it had before is void.

        Raises Forbidden, NotFound, Conflict (`pairing-impossible`, or `paired` for one that has its own by pairing),
        Retryable (`pairing-later`).
        """
        _admin(viewer)
        if self.desk.control != "ready":
            raise Conflict("no password can be given now", code="pairing-impossible", hint=self.hint)
        password, now_us = secrets.token_urlsafe(18), self._clock()

        def look(connection: Connection) -> Device:
            row, before = devices.known(connection, viewer, device), paired.get(connection, device)
            if before is not None and before.hardware and before.secret is not None:
                raise Conflict("this camera got its password by pairing", code="paired", hint="Put it out first")
            return row

        async with self._turn:
            owner = (await self._db.read(look)).owner
            await self.desk.dynsec.admit(device, password=password, client_id=device)
            camera = paired.made(paired.BY_HAND, device, password, person=owner, at_us=now_us)

            def write(connection: Connection) -> None:
                paired.put(connection, camera)
                audit.write(connection, Line("password", "done", now_us, person=viewer.user, device=device))

            await self._db.write(write)
        self._came(device)
        return Told(device, password, device, reach_of(self._settings, ""))

    async def give_home_assistant(self, viewer: Viewer) -> tuple[str, str]:
        """(user, password) for Home Assistant at this broker; the password it had before is void.

        Raises Forbidden, Conflict (`pairing-impossible`), Retryable (`pairing-later`).
        """
        _admin(viewer)
        if self.desk.control != "ready":
            raise Conflict("no password can be given now", code="pairing-impossible", hint=self.hint)
        password = secrets.token_urlsafe(18)
        await self.desk.dynsec.admit_home_assistant(password)
        await self._audit(Line("password", "done", self._clock(), person=viewer.user, about=HOME_ASSISTANT))
        return HOME_ASSISTANT, password

    async def revoke(self, viewer: Viewer, device: str) -> bool:
        """A camera is of this home no more. Its memories stay. False: the broker is told once it is back; until then
        the gateway refuses what comes. Raises Forbidden, NotFound.
        """
        _admin(viewer)

        def write(connection: Connection) -> None:
            found = paired.get(connection, device)
            if found is None or found.revoked_at_us is not None:
                raise NotFound("no such camera is paired")
            paired.revoke(connection, device, at_us=self._clock())

        async with self._turn:
            await self._db.write(write)
            try:
                await self.desk.dynsec.expel(device)
                await self.desk.tell(device, "cfg", None, retain=True)
                outcome = "done"
            except Retryable:
                outcome = "later"
        await self._audit(Line("revoke", outcome, self._clock(), person=viewer.user, device=device))
        log.info("camera revoked", extra={"device": device, "outcome": outcome})
        return outcome == "done"

    async def about(self, viewer: Viewer, device: str) -> About | None:
        """What is known of a paired camera; None for one that never was. Raises NotFound."""

        def read(connection: Connection) -> About | None:
            row = devices.known(connection, viewer, device)
            found = paired.get(connection, device)
            if found is None:
                return None
            images = firmware.of_board(connection, found.board)
            runs = firmware.order_of(str(row.status.get("firmware", found.firmware)))
            newer = tuple(each for each in images if runs and firmware.order_of(each.version) > runs)
            return About(
                paired=found,
                tuning=Tuning.from_row(found.tuning),
                commands=tuple(paired.commands(connection, device)),
                newer=newer,
                others=tuple(images[len(newer) :]),
            )

        return await self._db.read(read)

    async def tune(self, viewer: Viewer, device: str, tuning: Tuning) -> About:
        """Set what a camera does; it hears of it at once, or when it is there again.

        Raises NotFound, Forbidden, Rejected (`bad-tuning`).
        """
        tuning.check()

        def write(connection: Connection) -> None:
            _own(connection, viewer, device)
            paired.tune(connection, device, tuning.as_row(), at_us=self._clock())

        await self._db.write(write)
        await self._tell_tuning(device, tuning)
        found = await self.about(viewer, device)
        assert found is not None
        return found

    async def command(self, viewer: Viewer, device: str, cmd: str, *, update: UpdateAsked = _NEWEST) -> Command:
        """Ask a camera to do something. Its answer is told in `about`. `update.place` is needed for `update`.

        Raises NotFound, Forbidden, Rejected (`unknown-command`), Conflict (`no-update`, `not-newer`).
        """
        if cmd not in _COMMANDS:
            raise Rejected("a camera knows no such command", code="unknown-command", hint=", ".join(sorted(_COMMANDS)))
        if cmd in _ADMINS:
            _admin(viewer)
        args: Json = {}
        if cmd == "update":
            args = update_args(device, _chosen(await self.about(viewer, device), update), update)
        now_us = self._clock()
        command = Command(secrets.token_hex(8), device, cmd, args, viewer.user, now_us, now_us)

        def write(connection: Connection) -> Command:
            row = _own(connection, viewer, device)
            lasts_s = SLEEPER_S if row.status.get("state") == "asleep" else COMMAND_S
            made = Command(command.id, device, cmd, args, viewer.user, now_us, now_us + lasts_s * 1_000_000)
            paired.put_command(connection, made)
            return made

        made = await self._db.write(write)
        if cmd in _ADMINS:
            about = f"{args['version']}{', older or not' if update.allow_downgrade else ''}" if args else ""
            await self._audit(Line("command", cmd, now_us, person=viewer.user, device=device, about=about))
        await self._send(made)
        return made

    async def opens(self, device: str, password: str) -> bool:
        """Whether this is the password of a camera that is paired."""
        found = await self._db.read(lambda c: paired.get(c, device))
        known = found.secret if found is not None and found.secret is not None else bytes(32)
        return hmac.compare_digest(hashlib.sha256(password.encode()).digest(), known)

    async def image_for(self, device: str, version: str = "") -> Image | None:
        """Firmware for a camera's board: of this version, or the newest."""

        def read(connection: Connection) -> Image | None:
            found = paired.get(connection, device)
            images = firmware.of_board(connection, found.board) if found is not None else []
            return next((each for each in images if version in ("", each.version)), None)

        return await self._db.read(read)

    async def images(self, viewer: Viewer) -> list[Image]:
        """All firmware. Raises Forbidden."""
        _admin(viewer)
        return await self._db.read(firmware.all_of)

    async def add_image(self, viewer: Viewer, image: Image) -> None:
        """Offer firmware that was checked. Raises Forbidden."""
        _admin(viewer)
        about = f"{image.board} {image.version}"
        line = Line("firmware", "added", image.added_at_us, person=viewer.user, about=about)

        def write(connection: Connection) -> None:
            firmware.put(connection, image)
            audit.write(connection, line)

        await self._db.write(write)

    async def lines(self, viewer: Viewer) -> list[Line]:
        """The newest lines of the audit. Raises Forbidden."""
        _admin(viewer)
        return await self._db.read(audit.newest)

    async def _let_in(self, claim: Claim, opener: Opener) -> Grant:
        device = await self._db.read(lambda c: paired.id_for(c, claim.hardware))
        password = secrets.token_urlsafe(32)
        now_us = self._clock()
        try:
            await self.desk.dynsec.admit(device, password=password, client_id=client_id_of(device))
        except Retryable as error:
            raise Retryable("the broker could not be told", code="pairing-later", retry_ms=2_000) from error
        camera = paired.made(claim, device, password, person=opener.person, at_us=now_us)

        def write(connection: Connection) -> None:
            paired.put(connection, camera)
            line = Line("pairing", "done", now_us, person=opener.person, device=device, about=claim.hardware)
            audit.write(connection, line)

        await self._db.write(write)
        self._came(device)
        grant = Grant(claim.nonce, claim.hardware, device, password)
        self.pairing.settle(grant)
        log.info("camera paired", extra={"device": device})
        return grant

    def _came(self, device: str) -> None:
        self.forgotten -= {device}
        if not self.any_paired:
            self.any_paired = True
            self.when_first()

    async def _connected(self) -> None:
        """Clear away at the broker what is paired no more, and tell every camera its settings again."""
        found = await self._db.read(paired.all_of)
        current = {each.device for each in found if each.secret is not None}
        if self.desk.control == "ready":
            async with self._turn:
                admitted = await self.desk.dynsec.admitted()
                self.forgotten = frozenset(current - admitted)
                for device in sorted(admitted - current):
                    await self.desk.dynsec.expel(device)
                    await self._audit(Line("revoke", "cleared", self._clock(), device=device))
        for each in found:
            if each.secret is not None and each.tuning:
                await self._tell_tuning(each.device, Tuning.from_row(each.tuning))

    async def _hello(self, device: str) -> None:
        """It is there again: what it was asked while it was not is asked now."""
        for command in await self._db.read(lambda c: paired.open_commands(c, device, now_us=self._clock())):
            await self._send(command)

    async def _result(self, device: str, result: Result) -> None:
        at_us = self._clock()
        await self._db.write(
            lambda c: paired.answer_command(c, device, result.command, result=(result.ok, result.code), at_us=at_us)
        )

    async def _denied(self, denial: Denial) -> None:
        now_us = self._clock()
        key = f"{denial.place} {denial.user} {denial.wanted.partition(' ')[0]}"
        if now_us - self._denied_us.get(key, -_DENIED_EVERY_US) < _DENIED_EVERY_US:
            return  # one that tries again and again is one line a minute
        if len(self._denied_us) >= _PLACES:
            self._denied_us.clear()
        self._denied_us[key] = now_us
        outcome = "not-allowed" if denial.wanted else "not-authorised"
        line = Line("broker", outcome, now_us, device=denial.user, place=denial.place, about=denial.wanted)
        await self._audit(line)

    async def _send(self, command: Command) -> None:
        ttl_ms = max(0, (command.expires_us - self._clock()) // 1_000)
        payload: Json = {
            "id": command.id,
            "cmd": command.cmd,
            "args": command.args,
            "expires_us": command.expires_us,
            "ttl_ms": ttl_ms,
        }
        try:
            await self.desk.tell(command.device, "cmd", payload)
        except Retryable:
            log.info("command waits for the broker", extra={"device": command.device})

    async def _tell_tuning(self, device: str, tuning: Tuning) -> None:
        try:
            await self.desk.tell(device, "cfg", tuning.on_wire(self._zone, self._clock()), retain=True)
        except Retryable:
            log.info("settings wait for the broker", extra={"device": device})  # told when it is back

    async def _follow_zone(self) -> None:
        """Quiet hours are the home's, the wire's are UTC: told again when the clocks change."""
        before = Tuning(quiet=(0, 1)).on_wire(self._zone, self._clock())
        while True:
            await asyncio.sleep(_OFFSET_S)
            now = Tuning(quiet=(0, 1)).on_wire(self._zone, self._clock())
            if now != before:
                before = now
                await self._connected()

    async def _audit(self, line: Line) -> None:
        await self._db.write(lambda c: audit.write(c, line))


def _nothing() -> None:
    pass


def update_args(device: str, image: Image, asked: UpdateAsked) -> Json:
    """The `args` of `update` (docs/wire.md)."""
    return {
        "url": f"https://{asked.place}/api/v1/devices/{device}/firmware?version={image.version}",
        "board": image.board,
        "version": image.version,
        "size": image.size_bytes,
        "sha256": image.sha256,
        "signature": image.signature,
        **({"allow_downgrade": True} if asked.allow_downgrade else {}),
    }


def _chosen(about: About | None, asked: UpdateAsked) -> Image:
    """Raises Conflict (`no-update`, `not-newer`)."""
    newer, others = (about.newer, about.others) if about is not None else ((), ())
    found = next((each for each in (*newer, *others) if asked.version in ("", each.version)), None)
    if found is None or (not asked.version and not newer and not asked.allow_downgrade):
        raise Conflict("there is no newer firmware for this camera", code="no-update")
    if found in others and not asked.allow_downgrade:
        raise Conflict(
            f"{found.version} is no newer than what this camera runs",
            code="not-newer",
            hint="Ask for it by allow_downgrade, if an older one is what you want",
        )
    return found


def _own(connection: Connection, viewer: Viewer, device: str) -> Device:
    """A camera that the viewer may tell what to do. Raises NotFound, Forbidden."""
    row = devices.known(connection, viewer, device)
    if viewer.role is not Role.ADMIN and viewer.user != row.owner:
        raise Forbidden("only its owner or an admin can do this")
    found = paired.get(connection, device)
    if found is None or found.secret is None:
        raise NotFound("this camera is not paired")
    return row


def _admin(viewer: Viewer) -> None:
    if viewer.role is not Role.ADMIN:
        raise Forbidden("only an admin may do this")
