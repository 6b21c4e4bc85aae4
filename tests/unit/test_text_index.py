"""Words of any script: how they are written, asked for and marked, and how the index follows and mends itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.index import text
from gateway.index.indexer import Index
from gateway.recall.answer import Query
from gateway.store import changes, words
from gateway.store.words import Source
from tests.unit.recall_home import RecallHome, open_home, uids


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[RecallHome]:
    async with open_home(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("猫がソファで寝ている", "ソファ"),
        ("猫がソファで寝ている", "猫"),
        ("小包在门口", "门口"),
        ("แมวนอนบนโซฟา", "โซฟา"),
        ("고양이가 소파에서", "고양이가"),
        ("कुत्ता दरवाज़े पर", "दरवाज़े"),
        ("Кошка спит на диване", "диване"),
        ("Ein Päckchen vor der Tür", "packchen"),
        ("Two parcels delivered", "parcel"),
        ("قطة على الأريكة", "قطة"),
    ],
)
async def test_a_word_is_found_in_any_script(home: RecallHome, said: str, asked: str) -> None:
    wanted = await home.see(said, vector=False)
    await home.see("A bicycle", vector=False)
    await home.ready()
    answer = await home.memories.search(home.nora, Query(asked))
    assert uids(answer.items) == [wanted]
    (why,) = answer.items[0].why
    assert why.marks
    assert all(said[start:end].strip() for start, end in why.marks)


def test_marks_stand_where_the_word_is_written() -> None:
    source = Source(1, "猫がソファで寝ている。 A  blue\tDoor", "", "", ())
    for asked, expected in (("ソファ", ["ソファ"]), ("door", ["Door"]), ("猫", ["猫"])):
        found = words.marked([text.row(source)], text.any_of(text.words(asked)))
        marks = text.marks(source.caption, found[1][0])
        assert [source.caption[start:end] for start, end in marks] == expected


def test_the_last_word_is_also_a_beginning_and_common_words_are_left_out() -> None:
    assert [(word.text, word.prefix) for word in text.words("the parcel on the por")] == [
        ("parcel", False),
        ("por", True),
    ]
    assert [word.text for word in text.words("what is it")] == ["what", "is", "it"]
    assert [word.prefix for word in text.words("porch ")] == [False]


@given(st.text(max_size=60))
def test_no_text_of_a_person_is_an_error_of_the_query(asked: str) -> None:
    wanted = text.words(asked)
    if wanted:
        source = Source(1, asked, "", "", ())
        for columns in words.marked([text.row(source)], text.any_of(wanted)).values():
            marks = text.marks(source.caption, columns[0])
            assert list(marks) == sorted(marks)
            assert all(0 <= start < end <= len(asked) for start, end in marks)


async def test_a_change_of_words_replaces_the_old_ones(home: RecallHome) -> None:
    uid = await home.see("A parcel")
    await home.ready()
    await home.memories.correct(home.nora, uid, caption="A kite")
    await home.ready()
    assert uids((await home.memories.search(home.nora, Query("kite"))).items) == [uid]
    found = await home.memories.search(home.nora, Query("parcel"))
    assert all(why.kind != "words" for hit in found.items for why in hit.why)


async def test_the_index_follows_by_itself(home: RecallHome) -> None:
    task = asyncio.create_task(home.index.follow())
    uid = await home.see("A parcel")
    await home.index.wait_for(await home.house.db.read(changes.head))
    assert uids((await home.memories.search(home.nora, Query("parcel"))).items) == [uid]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("harm", ["emptied", "lost", "cursor"])
async def test_an_index_that_is_gone_is_made_again_at_the_start(home: RecallHome, harm: str) -> None:
    uid = await home.see("A parcel")
    await home.ready()
    statement = {
        "emptied": "DELETE FROM words_data",
        "lost": "DROP TABLE words",
        "cursor": "DELETE FROM cursor WHERE name = 'index-words'",
    }[harm]
    await home.house.db.write(lambda c: c.execute(statement).rowcount)
    async with Index(home.house.db):
        rows = await home.house.db.read(lambda c: words.postings(c, '"parcel"'))
    assert rows.tolist() == [(await home.memories.get(home.nora, uid)).capture.id]
