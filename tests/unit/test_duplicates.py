"""What people say of duplicates: it counts at once, outlives the step, can be taken back, and deletes nothing."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from gateway.entities import Annotation, Duplicate, DuplicateKind, PairVerdict, Privacy, Role, Stored, Viewer
from gateway.errors import Forbidden, NotFound, Rejected
from gateway.pipeline.cascade import pass_over
from gateway.pipeline.plan import find_steps
from gateway.pipeline.step import Context
from gateway.pipeline.steps import dedupe
from gateway.recall.answer import Query
from gateway.shapes import memory_out
from gateway.store import captures, reading, understood
from gateway.store.db import Connection
from gateway.store.understood import FOLDED_KINDS
from gateway.testing import TwinWorkers
from tests.unit.recall_home import RecallHome, open_home, uids, us

BURST, EDITED, STATIC = DuplicateKind.BURST, DuplicateKind.EDITED, DuplicateKind.STATIC
SAME, APART, WITHDRAWN = PairVerdict.SAME, PairVerdict.APART, PairVerdict.WITHDRAWN


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[RecallHome]:
    async with open_home(tmp_path) as made:
        yield made


async def _of(home: RecallHome, uid: str) -> str:
    """What it repeats; empty: it stands by itself."""
    return (await home.memories.get(home.nora, uid)).duplicate_of_uid


async def _standing(home: RecallHome) -> set[str]:
    """What stands when somebody looks for everything."""
    await home.ready()
    return set(uids((await home.memories.search(home.nora, Query(limit=200))).items))


async def _number(home: RecallHome, uid: str) -> int:
    return await home.house.db.read(lambda c: reading.number_of(c, uid))


# ---- decisions outlive recomputation ----


async def test_what_is_not_the_same_is_never_folded_behind_it_again_however_often_the_step_says_so(
    home: RecallHome,
) -> None:
    kept = await home.see("A cat")
    copy = await home.see("A cat", copy_of=kept)
    await home.memories.duplicates.decide(home.nora, copy, kept, APART)
    assert await _of(home, copy) == ""
    for kind in DuplicateKind:
        await home.say(copy, "A cat", copy_of=kept, copy=kind.value)
        assert await _of(home, copy) == ""
    assert await _standing(home) == {kept, copy}


async def test_what_is_the_same_stays_so_when_the_step_does_not_say_it_any_more(home: RecallHome) -> None:
    kept = await home.see("A cat")
    other = await home.see("A dog")
    copy = await home.see("A cat", copy_of=kept, copy="burst")
    await home.memories.duplicates.decide(home.nora, kept, copy, SAME)
    await home.say(copy, "A cat")
    memory = await home.memories.get(home.nora, copy)
    assert memory.duplicate is not None
    assert (memory.duplicate.kind, memory.duplicate_of_uid) == (BURST, kept)
    await home.say(copy, "A cat", copy_of=other, copy="static")
    assert await _of(home, copy) == kept
    assert await _standing(home) == {kept, other}


async def test_a_real_step_run_again_with_another_fingerprint_changes_no_decision(home: RecallHome) -> None:
    first, second = [await home.see("", device=None, vector=False) for _ in range(2)]
    grid = base64.b64encode(np.tile(np.arange(32, dtype=np.uint8) * 8, (24, 1)).tobytes()).decode()

    async def understand(uid: str, mark: str, version: int) -> None:
        number = await _number(home, uid)
        looked = Annotation(data={"phash": "f0f0f0f0f0f0f0f0", "grid": grid})
        quality = Stored(number, "quality", version, mark, 5, 1.0, looked, "", "", "")
        await home.house.db.write(lambda c: understood.put_annotation(c, quality))
        capture = await home.house.db.read(lambda c: captures.get(c, number))
        assert capture is not None
        context = Context(home.house.db, TwinWorkers(), {"quality": quality}, priority=None)  # type: ignore[arg-type]
        said = await dedupe.STEP.run(capture, context)
        stored = Stored(number, "dedupe", version, mark, 5, 1.0, said, "", "", "")
        await home.house.db.write(lambda c: understood.put_annotation(c, stored))

    for uid in (first, second):
        await understand(uid, "f1", 1)
    assert await _of(home, second) == first
    await home.memories.duplicates.decide(home.nora, second, first, APART)
    for mark, version in (("f2", 2), ("f3", 3)):
        await understand(second, mark, version)
        assert await _of(home, second) == ""
    third = await home.see("", device=None, vector=False)
    await understand(third, "f1", 1)
    assert await _of(home, third) == first, "others are compared as before"
    await home.memories.duplicates.decide(home.nora, second, first, WITHDRAWN)
    await understand(second, "f4", 4)
    assert await _of(home, second) == first


async def test_the_next_of_the_same_bytes_is_found_where_the_first_is_kept_apart(home: RecallHome) -> None:
    first, second, third = [await home.see("A cat") for _ in range(3)]
    await home.house.db.write(lambda c: c.execute("UPDATE capture SET sha256 = x'00'").rowcount)
    await home.memories.duplicates.decide(home.nora, third, first, APART)

    def twin(connection: Connection) -> str:
        capture = captures.get(connection, reading.number_of(connection, third))
        assert capture is not None
        found = captures.same_bytes(connection, capture)
        return found.uid if found else ""

    assert await home.house.db.read(twin) == second
    await home.say(second, "A cat", copy_of=first, copy="exact")
    assert await home.house.db.read(twin) == "", "the second is folded behind the one it is not the same as"


async def test_a_decision_counts_for_what_costs_as_well(home: RecallHome) -> None:
    kept = await home.see("A cat")
    copy = await home.see("A cat", copy_of=kept)
    steps = find_steps()

    def passed(connection: Connection) -> list[str]:
        number = reading.number_of(connection, copy)
        capture = captures.get(connection, number)
        assert capture is not None
        return pass_over(connection, steps, capture, Stored(number, "dedupe", 1, "f", 5, 1.0, Annotation(), "", "", ""))

    assert "ocr" in await home.house.db.write(passed)
    await home.house.db.write(lambda c: c.execute("DELETE FROM job").rowcount)
    await home.memories.duplicates.decide(home.nora, copy, kept, APART)
    queued = await home.house.db.read(lambda c: [row["step"] for row in c.execute("SELECT step FROM job")])
    assert queued == ["dedupe"], "it is looked at like any other now"
    assert await home.house.db.write(passed) == []


# ---- taking back ----


async def test_taking_it_back_lets_the_step_count_again_with_what_it_said_last(home: RecallHome) -> None:
    kept = await home.see("A cat")
    copy = await home.see("A cat", copy_of=kept, copy="static")
    await home.memories.duplicates.decide(home.nora, copy, kept, APART)
    await home.say(copy, "A cat", copy_of=kept, copy="burst")
    await home.memories.duplicates.decide(home.nora, kept, copy, WITHDRAWN)
    memory = await home.memories.get(home.nora, copy)
    assert memory.duplicate is not None
    assert memory.duplicate.kind is BURST
    assert await _standing(home) == {kept}
    assert await home.memories.duplicates.decisions(home.nora) == []


async def test_the_last_word_about_a_pair_counts_in_whichever_order_it_is_named(home: RecallHome) -> None:
    kept = await home.see("A cat")
    copy = await home.see("A cat", copy_of=kept)
    door = home.memories.duplicates
    for one, other, verdict in ((copy, kept, APART), (kept, copy, SAME), (copy, kept, SAME)):
        await door.decide(home.nora, one, other, verdict)
    (said,) = await door.decisions(home.nora, uid=kept)
    assert (said.memory.capture.uid, said.front.capture.uid, said.verdict) == (copy, kept, SAME)
    assert (said.person_name, said.mine) == ("Nora", True)
    rows = await home.house.db.read(lambda c: c.execute("SELECT count(*) FROM duplicate_decision").fetchone()[0])
    assert rows == 3, "nothing that was said is written over"


async def test_pictures_that_no_step_compared_can_be_called_the_same(home: RecallHome) -> None:
    first = await home.see("A cat", at_us=us(2026, 9, 24, 11))
    later = await home.see("A cat", at_us=us(2026, 9, 24, 12))
    await home.memories.duplicates.decide(home.nora, first, later, SAME)
    memory = await home.memories.get(home.nora, later)
    assert memory.duplicate is not None
    assert (memory.duplicate.kind, memory.duplicate_of_uid) == (STATIC, first)
    await home.memories.duplicates.decide(home.nora, first, later, WITHDRAWN)
    assert await _of(home, later) == ""


async def test_no_picture_ends_up_behind_itself(home: RecallHome) -> None:
    first, second, third = [await home.see(f"{n}") for n in range(3)]
    for one, other in ((first, second), (second, third)):
        await home.memories.duplicates.decide(home.nora, one, other, SAME)
    await home.say(first, "0", copy_of=third, copy="exact")
    assert await _of(home, first) == ""
    assert first in await _standing(home)


async def test_an_older_decision_about_a_whole_picture_still_counts(home: RecallHome) -> None:
    kept = await home.see("A cat")
    copy = await home.see("A cat")
    number = await _number(home, copy)
    await home.house.db.write(
        lambda c: understood.decide(c, number, person=home.nora.user, decisions=[("not-duplicate", "")], at_us=5)
    )
    await home.say(copy, "A cat", copy_of=kept)
    assert await _of(home, copy) == ""
    await home.memories.keep_apart(home.nora, copy, apart=False)
    assert await _of(home, copy) == kept


@pytest.mark.parametrize("pair", [("kept", "kept"), ("kept", "note")])
async def test_a_pair_is_two_different_pictures(home: RecallHome, pair: tuple[str, str]) -> None:
    made = {"kept": await home.see("A cat"), "note": await home.see("A note", device=None, kind="text")}
    with pytest.raises(Rejected):
        await home.memories.duplicates.decide(home.nora, made[pair[0]], made[pair[1]], SAME)


# ---- groups ----


async def _group(home: RecallHome, *, copies: int = 3, copy: str = "burst") -> tuple[str, list[str]]:
    front = await home.see("A cat")
    return front, [await home.see("A cat", copy_of=front, copy=copy) for _ in range(copies)]


async def test_groups_come_by_kind_the_last_first_and_are_counted(home: RecallHome) -> None:
    made = [await _group(home, copies=n) for n in (1, 2, 7)]
    await _group(home, copy="edited")
    page = await home.memories.duplicates.groups(home.nora, BURST, limit=2)
    assert [group.front.capture.uid for group in page.items] == [made[2][0], made[1][0]]
    assert [(group.count, len(group.members)) for group in page.items] == [(7, 5), (2, 2)]
    assert {kind.value: n for kind, n in page.counts.items() if n} == {"burst": 3, "edited": 1}
    rest = await home.memories.duplicates.groups(home.nora, BURST, limit=2, cursor=page.next)
    assert ([group.front.capture.uid for group in rest.items], rest.next) == ([made[0][0]], "")
    whole = await home.memories.duplicates.group(home.nora, made[2][0], BURST)
    assert [memory.capture.uid for memory in whole.members] == made[2][1]
    with pytest.raises(Rejected):
        await home.memories.duplicates.groups(home.nora, BURST, cursor="nosuchthing")


async def test_keeping_all_leaves_everything_where_it_is_and_asks_no_more(home: RecallHome) -> None:
    front, members = await _group(home)
    door = home.memories.duplicates
    assert await door.keep_all(home.nora, front, BURST) == 3
    assert (await door.groups(home.nora, BURST)).items == ()
    (still,) = (await door.groups(home.nora, BURST, undecided=False)).items
    assert still.same == frozenset(members)
    assert [await _of(home, uid) for uid in members] == [front] * 3
    new = await home.see("A cat", copy_of=front, copy="burst")
    (again,) = (await door.groups(home.nora, BURST)).items
    assert (again.undecided, new in again.same) == (1, False)
    await door.undo_all(home.nora, front, BURST)
    assert (await door.groups(home.nora, BURST)).items[0].undecided == 4


@pytest.mark.parametrize("which", [0, 1, 3])
async def test_keeping_one_puts_the_others_into_the_bin_and_undo_folds_them_as_before(
    home: RecallHome, which: int
) -> None:
    front, members = await _group(home)
    everything = [front, *members]
    keep = everything[which]
    door = home.memories.duplicates
    done = await door.keep_one(home.nora, front, BURST, keep)
    assert (set(done.binned), done.left) == (set(everything) - {keep}, 0)
    assert await _standing(home) == {keep}
    assert {memory.capture.uid for memory in await home.memories.bin(home.nora)} == set(done.binned)
    assert (await door.groups(home.nora, BURST)).items == ()
    assert await door.restore(home.nora, done.binned) == 3
    assert await _standing(home) == {front}
    assert [await _of(home, uid) for uid in members] == [front] * 3


async def test_a_front_that_comes_back_takes_its_place_unless_somebody_said_otherwise_meanwhile(
    home: RecallHome,
) -> None:
    front, (first, second, third) = await _group(home)
    await home.memories.forget(home.nora, front)
    assert [await _of(home, uid) for uid in (first, second, third)] == ["", first, first]
    new = await home.see("A cat", copy_of=first, copy="burst")
    await home.memories.duplicates.decide(home.nora, first, third, APART)
    await home.say(first, "A cat")  # its step was asked again
    await home.memories.restore(home.nora, front)
    assert [await _of(home, uid) for uid in (first, second, new)] == [front] * 3
    assert await _of(home, third) == front, "it was kept apart from the first, not from this one"


async def test_an_heir_does_not_take_what_is_kept_apart_from_it(home: RecallHome) -> None:
    front, (first, second, third) = await _group(home)
    await home.memories.duplicates.decide(home.nora, first, third, APART)
    await home.memories.forget(home.nora, front)
    assert [await _of(home, uid) for uid in (first, second, third)] == ["", first, ""]


async def test_nothing_is_deleted_unless_somebody_keeps_one(home: RecallHome) -> None:
    front, members = await _group(home)
    for verdict in (APART, WITHDRAWN, SAME, WITHDRAWN):
        for uid in members:
            await home.memories.duplicates.decide(home.nora, uid, front, verdict)
    await home.memories.duplicates.keep_all(home.nora, front, BURST)
    assert await home.memories.bin(home.nora) == []
    rows = await home.house.db.read(lambda c: c.execute("SELECT count(*) FROM capture").fetchone()[0])
    assert rows == 4


# ---- whose they are ----


async def _told(home: RecallHome, viewer: Viewer) -> tuple[set[str], dict[str, int]]:
    """Every uid that the door gives a viewer, and what it counts."""
    door, found, counted = home.memories.duplicates, set[str](), dict[str, int]()
    for kind in DuplicateKind:
        for undecided in (True, False):
            page = await door.groups(viewer, kind, undecided=undecided)
            counted |= {each.value: n for each, n in page.counts.items()}
            for group in page.items:
                found |= {memory.capture.uid for memory in (group.front, *group.members)}
                assert group.count == len(group.members)
                whole = await door.group(viewer, group.front.capture.uid, kind)
                found |= {memory.capture.uid for memory in whole.members}
    for said in await door.decisions(viewer):
        found |= {said.memory.capture.uid, said.front.capture.uid}
    return found, {kind: n for kind, n in counted.items() if n}


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER, Role.GUEST])
async def test_another_persons_private_memory_is_in_no_group_and_no_count(home: RecallHome, role: Role) -> None:
    shared = await home.see("A cat", privacy=Privacy.PUBLIC)
    open_copy = await home.see("A cat", privacy=Privacy.PUBLIC, copy_of=shared, copy="burst")
    hidden_copy = await home.see("A cat", privacy=Privacy.PRIVATE, copy_of=shared, copy="burst")
    alone = await home.see("A dog", privacy=Privacy.PUBLIC)
    await home.see("A dog", privacy=Privacy.PRIVATE, copy_of=alone, copy="edited")
    hidden = await home.see("A fox", privacy=Privacy.PRIVATE)
    behind_hidden = await home.see("A fox", privacy=Privacy.PUBLIC, copy_of=hidden, copy="exact")
    for _ in range(2):  # repeat one another as well, but through what may not be seen
        await home.see("A fox", privacy=Privacy.PUBLIC, copy_of=hidden, copy="exact")
    await home.memories.duplicates.decide(home.nora, hidden_copy, shared, SAME)
    await home.memories.duplicates.decide(home.nora, behind_hidden, hidden, APART)
    await home.memories.duplicates.decide(home.nora, open_copy, shared, SAME)
    other = await home.person("Tomas", role)
    assert await _told(home, other) == ({shared, open_copy}, {})
    await home.memories.duplicates.decide(home.nora, open_copy, shared, WITHDRAWN)
    assert await _told(home, other) == ({shared, open_copy}, {"burst": 1})
    for uid, kind in ((alone, EDITED), (hidden, DuplicateKind.EXACT)):
        with pytest.raises(NotFound):
            await home.memories.duplicates.group(other, uid, kind)
    for asked in (
        home.memories.duplicates.decide(other, shared, hidden_copy, SAME),
        home.memories.duplicates.decisions(other, uid=hidden),
        home.memories.duplicates.keep_one(other, hidden, DuplicateKind.EXACT, behind_hidden),
        home.memories.duplicates.keep_one(other, shared, BURST, hidden_copy),
    ):
        with pytest.raises(NotFound):
            await asked


async def test_the_evidence_names_no_memory_that_may_not_be_seen(home: RecallHome) -> None:
    hidden = await home.see("A fox", privacy=Privacy.PRIVATE)
    copy = await home.see("A fox", privacy=Privacy.PUBLIC)

    def claim(connection: Connection) -> None:
        number, front = (reading.number_of(connection, uid) for uid in (copy, hidden))
        data = {"compared_with": hidden, "distance": 2}
        said = Annotation(data=data, duplicate=Duplicate(BURST, front, data))
        understood.put_annotation(connection, Stored(number, "dedupe", 1, "f", 5, 1.0, said, "", "", ""))

    await home.house.db.write(claim)
    other = await home.person("Tomas")
    assert hidden in memory_out(await home.memories.get(home.nora, copy)).model_dump_json()
    told = memory_out(await home.memories.get(other, copy))
    assert hidden not in told.model_dump_json()
    assert told.duplicate is not None
    assert (told.duplicate.of, told.duplicate.evidence["distance"]) == (None, 2)


async def test_only_its_owner_decides_what_a_picture_repeats(home: RecallHome) -> None:
    front = await home.see("A cat", privacy=Privacy.PUBLIC)
    copy = await home.see("A cat", privacy=Privacy.PUBLIC, copy_of=front, copy="burst")
    tomas = await home.person("Tomas", Role.ADMIN)
    door = home.memories.duplicates
    for asked in (
        door.decide(tomas, copy, front, APART),
        door.keep_apart(tomas, copy, apart=True),
        door.keep_all(tomas, front, BURST),
        door.undo_all(tomas, front, BURST),
        door.keep_one(tomas, front, BURST, copy),
    ):
        with pytest.raises(Forbidden):
            await asked
    assert await door.restore(tomas, [copy]) == 0
    assert not (await door.groups(tomas, BURST)).items[0].mine
    assert await _of(home, copy) == front


async def test_what_was_erased_takes_its_decisions_along(home: RecallHome) -> None:
    front, (copy,) = await _group(home, copies=1)
    await home.memories.duplicates.decide(home.nora, copy, front, APART)
    await home.memories.forget(home.nora, front)
    await home.house.db.write(lambda c: captures.erase_deleted(c, before_us=2**62))
    left = await home.house.db.read(
        lambda c: [
            c.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in ("duplicate_decision", "duplicate_aside")
        ]
    )
    assert left == [0, 0]


def test_the_kind_that_is_not_folded_is_the_one_that_the_sql_names() -> None:
    assert set(DuplicateKind) - set(FOLDED_KINDS) == {EDITED}
