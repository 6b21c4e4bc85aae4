"""The gateway's side of the broker: two connections, so that neither lane can stall the other.

Records: clean start, QoS 0, bounded per device by credit, answered on `dn/ack`. Plain frames: a persistent session
whose messages are acknowledged to the broker once they are stored or refused, and not before.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import aiomqtt

from gateway import metrics
from gateway.config import Mqtt, MqttSource
from gateway.decoders import audio, image
from gateway.decoders.decoder import Decoder
from gateway.entities import TimeSource
from gateway.errors import HearthlogError, Rejected
from gateway.ingest.accept import Gate, Outcome, Receipt
from gateway.ingest.ack import AckDesk, messages, window
from gateway.ingest.broker import Address, Broker, Message, Refused, Session, parse_address
from gateway.ingest.clock import HELLO_ERROR_US
from gateway.ingest.control import Hello, read_hello, read_status, read_time_question, time_answer
from gateway.ingest.lane import Lane, Link
from gateway.ingest.topics import STATUS, Foreign, Up, Voice, down, read_topic, up_filter
from gateway.store import boots, devices
from gateway.store.boots import Tie
from gateway.store.db import Connection, Database

log = logging.getLogger(__name__)
T = TypeVar("T")

RECORD_MESSAGE_BYTES = 2 << 20
"""Twice the limit of a record, so that one a little too big can still be refused by name."""
PLAIN_MESSAGE_BYTES = 40 << 20
"""Times `receive_maximum` it is what the broker may put into memory here at once."""
AT_ONCE = 16
"""Records of one handful: checked in one go, sealed in one go, committed together."""
HANDFULS = 4
"""Handfuls in work at the same time: one is checked while others wait for the disk, for their commit, for cameras."""
HELD_BYTES = 64 << 20
"""Of records that wait or are worked on; what comes beyond is dropped and sent again by its device."""
OVER_CREDIT = 4
"""A device may overrun its credit this many times before its records are dropped."""
PLAIN_TRIES = 5
PLAIN_UNBOUND = 64
"""Plain frames sent at QoS 0 have no flow control: beyond this many at once they are dropped."""
FAREWELL_S = 2
_DECODERS: dict[str, Decoder] = {"image": image.DECODER, "audio": audio.DECODER}


class StillFailing(aiomqtt.MqttError):
    """A plain frame that could not be stored, try after try: the connection is closed, and the broker keeps it."""


@dataclass(frozen=True, slots=True)
class Times:
    """The clocks of this box."""

    now_us: Callable[[], int]
    synchronised: Callable[[], bool]
    """Whether `now_us` may be given to cameras."""


def accepts_unknown(settings: Mqtt, address: Address, *, paired: bool = False) -> bool:
    """Whether a device that nobody added may send: by choice, or while only this box can reach the broker and no
    camera was ever paired.
    """
    if settings.unknown_devices == "auto":
        return address.loopback and not paired
    return settings.unknown_devices == "accept"


class MqttIngest:
    """Both lanes. `run` belongs into a task group and never returns."""

    def __init__(self, gate: Gate, db: Database, settings: Mqtt, *, times: Times) -> None:
        address = parse_address(settings)
        self._records = _Records(gate, db, settings, address=address, times=times)
        self._plain = _Plain(gate, settings, address=address)

    @property
    def links(self) -> tuple[Link, Link]:
        """How the record lane and the plain lane stand."""
        return self._records.lane.link, self._plain.lane.link

    @property
    def refused(self) -> tuple[str, ...]:
        """Topics of sources that the broker does not let us have."""
        return self._plain.refused

    async def run(self) -> None:
        """Keep both connections, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._records.run(group), name="mqtt-records")
            group.create_task(self._plain.run(group), name="mqtt-plain")


