"""The parts together, as far as they must hold when the box itself is in trouble."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from gateway.app import feed_watchdog, open_gateway
from gateway.config import Settings
from gateway.entities import Priority
from gateway.jobs import probes
from tests.unit.conftest import SmallHouse


async def test_a_hot_box_leaves_its_backlog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path)
    async with open_gateway(settings) as gateway:
        monkeypatch.setattr(probes, "temperature_c", lambda: settings.limits.temperature_c + 1.0)
        await gateway.watch.sample()
        assert gateway.runner.house.lowest() is Priority.LIVE
        monkeypatch.setattr(probes, "temperature_c", lambda: 30.0)
        await gateway.watch.sample()
        assert gateway.runner.house.lowest() is Priority.BACKLOG


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
