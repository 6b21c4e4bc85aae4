"""Re-embedding with the real text model in real processes, killed in the middle; and Chroma, which follows a swap."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.inference.workers import Budget, open_workers
from gateway.recall.answer import Query
from tests.contract import reembed_models as models_of
from tests.contract.reembed_house import NEW, OLD, Home, Twin, open_home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]

THINGS = ("bicycle", "parcel", "cat", "kettle", "ladder", "umbrella", "piano", "tractor")
PLACES = ("garage", "porch", "kitchen", "attic")
NOTES = [f"the {thing} is in the {place}" for thing in THINGS for place in PLACES]
ASKED = {"bikes": "bicycle", "something to boil water in": "kettle", "pianos": "piano", "a kitten": "cat"}


@pytest.fixture
async def graphs(tmp_path: Path, minilm_wheel: Path) -> Path:
    await asyncio.to_thread(models_of.build, minilm_wheel, tmp_path / "graphs")
    return tmp_path / "graphs"


async def right(home: Home) -> bool:
    """Whether what is meant comes first, each time."""
    found = {asked: (await home.meant(asked) or [""])[0] for asked in ASKED}
    assert all(thing in found[asked] for asked, thing in ASKED.items()), found
    return True


async def killed_in_the_middle(path: Path, *, at_least: int) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.contract.reembed_models", str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(300):
        while int(await process.stdout.readline()) < at_least:
            pass
    process.send_signal(signal.SIGKILL)
    await process.wait()


async def test_a_kill_in_the_middle_costs_nothing_that_was_done(tmp_path: Path, graphs: Path) -> None:
    path = tmp_path / "home"
    models = models_of.both(path)
    models_of.install(models, models_of.INT8, graphs)
    old, new = (models.manifests[name].space for name in (models_of.INT8, models_of.FP32))
    async with open_workers(models, Budget()) as workers, open_home(path, workers) as home:
        await home.write(*NOTES)
        await home.understood()
        await home.done()
        assert await home.spaces() == {"answers": old} and await right(home)

    models_of.install(models, models_of.FP32, graphs)
    await killed_in_the_middle(path, at_least=16)

    async with open_workers(models_of.both(path), Budget()) as workers, open_home(path, workers) as home:
        before = await home.rows("SELECT id, took_ms FROM annotation WHERE current = 2")
        assert 16 <= len(before) < len(NOTES)
        assert await home.spaces() == {"answers": old, "fills": new} and await right(home)
        await home.done()
        assert await home.spaces() == {"answers": new} and await right(home)
        assert await home.vectors() == {new: len(NOTES)}
        after = await home.rows("SELECT id, took_ms FROM annotation WHERE step = 'embed'")
        assert len(after) == len(NOTES) and set(before) <= set(after)
        running = {slot.slot: slot.tasks for slot in workers.status() if slot.pid is not None}
        assert "shadow" not in running and running["query"] == ("embed-text",)


async def test_where_there_is_no_memory_for_two_it_waits_and_search_answers(tmp_path: Path, graphs: Path) -> None:
    path = tmp_path / "home"
    models = models_of.both(path)
    models_of.install(models, models_of.INT8, graphs)
    async with open_workers(models, Budget(memory_mb=250)) as workers, open_home(path, workers) as home:
        await home.write(*NOTES)
        await home.understood()
        await home.done()
        models_of.install(models, models_of.FP32, graphs)
        for _ in range(3):
            await home.reembed.tend("embed")
        assert "no memory for two" in home.reembed.sentence("embed")
        assert await right(home)
        held_mb = sum(slot.rss_bytes for slot in workers.status()) / 1e6
        assert held_mb < 250 and all(slot.pid is None for slot in workers.status() if slot.slot == "shadow")


async def test_chroma_follows_a_swap_and_search_is_right_throughout(tmp_path: Path) -> None:
    workers, folder = Twin(), tmp_path / "index" / "chroma"
    async with open_home(tmp_path, workers, chroma=folder) as home:
        await home.write(*(f"letter {n} about the boat" for n in range(130)))
        await home.understood()
        task = asyncio.create_task(home.index.follow(), name="index")
        try:
            await home.done()
            await by_chroma(home, OLD)
            workers.install("embed-text", "2")
            while await home.reembed.tend("embed"):
                assert (await home.meant("letter 117"))[0] == "letter 117 about the boat"
            await by_chroma(home, NEW)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def by_chroma(home: Home, space: str) -> None:
    """Once the large index is whole, it is the one that answers, and it does so from this space."""
    async with asyncio.timeout(60):
        while True:
            keeper = home.index.keeper
            if keeper is not None and keeper.good and keeper.chroma.space == space:
                break
            await asyncio.sleep(0.05)  # another process's doings: no event tells of it
    answer = await home.memories.search(home.viewer, Query("letter 117"))
    assert answer.approximate
    assert answer.items[0].memory.text == "letter 117 about the boat"
