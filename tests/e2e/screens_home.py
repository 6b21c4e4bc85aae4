"""A day in a drawn house behind the real web application, for tests that look at it with a browser.

The pictures are drawn by the demo; what is said of them is written down here as steps would, so that no model is
needed. The clock stands at 18:42.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import math
import struct
import threading
import wave
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from aiohttp import web

from gateway.demo.home import Home, Shot, TruthFrame
from gateway.demo.render import jpeg, render
from gateway.entities import (
    AiUsage,
    Annotation,
    CapturedAt,
    Decoded,
    Duplicate,
    DuplicateKind,
    Kind,
    Lane,
    Privacy,
    Provenance,
    RecordKey,
    Stored,
    TimeSource,
)
from gateway.inference.models import Models
from gateway.inference.workers import open_workers
from gateway.store import devices, understood
from gateway.store.arrivals import Arrival
from gateway.store.db import Connection
from gateway.web.app import make_app
from tests import web_house
from tests.web_house import WORDS, WebHouse, open_web_house

ZONE = "Europe/Stockholm"
BOOT = bytes.fromhex("0011223344556677")
NAMES = {
    "kitchen": "Kitchen",
    "hall": "Hall",
    "living-room": "Living room",
    "porch": "Porch",
    "driveway": "Driveway",
}
ACTS = {None, "a fox crosses", "breakfast", "a parcel is left", "the parcel is taken in", "coats off", "supper"}
"""What is told of the demo's day; None: the still frames between."""
T = TypeVar("T")


def us(hour: int, minute: int = 0, second: int = 0, *, day: int = 24) -> int:
    """An instant of that September in the home's zone."""
    return int(datetime(2026, 9, day, hour, minute, second, tzinfo=ZoneInfo(ZONE)).timestamp() * 1_000_000)


NOW_US = us(18, 42)


