"""The runner: jobs become annotations, failures are counted, and nothing a step does stops it."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from gateway.entities import Annotation, Capture, Decoded, Kind, Lane, Priority
from gateway.errors import Retryable, Skip, Unreadable, WorkerFailed
from gateway.jobs.heat import Heat
from gateway.pipeline.catch_up import catch_up
from gateway.pipeline.plan import find_steps, queue_plan
from gateway.pipeline.runner import House, Runner
from gateway.pipeline.step import Context, Step
from gateway.testing import TwinWorkers
from tests.unit.conftest import SmallHouse, open_small_house

NOW_US = 10**15


def _jpeg(colour: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), (colour, 90, 120)).save(out, "JPEG")
    return out.getvalue()


class _Clock:
    """Goes on by itself, far enough that every rest is over at the next look."""

    def __init__(self) -> None:
        self.now_us = NOW_US

    def __call__(self) -> int:
        self.now_us += 3_600_000_000
        return self.now_us


@asynccontextmanager
async def _working(house: SmallHouse, workers: TwinWorkers, steps: dict[str, Step]) -> AsyncIterator[Runner]:
    runner = Runner(House(house.db, house.spool, house.shelf, workers, steps, _Clock()))
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def _rows(house: SmallHouse, sql: str) -> list[tuple[object, ...]]:
    return await house.db.read(lambda c: [tuple(row) for row in c.execute(sql).fetchall()])


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[SmallHouse]:
    """A house with the real pipeline's plan."""
    house = await open_small_house(tmp_path, plan=queue_plan(find_steps()))
    async with house.stack:
        yield house


async def test_a_picture_goes_through_every_step(whole: SmallHouse) -> None:
    await whole.put(_jpeg(1), seq=1)
    async with _working(whole, TwinWorkers(), find_steps()) as runner:
        await whole.until_idle()
    names = {row[0] for row in await _rows(whole, "SELECT step FROM annotation WHERE skipped = ''")}
    assert names == {"quality", "detect", "dedupe", "classify", "look", "ocr", "caption", "embed"}
    assert await whole.count("embedding") == 2
    assert runner.done["caption"] == 1
    models = await _rows(whole, "SELECT model, revision, preprocessing FROM annotation WHERE step = 'detect'")
    assert models == [("twin-detect", "1", "1")]


async def test_a_missing_model_is_a_skip_that_names_the_command(whole: SmallHouse) -> None:
    await whole.put(_jpeg(2), seq=1)
    async with _working(whole, TwinWorkers(missing=["detect"]), find_steps()):
        await whole.until_idle()
    ((code, hint),) = await _rows(whole, "SELECT skip_code, hint FROM annotation WHERE step = 'detect'")
    assert (code, hint) == ("model-missing", "hearthlog models pull detect")


async def test_who_spoke_is_told_once_its_model_is_there_and_until_then_the_command(whole: SmallHouse) -> None:
    body = b"RIFF" + bytes(40)
    sound = Decoded(Kind.AUDIO, "audio/wav", body, hashlib.sha256(body).digest(), None, None)
    await whole.put(body, seq=1, decoded=sound)
    workers, steps = TwinWorkers(missing=["embed-speaker"]), find_steps()
    said = "SELECT skip_code, hint, data FROM annotation WHERE step = 'speakers' AND current = 1"
    async with _working(whole, workers, steps):
        await whole.until_idle()
        assert (await _rows(whole, said))[0][:2] == ("model-missing", "hearthlog models pull embed-speaker")
        workers.install("embed-speaker")
        assert await catch_up(whole.spool, steps, workers=workers, at_us=NOW_US) == 1
        await whole.until_idle()
    ((code, _, data),) = await _rows(whole, said)
    assert code == "" and json.loads(str(data)) == {
        "turns": [{"start_us": 0, "end_us": 900_000, "speaker": "S1"}],
        "speakers": 1,
    }


async def test_fetching_the_model_brings_back_what_was_passed_over_and_no_more(whole: SmallHouse) -> None:
    await whole.put(_jpeg(3), seq=1)
    workers, steps = TwinWorkers(missing=["detect"]), find_steps()
    async with _working(whole, workers, steps):
        await whole.until_idle()
        workers.install("detect")
        workers.asked.clear()
        queued = await catch_up(whole.spool, steps, workers=workers, at_us=NOW_US)
        await whole.until_idle()
        again = await catch_up(whole.spool, steps, workers=workers, at_us=NOW_US)
    assert (queued, again) == (1, 0)
    assert "pixels" not in {task for task, _ in workers.asked}
    current = await _rows(whole, "SELECT skip_code FROM annotation WHERE step = 'detect' AND current = 1")
    assert current == [("",)]


async def test_unchanged_input_is_never_computed_again(whole: SmallHouse) -> None:
    await whole.put(_jpeg(4), seq=1)
    workers, steps = TwinWorkers(), find_steps()
    async with _working(whole, workers, steps):
        await whole.until_idle()
        workers.asked.clear()
        await whole.db.write(
            lambda c: whole.spool.requeue(c, capture_id=1, step="quality", at_us=1, priority=Priority.BACKLOG)
        )
        await whole.until_idle()
    assert workers.asked == []


