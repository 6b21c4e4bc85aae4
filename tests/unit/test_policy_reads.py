"""Who sees what, on every door: leaks are zero."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest

from gateway.devices import Devices
from gateway.entities import Privacy, Role, Viewer
from gateway.errors import Forbidden, NotFound
from gateway.recall.answer import Query
from gateway.store import changes
from tests.unit.recall_home import NOW, ZONE, RecallHome, open_home, uids

DAY = date(2026, 9, 24)


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[RecallHome]:
    async with open_home(tmp_path) as made:
        yield made


async def _all_doors(home: RecallHome, viewer: Viewer, anchor: str) -> set[str]:
    """Every uid that any door gives this viewer."""
    memories = home.memories
    found = set(uids((await memories.search(viewer, Query(folded=True, limit=200))).items))
    for text in ("parcel", "secret"):
        found |= set(uids((await memories.search(viewer, Query(text, folded=True, limit=200))).items))
    day = await memories.day(viewer, DAY)
    found |= {uid for _, uid in day.people}
    for row in day.rows:
        found |= {memory.capture.uid for memory in getattr(row, "memories", ())}
        if hasattr(row, "memory"):
            found.add(row.memory.capture.uid)
    found |= {memory.capture.uid for memory in await memories.near(viewer, anchor, each=50)}
    found |= {memory.capture.uid for memory in await memories.copies(viewer, anchor)}
    found |= {memory.capture.uid for memory in await memories.bin(viewer)}
    start = await home.house.db.read(lambda c: changes.Cursor(changes.epoch(c), 0))
    lines, _, _ = await memories.changes(viewer, start)
    found |= {line.entity_id for line in lines if line.entity == "memory" and line.operation == "put"}
    cards = await Devices(home.house.db, clock=lambda: int(NOW.timestamp() * 1e6), zone=ZONE).all(viewer)
    return found | {card.last_memory.capture.uid for card in cards if card.last_memory}


@pytest.mark.parametrize(
    ("role", "seen"),
    [(Role.MEMBER, {"circle", "public"}), (Role.ADMIN, {"circle", "public"}), (Role.GUEST, {"public"})],
)
async def test_no_door_shows_what_is_not_the_viewers(home: RecallHome, role: Role, seen: set[str]) -> None:
    public = await home.see("A parcel for all", privacy=Privacy.PUBLIC)
    circle = await home.see("A parcel for us", privacy=Privacy.CIRCLE)
    private = await home.see("A secret parcel", privacy=Privacy.PRIVATE)
    copy = await home.see("A secret parcel", privacy=Privacy.PRIVATE, copy_of=public, copy="edited")
    note = await home.see("A secret note", privacy=Privacy.PRIVATE, device=None, kind="text")
    binned = await home.see("A parcel in the bin", privacy=Privacy.PUBLIC)
    await home.memories.forget(home.nora, binned)
    await home.ready()
    other = await home.person("Tomas", role)
    mine = {"public": public, "circle": circle}
    assert await _all_doors(home, other, public) == {mine[word] for word in seen}
    assert await _all_doors(home, home.nora, public) == {public, circle, private, copy, note, binned}
    for hidden in (private, copy, note, binned):
        with pytest.raises(NotFound):
            await home.memories.get(other, hidden)


async def test_figures_do_not_count_what_may_not_be_seen(home: RecallHome) -> None:
    await home.see("A parcel", privacy=Privacy.PUBLIC)
    for _ in range(5):
        await home.see("A parcel", privacy=Privacy.PRIVATE)
    await home.ready()
    guest = await home.person("Gast", Role.GUEST)
    answer = await home.memories.search(guest, Query("parcel"))
    assert (answer.total, answer.looked_at, sum(n for _, _, n in answer.facets.devices)) == (1, 1, 1)
    day = await home.memories.day(guest, DAY)
    assert (day.totals.stored, day.memories) == (1, 1)
    assert (await home.memories.days(guest, until=DAY, count=1))[0].memories == 1


async def test_hiding_counts_at_once_for_searches_that_follow(home: RecallHome) -> None:
    uid = await home.see("A parcel", privacy=Privacy.CIRCLE)
    await home.ready()
    member = await home.person("Tomas")
    assert (await home.memories.search(member, Query("parcel"))).total == 1
    await home.memories.set_privacy(home.nora, uid, Privacy.PRIVATE)
    answer = await home.memories.search(member, Query("parcel"))
    assert (answer.total, answer.looked_at) == (0, 0)


async def test_another_persons_private_words_move_nobodys_order(home: RecallHome) -> None:
    await home.see("A parcel and a cat", privacy=Privacy.PUBLIC)
    await home.see("A parcel", privacy=Privacy.PUBLIC)
    await home.ready()
    guest = await home.person("Gast", Role.GUEST)
    before = await home.memories.search(guest, Query("parcel cat"))
    for _ in range(20):
        await home.see("A cat", privacy=Privacy.PRIVATE)
    await home.ready()
    after = await home.memories.search(guest, Query("parcel cat"))
    assert [(hit.score, hit.why) for hit in after.items] == [(hit.score, hit.why) for hit in before.items]


async def test_only_its_owner_changes_a_memory(home: RecallHome) -> None:
    uid = await home.see("A parcel", privacy=Privacy.PUBLIC)
    member = await home.person("Tomas", Role.ADMIN)
    for change in (
        home.memories.forget(member, uid),
        home.memories.set_privacy(member, uid, Privacy.PRIVATE),
        home.memories.correct(member, uid, caption="Mine"),
        home.memories.tag(member, uid, add=("x",)),
        home.memories.reprocess(member, uid, None),
    ):
        with pytest.raises(Forbidden):
            await change


async def test_a_camera_that_may_not_be_known_is_not_there(home: RecallHome) -> None:
    await home.camera("study", name="Study", privacy=Privacy.PRIVATE)
    cards = Devices(home.house.db, clock=lambda: int(NOW.timestamp() * 1e6), zone=ZONE)
    guest = await home.person("Gast", Role.GUEST)
    member = await home.person("Tomas")
    assert await cards.all(guest) == []
    assert [card.device.id for card in await cards.all(member)] == ["porch"]
    with pytest.raises(NotFound):
        await cards.get(member, "study")
    answer = await home.memories.search(member, Query("lamp in the study"))
    assert all(item.kind == "word" for item in answer.understood)
