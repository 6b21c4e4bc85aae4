"""A warm box leaves its backlog first, and work goes on only once it has cooled."""

from __future__ import annotations

import logging

import pytest

from gateway.entities import Priority
from gateway.jobs.heat import Heat


def _after(heat: Heat, *readings: float | None) -> Priority:
    for celsius in readings:
        heat.feel(celsius)
    return heat.lowest


def test_the_backlog_waits_first_and_what_cameras_send_at_the_limit_alone() -> None:
    heat = Heat(75, 82)
    assert _after(heat, 75.0) is Priority.BACKLOG
    assert _after(heat, 75.1) is Priority.LIVE
    assert _after(heat, 82.0) is Priority.LIVE
    assert _after(heat, 82.1) is Priority.PERSON
    assert _after(heat, 140.0) is Priority.PERSON


def test_work_goes_on_only_once_it_is_five_degrees_cooler() -> None:
    heat = Heat(75, 82)
    assert _after(heat, 83.0, 78.0) is Priority.PERSON
    assert _after(heat, 77.0) is Priority.LIVE
    assert _after(heat, 71.0) is Priority.LIVE
    assert _after(heat, 78.0) is Priority.LIVE
    assert _after(heat, 70.0) is Priority.BACKLOG
    assert _after(heat, 74.0) is Priority.BACKLOG


def test_a_box_that_does_not_say_how_warm_it_is_waits_for_nothing() -> None:
    heat = Heat(75, 82)
    assert _after(heat, None) is Priority.BACKLOG and heat.part is None
    assert _after(heat, 90.0, None) is Priority.BACKLOG and heat.part is None


def test_each_change_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    _after(Heat(75, 82), 60.0, 76.0, 77.0, 83.0, 60.0, 61.0)
    told = [(each.message, each.__dict__["celsius"], each.__dict__["still_done"]) for each in caplog.records]
    assert told == [
        ("too warm, work waits", 76.0, "live"),
        ("too warm, work waits", 83.0, "person"),
        ("cooler, work goes on", 60.0, "backlog"),
    ]