@dataclass
class Screens:
    """A house that a browser can visit, and a way to do something in it meanwhile."""

    url: str
    house: WebHouse
    loop: asyncio.AbstractEventLoop
    uids: dict[str, str] = field(default_factory=dict)
    """What the story names: `parcel`, `note`, `sound`, `still`, and `front`, which `still` repeats."""

    def do(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do it on the house's own loop."""

        async def run() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(60)


@contextmanager
def open_screens(home: Path, *, seeded: bool = True) -> Iterator[Screens]:
    """The house, served from a thread of its own for as long as the block lasts."""
    web_house._now_us = lambda: NOW_US
    ready: list[Screens] = []
    told, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            house = await stack.enter_async_context(open_web_house(home))
            settings = house.parts.settings
            settings = replace(settings, clock=replace(settings.clock, zone=ZONE))
            workers = await stack.enter_async_context(open_workers(Models(home)))
            house.parts = replace(house.parts, settings=settings, workers=workers)
            uids = await seed(house) if seeded else {}
            runner = web.AppRunner(
                make_app(house.parts), handle_signals=False, handler_cancellation=True, shutdown_timeout=1
            )
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            follow = asyncio.create_task(house.index.follow(), name="index")
            stack.callback(follow.cancel)
            port = runner.addresses[0][1]
            ready.append(Screens(f"http://127.0.0.1:{port}", house, loop, uids))
            told.set()
            await stop.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        finally:
            told.set()
            loop.close()

    thread = threading.Thread(target=run, name="screens")
    thread.start()
    told.wait(90)
    try:
        assert ready, "the house did not open"
        yield ready[0]
    finally:
        if ready:
            loop.call_soon_threadsafe(stop.set)
        thread.join(20)


async def seed(house: WebHouse) -> dict[str, str]:
    """A day of the demo's house up to 18:42."""
    await house.nora()
    teller = _Teller(house)
    await house.db.write(_cameras)
    home = Home(1, ends_at_us=NOW_US, zone=ZONE)
    for shot, truth in zip(home.shots, home.truth(), strict=True):
        if shot.at_us >= us(0):
            await teller.shoot(shot, truth)
    await teller.add_sounds_and_notes()
    await house.db.write(teller.losses)
    await house.index.catch_up()
    await house.parts.health.look(await house.nora())
    return teller.uids


def _cameras(connection: Connection) -> None:
    for device, name in NAMES.items():
        devices.add(connection, device, lane=Lane.RECORD, at_us=us(0), added=True)
        connection.execute(
            "UPDATE device SET name = ?, room = ?, privacy = 'circle', lane = 'record' WHERE id = ?",
            (name, name, device),
        )
        status = {"firmware": "1.4.2", "board": "XIAO ESP32S3", "battery_percent": 78, "rssi_dbm": -61}
        if device == "porch":
            status |= {"spool_fill": 0.96, "spool_waiting": 386, "rssi_dbm": -74}
        devices.set_status(connection, device, status if device != "living-room" else {}, at_us=NOW_US - 8_000_000)


class _Teller:
    """Takes in one picture after another and says of each what a step would."""

    def __init__(self, house: WebHouse) -> None:
        self.house = house
        self.uids: dict[str, str] = {}
        self.sequence = 48_000
        self.seen = 0
        self.drawn: dict[tuple[str, str], bytes] = {}
        self.standing: dict[str, str] = {}

    async def shoot(self, shot: Shot, truth: TruthFrame) -> None:
        act = shot.event or ("night" if shot.scene.light.night_vision else "day")
        self.seen += 1
        if shot.event not in ACTS or (shot.event is None and self.seen % 3):  # drawing takes its time
            return
        body = self.drawn.get((shot.camera, act))
        if body is None:
            body = await asyncio.to_thread(lambda: jpeg(render(shot.scene, shot.camera, shot.at_us)))
            self.drawn[shot.camera, act] = body
        self.sequence += 1
        body = body[:2] + b"\xff\xfe" + struct.pack(">H", 10) + struct.pack(">Q", self.sequence) + body[2:]
        uid = await self.take(body, shot.at_us, device=shot.camera)
        copy, before = None, self.standing.get(shot.camera, "")
        if truth.still and shot.camera in self.standing:
            kept = await self.number(self.standing[shot.camera])
            copy = Duplicate(DuplicateKind.STATIC, kept, {"cells": 0.0, "distance": 2, "apart_us": 1_500_000_000})
        else:
            self.standing[shot.camera] = uid
        things = [name for name in truth.objects if name != "dining table"]
        said = " and ".join(things[:2]) or "empty room"
        caption = f"A {said}" + (f". It reads “{truth.labels[0]}”." if truth.labels else ".")
        boxes = [
            {"label": name, "score": 0.88 - n / 10, "x": 0.06 + n * 0.3, "y": 0.42, "w": 0.26, "h": 0.4}
            for n, name in enumerate(things[:3])
        ]
        lines = [{"text": text, "score": 0.97, "x": 0.5, "y": 0.62, "w": 0.16, "h": 0.06} for text in truth.labels]
        measured = Annotation(data={"width_px": 800, "height_px": 600})
        told = [("quality", measured, "pixels", 9.0), ("dedupe", Annotation(data={}, duplicate=copy), "", 14.0)]
        if copy is None:
            text = "\n".join(truth.labels)
            told.append(("detect", Annotation(data={"boxes": boxes}, tags=tuple(things)), "yolox-nano", 61.0))
            told.append(("ocr", Annotation(data={"lines": lines}, text=text), "rapidocr", 210.0))
            told.append(("caption", Annotation(caption=caption), "", 1.0))
        await self.say(uid, *told)
        if shot.event == "a parcel is left":
            self.uids["parcel"] = uid
        if shot.event == "breakfast" and "breakfast" not in self.uids:
            self.uids["breakfast"] = uid
            turned = {"camera_turned": True, "compared_with": before}
            await self.say(uid, ("dedupe", Annotation(data=turned), "", 14.0))
        if copy is not None:
            self.uids["still"] = uid
            self.uids["front"] = self.standing[shot.camera]

    async def add_sounds_and_notes(self) -> None:
        words = "The books came. Nora, yours is on the kitchen table."
        told = [
            {"word": word, "start_us": 400_000 * n, "end_us": 400_000 * n + 300_000, "confidence": 0.8}
            for n, word in enumerate(words.split())
        ]
        uid = await self.take(_tone(4.0), us(12, 52), device="hall", kind=Kind.AUDIO, media_type="audio/wav")
        event = {"label": "Doorbell", "score": 0.94, "start_us": 100_000, "end_us": 900_000}
        heard = Annotation(data={"events": [event]}, tags=("Doorbell",))
        spoken = Annotation(data={"words": told}, transcript=words)
        turns = [(0, 1_150_000, "S1"), (1_150_000, 4_000_000, "S2")]
        talk = {"turns": [{"start_us": a, "end_us": b, "speaker": who} for a, b, who in turns], "speakers": 2}
        voices = ("speakers", Annotation(data=talk), "campplus", 120.0)
        await self.say(uid, ("sound", heard, "yamnet", 80.0), ("asr", spoken, "vosk-small-en", 300.0), voices)
        self.uids["sound"] = uid
        note = "Books by Thursday, I hope. Ask next door about the kite."
        uid = await self.take(note.encode(), us(13, 20), device=None, kind=Kind.TEXT, media_type="text/plain")
        await self.say(uid, ("note", Annotation(text=note), "", 1.0))
        self.uids["note"] = uid

    def losses(self, connection: Connection) -> None:
        connection.execute(
            "INSERT INTO gap(device, boot_id, first, last, reason, from_us, to_us) VALUES (?,?,?,?,?,?,?)",
            ("porch", BOOT, 148_211, 148_224, "card-full", us(17, 20), us(17, 52)),
        )
        connection.execute(
            "INSERT INTO refusal(device, lane, source_name, code, reason, hint, body_bytes, at_us)"
            " VALUES ('porch','record','','bad-jpeg','the picture ends too early','The camera keeps it aside',7,?)",
            (us(14, 12),),
        )
        connection.execute(
            "INSERT OR REPLACE INTO job(capture, step, state, priority, tries, queued_at_us, code, reason, hint)"
            " SELECT id, 'caption', 'dead', 1, 3, ?, 'worker-failed', 'ran out of memory 3 times',"
            " 'Raise the limit, then try again' FROM capture WHERE uid = ?",
            (us(7, 51), self.uids["breakfast"]),
        )
        connection.execute("DELETE FROM job WHERE state <> 'dead' AND id > 6")

    async def take(
        self, body: bytes, at_us: int, *, device: str | None, kind: Kind = Kind.IMAGE, media_type: str = "image/jpeg"
    ) -> str:
        """Take something in; its uid."""
        self.sequence += 1
        sha256 = hashlib.sha256(body).digest()
        picture = kind is Kind.IMAGE
        decoded = Decoded(
            kind,
            media_type,
            body,
            sha256,
            800 if picture else None,
            600 if picture else None,
            4_000_000 if kind is Kind.AUDIO else None,
        )
        record = RecordKey(BOOT, 1, self.sequence, at_us - us(0)) if device else None
        arrival = Arrival(
            decoded=decoded,
            owner=self.house.owner,
            privacy=Privacy.CIRCLE,
            ai_usage=AiUsage.CHAT,
            captured_at=CapturedAt(at_us, TimeSource.DEVICE_SYNCED, 80_000, ZONE),
            received_at_us=at_us + 1_900_000,
            lane=Lane.RECORD if device else Lane.UPLOAD,
            device=device,
            record=record,
            record_hash=sha256 if record else b"",
            source_name="" if device else "kitchen-note.txt",
        )
        return (await self.house.spool.put(arrival)).uid

    async def say(self, uid: str, *told: tuple[str, Annotation, str, float]) -> None:
        """What steps answered: step, answer, model (empty: none), milliseconds."""
        number = await self.number(uid)

        def write(connection: Connection) -> None:
            for step, note, model, took_ms in told:
                made = replace(note, provenance=Provenance(model, "1", "p") if model else Provenance())
                understood.put_annotation(
                    connection, Stored(number, step, 2, f"f-{step}", NOW_US, took_ms, made, "", "", "")
                )
            understood.touch(connection, number, at_us=NOW_US)

        await self.house.db.write(write)

    async def number(self, uid: str) -> int:
        """The row of a memory."""
        return await self.house.db.read(
            lambda c: int(c.execute("SELECT id FROM capture WHERE uid = ?", (uid,)).fetchone()[0])
        )


def _tone(length_s: float) -> bytes:
    """A sound that swells and fades, 16 kHz."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        total = int(16_000 * length_s)
        samples = (
            int(9_000 * math.sin(n / 12) * abs(math.sin(n / total * 3 * math.pi)) ** 2 * (0.4 + 0.6 * (n // 900 % 2)))
            for n in range(total)
        )
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return out.getvalue()


__all__ = ["NOW_US", "WORDS", "Screens", "open_screens", "us"]
