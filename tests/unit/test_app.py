"""The parts together, as far as they must hold when the box itself is in trouble."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from gateway import app
from gateway.app import feed_watchdog, open_gateway
from gateway.config import Limits, Settings
from gateway.entities import Priority
from gateway.errors import Retryable
from gateway.inference.board import Board
from gateway.jobs import probes
from tests.unit.conftest import SmallHouse


async def test_a_warm_box_leaves_its_backlog_and_a_hot_one_what_cameras_send(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path, limits=Limits(temperature_c=60, temperature_most_c=70))
    async with open_gateway(settings) as gateway:
        for celsius, lowest in ((61.0, Priority.LIVE), (71.0, Priority.PERSON), (30.0, Priority.BACKLOG)):
            monkeypatch.setattr(probes, "temperature_c", lambda celsius=celsius: celsius)
            await gateway.watch.sample()
            assert gateway.runner.house.lowest() is lowest


def test_limits_of_warmth_are_those_of_the_board_unless_they_are_set(tmp_path: Path) -> None:
    pi = Board("pi4", "Raspberry Pi 4", 4, 4_000)
    assert (app._heat(Settings(home=tmp_path), pi).slow_c, app._heat(Settings(home=tmp_path), pi).stop_c) == (75, 82)
    set_ = Settings(home=tmp_path, limits=Limits(temperature_c=90))
    assert (app._heat(set_, pi).slow_c, app._heat(set_, pi).stop_c) == (90, 90)


async def test_a_disk_that_takes_nothing_does_not_get_the_house_killed(
    house: SmallHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(address)
        heard.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.setenv("WATCHDOG_USEC", "20000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        await house.db.write(lambda c: c.execute("PRAGMA query_only = 1"))
        task = asyncio.create_task(feed_watchdog(house.db))
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(5):
            assert [await loop.sock_recv(heard, 64) for _ in range(2)] == [b"WATCHDOG=1"] * 2
        task.cancel()


async def test_a_failure_that_passed_is_told_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_RESTART_S", (0.0, 0.0))
    monkeypatch.setattr(app, "_STEADY_S", 0.0)
    troubles: dict[str, str] = {}
    told: list[dict[str, str]] = []
    again = asyncio.Event()

    async def fails_once() -> None:
        told.append(dict(troubles))
        if len(told) == 1:
            raise Retryable("the disk is full", code="disk-full")
        again.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        tasks = app.Tasks(group, troubles)
        tasks.keep("dating", fails_once)
        await again.wait()
        while troubles:  # noqa: ASYNC110  nobody tells that it was forgotten
            await asyncio.sleep(0)
        tasks.stop()
    assert told == [{}, {"dating": "disk-full"}]
