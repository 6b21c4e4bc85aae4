"""What is remembered of a word is what the text index says now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.index.indexer import Index, throw_words_away
from gateway.store import words
from gateway.store.db import Connection
from tests.unit.recall_home import RecallHome, open_home


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[RecallHome]:
    async with open_home(tmp_path) as made:
        yield made


async def agrees(home: RecallHome) -> dict[str, list[int]]:
    """Asked through what is remembered, after checking that the text index says the same."""

    def read(connection: Connection) -> dict[str, list[int]]:
        found = {}
        for expression in ('"parcel"', '"par"*', '"cat"', '"nothing"'):
            found[expression] = home.index.postings.of(connection, expression).nonzero()[0].tolist()
            assert found[expression] == words.postings(connection, expression).tolist()
        return found

    return await home.house.db.read(read)


async def test_what_is_remembered_follows_the_text_index(home: RecallHome) -> None:
    for n in range(20):
        await home.see("A parcel" if n % 2 else "A cat")
    await home.ready()
    before = await agrees(home)
    assert len(before['"parcel"']) == 10 and before['"par"*'] == before['"parcel"'] and not before['"nothing"']
    await home.see("A cat beside a parcel")
    assert await agrees(home) == before  # the text index has not got there
    await home.ready()
    after = await agrees(home)
    assert len(after['"parcel"']) == len(after['"cat"']) == 11


async def test_a_caption_that_changes_is_no_longer_found_by_its_old_word(home: RecallHome) -> None:
    seen = [await home.see("A parcel") for _ in range(5)]
    await home.ready()
    await agrees(home)
    await home.memories.correct(home.nora, seen[2], caption="A hat")
    await home.ready()
    assert len((await agrees(home))['"parcel"']) == 4


async def test_it_is_forgotten_when_the_text_index_is_made_anew(home: RecallHome) -> None:
    for _ in range(5):
        await home.see("A parcel")
    await home.ready()
    await agrees(home)
    await home.index.rebuild_words("asked")
    assert len((await agrees(home))['"parcel"']) == 5


async def test_a_rebuild_that_was_cut_short_is_done_again_at_the_next_start(home: RecallHome) -> None:
    parcel = await home.see("A parcel")
    await home.ready()
    await home.house.db.write(throw_words_away)
    assert not await home.house.db.read(lambda c: home.index.postings.of(c, '"parcel"').any())
    async with Index(home.house.db) as index:
        (found,) = await home.house.db.read(lambda c: index.postings.of(c, '"parcel"').nonzero()[0].tolist())
        assert await home.house.db.read(lambda c: words.numbers_of(c, [parcel])) == [found]
