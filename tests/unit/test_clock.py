"""Dates: from a record's own clock, from its boot's ties, between its neighbours, and from names of files."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from gateway.entities import CapturedAt, Confidence, TimeSource
from gateway.ingest.clock import Told, date_record, named_time, settle, synchronised
from gateway.store.boots import Span, Tie

NOW = 1_790_000_000_000_000
SECOND = 1_000_000
NOWHERE = Span()


def tie(mono_us: int, error_us: int, *, utc_us: int = NOW) -> Tie:
    return Tie(mono_us, utc_us + mono_us, error_us, TimeSource.DEVICE_SYNCED)


def test_own_clock_of_a_record_is_believed_within_reason() -> None:
    told = Told(5, NOW, utc_us=NOW - 3 * SECOND, utc_err_us=4_000)
    assert date_record(told, (), NOWHERE, zone="UTC") == CapturedAt(NOW - 3 * SECOND, TimeSource.DEVICE_SYNCED, 4_000)
    for wrong in (0, NOW + 400 * 86_400 * SECOND):
        dated = date_record(Told(5, NOW, utc_us=wrong), (), NOWHERE, zone="UTC")
        assert dated.source is TimeSource.ARRIVAL
        assert dated.confidence is Confidence.UNCERTAIN


def test_tie_dates_what_was_before_and_after_it() -> None:
    for mono_us in (0, 50 * SECOND, 10_000 * SECOND):
        dated = date_record(Told(mono_us, NOW * 2), (tie(50 * SECOND, 1_000),), NOWHERE, zone="UTC")
        assert dated.at_us == NOW + mono_us
        assert dated.source is TimeSource.DEVICE_SYNCED


def test_error_grows_with_the_distance_from_the_tie() -> None:
    near = date_record(Told(51 * SECOND, NOW * 2), (tie(50 * SECOND, 1_000),), NOWHERE, zone="UTC")
    far = date_record(Told(86_450 * SECOND, NOW * 2), (tie(50 * SECOND, 1_000),), NOWHERE, zone="UTC")
    assert near.error_us == 1_050
    assert far.error_us == 1_000 + 86_400 * 50
    assert far.confidence is Confidence.LIKELY


def test_order_of_ties_does_not_matter() -> None:
    ties = (tie(0, 9_000), tie(100 * SECOND, 500, utc_us=NOW + 7), tie(200 * SECOND, 500))
    dates = {
        date_record(Told(150 * SECOND, NOW * 2), order, NOWHERE, zone="UTC") for order in itertools.permutations(ties)
    }
    assert len(dates) == 1


def test_boot_never_tied_lies_between_its_neighbours_and_says_so() -> None:
    span = Span(earliest_us=NOW - 1_000 * SECOND, latest_us=NOW - 400 * SECOND, followed=True)
    first = date_record(Told(1 * SECOND, NOW), (), span, zone="UTC")
    second = date_record(Told(2 * SECOND, NOW), (), span, zone="UTC")
    assert first.at_us == NOW - 700 * SECOND + SECOND
    assert second.at_us - first.at_us == SECOND
    assert first.error_us == 300 * SECOND
    assert first.confidence is Confidence.UNCERTAIN


def test_newest_boot_without_a_clock_is_dated_by_its_arrival() -> None:
    span = Span(earliest_us=NOW - 1_000 * SECOND, latest_us=NOW - 3 * SECOND)
    dated = date_record(Told(2 * SECOND, NOW), (), span, zone="UTC")
    assert dated.at_us == NOW - SECOND
    assert dated.confidence is Confidence.UNCERTAIN
    assert date_record(Told(9, NOW), (), NOWHERE, zone="UTC").at_us == NOW


@pytest.mark.parametrize("mono_us", [0, 2**62, 2**63 - 1])
@pytest.mark.parametrize("tied_us", [0, 2**62, 2**63 - 1])
def test_whatever_a_camera_counts_the_date_is_one_that_can_be(mono_us: int, tied_us: int) -> None:
    mad = Tie(tied_us, NOW, 1, TimeSource.DEVICE_SYNCED)
    lost = Span(earliest_us=NOW - SECOND, latest_us=NOW - 2**62, followed=True)
    for ties, span in (((mad,), NOWHERE), ((), NOWHERE), ((), lost), ((), Span(latest_us=NOW - 2**63))):
        dated = date_record(Told(mono_us, NOW), ties, span, zone="UTC")
        assert 0 <= dated.at_us <= NOW + 86_400 * SECOND


def test_hour_on_the_wall_is_read_in_the_homes_zone() -> None:
    wall = CapturedAt(1_790_247_600_000_000, TimeSource.EXIF, 1, "")  # 11:00 on the wall, 2026-09-24
    berlin = settle(wall, "Europe/Berlin")
    assert berlin.at_us == wall.at_us - 2 * 3_600 * SECOND
    assert berlin.zone == "Europe/Berlin"
    assert settle(berlin, "Asia/Tokyo") == berlin


@pytest.mark.parametrize(
    "name",
    [
        "IMG_20260924_110642.jpg",
        "2026-09-24 11.06.42.png",
        "PXL_20260924_110642123.jpg",
        "Screenshot 2026-09-24 at 11.06.42.png",
        "20260924-110642.wav",
        "signal-2026-09-24-11-06-42-123.jpg",
    ],
)
def test_time_in_a_files_name_is_found(name: str) -> None:
    found = named_time(name, "Europe/Berlin")
    assert found == CapturedAt(1_790_240_802_000_000, TimeSource.FILE_NAME, 120_000_000, "Europe/Berlin")


@pytest.mark.parametrize(
    "name", ["", "holiday.jpg", "IMG_20261399_110642.jpg", "20260924.jpg", "2026-09-24 99.99.99.jpg"]
)
def test_name_without_a_time_gives_none(name: str) -> None:
    assert named_time(name, "UTC") is None


def test_clock_is_trusted_as_set_else_as_the_system_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert synchronised("yes", kernel=lambda: False)
    assert not synchronised("no", kernel=lambda: True)
    assert synchronised("auto", kernel=lambda: True)
    assert not synchronised("auto", kernel=lambda: False)
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert synchronised("auto") in (True, False)