class _Records:
    """The record lane, and what cameras say of themselves."""

    def __init__(self, gate: Gate, db: Database, settings: Mqtt, *, address: Address, times: Times) -> None:
        self._gate = gate
        self._db = db
        self._settings = settings
        self._times = times
        self._held: Counter[str] = Counter()
        self._held_bytes = 0
        self._came: asyncio.Queue[tuple[str, Message]] = asyncio.Queue()  # bounded by HELD_BYTES and OVER_CREDIT
        self._desk = AckDesk(self._credit)
        self._control: asyncio.Queue[tuple[Up, Message]] = asyncio.Queue(256)
        self.lane = Lane(
            "record",
            address,
            Session(
                identifier=f"{settings.client_id}-records",
                persistent=False,
                receive_maximum=64,
                expiry_s=0,
                max_message_bytes=RECORD_MESSAGE_BYTES,
                will=aiomqtt.Will(STATUS, _state("offline"), qos=1, retain=True),
            ),
            protocol=settings.protocol,
        )

    async def run(self, group: asyncio.TaskGroup) -> None:
        """`group` holds the records in work, which outlive a lost connection."""
        for n in range(HANDFULS):
            group.create_task(self._take_in(), name=f"records-{n}")
        await self.lane.run(self._use, self._take)

    async def _use(self, broker: Broker) -> None:
        await broker.subscribe(up_filter(Voice.RECORD), qos=0)
        for voice in (Voice.HELLO, Voice.EVENT):
            await broker.subscribe(up_filter(voice), qos=1)
        await broker.subscribe(up_filter(Voice.STATUS), qos=1, retained=True)
        await broker.publish(STATUS, _state("online"), qos=1, retain=True)

        async def send(answers: Sequence[tuple[str, bytes]]) -> None:
            await broker.publish_all([(down(device, "ack"), payload) for device, payload in answers])

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_while_there(broker, self._desk.run(send)), name="mqtt-acks")
                group.create_task(_while_there(broker, self._listen(broker)), name="mqtt-control")
                await broker.until_lost()
        finally:
            with contextlib.suppress(aiomqtt.MqttError, TimeoutError):  # a lost connection says it by its will
                async with asyncio.timeout(FAREWELL_S):
                    await broker.publish(STATUS, _state("offline"), qos=1, retain=True)

    def _take(self, message: Message) -> None:
        up = read_topic(message.topic, ())
        if not isinstance(up, Up):
            metrics.ignored.labels("bad-topic").inc()
        elif up.voice is not Voice.RECORD:
            if self._control.full():
                metrics.ignored.labels("control-flood").inc()
            else:
                self._control.put_nowait((up, message))
        elif message.retained:
            metrics.ignored.labels("retained").inc()
        elif (
            self._held_bytes + len(message.payload) > HELD_BYTES
            or self._held[up.device] >= self._settings.credit * OVER_CREDIT
        ):
            metrics.ignored.labels("over-credit").inc()
        else:
            self._came.put_nowait((up.device, message))
            self._held[up.device] += 1
            self._held_bytes += len(message.payload)

    async def _take_in(self) -> None:
        """Records that wait, by the handful, for ever."""
        while True:
            handful = [await self._came.get()]
            while len(handful) < AT_ONCE and not self._came.empty():
                handful.append(self._came.get_nowait())
            receipts: Sequence[Receipt] = ()
            try:
                receipts = await self._gate.accept_records([(device, message.payload) for device, message in handful])
            except Exception:  # a bug must not end both lanes: it is logged, counted, and the records come again
                log.exception("records failed", extra={"count": len(handful)})
                metrics.ignored.labels("internal-error").inc(len(handful))
            finally:
                for device, message in handful:
                    self._held_bytes -= len(message.payload)
                    self._held[device] -= 1
                    if not self._held[device]:
                        del self._held[device]
            for (device, message), receipt in zip(handful, receipts, strict=False):
                self._desk.add(device, receipt, arrived_s=message.arrived_s)

    def _credit(self) -> int:
        return window(self._settings.credit, ack_s=self._desk.lately_s, waiting=self._db.waiting)

    async def _listen(self, broker: Broker) -> None:
        while True:
            up, message = await self._control.get()
            try:
                match up.voice:
                    case Voice.HELLO if not message.retained:
                        await self._hello(broker, up.device, read_hello(message.payload))
                    case Voice.STATUS:
                        await self._status(up.device, message.payload, heard=not message.retained)
                    case Voice.EVENT if not message.retained:
                        await self._event(broker, up.device, message.payload)
                    case _:
                        metrics.ignored.labels("retained").inc()
            except Rejected as error:
                metrics.ignored.labels(error.code).inc()
                log.info("ignored", extra={"device": up.device, "code": error.code})
            except HearthlogError as error:
                log.warning("not answered", extra={"device": up.device, "code": error.code})

    async def _hello(self, broker: Broker, device: str, hello: Hello) -> None:
        """Say which of the records that a device still holds are here already."""
        for held in hello.spool:
            ranges = await self._db.read(
                partial(boots.stored_ranges, device=device, boot_id=held.boot_id, asked=(held.first, held.last))
            )
            for payload in messages(held.boot_id, ranges, [], credit=self._credit()):
                await broker.publish(down(device, "ack"), payload)
        if self._times.synchronised():
            tie = Tie(hello.mono_us, self._times.now_us(), HELLO_ERROR_US, TimeSource.DEVICE_ESTIMATE)
            await self._gate.tie(device, hello.boot_id, tie)

    async def _status(self, device: str, payload: bytes, *, heard: bool) -> None:
        status = read_status(payload or b"{}")

        def write(connection: Connection) -> None:
            found = devices.get(connection, device)
            if found is None:
                return
            kept = {name: found.status[name] for name in ("telemetry", "telemetry_order") if name in found.status}
            if found.status != {**status, **kept}:
                at_us = self._times.now_us()
                devices.set_status(connection, device, {**status, **kept}, at_us=at_us, heard=heard)

        await self._db.write(write)

    async def _event(self, broker: Broker, device: str, payload: bytes) -> None:
        t0_us = read_time_question(payload)
        if t0_us is None:
            metrics.ignored.labels("event").inc()
            return
        utc_us = self._times.now_us() if self._times.synchronised() else None
        await broker.publish(down(device, "time"), time_answer(t0_us, utc_us))


