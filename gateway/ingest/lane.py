"""One of the gateway's two connections: kept open for ever, whatever the broker does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import aiomqtt

from gateway import metrics
from gateway.config import Mqtt
from gateway.ingest.broker import ANSWER_S, Address, Broker, Message, Refused, Session, connect, parse_address

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
TRY_S = 3.0
"""How long a broker may think about MQTT 5, or 3.1.1, before the other is tried; until one was understood."""
STEADY_S = 5.0
"""A connection that stood this long was a good one: the next wait begins small again."""

Protocol = Literal["auto", "5", "3.1.1"]


@dataclass(frozen=True, slots=True)
class Link:
    """How one connection stands, for Health and readiness."""

    lane: str
    connected_since_us: int | None
    """Absent while it is down."""
    protocol: str
    """`5` or `3.1.1`; of the last try while it is down."""
    last_error: str
    """Why it is or was last down; empty when it never was."""
    reconnects: int


class Back:
    """Waiting times between tries: doubling, jittered, 0.5 to 30 s."""

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._next_s = FIRST_WAIT_S

    def wait_s(self) -> float:
        """How long to wait now; the next will be about twice as long."""
        wait = self._next_s * (0.5 + self._draw() / 2)
        self._next_s = min(self._next_s * 2, LONGEST_WAIT_S)
        return max(FIRST_WAIT_S / 2, wait)

    def reset(self) -> None:
        """All went well."""
        self._next_s = FIRST_WAIT_S


class Lane:
    """A connection that comes back. `run` never returns; cancelling it closes the connection in order."""

    def __init__(self, name: str, address: Address, session: Session, *, protocol: Protocol) -> None:
        self._name = name
        self._address = address
        self._session = session
        self._modern = protocol != "3.1.1"
        self._choose = protocol == "auto"
        self._since_us: int | None = None
        self._last_error = ""
        self._opened = 0
        self._proven = False

    @property
    def link(self) -> Link:
        """How it stands."""
        return Link(
            lane=self._name,
            connected_since_us=self._since_us,
            protocol="5" if self._modern else "3.1.1",
            last_error=self._last_error,
            reconnects=max(0, self._opened - 1),
        )

    async def run(self, use: Callable[[Broker], Awaitable[None]], take: Callable[[Message], None]) -> None:
        """Connect, let `use` have the connection until it is lost, wait, and again."""
        back = Back()
        while True:
            began_s = time.monotonic()
            try:
                trying = self._choose and not self._proven
                answer_s = TRY_S if trying else ANSWER_S
                async with (
                    connect(self._address, self._session, modern=self._modern, take=take, answer_s=answer_s) as broker,
                    self._up(),
                ):
                    await use(broker)
            except* (aiomqtt.MqttError, OSError) as group:
                self._down(group.exceptions[0])
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError  # lost in a group that failed at the same moment (Python 3.11)
            if time.monotonic() - began_s > STEADY_S:
                back.reset()
            await asyncio.sleep(back.wait_s())

    @contextlib.asynccontextmanager
    async def _up(self) -> AsyncIterator[None]:
        self._since_us = time.time_ns() // 1_000
        self._opened += 1
        self._proven = True
        metrics.broker_connected.labels(self._name).set(1)
        log.info("broker connected", extra={"lane": self._name, "protocol": self.link.protocol})
        if self._choose and not self._modern:
            log.warning("the broker has no MQTT 5; speaking 3.1.1", extra={"lane": self._name})
        try:
            yield
        finally:
            self._since_us = None
            metrics.broker_connected.labels(self._name).set(0)

    def _down(self, error: BaseException) -> None:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        self._last_error = str(error)[:200] or type(error).__name__
        log.warning("broker lost", extra={"lane": self._name, "why": self._last_error})
        if self._choose and not self._proven and _may_be_too_modern(error):
            self._modern = not self._modern  # an old broker shows it by refusing, or by hanging up without a word


def side_lane(name: str, settings: Mqtt, *, max_message_bytes: int) -> Lane:
    """A connection that carries nothing which the broker should keep while it is down."""
    session = Session(
        identifier=f"{settings.client_id}-{name}",
        persistent=False,
        receive_maximum=32,
        expiry_s=0,
        max_message_bytes=max_message_bytes,
    )
    return Lane(name, parse_address(settings), session, protocol=settings.protocol)


def _may_be_too_modern(error: BaseException) -> bool:
    return isinstance(error, TimeoutError) or (isinstance(error, Refused) and "protocol" in str(error).lower())
