"""What a camera is told to do: bounds, and quiet hours that are the home's though the wire's are UTC."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.errors import Rejected
from gateway.tuning import Tuning

HOME = "Europe/Stockholm"


def at(month: int) -> int:
    return int(datetime(2026, month, 15, 12, tzinfo=ZoneInfo(HOME)).timestamp()) * 1_000_000


def test_quiet_hours_move_with_the_homes_clock() -> None:
    tuning = Tuning(quiet=(22 * 60, 6 * 60))
    assert tuning.on_wire(HOME, at(1))["quiet"] == [21 * 60, 5 * 60]
    assert tuning.on_wire(HOME, at(7))["quiet"] == [20 * 60, 4 * 60]


def test_quiet_hours_stay_within_a_day() -> None:
    assert Tuning(quiet=(30, 0)).on_wire(HOME, at(7))["quiet"] == [22 * 60 + 30, 22 * 60]
    assert Tuning(quiet=(0, 60)).on_wire("America/New_York", at(1))["quiet"] == [5 * 60, 6 * 60]


def test_all_keys_are_always_told() -> None:
    assert set(Tuning().on_wire(HOME, at(1))) == {"every_s", "quality", "motion", "still_s", "privacy", "quiet"}


def test_what_is_kept_is_what_was_set() -> None:
    tuning = Tuning(every_s=60, quality=20, motion=True, still_s=0, privacy=True, quiet=(1, 2))
    assert Tuning.from_row(tuning.as_row()) == tuning
    assert Tuning.from_row({}) == Tuning()


@pytest.mark.parametrize(
    "wrong",
    [
        Tuning(every_s=0),
        Tuning(every_s=86_401),
        Tuning(quality=3),
        Tuning(quality=64),
        Tuning(still_s=-1),
        Tuning(quiet=(0, 1_440)),
    ],
)
def test_what_the_firmware_would_not_take_is_refused_here(wrong: Tuning) -> None:
    with pytest.raises(Rejected) as error:
        wrong.check()
    assert error.value.code == "bad-tuning"