class _Plain:
    """The plain lane and the mapped topics of other firmware."""

    def __init__(self, gate: Gate, settings: Mqtt, *, address: Address) -> None:
        self._gate = gate
        self._settings = settings
        self.refused: tuple[str, ...] = ()
        """Topics of sources that the broker does not let us have."""
        self._group: asyncio.TaskGroup | None = None
        self._work: deque[tuple[Message, asyncio.Task[Receipt]]] = deque()
        self._some = asyncio.Event()
        self.lane = Lane(
            "plain",
            address,
            Session(
                identifier=f"{settings.client_id}-plain",
                persistent=True,
                receive_maximum=settings.receive_maximum,
                expiry_s=settings.session_expiry_s,
                max_message_bytes=PLAIN_MESSAGE_BYTES,
            ),
            protocol=settings.protocol,
        )

    async def run(self, group: asyncio.TaskGroup) -> None:
        """`group` holds the frames in work, which outlive a lost connection."""
        self._group = group
        await self.lane.run(self._use, self._take)

    async def _use(self, broker: Broker) -> None:
        try:
            for voice in (Voice.JPEG, Voice.WAV):
                await broker.subscribe(up_filter(voice), qos=1)
            self.refused = await _subscribe_sources(broker, self._settings.source)
            async with asyncio.TaskGroup() as group:
                group.create_task(_while_there(broker, self._acknowledge(broker)), name="mqtt-plain-acks")
                await broker.until_lost()
        finally:
            self._work.clear()  # of a session that is over; the broker delivers again what was not acknowledged

    def _take(self, message: Message) -> None:
        if message.qos == 0 and len(self._work) >= PLAIN_UNBOUND:
            metrics.ignored.labels("flood").inc()
        elif self._group is not None:
            task = _begin(self._group, self._one(message), name="plain-frame")
            if task is not None:
                self._work.append((message, task))
                self._some.set()

    async def _acknowledge(self, broker: Broker) -> None:
        """In the order in which they came."""
        while True:
            while self._work:
                message, task = self._work[0]
                receipt = await asyncio.shield(task)
                if receipt.outcome is Outcome.LATER:
                    broker.drop(StillFailing(receipt.reason))
                    return
                self._work.popleft()
                broker.acknowledge(message)
            self._some.clear()
            await self._some.wait()

    async def _one(self, message: Message) -> Receipt:
        target = read_topic(message.topic, self._settings.source)
        if target is None or (isinstance(target, Up) and target.voice not in (Voice.JPEG, Voice.WAV)):
            metrics.ignored.labels("bad-topic").inc()
            return Receipt(Outcome.REFUSED, code="bad-topic", reason="no device of ours speaks there")
        if message.retained:
            metrics.ignored.labels("retained").inc()
            return Receipt(Outcome.REFUSED, code="retained", reason="an old copy that the broker kept")
        name = target.decoder if isinstance(target, Foreign) else "audio" if target.voice is Voice.WAV else "image"
        receipt = Receipt(Outcome.LATER)
        for n in range(PLAIN_TRIES):
            try:
                receipt = await self._gate.accept_plain(
                    target.device,
                    message.payload,
                    decoder=_DECODERS[name],
                    source_name=message.topic[:255],
                    redelivered=message.redelivered or n > 0,
                )
            except Exception:  # a bug met by one frame must neither end both lanes nor come back for ever
                log.exception("frame failed", extra={"device": target.device})
                metrics.rejected.labels("plain", "internal-error").inc()
                return Receipt(Outcome.REFUSED, code="internal-error", reason="the gateway failed on this frame")
            if receipt.outcome is not Outcome.LATER:
                return receipt
            await asyncio.sleep(0.25 * 2**n)
        return receipt


async def _subscribe_sources(broker: Broker, sources: Sequence[MqttSource]) -> tuple[str, ...]:
    """One that is refused must not keep the other cameras out. Returns the topics of those that are."""
    refused = []
    for source in sources:
        try:
            await broker.subscribe(source.topic, qos=1)
        except Refused:
            log.warning("source refused", extra={"topic": source.topic})
            refused.append(source.topic)
    return tuple(refused)


def _begin(group: asyncio.TaskGroup, work: Coroutine[None, None, T], *, name: str) -> asyncio.Task[T] | None:
    """Start work in the group; None when the group is ending: what comes then is sent again to the next run."""
    try:
        return group.create_task(work, name=name)
    except RuntimeError:
        work.close()
        metrics.ignored.labels("stopping").inc()
        return None


async def _while_there(broker: Broker, work: Coroutine[None, None, None]) -> None:
    """`work` for as long as there is a connection; that it is lost is `until_lost`'s to tell."""
    try:
        await work
    except aiomqtt.MqttError as error:
        broker.drop(error)
    except TimeoutError:
        broker.drop(aiomqtt.MqttError("the broker does not answer"))


def _state(state: str) -> bytes:
    return json.dumps({"state": state}).encode()
