"""How the pages say things, and that what data draws is drawn to scale."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.entities import CapturedAt, DuplicateKind, TimeSource
from gateway.health import Budget, Node
from gateway.recall.answer import Answer, Drop, Understood
from gateway.recall.day import Where
from gateway.web.api.search import SearchQuery
from gateway.web.pages import day_view, health, search_view, svg, words
from gateway.web.pages.sessions import browser
from gateway.web.pages.svg import Marks, Outline, StripLine

ZONE = "Europe/Stockholm"


def us(*when: int) -> int:
    """An instant of the home's zone."""
    return int(datetime(*when, tzinfo=ZoneInfo(ZONE)).timestamp() * 1_000_000)  # type: ignore[arg-type,misc]


def test_times_are_told_in_the_homes_zone() -> None:
    at = int(datetime(2026, 9, 24, 16, 42, 7, tzinfo=UTC).timestamp() * 1e6) + 140_000
    assert words.clock(at, ZONE) == "18:42"
    assert words.tenths(at, ZONE) == "18:42:07.1"
    assert words.long_day(date(2026, 9, 24)) == "Thursday 24 September"
    assert words.short_day(date(2026, 9, 24), year=True) == "Thu 24 Sep 2026"


@pytest.mark.parametrize(
    ("length_s", "said"),
    [
        (0, "0 s"),
        (41, "41 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (7_800, "2 h 10 min"),
        (7_200, "2 h"),
        (273_600, "3 d 4 h"),
    ],
)
def test_spans_have_two_parts_at_most(length_s: int, said: str) -> None:
    assert words.span(length_s * 1_000_000) == said


def test_queues_are_told_to_the_second_below_ten_minutes() -> None:
    assert words.seconds_span(112) == "1 m 52 s"
    assert words.seconds_span(4.4) == "4 s"
    assert words.seconds_span(720) == "12 min"


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1 KB"),
        (71_200, "71 KB"),
        (999_600, "1 MB"),
        (2_440_000, "2.4 MB"),
        (18_200_000_000, "18 GB"),
    ],
)
def test_sizes_are_told_in_two_figures(length: int, said: str) -> None:
    assert words.size(length) == said


def test_one_is_not_many() -> None:
    assert words.count(1, "picture") == "1 picture"
    assert words.count(6_240, "memory", "memories") == "6,240 memories"


def test_a_time_says_how_sure_it_is() -> None:
    def badge(error_us: int) -> str:
        return words.time_badge(CapturedAt(1, TimeSource.DEVICE_SYNCED, error_us)).text

    assert badge(80_000) == "Sure, ± 80 ms"
    assert badge(2_000_000) == "Sure, ± 2 s"
    assert badge(2_500_000) == "Likely, ± 2.5 s"
    assert badge(1_200_000_000) == "Uncertain, ± 20 min"


def test_a_caption_says_who_wrote_it() -> None:
    assert words.caption_badge("person:Nora").text == "Written by Nora"
    assert words.caption_badge("model:florence").text == "Written by a model"
    assert words.caption_badge("composed").text == "Put together from objects"


def test_every_kind_of_copy_has_its_words() -> None:
    assert {words.copy_badge(kind).text for kind in DuplicateKind} == {
        "Exact",
        "Re-encoded",
        "Edited",
        "Burst",
        "Same still scene",
    }


def test_when_is_told_nearer_the_nearer_it_is() -> None:
    now = us(2026, 9, 24, 18, 42)
    assert words.short_when(us(2026, 9, 24, 14, 12), now, ZONE) == "today 14:12"
    assert words.short_when(us(2026, 9, 23, 21, 40), now, ZONE) == "Wed 21:40"
    assert words.short_when(us(2026, 9, 3, 21, 40), now, ZONE) == "3 Sep 21:40"


def test_a_browser_is_called_by_its_name() -> None:
    chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"
    assert browser(chrome) == "Chrome on Linux"
    assert browser("curl/8") == "curl/8"