async def test_a_person_who_asks_gets_it_done_again(whole: SmallHouse) -> None:
    await whole.put(_jpeg(5), seq=1)
    workers = TwinWorkers()
    async with _working(whole, workers, find_steps()):
        await whole.until_idle()
        workers.asked.clear()
        await whole.db.write(lambda c: whole.spool.requeue(c, capture_id=1, step="ocr", at_us=1))
        await whole.until_idle()
    assert ("ocr", Priority.PERSON) in workers.asked


async def test_the_same_picture_again_is_folded_and_costs_little(whole: SmallHouse) -> None:
    await whole.put(_jpeg(6), seq=1, at_us=1_000_000)
    await whole.put(_jpeg(6), seq=2, at_us=60_000_000)
    workers = TwinWorkers()
    async with _working(whole, workers, find_steps()):
        await whole.until_idle()
    assert await _rows(whole, "SELECT kind FROM duplicate") == [("exact",)]
    assert [task for task, _ in workers.asked].count("ocr") == 1
    assert await _rows(whole, "SELECT folded FROM understood ORDER BY capture") == [("",), ("exact",)]


Does = Callable[[Capture, Context], Awaitable[Annotation]]


def _one(does: Does) -> dict[str, Step]:
    return {"quality": replace(find_steps()["quality"], run=does)}


@pytest.fixture
async def single(tmp_path: Path) -> AsyncIterator[SmallHouse]:
    house = await open_small_house(tmp_path, plan=queue_plan({"quality": find_steps()["quality"]}))
    async with house.stack:
        yield house


async def _failing(house: SmallHouse, error: Exception, times: int) -> int:
    """How often a step ran that fails `times` times with `error`."""
    runs = 0

    async def does(_: Capture, __: Context) -> Annotation:
        nonlocal runs
        runs += 1
        if runs <= times:
            raise error
        return Annotation(caption="At last.")

    await house.put(b"x", seq=1)
    async with _working(house, TwinWorkers(), _one(does)):
        await house.until_idle()
    return runs


async def test_what_may_pass_is_tried_again(single: SmallHouse) -> None:
    assert await _failing(single, WorkerFailed("it died"), 2) == 3
    assert await _rows(single, "SELECT caption FROM understood") == [("At last.",)]
    assert await single.count("job") == 0


async def test_what_the_house_itself_failed_is_no_try_of_the_capture(single: SmallHouse) -> None:
    assert await _failing(single, Retryable("the disk is full"), 7) == 8
    assert await _rows(single, "SELECT caption FROM understood") == [("At last.",)]


@pytest.mark.parametrize("error", [WorkerFailed("it died", code="died"), RuntimeError("bug")])
async def test_after_three_tries_it_is_set_aside_with_its_reason(single: SmallHouse, error: Exception) -> None:
    assert await _failing(single, error, 99) == 3
    ((state, tries, code),) = await _rows(single, "SELECT state, tries, code FROM job")
    assert (state, tries) == ("dead", 3)
    assert code in ("died", "bug")


async def test_what_cannot_be_read_is_set_aside_at_once(single: SmallHouse) -> None:
    assert await _failing(single, Unreadable("cut short", hint="Send it again"), 99) == 1
    assert await _rows(single, "SELECT state, reason, hint FROM job") == [("dead", "cut short", "Send it again")]


async def test_a_skip_is_an_annotation_with_its_reason(single: SmallHouse) -> None:
    assert await _failing(single, Skip("too small", code="too-small"), 1) == 1
    assert await _rows(single, "SELECT skipped, skip_code FROM annotation") == [("too small", "too-small")]


async def test_a_warm_box_does_what_is_live_and_later_its_backlog(single: SmallHouse) -> None:
    heat, done = Heat(75, 82), asyncio.Queue[int]()

    async def does(capture: Capture, _: Context) -> Annotation:
        done.put_nowait(capture.id)
        return Annotation(caption="Seen.")

    await single.spool.put(replace(single.arrival(b"old"), priority=Priority.BACKLOG))
    await single.put(b"new", seq=1)
    heat.feel(80.0)
    house = House(
        single.db, single.spool, single.shelf, TwinWorkers(), _one(does), _Clock(), lowest=lambda: heat.lowest
    )
    task = asyncio.create_task(Runner(house).run())
    async with asyncio.timeout(20):
        assert await done.get() == 2
        heat.feel(60.0)
        await single.put(b"newer", seq=2)  # wakes it
        assert {await done.get(), await done.get()} == {1, 3}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_stop_gives_leases_back_uncounted(single: SmallHouse) -> None:
    begun = asyncio.Event()

    async def hangs(_: Capture, __: Context) -> Annotation:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError("never")

    for seq in range(6):
        await single.put(b"x%d" % seq, seq=seq)
    async with _working(single, TwinWorkers(), _one(hangs)):
        await begun.wait()
    assert await _rows(single, "SELECT DISTINCT state, tries, losses FROM job") == [("waiting", 0, 0)]


