"""Search: filters first, words and meaning fused, a stable order, reasons, pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.recall.answer import Query
from tests.unit.recall_home import RecallHome, open_home, uids, us


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
