"""Search: filters first, words and meaning fused, a stable order, reasons, pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.entities import Kind
from gateway.errors import ModelMissing, Rejected
from gateway.recall.answer import Query
from gateway.recall.search import Place, Search
from gateway.store import captures, words
from tests.unit.recall_home import NOW, ZONE, RecallHome, open_home, uids, us


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[RecallHome]:
    async with open_home(tmp_path) as made:
        yield made


async def test_a_word_in_the_caption_is_found_with_its_reason(home: RecallHome) -> None:
    parcel = await home.see("A parcel on the mat")
    await home.see("A cat on the sofa")
    await home.ready()
    answer = await home.memories.search(home.nora, Query("parcel"))
    assert uids(answer.items)[0] == parcel
    words = answer.items[0].why[0]
    assert (words.kind, words.text, words.field, words.marks) == ("words", "parcel", "caption", ((2, 8),))
    assert answer.items[0].why[1].kind == "meaning"
    assert answer.items[0].score == 1.0
    assert answer.looked_at == 2


async def test_filters_come_first_and_are_told(home: RecallHome) -> None:
    await home.camera("hall", name="Hall")
    for n in range(30):
        await home.see("A parcel on the mat", device="hall", at_us=us(2026, 9, 20, 10, n))
    wanted = await home.see("A parcel in the rain", at_us=us(2026, 9, 22, 9))
    await home.ready()
    answer = await home.memories.search(home.nora, Query("parcel on the porch since monday"))
    assert uids(answer.items) == [wanted]
    assert [(item.kind, item.label) for item in answer.understood] == [
        ("word", "parcel"),
        ("device", "Porch"),
        ("when", "Mon 21 to Thu 24 Sep"),
    ]
    assert [why.text for why in answer.items[0].why if why.kind == "filter"] == ["Porch", "Mon 21 to Thu 24 Sep"]
    assert answer.looked_at == 1
    assert {name: n for _, name, n in answer.facets.devices} == {"Porch": 1}


async def test_a_hit_by_its_word_alone_always_returns(home: RecallHome) -> None:
    for n in range(150):
        await home.see(f"A parcel on the mat {n}")
    alone = await home.see(text="N. LINDQVIST 12 ALDER LANE", vector=False)
    await home.ready()
    answer = await home.memories.search(home.nora, Query("lindqvist parcel"))
    assert answer.total == 151
    assert alone in uids((await home.memories.search(home.nora, Query("lindqvist"))).items)[:1]


async def test_without_words_the_newest_come_first(home: RecallHome) -> None:
    seen = [await home.see(f"Frame {n}", at_us=us(2026, 9, 24, 10, n)) for n in range(5)]
    await home.ready()
    answer = await home.memories.search(home.nora, Query())
    assert uids(answer.items) == seen[::-1]
    assert {hit.score for hit in answer.items} == {1.0}


@pytest.mark.parametrize("text", ["", "parcel", "parcel mat"])
async def test_pages_meet_without_gap_or_overlap(home: RecallHome, text: str) -> None:
    for n in range(23):
        await home.see("A parcel on the mat" if n % 3 else f"A cat {n} on the mat", at_us=us(2026, 9, 24, 10, n // 2))
    await home.ready()
    whole = uids((await home.memories.search(home.nora, Query(text, limit=200))).items)
    pages: list[str] = []
    query = Query(text, limit=4)
    while True:
        answer = await home.memories.search(home.nora, query)
        pages += uids(answer.items)
        if not answer.next:
            break
        query = replace(query, cursor=answer.next)
    assert pages == whole
    assert answer.total == len(whole)


@pytest.mark.parametrize("cursor", ["x", "!!!!", "AAAA", "é", "a" * 300])
async def test_a_cursor_that_is_not_ours_is_refused(home: RecallHome, cursor: str) -> None:
    with pytest.raises(Rejected) as caught:
        await home.memories.search(home.nora, Query("parcel", cursor=cursor))
    assert caught.value.code == "bad-cursor"


async def test_a_cursor_belongs_to_its_query(home: RecallHome) -> None:
    for _ in range(3):
        await home.see("A parcel")
    await home.ready()
    answer = await home.memories.search(home.nora, Query("parcel", limit=1))
    with pytest.raises(Rejected):
        await home.memories.search(home.nora, Query("cat", limit=1, cursor=answer.next))


async def test_the_order_is_the_same_whatever_was_asked_before(home: RecallHome) -> None:
    for n in range(30):
        await home.see(f"A parcel {n % 4} on the mat", at_us=us(2026, 9, 24, 10))
    await home.ready()
    first = await home.memories.search(home.nora, Query("parcel 3"))
    for text in ("mat", "cat", "parcel 1"):
        await home.memories.search(home.nora, Query(text))
    again = await home.memories.search(home.nora, Query("parcel 3"))
    assert [(hit.score, hit.memory.capture.uid) for hit in again.items] == [
        (hit.score, hit.memory.capture.uid) for hit in first.items
    ]


async def test_weak_hits_come_after_all_others(home: RecallHome) -> None:
    await home.see("A parcel on the mat")
    await home.see("A cat")
    await home.see("A kitten asleep on a bench by the window")
    await home.ready()
    answer = await home.memories.search(home.nora, Query("parcel bench window lamp kitten sofa"))
    weak = [hit.weak for hit in answer.items]
    assert weak == sorted(weak)


async def test_without_a_model_words_answer_and_the_answer_says_so(home: RecallHome) -> None:
    await home.see("A parcel on the mat")
    await home.ready()

    async def missing(text: str, space: str) -> bytes | None:
        raise ModelMissing("embed-text")

    search = Search(home.house.db, home.index, embed=missing, place=Place(ZONE, lambda: int(NOW.timestamp() * 1e6)))
    answer = await search.find(home.nora, Query("parcel"))
    assert answer.total == 1
    assert answer.meaning_off == "no model for embed-text"
    assert answer.meaning_hint == "hearthlog models pull embed-text"


async def test_folded_copies_are_counted_and_shown_only_when_asked_for(home: RecallHome) -> None:
    kept = await home.see("A parcel on the mat")
    for _ in range(3):
        await home.see("A parcel on the mat", copy_of=kept, copy="static")
    await home.see("A parcel on the mat", copy_of=kept, copy="burst")
    await home.ready()
    answer = await home.memories.search(home.nora, Query("parcel"))
    assert uids(answer.items) == [kept]
    assert dict(answer.facets.folded) == {"static": 3, "copies": 1}
    assert (await home.memories.search(home.nora, Query("parcel", folded=True))).total == 5


async def test_facets_leave_their_own_filter_out(home: RecallHome) -> None:
    await home.camera("hall", name="Hall")
    await home.see("A parcel", tags=("person",))
    await home.see("A parcel", device="hall", text="FRAGILE", at_us=us(2026, 9, 23, 9))
    await home.see("A parcel knocks", device="hall", kind="audio")
    await home.ready()
    answer = await home.memories.search(home.nora, Query("parcel", devices=("porch",), kinds=(Kind.IMAGE,)))
    assert answer.total == 1
    assert {name: n for _, name, n in answer.facets.devices} == {"Porch": 1, "Hall": 1}
    everything = await home.memories.search(home.nora, Query("parcel"))
    assert dict(everything.facets.kinds)[Kind.AUDIO] == 1
    assert dict(everything.facets.has) == {"text": 1, "person": 1}
    assert [(day.isoformat(), n) for day, n in everything.facets.when] == [("2026-09-23", 1), ("2026-09-24", 2)]


async def test_nothing_found_names_the_filter_to_drop_and_its_count(home: RecallHome) -> None:
    await home.camera("hall", name="Hall")
    for _ in range(3):
        await home.see("A kite", device="hall")
    await home.see("A cat")
    await home.ready()
    answer = await home.memories.search(home.nora, Query("kite", devices=("porch",)))
    assert answer.total == 0
    assert [(drop.kind, drop.label, drop.total) for drop in answer.drop] == [("device", "Porch", 3)]


async def test_words_that_are_filters_can_be_taken_back(home: RecallHome) -> None:
    note = await home.see("Put it on the porch bench", device=None, kind="text")
    await home.ready()
    assert (await home.memories.search(home.nora, Query("bench on the porch"))).total == 0
    assert uids((await home.memories.search(home.nora, Query("bench on the porch", parse=False))).items) == [note]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [("sounds since monday", (Kind.AUDIO,)), ("pictures of a parcel", (Kind.IMAGE,)), ("picture frame", ())],
)
async def test_kinds_are_understood_in_the_plural(home: RecallHome, text: str, kinds: tuple[Kind, ...]) -> None:
    answer = await home.memories.search(home.nora, Query(text))
    assert tuple(Kind(item.value) for item in answer.understood if item.kind == "kind") == kinds


async def test_a_kind_inside_a_query_is_a_word_when_the_filter_finds_nothing(home: RecallHome) -> None:
    note = await home.see("", text="Shot type analysis in videos", kind="text", device=None)
    for _ in range(3):
        await home.see("A parcel on the mat")
    await home.ready()
    answer = await home.memories.search(home.nora, Query("shot type analysis in videos"))
    assert uids(answer.items)[0] == note
    assert not [item for item in answer.understood if item.kind == "kind"]
    assert "videos" in [item.label for item in answer.understood if item.kind == "word"]


async def test_a_kind_inside_a_query_is_a_filter_when_it_finds_something(home: RecallHome) -> None:
    await home.see("A parcel on the mat")
    clip = await home.see("A parcel is dropped", kind="video")
    await home.ready()
    answer = await home.memories.search(home.nora, Query("parcel videos"))
    assert uids(answer.items) == [clip]
    assert answer.understood[-1].label == "Videos"


async def test_a_kind_that_finds_nothing_is_named_with_what_there_is_without_it(home: RecallHome) -> None:
    for _ in range(3):
        await home.see("A parcel on the mat")
    await home.ready()
    for text in ("videos of a parcel", "videos from the porch"):
        answer = await home.memories.search(home.nora, Query(text))
        assert answer.total == 0
        assert ("kind", "Videos", 3) in [(drop.kind, drop.label, drop.total) for drop in answer.drop]


async def test_pages_of_a_query_whose_kind_is_a_word_meet(home: RecallHome) -> None:
    for n in range(7):
        await home.see(f"Notes on videos {n}", device=None)
    await home.ready()
    first = await home.memories.search(home.nora, Query("all about videos", limit=4))
    second = await home.memories.search(home.nora, Query("all about videos", limit=4, cursor=first.next))
    assert len({*uids(first.items), *uids(second.items)}) == first.total == 7


@pytest.mark.parametrize(
    "text", ["\x00", '"', "'; DROP TABLE words", "NEAR(", "*", "a" * 5_000, "\ud800 parcel", "caption:x"]
)
async def test_any_text_can_be_asked(home: RecallHome, text: str) -> None:
    await home.see("A parcel")
    await home.ready()
    answer = await home.memories.search(home.nora, Query(text))
    assert answer.looked_at <= 1


async def test_without_a_likeness_nothing_is_similar(home: RecallHome) -> None:
    one = await home.see("A parcel")
    assert await home.memories.similar(home.nora, one) == []


async def test_what_was_erased_for_good_is_gone_from_every_column(home: RecallHome) -> None:
    kept = await home.see("A parcel")
    erased = [await home.see("A parcel") for _ in range(3)]
    await home.ready()
    assert (await home.memories.search(home.nora, Query("parcel"))).total == 4
    for uid in erased:
        await home.memories.forget(home.nora, uid)
    await home.house.db.write(lambda c: captures.erase_deleted(c, before_us=2**62))
    await home.ready()
    answer = await home.memories.search(home.nora, Query("parcel"))
    assert (uids(answer.items), answer.looked_at) == ([kept], 1)
    assert await home.house.db.read(lambda c: words.postings(c, '"parcel"').tolist()) == [
        answer.items[0].memory.capture.id
    ]
    held = home.index.held(home.index.spaces.text)
    assert held is not None
    assert len(held.exact) == 1