async def test_a_capture_without_its_original_is_passed_over(whole: SmallHouse) -> None:
    await whole.put(_jpeg(7), seq=1)
    await whole.db.write(lambda c: c.execute("UPDATE capture SET blob = NULL"))
    async with _working(whole, TwinWorkers(), find_steps()):
        await whole.until_idle()
    codes = await _rows(whole, "SELECT skip_code FROM annotation WHERE step = 'quality'")
    assert codes == [("original-gone",)]


async def test_a_note_is_taken_in_as_written(whole: SmallHouse) -> None:
    arrival = whole.arrival("Books came för Nora".encode())
    decoded = replace(arrival.decoded, kind=Kind.TEXT, media_type="text/plain", width_px=None, height_px=None)
    await whole.spool.put(replace(arrival, decoded=decoded, device=None, lane=Lane.FOLDER))
    async with _working(whole, TwinWorkers(), find_steps()):
        await whole.until_idle()
    assert await _rows(whole, "SELECT text FROM understood") == [("Books came för Nora",)]


async def test_doing_the_first_step_again_does_each_later_one_once(whole: SmallHouse) -> None:
    await whole.put(_jpeg(8), seq=1)
    workers = TwinWorkers()
    async with _working(whole, workers, find_steps()):
        await whole.until_idle()
        workers.asked.clear()
        await whole.db.write(lambda c: whole.spool.requeue(c, capture_id=1, step="quality", at_us=1))
        await whole.until_idle()
    assert sorted(task for task, _ in workers.asked) == [
        "caption", "classify", "copy-vector", "detect", "embed-image", "embed-text", "ocr", "pixels",
    ]  # fmt: skip


async def test_only_what_can_be_done_now_is_in_the_queue(whole: SmallHouse) -> None:
    await whole.put(_jpeg(9), seq=1)
    assert await _rows(whole, "SELECT step FROM job") == [("quality",)]


_FULL = (
    "CREATE TRIGGER full_1 BEFORE INSERT ON annotation BEGIN SELECT RAISE(ABORT, 'full'); END",
    "CREATE TRIGGER full_2 BEFORE UPDATE ON job WHEN NEW.state <> 'running' BEGIN SELECT RAISE(ABORT, 'full'); END",
)


async def test_a_disk_that_takes_nothing_leaves_no_job_leased_for_ever(single: SmallHouse) -> None:
    async def says(_: Capture, __: Context) -> Annotation:
        return Annotation(caption="Seen.")

    for seq in range(6):
        await single.put(b"x%d" % seq, seq=seq)
    await single.db.write(lambda c: [c.execute(trigger) for trigger in _FULL])
    with pytest.raises(ExceptionGroup):
        await Runner(House(single.db, single.spool, single.shelf, TwinWorkers(), _one(says), _Clock())).run()
    await single.db.write(lambda c: [c.execute(f"DROP TRIGGER full_{n}") for n in (1, 2)])
    async with _working(single, TwinWorkers(), _one(says)):
        await single.until_idle()
    assert await _rows(single, "SELECT count(*) FROM understood WHERE caption = 'Seen.'") == [(6,)]


async def test_a_jobs_number_that_was_given_anew_ends_no_other_job(single: SmallHouse) -> None:
    await single.put(b"x1", seq=1)
    await single.put(b"x2", seq=2)
    first, second = await single.spool.claim(["quality"], lowest=Priority.BACKLOG, limit=2, now_us=NOW_US)
    await single.spool.done(second, Kind.IMAGE, None)
    await single.db.write(lambda c: c.execute("DELETE FROM capture WHERE id = ?", (first.capture_id,)))
    await single.put(b"x3", seq=3)
    assert await _rows(single, "SELECT id FROM job") == [(first.id,)]
    await single.spool.done(first, Kind.IMAGE, None)
    assert await _rows(single, "SELECT id FROM job") == [(first.id,)]


async def test_a_later_step_that_cannot_read_a_picture_leaves_the_others_their_word(whole: SmallHouse) -> None:
    async def reads_last(_: Capture, ctx: Context) -> Annotation:
        while True:
            wake = asyncio.create_task(whole.db.next_commit())
            await asyncio.sleep(0)
            if await _rows(whole, "SELECT 1 FROM annotation WHERE step = 'classify'"):
                wake.cancel()
                raise Unreadable("the reader's own decoder gave up")
            await wake

    steps = find_steps()
    steps["ocr"] = replace(steps["ocr"], run=reads_last)
    await whole.put(_jpeg(9), seq=1)
    async with _working(whole, TwinWorkers(), steps):
        await whole.until_idle()
    assert await _rows(whole, "SELECT step, state FROM job") == [("ocr", "dead")]
    assert await _rows(whole, "SELECT count(*) FROM annotation WHERE step IN ('caption', 'embed')") == [(2,)]
