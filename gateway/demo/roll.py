"""Everything one simulated camera has to send of the 24 hours: its boots, its records in order, what it lost.

The bytes of a record are made when they are asked for, and are the same each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import cbor2

from gateway.decoders.record import RecordKind, encode_record
from gateway.demo.home import SECOND_US, Home, Loss, Shot, Sound
from gateway.demo.render import jpeg, render
from gateway.demo.voice import RATE_HZ, listen
from gateway.entities import Json, RecordKey

CLOCKLESS = "driveway"
"""The camera whose clock is lost at night."""
SEQUENCE_BLOCK = 1_024
TELEMETRY_EVERY_US = 3 * 3_600 * SECOND_US
CLOCK_ERROR_US = 80_000
_MINUTE_US = 60 * SECOND_US
_EPOCH_US = 1_767_225_600_000_000
"""2026-01-01: sequences and boot counters are counted from here, so that they grow from run to run."""


@dataclass(frozen=True, slots=True)
class Boot:
    """One life of a camera between two power-ups."""

    counter: int
    boot_id: bytes
    from_us: int
    """UTC of its mono_us 0. The camera itself may not know."""
    clock_from_us: int | None
    """From when on it knows the time; absent when it never learns it."""

    def key(self, sequence: int, at_us: int) -> RecordKey:
        """The name of a record taken at an instant of this boot."""
        return RecordKey(self.boot_id, self.counter, sequence, max(0, at_us - self.from_us))


@dataclass(frozen=True, slots=True)
class Entry:
    """One record that waits to be made and sent."""

    key: RecordKey
    at_us: int
    kind: RecordKind
    meta: Json
    body: Callable[[], bytes] = field(repr=False)
    """Slow (it draws): call it in a thread."""
    live: bool = False
    again: bool = False
    """Sent a second time on purpose after it was acknowledged."""
    lost: int = 0
    """Frames that a gap record reports."""

    def once_more(self) -> Entry:
        """The same record, to be sent again without having been lost."""
        return replace(self, again=False)

    def encode(self) -> bytes:
        """The record's bytes. Blocks for as long as drawing takes."""
        return encode_record(kind=self.kind, key=self.key, meta=self.meta, body=self.body())


