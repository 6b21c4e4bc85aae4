"""Another text model: what stands answers until the new one has read everything, and nothing is read twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway import metrics
from gateway.cli import root
from gateway.entities import Priority, Privacy, Role, Viewer
from gateway.errors import WorkerFailed
from gateway.store import captures, spaces
from tests.contract.inference_house import picture
from tests.contract.reembed_house import NEW, NOTES, NOW_US, OLD, Home, Twin, open_home


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    """Read by the first revision, which answers."""
    async with open_home(tmp_path, Twin()) as made:
        await made.write(*NOTES)
        await made.understood()
        await made.done()
        assert await made.spaces() == {"answers": OLD}
        yield made


def twin(home: Home) -> Twin:
    assert isinstance(home.workers, Twin)
    return home.workers


async def step(home: Home, times: int = 1) -> None:
    for _ in range(times):
        assert await home.reembed.tend("embed")


async def test_the_old_one_answers_until_the_new_one_has_read_everything(home: Home) -> None:
    await home.write(*(f"letter {n} about the boat" for n in range(20)))
    await home.understood()
    twin(home).install("embed-text", "2")
    found = await home.meant("the cat on the radiator")
    assert found[0] == NOTES[3]
    await step(home, 2)
    while "fills" in await home.spaces():
        assert await home.meant("the cat on the radiator") == found
        assert await home.spaces() == {"answers": OLD, "fills": NEW}
        await home.reembed.tend("embed")
    assert await home.spaces() == {"answers": NEW}
    assert (await home.meant("the cat on the radiator"))[0] == NOTES[3]
    await home.done()
    assert await home.vectors() == {NEW: 26}
    assert sorted(text for revision, text in twin(home).read if revision == "2" and "letter" in text) == sorted(
        f"letter {n} about the boat" for n in range(20)
    )


async def test_what_comes_in_meanwhile_is_found_at_once_and_afterwards(home: Home) -> None:
    twin(home).install("embed-text", "2")
    await step(home, 2)
    await home.write("an owl in the chimney")
    await home.understood()
    assert (await home.vectors())[OLD] == 7
    assert (await home.meant("owl chimney"))[0] == "an owl in the chimney"
    await home.done()
    assert await home.vectors() == {NEW: 7}
    assert (await home.meant("owl chimney"))[0] == "an owl in the chimney"


async def test_what_changes_while_it_is_read_is_read_again(home: Home) -> None:
    twin(home).install("embed-text", "2")
    await step(home, 2)
    assert (await home.vectors())[NEW] == 6
    uid = (await home.ask("heron")).items[0].memory.capture.uid
    await home.memories.reprocess(home.viewer, uid)
    await home.understood()
    assert (await home.rows("SELECT count(*) FROM annotation WHERE current = 2"))[0][0] == 5
    await home.done()
    assert await home.spaces() == {"answers": NEW}
    assert (await home.rows("SELECT count(*) FROM annotation WHERE step = 'embed' AND current = 1"))[0][0] == 6
    assert twin(home).read.count(("2", NOTES[5])) == 2


async def test_a_stop_in_the_middle_goes_on_where_it_was(tmp_path: Path) -> None:
    workers = Twin()
    letters = [f"letter {n} about the boat" for n in range(30)]
    async with open_home(tmp_path, workers) as home:
        await home.write(*letters)
        await home.understood()
        await home.done()
        workers.install("embed-text", "2")
        await step(home, 3)
        assert await home.vectors() == {OLD: 30, NEW: 16}
    async with open_home(tmp_path, workers) as home:
        assert (await home.meant("letter 17"))[0] == "letter 17 about the boat"
        await home.done()
        assert await home.vectors() == {NEW: 30}
        assert (await home.meant("letter 17"))[0] == "letter 17 about the boat"
    assert sorted(text for revision, text in workers.read if revision == "2" and "about" in text) == sorted(letters)


async def test_a_model_that_goes_again_takes_what_it_made_along(home: Home) -> None:
    twin(home).install("embed-text", "2")
    await step(home, 2)
    assert (await home.vectors())[NEW] == 6
    twin(home).remove("embed-text", "2")
    await home.done()
    assert await home.vectors() == {OLD: 6} and await home.spaces() == {"answers": OLD}
    assert (await home.meant("heron pond"))[0] == NOTES[5]
    assert not home.reembed.sentence("embed")


async def test_when_the_old_model_is_gone_the_new_one_answers_with_what_it_has(home: Home) -> None:
    twin(home).install("embed-text", "2")
    await step(home, 2)
    twin(home).remove("embed-text", "1")
    await home.write("an owl in the chimney")
    await home.understood()
    await step(home)
    assert await home.spaces() == {"answers": NEW}
    assert (await home.meant("heron pond"))[0] == NOTES[5]
    await home.done()
    await home.understood()
    await home.done()
    assert await home.vectors() == {NEW: 7}
    assert (await home.meant("owl chimney"))[0] == "an owl in the chimney"


async def test_nothing_is_read_while_anything_waits_or_the_box_is_hot(home: Home) -> None:
    twin(home).install("embed-text", "2")
    await step(home)
    (uid,) = await home.write("an owl in the chimney")
    assert not await home.reembed.tend("embed")
    assert "nothing else waits" in home.reembed.sentence("embed")
    await home.understood()
    assert await home.memories.get(home.viewer, uid)
    assert await home.reembed.tend("embed")
    assert all(priority is Priority.BACKLOG for task, priority in twin(home).asked[-6:])


async def test_it_tells_how_far_it_is(home: Home) -> None:
    await home.write(*(f"letter {n} about the boat" for n in range(10)))
    await home.understood()
    twin(home).install("embed-text", "2")
    await step(home, 2)
    assert home.reembed.sentence("embed").startswith("twin-embed-text@2/1 has read 8 of 16 memories (50%)")
    assert 'hearthlog_reembedding_memories{step="embed"} 8.0' in metrics.exposition().decode()
    told = await home.house.db.read(lambda c: spaces.filled(c, "embed"))
    assert told is not None and (told.done, told.total, told.fills) == (8, 16, NEW)


async def test_one_that_cannot_be_read_is_set_aside_after_three_tries(home: Home) -> None:
    twin(home).install("embed-text", "2")
    await step(home)
    for _ in range(3):
        twin(home).failures.append(WorkerFailed("broken off", code="died"))
        await home.reembed.tend("embed")
        await home.reembed.tend("embed")
    await home.done()
    assert await home.spaces() == {"answers": NEW}
    assert await home.vectors() == {NEW: 5}
    assert await home.rows("SELECT skip_code, model, revision FROM annotation WHERE step = 'embed' AND skip_code <> ''")


async def test_an_erased_memory_leaves_neither_space_anything(home: Home) -> None:
    twin(home).install("embed-text", "2")
    await step(home, 2)
    uid = (await home.ask("heron")).items[0].memory.capture.uid
    await home.memories.forget(home.viewer, uid)
    await home.house.db.write(lambda c: captures.erase_deleted(c, before_us=NOW_US + 1))
    assert await home.vectors() == {OLD: 5, NEW: 5}
    await home.index.catch_up()
    await home.done()
    assert await home.vectors() == {NEW: 5}
    assert NOTES[5] not in await home.meant("heron pond")


async def test_what_is_private_stays_so_before_and_after(home: Home) -> None:
    guest = Viewer("p-guest", "Guest", Role.GUEST)
    await home.write("the diary of a quarrel", privacy=Privacy.PRIVATE)
    await home.understood()
    twin(home).install("embed-text", "2")
    await step(home, 2)
    assert await home.meant("diary quarrel", guest) == []
    await home.done()
    assert await home.meant("diary quarrel", guest) == []
    assert (await home.meant("diary quarrel"))[0] == "the diary of a quarrel"


async def test_every_vector_names_model_revision_and_preprocessing(home: Home) -> None:
    twin(home).install("embed-text", "2")
    await step(home, 2)
    named = await home.rows(
        "SELECT DISTINCT e.space, a.model || '@' || a.revision || '/' || a.preprocessing"
        " FROM embedding AS e JOIN annotation AS a ON a.id = e.annotation ORDER BY 1"
    )
    assert named == [(OLD, OLD), (NEW, NEW)]
    await home.done()
    fingerprints = await home.rows("SELECT fingerprint FROM annotation WHERE step = 'embed'")
    await home.memories.reprocess(home.viewer, (await home.ask("heron")).items[0].memory.capture.uid, "note")
    await home.understood()
    assert await home.rows("SELECT fingerprint FROM annotation WHERE step = 'embed' AND current = 1") == fingerprints


@pytest.mark.slow
async def test_the_room_of_the_old_vectors_is_given_back(home: Home, tmp_path: Path) -> None:
    await home.write(*(f"letter {n} about the boat" for n in range(120)))
    await home.understood()
    before = (await home.rows("PRAGMA page_count"))[0][0]
    twin(home).install("embed-text", "2")
    await home.done()
    assert (await home.rows("PRAGMA freelist_count"))[0][0] == 0
    assert int(str((await home.rows("PRAGMA page_count"))[0][0])) <= int(str(before)) + 8


async def test_commands_tell_which_answers_and_how_far_the_new_one_is(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*arguments: str) -> str:
        return CliRunner().invoke(root, arguments, catch_exceptions=False).output

    monkeypatch.setenv("HEARTHLOG_HOME", str(tmp_path))
    twin(home).install("embed-text", "2")
    await step(home, 1)
    assert "twin-embed-text@2/1 has read 0 of 6 memories (0%)" in await asyncio.to_thread(run, "reindex", "--status")
    (told,) = json.loads(await asyncio.to_thread(run, "reindex", "--status", "--json"))["items"]
    assert told == {"step": "embed", "answers": OLD, "fills": NEW, "done": 0, "total": 6}
    await home.done()
    assert await asyncio.to_thread(run, "reindex", "--status") == "embed    twin-embed-text answers.\n"
    monkeypatch.setenv("HEARTHLOG_HOME", str(tmp_path / "elsewhere"))
    assert run("reindex", "--status") == "Nothing has vectors yet.\n"


async def test_looks_change_their_space_too_save_of_what_is_no_longer_kept(tmp_path: Path) -> None:
    workers = Twin()
    async with open_home(tmp_path, workers) as home:
        shown = await home.show(*(picture(64, 48, seed=n) for n in range(5)))
        await home.understood()
        await home.done("look")
        await home.house.db.write(
            lambda c: c.execute("UPDATE capture SET blob = NULL WHERE uid = ?", (shown[4],)).rowcount
        )
        before = await home.memories.similar(home.viewer, shown[0])
        workers.install("embed-image", "2")
        await home.reembed.tend("look")
        assert await home.memories.similar(home.viewer, shown[0]) == before
        await home.done("look")
        assert [row[0] for row in await home.rows("SELECT name FROM space WHERE step = 'look'")] == [
            "twin-embed-image@2/1"
        ]
        assert {space: n for space, n in (await home.vectors()).items() if "image" in space} == {
            "twin-embed-image@2/1": 4
        }
        assert len(await home.memories.similar(home.viewer, shown[0])) == 3
        told = await home.rows(
            "SELECT skip_code, model, revision FROM annotation WHERE step = 'look' AND current = 1 AND skipped <> ''"
        )
        assert told == [("original-gone", "twin-embed-image", "2")]
