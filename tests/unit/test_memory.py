"""The door of memories: what people decide, the bin, and what the log tells whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from gateway.entities import AiUsage, Annotation, Embedding, Privacy, Role, Stored
from gateway.errors import NotFound, Rejected
from gateway.recall.answer import Query
from gateway.store import changes, understood
from gateway.store.blobs import read_blob
from gateway.store.db import Connection
from tests.unit.recall_home import RecallHome, open_home, uids, us


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[RecallHome]:
    async with open_home(tmp_path) as made:
        yield made


async def test_a_memory_comes_with_everything_that_was_understood(home: RecallHome) -> None:
    uid = await home.see("A parcel", text="N. LINDQVIST", tags=("parcel", "person"))
    memory = await home.memories.get(home.nora, uid)
    assert (memory.caption, memory.text, memory.tags) == ("A parcel", "N. LINDQVIST", ("parcel", "person"))
    assert {note.step for note in memory.annotations} == {"dedupe", "caption", "embed"}
    assert read_blob(await home.memories.blob(home.nora, uid)) == b"body 1"


async def test_an_original_that_retention_took_is_told_as_gone(home: RecallHome) -> None:
    uid = await home.see("A parcel")
    await home.house.db.write(lambda c: c.execute("UPDATE capture SET blob = NULL").rowcount)
    with pytest.raises(NotFound) as caught:
        await home.memories.blob(home.nora, uid)
    assert caught.value.code == "blob-gone"


async def test_what_was_binned_is_nowhere_until_it_is_brought_back(home: RecallHome) -> None:
    uid = await home.see("A parcel")
    await home.ready()
    await home.memories.forget(home.nora, uid)
    with pytest.raises(NotFound):
        await home.memories.get(home.nora, uid)
    assert (await home.memories.search(home.nora, Query("parcel"))).total == 0
    assert [memory.capture.uid for memory in await home.memories.bin(home.nora)] == [uid]
    back = await home.memories.restore(home.nora, uid)
    assert back.caption == "A parcel"
    assert (await home.memories.search(home.nora, Query("parcel"))).total == 1
    assert await home.memories.bin(home.nora) == []


async def test_a_persons_words_win_and_outlive_a_step(home: RecallHome) -> None:
    uid = await home.see("A box")
    await home.memories.correct(home.nora, uid, caption="  Ada's drawing ", transcript="Look!")
    await home.say(uid, "A square")
    memory = await home.memories.get(home.nora, uid)
    assert (memory.caption, memory.caption_source, memory.transcript) == ("Ada's drawing", "person:Nora", "Look!")
    decisions = await home.memories.decisions(home.nora, uid)
    assert [(item.person_name, item.what, item.value) for item in decisions] == [
        ("Nora", "caption", "Ada's drawing"),
        ("Nora", "transcript", "Look!"),
    ]


async def test_tags_come_and_go(home: RecallHome) -> None:
    uid = await home.see("A parcel", tags=("parcel",))
    await home.memories.tag(home.nora, uid, add=("books for Nora", " "), remove=("parcel",))
    assert (await home.memories.get(home.nora, uid)).tags == ("books for Nora",)
    with pytest.raises(Rejected):
        await home.memories.tag(home.nora, uid, add=("x" * 61,))


async def test_a_copy_can_be_kept_apart_and_folded_again(home: RecallHome) -> None:
    kept = await home.see("A cat")
    copy = await home.see("A cat", copy_of=kept, copy="burst")
    assert (await home.memories.get(home.nora, copy)).duplicate_of_uid == kept
    assert [memory.capture.uid for memory in await home.memories.copies(home.nora, kept)] == [copy]
    apart = await home.memories.keep_apart(home.nora, copy, apart=True)
    assert apart.duplicate is None
    assert (await home.memories.search(home.nora, Query())).total == 2
    again = await home.memories.keep_apart(home.nora, copy, apart=False)
    assert again.duplicate is not None
    assert (await home.memories.search(home.nora, Query())).total == 1


async def test_near_is_just_before_and_after_on_all_cameras(home: RecallHome) -> None:
    await home.camera("hall", name="Hall")
    seen = [await home.see(f"{n}", device=("porch", "hall")[n % 2], at_us=us(2026, 9, 24, 11, n)) for n in range(9)]
    near = await home.memories.near(home.nora, seen[4], each=2)
    assert [memory.capture.uid for memory in near] == seen[2:7]
    assert [memory.capture.uid for memory in await home.memories.near(home.nora, seen[0], each=1)] == seen[:2]


async def test_similar_pictures_come_nearest_first_and_only_the_viewers(home: RecallHome) -> None:
    rows = np.random.default_rng(2).standard_normal((5, 1_024)).astype(np.float32)
    rows[1:4] = rows[0] + np.array([[0.1], [0.3], [0.2]], np.float32) * rows[1:4]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    seen = [await home.see("", privacy=Privacy.PRIVATE if n == 3 else Privacy.CIRCLE, vector=False) for n in range(5)]

    def look(connection: Connection) -> None:
        for uid, row in zip(seen, rows, strict=True):
            number = connection.execute("SELECT id FROM capture WHERE uid = ?", (uid,)).fetchone()[0]
            note = Annotation(embedding=Embedding("looks@1/224", row.tobytes()))
            understood.put_annotation(connection, Stored(number, "look", 1, "f", 5, 1.0, note, "", "", ""))
            understood.touch(connection, number, at_us=5)

    await home.house.db.write(look)
    await home.ready()
    member = await home.person("Tomas")
    found = await home.memories.similar(home.nora, seen[0], limit=3)
    assert [memory.capture.uid for memory, _ in found] == [seen[1], seen[3], seen[2]]
    assert [likeness for _, likeness in found] == sorted((likeness for _, likeness in found), reverse=True)
    assert [memory.capture.uid for memory, _ in await home.memories.similar(member, seen[0], limit=2)] == [
        seen[1],
        seen[2],
    ]


async def test_doing_it_again_queues_the_step_before_all_else(home: RecallHome) -> None:
    uid = await home.see("A parcel")
    await home.house.db.write(lambda c: c.execute("DELETE FROM job").rowcount)
    await home.memories.reprocess(home.nora, uid, "dedupe")
    jobs = await home.house.db.read(
        lambda c: {row["step"]: row["priority"] for row in c.execute("SELECT step, priority FROM job").fetchall()}
    )
    assert jobs == {"dedupe": 0}
    with pytest.raises(NotFound):
        await home.memories.reprocess(home.nora, uid, "juggle")


async def test_who_can_see_names_each_person_and_why(home: RecallHome) -> None:
    uid = await home.see("A parcel", privacy=Privacy.CIRCLE)
    await home.person("Tomas")
    await home.person("Gast", Role.GUEST)
    sees = await home.memories.who_can_see(home.nora, uid)
    assert {(person.name, person.can) for person in sees} == {("Nora", True), ("Tomas", True), ("Gast", False)}
    assert all(person.why for person in sees)


async def test_the_log_tells_a_viewer_only_of_what_is_theirs(home: RecallHome) -> None:
    member = await home.person("Tomas")
    _, start, _ = await home.memories.changes(member, None)
    private = await home.see("A secret", privacy=Privacy.PRIVATE)
    shared = await home.see("A parcel", privacy=Privacy.CIRCLE)
    lines, cursor, over = await home.memories.changes(member, start)
    assert not over
    assert {line.entity_id for line in lines if line.entity == "memory"} == {shared}
    await home.memories.set_privacy(home.nora, shared, Privacy.PRIVATE)
    lines, cursor, _ = await home.memories.changes(member, cursor)
    assert [(line.entity_id, line.operation) for line in lines] == [(shared, "gone")]
    assert private not in {line.entity_id for line in lines}


async def test_the_log_names_a_refused_camera_only_to_who_may_know_it(home: RecallHome) -> None:
    member = await home.person("Tomas")
    _, start, _ = await home.memories.changes(member, None)
    await home.house.db.write(
        lambda c: changes.append(c, entity="refusal", entity_id="nursery", operation="put", at_us=1)
    )
    assert [line.entity_id for line in (await home.memories.changes(home.nora, start))[0]] == ["nursery"]
    assert (await home.memories.changes(member, start))[0] == []


async def test_a_cursor_of_another_life_starts_over(home: RecallHome) -> None:
    lines, cursor, over = await home.memories.changes(home.nora, changes.Cursor("another", 5))
    assert (lines, over) == ([], True)
    assert cursor == await home.house.db.read(changes.head)


async def test_what_machines_may_use_is_a_decision_too(home: RecallHome) -> None:
    uid = await home.see("A parcel")
    memory = await home.memories.set_ai_usage(home.nora, uid, AiUsage.NONE)
    assert memory.capture.ai_usage is AiUsage.NONE
    assert [item.what for item in await home.memories.decisions(home.nora, uid)] == ["ai-usage"]


@pytest.mark.parametrize("uid", ["", "nothing", "'; DROP TABLE capture", "x" * 10_000])
async def test_what_is_not_there_is_not_found(home: RecallHome, uid: str) -> None:
    for asked in (
        home.memories.get,
        home.memories.near,
        home.memories.copies,
        home.memories.forget,
        home.memories.restore,
    ):
        with pytest.raises(NotFound):
            await asked(home.nora, uid)


async def test_hits_and_pages_hold_the_same_memory(home: RecallHome) -> None:
    uid = await home.see("A parcel")
    await home.ready()
    answer = await home.memories.search(home.nora, Query("parcel"))
    assert uids(answer.items) == [uid]
    assert answer.items[0].memory == await home.memories.get(home.nora, uid)