class Roll:
    """The records of one camera of a home. `entries` are those of the 24 hours; `live` makes more."""

    def __init__(self, home: Home, camera: str) -> None:
        self._home = home
        self.camera = camera
        self.boots = _boots(home, camera)
        self._next = (home.starts_at_us - _EPOCH_US) // _MINUTE_US * 16 // SEQUENCE_BLOCK * SEQUENCE_BLOCK
        self.spoken_missing = ""
        """Why spoken notes are missing, if they are."""
        self.entries: tuple[Entry, ...] = tuple(self._tell())

    @property
    def boot(self) -> Boot:
        """The boot that runs now."""
        return self.boots[-1]

    def live(self, at_us: int, clock_error_us: int) -> Entry:
        """A frame taken now."""
        shot = self._home.shot(self.camera, at_us)
        meta = {"utc_us": at_us, "utc_err_us": max(1, clock_error_us), **_exposure(shot)}
        key = self.boot.key(self._number(), at_us)
        return Entry(key, at_us, RecordKind.JPEG, meta, lambda: jpeg(render(shot.scene, shot.camera, at_us)), live=True)

    def mono_us(self, at_us: int) -> int:
        """Microseconds since the boot that runs now."""
        return at_us - self.boot.from_us

    def _tell(self) -> Iterator[Entry]:
        home, camera = self._home, self.camera
        tellers: list[tuple[int, Callable[[], Iterator[Entry]]]] = []
        frames = [shot for shot in home.shots if shot.camera == camera]
        for n, shot in enumerate(frames):
            tellers.append((shot.at_us, self._frame(shot, again=n % 29 == 11)))
        for n, sound in enumerate(home.sounds):
            if sound.camera == camera:
                tellers.append((sound.at_us, self._sound(sound, n)))
        for loss in home.losses:
            if loss.camera == camera:
                tellers.append((loss.to_us, self._gap(loss)))
        for n, at_us in enumerate(range(home.starts_at_us + 5 * _MINUTE_US, home.ends_at_us, TELEMETRY_EVERY_US)):
            tellers.append((at_us, self._telemetry(at_us, n)))
        for boot in self.boots:
            if boot.clock_from_us is not None and boot.clock_from_us > boot.from_us:
                tellers.append((boot.clock_from_us, self._anchor(boot, boot.clock_from_us)))
        boot_now = None
        for at_us, tell in sorted(tellers, key=lambda pair: pair[0]):
            boot = self._boot_at(at_us)
            if boot_now is not None and boot is not boot_now:
                self._next = (self._next // SEQUENCE_BLOCK + 1) * SEQUENCE_BLOCK
            boot_now = boot
            yield from tell()

    def _frame(self, shot: Shot, *, again: bool) -> Callable[[], Iterator[Entry]]:
        def tell() -> Iterator[Entry]:
            meta = {**self._clock(shot.at_us), **_exposure(shot)}
            key = self._boot_at(shot.at_us).key(self._number(), shot.at_us)
            yield Entry(key, shot.at_us, RecordKind.JPEG, meta, lambda: _picture(shot), again=again)

        return tell

    def _sound(self, sound: Sound, n: int) -> Callable[[], Iterator[Entry]]:
        def tell() -> Iterator[Entry]:
            heard = listen(sound.what, sound.words, seed=self._home.seed + n)
            self.spoken_missing = self.spoken_missing or heard.missing
            at_us = sound.at_us
            for piece in heard.pieces:
                boot = self._boot_at(at_us)
                first = (at_us - boot.from_us) * RATE_HZ // SECOND_US
                meta = {**self._clock(at_us), "rate_hz": RATE_HZ, "first_sample": first}
                yield Entry(boot.key(self._number(), at_us), at_us, RecordKind.AUDIO, meta, lambda p=piece: p)  # type: ignore[misc]  # binds the piece
                at_us += len(piece) // 2 * SECOND_US // RATE_HZ

        return tell

    def _gap(self, loss: Loss) -> Callable[[], Iterator[Entry]]:
        def tell() -> Iterator[Entry]:
            first = self._next
            self._next += loss.frames
            boot = self._boot_at(loss.from_us)
            body = cbor2.dumps(
                {
                    "ranges": [[first, first + loss.frames - 1]],
                    "why": loss.why,
                    "from_us": loss.from_us - boot.from_us,
                    "to_us": loss.to_us - boot.from_us,
                },
                canonical=True,
            )
            key = boot.key(self._number(), loss.to_us)
            yield Entry(key, loss.to_us, RecordKind.GAP, self._clock(loss.to_us), lambda: body, lost=loss.frames)

        return tell

    def _telemetry(self, at_us: int, n: int) -> Callable[[], Iterator[Entry]]:
        def tell() -> Iterator[Entry]:
            body = cbor2.dumps(vitals(self.camera, n), canonical=True)
            key = self._boot_at(at_us).key(self._number(), at_us)
            yield Entry(key, at_us, RecordKind.TELEMETRY, self._clock(at_us), lambda: body)

        return tell

    def _anchor(self, boot: Boot, at_us: int) -> Callable[[], Iterator[Entry]]:
        def tell() -> Iterator[Entry]:
            mono_us = at_us - boot.from_us
            pair = {"boot": boot.boot_id, "mono_us": mono_us, "utc_us": at_us, "err_us": CLOCK_ERROR_US}
            body = cbor2.dumps(pair, canonical=True)
            yield Entry(boot.key(self._number(), at_us), at_us, RecordKind.ANCHOR, {}, lambda: body)

        return tell

    def _clock(self, at_us: int) -> dict[str, int]:
        known_from_us = self._boot_at(at_us).clock_from_us
        if known_from_us is None or at_us < known_from_us:
            return {}
        return {"utc_us": at_us, "utc_err_us": CLOCK_ERROR_US}

    def _boot_at(self, at_us: int) -> Boot:
        return next((boot for boot in reversed(self.boots) if boot.from_us <= at_us), self.boots[0])

    def _number(self) -> int:
        self._next += 1
        return self._next - 1


def vitals(camera: str, n: int) -> dict[str, int | float]:
    """How a camera fares, as it tells it in telemetry and in its status."""
    start = 3_980 - 37 * (sum(camera.encode()) % 7)
    return {
        "battery_mv": max(3_400, start - 22 * n),
        "rssi_dbm": -48 - sum(camera.encode()) % 23 - n % 3,
        "spool_fill": 0.97 if camera == "porch" else round(0.04 + 0.01 * (n % 5), 2),
    }


def _picture(shot: Shot) -> bytes:
    return jpeg(render(shot.scene, shot.camera, shot.at_us))


def _exposure(shot: Shot) -> dict[str, int]:
    light = shot.scene.light
    level = max(0.04, light.day + 0.5 * light.lamp)
    return {"exposure_us": round(min(66_000, 9_000 / level)), "gain": round(min(16, 1 / level))}


def _boots(home: Home, camera: str) -> tuple[Boot, ...]:
    """One boot that began before the 24 hours and knows the time; the clockless camera browns out in the night."""
    counter = (home.ends_at_us - _EPOCH_US) // (3_600 * SECOND_US) * 4
    lives: list[tuple[int, int | None]] = [(home.starts_at_us - 3 * 3_600 * SECOND_US, 0)]
    if camera == CLOCKLESS:
        outage_us, back_us, told_us = home.outage
        lives += [(outage_us, None), (back_us, told_us)]
    found = []
    for n, (from_us, clock_us) in enumerate(lives):
        seed = f"{home.seed}/{home.ends_at_us}/{camera}/{n}".encode()
        known = None if clock_us is None else max(clock_us, from_us)
        found.append(Boot(counter + n, hashlib.sha256(seed).digest()[:8], from_us, known))
    return tuple(found)
