"""The simulated cameras against a real broker and the gateway's real way in."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.config import Mqtt
from gateway.demo.broker import demo_broker, find_mosquitto
from gateway.demo.cameras import Report, run_cameras
from gateway.demo.home import Home
from tests.e2e.road import eventually, house, now_us

pytestmark = [pytest.mark.slow, pytest.mark.system("mosquitto")]
PACE = 86_400 / 4


async def _told(home: Home, url: str) -> Report:
    """Run the cameras until the gateway has all that they have to tell."""
    until, report = asyncio.Event(), Report()
    async with asyncio.TaskGroup() as group:
        group.create_task(run_cameras(home, url=url, pace=PACE, until=until, report=report), name="cameras")
        while not report.told:  # noqa: ASYNC110  (no event tells of a count)
            await asyncio.sleep(0.02)
        until.set()
    return report


async def test_a_camera_tells_its_day_and_the_gateway_has_all_of_it(tmp_path: Path) -> None:
    if not find_mosquitto():
        pytest.skip("mosquitto is not installed")
    home = Home(1, ends_at_us=now_us(), cameras=("driveway",))
    async with demo_broker(tmp_path) as broker, house(tmp_path / "home", Mqtt(url=broker.url)) as gateway:
        assert broker.durable
        async with asyncio.timeout(60):
            report = await _told(home, broker.url)
            assert not report.nacked
            assert report.repeated > 0
            assert report.lost == sum(loss.frames for loss in home.losses)
            dated = await gateway.until(
                lambda c: c.execute("SELECT count(*) FROM capture WHERE time_source = 'device-synced'").fetchone()[0]
            )
        stored = await gateway.count("capture")
        assert stored == report.by_kind["jpeg"] + report.by_kind["audio"]
        assert dated < stored
        assert await gateway.count("ledger") == report.taken


async def test_cameras_hold_their_records_until_a_gateway_is_there(tmp_path: Path) -> None:
    if not find_mosquitto():
        pytest.skip("mosquitto is not installed")
    home = Home(2, ends_at_us=now_us(), cameras=("hall",))
    until, report = asyncio.Event(), Report()
    async with demo_broker(tmp_path) as broker, asyncio.TaskGroup() as group:
        group.create_task(run_cameras(home, url=broker.url, pace=1e9, until=until, report=report), name="cameras")
        await eventually(lambda: report.connects == 1 and report.taken >= len(home.shots))
        assert report.sent == 0
        async with house(tmp_path / "home", Mqtt(url=broker.url)) as gateway:
            await gateway.until(lambda c: c.execute("SELECT count(*) > 3 FROM ledger").fetchone()[0])
            await eventually(lambda: report.acked > 3)
        until.set()
    assert report.waiting > 0
