"""The door of cameras: how each one is, and what people set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.devices import Devices
from gateway.entities import Json, Privacy, Role
from gateway.errors import Conflict, Forbidden, Rejected
from gateway.metrics import REGISTRY
from gateway.store import devices as rows
from gateway.store.cameras import Setting
from tests.unit.recall_home import MINUTE_US, NOW, ZONE, RecallHome, open_home, us

NOW_US = int(NOW.timestamp()) * 1_000_000


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[RecallHome]:
    async with open_home(tmp_path) as made:
        yield made


@pytest.fixture
def cameras(home: RecallHome) -> Devices:
    return Devices(home.house.db, clock=lambda: NOW_US, zone=ZONE)


async def _status(home: RecallHome, status: Json, *, at_us: int = NOW_US) -> None:
    await home.house.db.write(lambda c: rows.set_status(c, "porch", status, at_us=at_us))


async def test_what_a_camera_did_not_tell_is_none_and_never_zero(home: RecallHome, cameras: Devices) -> None:
    await _status(home, {})
    card = await cameras.get(home.nora, "porch")
    assert (card.battery_percent, card.rssi_dbm, card.card_fill, card.clock_error_us, card.firmware) == (None,) * 5


async def test_what_it_told_is_shown_and_nonsense_is_not(home: RecallHome, cameras: Devices) -> None:
    told = {"rssi_dbm": -74, "spool_fill": 0.96, "firmware": "1.4.2", "telemetry": {"battery_mv": 3_930}}
    await _status(home, told)
    card = await cameras.get(home.nora, "porch")
    assert (card.rssi_dbm, card.card_fill, card.firmware, card.battery_percent) == (-74, 0.96, "1.4.2", 70)
    await _status(home, {"rssi_dbm": True, "spool_fill": 7, "battery": "full", "firmware": 3, "telemetry": [1]})
    card = await cameras.get(home.nora, "porch")
    assert (card.rssi_dbm, card.card_fill, card.firmware, card.battery_percent) == (None,) * 4


@pytest.mark.parametrize(
    ("status", "heard_us", "state"),
    [
        ({}, NOW_US - MINUTE_US, "awake"),
        ({}, NOW_US - 10 * MINUTE_US, "away"),
        ({"state": "offline"}, NOW_US - 1, "away"),
        ({"state": "sleep"}, NOW_US - 60 * MINUTE_US, "asleep"),
    ],
)
async def test_a_camera_is_awake_asleep_or_away(
    home: RecallHome, cameras: Devices, status: Json, heard_us: int, state: str
) -> None:
    await _status(home, status, at_us=heard_us)
    assert (await cameras.get(home.nora, "porch")).state == state


async def test_a_slow_camera_is_awake_within_three_of_its_usual_pauses(home: RecallHome, cameras: Devices) -> None:
    for hour in (12, 13, 14, 15, 16, 17):
        await home.see("A cat", at_us=us(2026, 9, 24, hour))
    card = await cameras.get(home.nora, "porch")
    assert (card.state, card.frames_today) == ("awake", 6)
    assert card.last_memory is not None
    assert card.last_memory.capture.captured_at.at_us == us(2026, 9, 24, 17)


async def test_losses_and_refusals_of_today_need_a_look(home: RecallHome, cameras: Devices) -> None:
    await _status(home, {})
    row = ("porch", b"12345678", 10, 23, "card-full", us(2026, 9, 24, 17, 20), us(2026, 9, 24, 17, 52))
    await home.house.db.write(
        lambda c: (
            c.execute(
                "INSERT INTO gap(device, boot_id, first, last, reason, from_us, to_us) VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            ).rowcount
        )
    )
    card = await cameras.get(home.nora, "porch")
    assert (card.state, card.lost_today, card.look) == ("look", 14, "14 frames lost today")
    assert card.since_us == us(2026, 9, 24, 17, 20)


async def test_a_first_camera_is_added_once_by_an_admin(home: RecallHome, cameras: Devices) -> None:
    setting = Setting("Garden  gate", "Garden", Privacy.CIRCLE)
    card = await cameras.add(home.nora, "garden", setting=setting)
    assert (card.device.name, card.device.room, card.device.privacy) == ("Garden gate", "Garden", Privacy.CIRCLE)
    assert cameras.topic_of("garden") == "hearthlog/v1/garden/up/jpeg"
    with pytest.raises(Conflict):
        await cameras.add(home.nora, "garden", setting=setting)
    with pytest.raises(Forbidden):
        await cameras.add(await home.person("Tomas"), "shed", setting=setting)


@pytest.mark.parametrize("device_id", ["", "ab", "gateway", "Porch", "a/b", "x" * 33, "+", "#", "-ab"])
async def test_a_name_that_no_topic_can_have_is_refused(home: RecallHome, cameras: Devices, device_id: str) -> None:
    with pytest.raises(Rejected):
        await cameras.add(home.nora, device_id, setting=Setting("A"))


async def test_a_narrower_audience_counts_for_what_was_taken_save_what_was_decided(
    home: RecallHome, cameras: Devices
) -> None:
    follows = await home.see("A cat", privacy=Privacy.CIRCLE)
    decided = await home.see("A dog", privacy=Privacy.CIRCLE)
    await home.memories.set_privacy(home.nora, decided, Privacy.PUBLIC)
    await cameras.change(home.nora, "porch", setting=Setting(privacy=Privacy.PRIVATE))
    assert (await home.memories.get(home.nora, follows)).capture.privacy is Privacy.PRIVATE
    assert (await home.memories.get(home.nora, decided)).capture.privacy is Privacy.PUBLIC
    await cameras.change(home.nora, "porch", setting=Setting(privacy=Privacy.CIRCLE))
    assert (await home.memories.get(home.nora, follows)).capture.privacy is Privacy.PRIVATE


async def test_nobody_but_its_owner_widens_who_sees_a_camera(home: RecallHome, cameras: Devices) -> None:
    admin = await home.person("Ada", Role.ADMIN)
    with pytest.raises(Forbidden):
        await cameras.change(admin, "porch", setting=Setting(privacy=Privacy.PUBLIC))
    assert (await cameras.change(admin, "porch", setting=Setting(name="Front"))).device.name == "Front"


HOUR_US = 60 * MINUTE_US


@pytest.mark.parametrize(
    ("slept_us", "state"),
    [(5 * MINUTE_US, "asleep"), (HOUR_US + MINUTE_US, "asleep"), (HOUR_US + 7 * MINUTE_US, "away")],
)
async def test_a_camera_that_sleeps_longer_than_it_said_is_away(
    home: RecallHome, cameras: Devices, slept_us: int, state: str
) -> None:
    fell_asleep_us = NOW_US - slept_us
    await home.house.db.write(lambda c: c.execute("UPDATE device SET last_seen_us = 0 WHERE id = 'porch'"))
    await _status(home, {"state": "asleep", "wakes_in_s": 3_600}, at_us=fell_asleep_us)
    card = await cameras.get(home.nora, "porch")
    assert (card.state, card.device.last_seen_us) == (state, fell_asleep_us)
    assert card.wakes_at_us == (fell_asleep_us + HOUR_US if state == "asleep" else None)


async def test_a_last_will_is_not_being_heard(home: RecallHome, cameras: Devices) -> None:
    before = (await cameras.get(home.nora, "porch")).device.last_seen_us
    await _status(home, {"state": "offline"}, at_us=before + HOUR_US)
    card = await cameras.get(home.nora, "porch")
    assert (card.state, card.device.last_seen_us) == ("away", before)


async def test_what_our_firmware_tells_is_understood(home: RecallHome, cameras: Devices) -> None:
    told = {"spool_fill_permille": 960, "quarantined": 3, "card_faults": 0, "clock_err_us": None}
    await _status(home, {"state": "online", **told})
    card = await cameras.get(home.nora, "porch")
    assert (card.card_fill, card.quarantined, card.card_faults) == (0.96, 3, 0)
    assert (card.clock_unknown, card.clock_error_us) == (True, None)
    await _status(home, {"state": "online", "clock_err_us": 60_000})
    card = await cameras.get(home.nora, "porch")
    assert (card.clock_unknown, card.clock_error_us, card.quarantined) == (False, 60_000, None)


async def test_metrics_have_no_sample_for_what_was_not_told(home: RecallHome, cameras: Devices) -> None:
    await _status(home, {"rssi_dbm": -61, "battery_percent": 23})
    await cameras.measure()
    assert REGISTRY.get_sample_value("hearthlog_device_rssi_dbm", {"device": "porch"}) == -61
    assert REGISTRY.get_sample_value("hearthlog_device_battery_ratio", {"device": "porch"}) == 0.23
    assert REGISTRY.get_sample_value("hearthlog_device_spool_ratio", {"device": "porch"}) is None
    await _status(home, {})
    await cameras.measure()
    assert REGISTRY.get_sample_value("hearthlog_device_rssi_dbm", {"device": "porch"}) is None