def test_activity_has_five_fixed_steps() -> None:
    assert [svg.activity(n) for n in (0, 1, 4, 5, 9, 10, 19, 20, 900)] == [0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_the_strip_leaves_the_future_blank_and_escapes_names() -> None:
    counts = tuple([0] * 44 + [9] + [0] * 51)
    line = StripLine('<b>"Porch', counts, lost=((0.5, 0.6, "Porch: 14 frames lost"),), off=())
    drawn = svg.strip([line], Marks((0.1,), ((0.0, "00:00"),), now=0.5, now_label="now 12:00"))
    assert drawn.count('role="gridcell"') == 48
    assert 'class="a2" role="gridcell" x="45.83%"' in drawn
    assert "<b>" not in drawn
    assert 'style="' not in drawn
    assert "14 frames lost" in drawn


def test_a_narrow_strip_has_an_hour_in_a_cell_as_dark_as_its_busiest_quarter() -> None:
    counts = (1, 0, 25, 0, *([0] * 92))
    drawn = svg.strip([StripLine("Porch", counts, (), ())], Marks((), (), now=None), per=4)
    assert drawn.count('role="gridcell"') == 24
    assert 'class="a4"' in drawn
    assert 'data-n="26"' in drawn


def test_labels_of_boxes_stay_inside_the_picture_and_are_escaped() -> None:
    drawn = svg.outlines([Outline(630, 2, 640, 20, "<script>", dashed=False)], width=640, height=480)
    assert "&lt;script&gt;" in drawn
    assert 'y="5.0"' in drawn


def test_where_every_frame_went_adds_up_line_by_line() -> None:
    lines = day_view.ledger(Where(6_254, 14, 6_240, 5_826, 0, 2, 412))
    assert [(line.label, line.value) for line in lines] == [
        ("Taken by the cameras", "6,254"),
        ("Lost", "−14"),
        ("Stored here", "6,240"),
        ("Same still scene, folded", "5,826"),
        ("Set aside, could not be read", "2"),
        ("Shown as memories", "412"),
    ]


def test_a_part_of_the_day_that_cannot_be_is_not_asked_for() -> None:
    day = date(2026, 9, 24)
    asked = day_view.asked({"from": "11:00", "to": "24:00"}, ["q1"], day=day, zone=ZONE)
    assert (asked.from_us, asked.to_us) == (us(2026, 9, 24, 11), us(2026, 9, 25))
    for query in ({"from": "13:00", "to": "11:00"}, {"from": "x", "to": "1:1:1"}, {"from": "٣:00", "to": "25:00"}):
        assert day_view.asked(query, [], day=day, zone=ZONE).from_us is None


def test_the_day_on_which_the_clock_is_changed_has_its_own_length() -> None:
    start, end = day_view.span_us(date(2026, 10, 25), ZONE)
    assert end - start == 25 * 3_600_000_000


def _answer(text: str) -> Answer:
    start = text.index("on the porch")
    porch = Understood("device", start, start + 12, "Porch", "porch")
    day = text.index("today")
    today = Understood("when", day, day + 5, "Thu 24 Sep", f"{us(2026, 9, 24)}/{us(2026, 9, 25)}")
    return Answer((), "", 0, 3, understood=(porch, today), drop=(Drop("device", "Porch", 3),))


def test_a_removed_chip_gives_its_word_back_and_keeps_the_other_filters() -> None:
    text = "parcel on the porch today"
    chips = search_view.chips(_answer(text), SearchQuery.model_validate({"q": text}), [])
    porch, today = chips
    assert "q=parcel+on+the+porch&" in porch.href
    assert "from=2026-09-23T22%3A00%3A00" in porch.href
    assert "parse=0" in porch.href
    assert "q=parcel+today&device=porch" in today.href


def test_a_filter_understood_from_words_is_dropped_with_its_words() -> None:
    text = "parcel on the porch today"
    answer = _answer(text)
    assert (
        search_view.dropped(answer.drop[0], answer, SearchQuery.model_validate({"q": text})) == "/search?q=parcel+today"
    )


def test_a_text_is_cut_at_its_marks_and_marks_outside_it_are_ignored() -> None:
    assert search_view.pieces("A parcel.", [(2, 8), (40, 50)]) == (("A ", False), ("parcel", True), (".", False))


def test_health_draws_stages_in_order_and_marks_what_is_slow() -> None:
    nodes = [
        Node("quality", "Read the file", 0, 11.0, None, (1, 2, 3), slow=False),
        Node("caption", "Caption", 38, 8.0, 112.0, (1, 2, 3), slow=True),
        Node("embed", "Meaning", 2, 19.0, 1.0, (1, 2, 3), slow=False),
    ]
    columns = health.columns(nodes, health.Now([], 412, us(2026, 9, 24, 18), ZONE))
    assert [column.title for column in columns] == ["Arrives", "Kept", "Sorted", "Understood", "Made findable", "Ready"]
    assert columns[3].boxes[0].detail == "8/min · 1 m 52 s"
    assert 'class="slow"' in (columns[2].links or "")
    assert health.legend(nodes) == ("38", "8/min", "1 m 52 s")


def test_a_day_of_a_budget_is_drawn_to_scale_and_an_hour_off_is_left_out() -> None:
    now_us = us(2026, 11, 20, 18, 0)
    minutes = [*range(0, 60, 5), *range(120, 180, 5)]
    past = tuple((now_us - minute * 60_000_000, 900.0 + minute) for minute in reversed(minutes))
    view = health.budget_view(
        Budget("memory", "Memory", 900, 3_000, "MB", over=False, past=past), now_us=now_us, zone=ZONE
    )
    assert view.past == "Last 24 h. Highest 1.1 GB at 15:05."
    assert view.bar.count("<polyline") == 2
    assert 'y1="2.0"' in view.bar
    empty = health.budget_view(Budget("memory", "Memory", 900, 3_000, "MB", over=False), now_us=now_us, zone=ZONE)
    assert (empty.past, "<polyline" in empty.bar) == ("", False)
