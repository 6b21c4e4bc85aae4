"""Times as people say them, in a home in Stockholm on Thursday 24 September 2026 at 18:42."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.recall.dates import day_bounds, day_of, find, label

ZONE = "Europe/Stockholm"
NOW_US = int(datetime(2026, 9, 24, 18, 42, tzinfo=ZoneInfo(ZONE)).timestamp()) * 1_000_000

TABLE = [
    ("parcel today", "today", "2026-09-24 00:00", "2026-09-25 00:00"),
    ("yesterday", "yesterday", "2026-09-23 00:00", "2026-09-24 00:00"),
    ("the day before yesterday", "the day before yesterday", "2026-09-22 00:00", "2026-09-23 00:00"),
    ("who came this morning", "this morning", "2026-09-24 05:00", "2026-09-24 12:00"),
    ("this evening", "this evening", "2026-09-24 18:00", "2026-09-24 23:00"),
    ("last night", "last night", "2026-09-23 20:00", "2026-09-24 06:00"),
    ("tonight", "tonight", "2026-09-24 18:00", "2026-09-25 04:00"),
    ("yesterday evening", "yesterday evening", "2026-09-23 18:00", "2026-09-23 23:00"),
    ("on tuesday", "on tuesday", "2026-09-22 00:00", "2026-09-23 00:00"),
    ("Tuesday morning", "Tuesday morning", "2026-09-22 05:00", "2026-09-22 12:00"),
    ("on thursday", "on thursday", "2026-09-24 00:00", "2026-09-25 00:00"),
    ("last thursday", "last thursday", "2026-09-17 00:00", "2026-09-18 00:00"),
    ("on friday", "on friday", "2026-09-18 00:00", "2026-09-19 00:00"),
    ("on sun", "on sun", "2026-09-20 00:00", "2026-09-21 00:00"),
    ("parcel on the porch since monday", "since monday", "2026-09-21 00:00", None),
    ("until monday", "until monday", None, "2026-09-22 00:00"),
    ("before monday", "before monday", None, "2026-09-21 00:00"),
    ("after monday", "after monday", "2026-09-22 00:00", None),
    ("between monday and wednesday", "between monday and wednesday", "2026-09-21 00:00", "2026-09-24 00:00"),
    ("from friday to monday", "from friday to monday", "2026-09-18 00:00", "2026-09-22 00:00"),
    ("what did we eat last week", "last week", "2026-09-14 00:00", "2026-09-21 00:00"),
    ("this week", "this week", "2026-09-21 00:00", "2026-09-28 00:00"),
    ("last weekend", "last weekend", "2026-09-19 00:00", "2026-09-21 00:00"),
    ("last month", "last month", "2026-08-01 00:00", "2026-09-01 00:00"),
    ("last year", "last year", "2025-01-01 00:00", "2026-01-01 00:00"),
    ("last summer", "last summer", "2026-06-01 00:00", "2026-09-01 00:00"),
    ("in september", "in september", "2026-09-01 00:00", "2026-10-01 00:00"),
    ("in october", "in october", "2025-10-01 00:00", "2025-11-01 00:00"),
    ("may 2025", "may 2025", "2025-05-01 00:00", "2025-06-01 00:00"),
    ("in 2025", "in 2025", "2025-01-01 00:00", "2026-01-01 00:00"),
    ("24 september", "24 september", "2026-09-24 00:00", "2026-09-25 00:00"),
    ("on the 3rd of march", "on the 3rd of march", "2026-03-03 00:00", "2026-03-04 00:00"),
    ("24 dec", "24 dec", "2025-12-24 00:00", "2025-12-25 00:00"),
    ("september 24, 2025", "september 24, 2025", "2025-09-24 00:00", "2025-09-25 00:00"),
    ("29 february", "29 february", "2024-02-29 00:00", "2024-03-01 00:00"),
    ("2026-09-20", "2026-09-20", "2026-09-20 00:00", "2026-09-21 00:00"),
    ("20.9.2026", "20.9.2026", "2026-09-20 00:00", "2026-09-21 00:00"),
    ("between 8 and 9", "between 8 and 9", "2026-09-24 08:00", "2026-09-24 09:00"),
    ("between 11 and 1", "between 11 and 1", "2026-09-24 11:00", "2026-09-24 13:00"),
    ("between 7pm and 9pm", "between 7pm and 9pm", "2026-09-23 19:00", "2026-09-23 21:00"),
    ("at 11:06", "at 11:06", "2026-09-24 11:06", "2026-09-24 11:07"),
    ("at 23:00", "at 23:00", "2026-09-23 23:00", "2026-09-23 23:01"),
    ("around 11", "around 11", "2026-09-24 10:30", "2026-09-24 11:30"),
    ("after 17:00", "after 17:00", "2026-09-24 17:00", "2026-09-25 00:00"),
    ("before 9am", "before 9am", "2026-09-24 00:00", "2026-09-24 09:00"),
    ("last 3 days", "last 3 days", "2026-09-22 00:00", "2026-09-25 00:00"),
    ("in the last 2 hours", "in the last 2 hours", "2026-09-24 16:42", "2026-09-24 18:43"),
    ("two days ago", "two days ago", "2026-09-22 00:00", "2026-09-23 00:00"),
    ("an hour ago", "an hour ago", "2026-09-24 17:12", "2026-09-24 18:12"),
]


def _shown(at_us: int | None) -> str | None:
    if at_us is None:
        return None
    return f"{datetime.fromtimestamp(at_us / 1e6, ZoneInfo(ZONE)):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(("text", "span", "start", "end"), TABLE, ids=[row[0] for row in TABLE])
def test_a_phrase_is_its_interval(text: str, span: str, start: str | None, end: str | None) -> None:
    (when,) = find(text, now_us=NOW_US, zone=ZONE)
    assert (text[when.start : when.end], _shown(when.from_us), _shown(when.to_us)) == (span, start, end)


@pytest.mark.parametrize(
    "text",
    ["", "may", "march of the penguins", "sun on the porch", "2 dogs", "30 february", "a second helping",
     "12 alder lane", "monitor", "satin", "4711", "24", "decorate"],
)  # fmt: skip
def test_what_is_no_time_stays_a_word(text: str) -> None:
    assert find(text, now_us=NOW_US, zone=ZONE) == []


def test_a_day_and_a_clock_time_combine_and_both_are_underlined() -> None:
    text = "cat yesterday between 8 and 9"
    found = find(text, now_us=NOW_US, zone=ZONE)
    assert [text[when.start : when.end] for when in found] == ["yesterday", "between 8 and 9"]
    assert {(_shown(when.from_us), _shown(when.to_us)) for when in found} == {("2026-09-23 08:00", "2026-09-23 09:00")}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("since monday", "Mon 21 to Thu 24 Sep"),
        ("today", "Thu 24 Sep"),
        ("at 11:06", "Thu 24 Sep, 11:06"),
        ("between 8 and 9", "Thu 24 Sep, 08:00 to 09:00"),
        ("last year", "Wed 1 Jan 2025 to Wed 31 Dec 2025"),
        ("before monday", "until Sun 20 Sep"),
    ],
)
def test_a_label_is_for_people(text: str, shown: str) -> None:
    (when,) = find(text, now_us=NOW_US, zone=ZONE)
    assert when.label == shown
    assert label(when.from_us, when.to_us, now_us=NOW_US, zone=ZONE) == shown


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-09-24", 24)])
def test_a_day_on_which_the_clock_changes_has_its_hours(day: str, hours: int) -> None:
    start, end = day_bounds(date.fromisoformat(day), ZONE)
    assert (end - start) / 3_600e6 == hours
    assert day_of(start, ZONE) == day_of(end - 1, ZONE) == date.fromisoformat(day)


@given(
    st.dates(date(1971, 1, 1), date(2099, 12, 30)), st.sampled_from([ZONE, "America/St_Johns", "Pacific/Apia", "UTC"])
)
def test_days_meet_without_a_gap(day: date, zone: str) -> None:
    start, end = day_bounds(day, zone)
    assert end == day_bounds(day + timedelta(days=1), zone)[0]
    assert start <= end


@given(st.text(max_size=80))
def test_any_text_is_read_without_an_error(text: str) -> None:
    for when in find(text, now_us=NOW_US, zone=ZONE):
        assert 0 <= when.start < when.end <= len(text)
        if when.from_us is not None and when.to_us is not None:
            assert when.from_us < when.to_us


def test_now_is_what_it_is_given() -> None:
    later = int(datetime(2026, 9, 27, 1, tzinfo=UTC).timestamp()) * 1_000_000
    (when,) = find("yesterday", now_us=later, zone=ZONE)
    assert _shown(when.from_us) == "2026-09-26 00:00"
