"""A day of the home: strip, moments, quiet, losses, and figures that add up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.recall import daybook
from gateway.recall.day import Day, GapRow, MomentRow, NoteRow, QuietRow, SoundRow, UncertainRow
from gateway.store.reading import Frame
from tests.unit.recall_home import MINUTE_US, RecallHome, open_home, us

DAY = date(2026, 9, 24)


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[RecallHome]:
    async with open_home(tmp_path) as made:
        yield made


def _adds_up(day: Day) -> None:
    totals = day.totals
    assert totals.taken - totals.lost == totals.stored
    assert totals.folded_static + totals.folded_copies + totals.set_aside + totals.shown == totals.stored


async def _gap(home: RecallHome, first: int, last: int, *, at_us: int) -> None:
    row = ("porch", b"12345678", first, last, "card-full", at_us, at_us + 30 * MINUTE_US)
    await home.house.db.write(
        lambda c: (
            c.execute(
                "INSERT INTO gap(device, boot_id, first, last, reason, from_us, to_us) VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            ).rowcount
        )
    )


async def _dead(home: RecallHome, uid: str, code: str) -> None:
    await home.house.db.write(
        lambda c: (
            c.execute(
                "UPDATE job SET state = 'dead', code = ? WHERE step = 'quality' AND capture ="
                " (SELECT id FROM capture WHERE uid = ?)",
                (code, uid),
            ).rowcount
        )
    )


async def test_a_day_has_a_row_for_each_thing_that_happened(home: RecallHome) -> None:
    first = await home.see("An empty porch", at_us=us(2026, 9, 24, 7, 0))
    for n in range(1, 60):
        await home.see("An empty porch", at_us=us(2026, 9, 24, 7, n), copy_of=first)
    for n in range(20):
        await home.see("A person with a parcel", at_us=us(2026, 9, 24, 11, 6, n))
    await home.see("Someone speaks", at_us=us(2026, 9, 24, 12, 52), kind="audio", transcript="The books came")
    await home.see("The books came", at_us=us(2026, 9, 24, 13, 5), kind="text", device=None)
    await home.see("A dim porch", at_us=us(2026, 9, 24, 2, 40), error_us=20 * MINUTE_US)
    await _gap(home, 48_211, 48_224, at_us=us(2026, 9, 24, 17, 20))
    broken = await home.see("", at_us=us(2026, 9, 24, 14))
    await _dead(home, broken, "unreadable")
    day = await home.memories.day(home.nora, DAY)
    kinds = [type(row) for row in day.rows]
    assert kinds == [GapRow, NoteRow, SoundRow, MomentRow, QuietRow, MomentRow, UncertainRow]
    moment = next(row for row in day.rows if isinstance(row, MomentRow))
    assert (moment.pictures, moment.sounds, len(moment.memories), moment.caption) == (
        20,
        0,
        12,
        "A person with a parcel",
    )
    assert moment.memories[0].capture.captured_at.at_us == us(2026, 9, 24, 11, 6, 0)
    assert moment.memories[-1].capture.captured_at.at_us == us(2026, 9, 24, 11, 6, 19)
    quiet = next(row for row in day.rows if isinstance(row, QuietRow))
    assert (quiet.frames, quiet.folded_into, [device.id for device in quiet.devices]) == (59, 1, ["porch"])
    totals = day.totals
    assert (totals.lost, totals.folded_static, totals.set_aside, totals.shown) == (14, 59, 1, 23)
    assert day.memories == 24
    _adds_up(day)


async def test_the_strip_counts_quarters_and_shows_what_was_lost_and_off(home: RecallHome) -> None:
    for n in range(0, 60, 5):
        await home.see("A cat", at_us=us(2026, 9, 24, 8, n))
    await _gap(home, 1, 7, at_us=us(2026, 9, 24, 17))
    day = await home.memories.day(home.nora, DAY)
    (line,) = day.strip
    assert len(line.counts) == 96
    assert line.counts[32:36] == (3, 3, 3, 3)
    assert (line.total, sum(line.counts)) == (12, 12)
    assert line.lost == ((us(2026, 9, 24, 17), us(2026, 9, 24, 17, 30), 7),)
    assert line.off[0] == (us(2026, 9, 24), us(2026, 9, 24, 8))


async def test_a_camera_that_is_in_a_hurry_later_was_not_off_before(home: RecallHome) -> None:
    for hour in range(8, 16):
        await home.see("A cat", at_us=us(2026, 9, 24, hour))
    for minute in range(30):
        await home.see("A cat", at_us=us(2026, 9, 24, 16, minute))
    for minute in range(30):
        await home.see("A cat", at_us=us(2026, 9, 24, 17, 20 + minute))
    (line,) = (await home.memories.day(home.nora, DAY)).strip
    assert line.off[1:-1] == ((us(2026, 9, 24, 16, 29), us(2026, 9, 24, 17, 20)),)


@pytest.mark.parametrize(("day", "quarters"), [(date(2026, 3, 29), 92), (date(2026, 10, 25), 100)])
async def test_a_day_with_a_changed_clock_has_all_its_quarters(home: RecallHome, day: date, quarters: int) -> None:
    start, end = daybook.day_bounds(day, "Europe/Stockholm")
    await home.see("First", at_us=start)
    await home.see("Last", at_us=end - 1)
    made = await home.memories.day(home.nora, day)
    assert len(made.strip[0].counts) == quarters
    assert (made.strip[0].counts[0], made.strip[0].counts[-1], made.memories) == (1, 1, 2)


async def test_moments_end_with_a_pause_and_cameras_are_apart(home: RecallHome) -> None:
    await home.camera("hall", name="Hall")
    for device in ("porch", "hall"):
        for minute in (0, 2, 4, 20):
            await home.see("A cat", device=device, at_us=us(2026, 9, 24, 9, minute))
    rows = (await home.memories.day(home.nora, DAY)).rows
    assert [(row.device.name, row.pictures) for row in rows if isinstance(row, MomentRow) and row.device] == [
        ("Porch", 1), ("Hall", 1), ("Porch", 3), ("Hall", 3),
    ]  # fmt: skip


async def test_an_empty_day_is_no_error(home: RecallHome) -> None:
    day = await home.memories.day(home.nora, date(2026, 1, 1))
    assert (day.rows, day.memories) == ((), 0)
    _adds_up(day)


async def test_pills_count_what_stands(home: RecallHome) -> None:
    kept = await home.see("A cat", at_us=us(2026, 9, 23, 23, 59))
    await home.see("A cat", at_us=us(2026, 9, 24, 0, 0))
    await home.see("A cat", at_us=us(2026, 9, 24, 0, 1), copy_of=kept)
    days = await home.memories.days(home.nora, until=DAY, count=3)
    assert [(entry.day.day, entry.memories) for entry in days] == [(22, 0), (23, 1), (24, 1)]


async def test_a_binned_frame_is_in_no_figure(home: RecallHome) -> None:
    uid = await home.see("A cat")
    await home.memories.forget(home.nora, uid)
    day = await home.memories.day(home.nora, DAY)
    assert (day.totals.stored, day.memories, day.rows) == (0, 0, ())


frames = st.lists(
    st.builds(
        Frame,
        id=st.integers(1, 10**6),
        uid=st.just("u"),
        at_us=st.integers(0, 86_400_000_000 - 1),
        error_us=st.sampled_from([1, 121_000_000]),
        source=st.just("arrival"),
        device=st.sampled_from([None, "porch", "hall"]),
        kind=st.sampled_from(["image", "audio", "text", "video"]),
        folded=st.sampled_from(["", "", "static", "burst", "exact"]),
        folded_into=st.none(),
        caption=st.just(""),
        heard=st.booleans(),
        set_aside=st.booleans(),
    ),
    max_size=60,
)


@given(frames, st.integers(0, 1_000))
def test_every_frame_is_in_one_place_and_the_figures_add_up(everything: list[Frame], lost: int) -> None:
    sorted_ = daybook.sort(everything)
    places = [*sorted_.stands, *sorted_.uncertain, *sorted_.folded, *sorted_.aside]
    assert sorted(map(id, places)) == sorted(map(id, everything))
    totals = daybook.where(everything, lost)
    assert totals.taken - totals.lost == totals.stored == sum(frame.device is not None for frame in everything)
    assert totals.folded_static + totals.folded_copies + totals.set_aside + totals.shown == totals.stored


@given(frames)
def test_every_shown_frame_is_in_one_row(everything: list[Frame]) -> None:
    ordered = sorted(everything, key=lambda frame: frame.at_us)
    sorted_ = daybook.sort(ordered)
    rows = [row for _, row in daybook.drafts(sorted_, [], {}, (0, 86_400_000_000))]
    held = [frame for row in rows for frame in daybook.frames_of(row)]
    assert sorted(map(id, held)) == sorted(map(id, [*sorted_.stands, *sorted_.uncertain]))
    for row in rows:
        if isinstance(row, QuietRow):
            assert row.to_us - row.from_us >= daybook.QUIET_US
            assert not any(row.from_us < frame.at_us < row.to_us for frame in (*sorted_.stands, *sorted_.aside))
