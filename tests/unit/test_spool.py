"""The durable queue and the ledger."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.entities import Annotation, Capture, Job, Kind, Priority, Stored
from gateway.errors import StorageFull, Unreadable
from gateway.store import captures, edits, jobs, understood
from gateway.store.arrivals import Put, Verdict
from gateway.store.blobs import read_blob
from gateway.store.db import Connection
from gateway.store.jobs import MAX_LOSSES
from tests.unit.conftest import SmallHouse, open_small_house

DAY = 86_400_000_000


async def _claim(house: SmallHouse, *steps: str, limit: int = 10, now_us: int = DAY) -> list[Job]:
    return await house.spool.claim(steps, lowest=Priority.BACKLOG, limit=limit, now_us=now_us)


async def _capture(house: SmallHouse, job: Job) -> Capture:
    found = await house.db.read(lambda c: captures.get(c, job.capture_id, house.shelf))
    assert found is not None
    return found


def _said(job: Job, **found: object) -> Stored:
    return Stored(job.capture_id, job.step, 1, "f", 5, 1.0, Annotation(**found), "", "", "")  # type: ignore[arg-type]


def _files(house: SmallHouse) -> int:
    return sum(1 for path in house.folder.root.rglob("*") if path.is_file())


async def test_what_was_put_can_be_read_by_its_reference(house: SmallHouse) -> None:
    put = await house.put(b"porch at eight", seq=1)
    job = (await _claim(house, "quality"))[0]
    capture = await _capture(house, job)
    assert capture.uid == put.uid
    assert capture.blob is not None
    assert read_blob(capture.blob) == b"porch at eight"


async def test_put_twice_stores_one_blob_and_one_capture(house: SmallHouse) -> None:
    first = await house.put(b"same", seq=1)
    second = await house.put(b"same", seq=1)
    assert second == Put(Verdict.REPEATED, first.uid)
    assert (await house.count("capture"), await house.count("blob"), _files(house)) == (1, 1, 1)


async def test_many_at_once_of_one_record_store_one(house: SmallHouse) -> None:
    puts = await asyncio.gather(*(house.put(b"same", seq=1) for _ in range(20)))
    assert sorted(put.verdict for put in puts) == [Verdict.REPEATED] * 19 + [Verdict.STORED]
    assert len({put.uid for put in puts}) == 1
    assert await house.count("blob") == 1


async def test_two_records_with_the_same_picture_share_a_blob(house: SmallHouse) -> None:
    await asyncio.gather(*(house.put(b"same", seq=seq) for seq in range(10)))
    assert (await house.count("capture"), await house.count("blob"), _files(house)) == (10, 1, 1)


async def test_a_used_number_with_another_picture_is_a_conflict_and_reported(house: SmallHouse) -> None:
    await house.put(b"one", seq=1)
    assert (await house.put(b"other", seq=1)).verdict is Verdict.CONFLICT
    codes = await house.db.read(lambda c: [row["code"] for row in c.execute("SELECT code FROM refusal").fetchall()])
    assert (codes, await house.count("capture")) == (["conflict"], 1)


async def test_the_ledger_outlives_the_capture(house: SmallHouse) -> None:
    await house.put(b"one", seq=1)
    await house.db.write(lambda c: c.execute("UPDATE capture SET deleted_at_us = 1"))
    count, names = await house.db.write(lambda c: captures.erase_deleted(c, before_us=DAY))
    house.folder.remove(*names)
    assert (count, _files(house), await house.count("annotation")) == (1, 0, 0)
    assert (await house.put(b"one", seq=1)).verdict is Verdict.REPEATED
    assert await house.count("capture") == 0


async def test_an_equal_plain_frame_is_a_repeat_only_within_its_window(house: SmallHouse) -> None:
    first = await house.put(b"plain", at_us=100, same_since_us=0)
    assert await house.put(b"plain", at_us=200, same_since_us=100) == Put(Verdict.REPEATED, first.uid)
    assert (await house.put(b"plain", at_us=300, same_since_us=101)).verdict is Verdict.STORED


async def test_below_the_floor_nothing_is_taken_in(house: SmallHouse) -> None:
    house.spool.free_floor_bytes = 10**18
    with pytest.raises(StorageFull):
        await house.put(b"too much", seq=1)
    assert (await house.count("capture"), _files(house)) == (0, 0)


async def test_a_disk_that_refuses_leaves_nothing_behind(house: SmallHouse, tmp_path: Path) -> None:
    parts = house.folder.root / ".part"
    parts.rmdir()
    parts.write_text("in the way")
    with pytest.raises(Exception, match="disk refused"):
        await house.put(b"x", seq=1)
    assert await house.count("ledger") == 0
    parts.unlink()
    parts.mkdir()
    assert (await house.put(b"x", seq=1)).verdict is Verdict.STORED


async def test_a_step_waits_for_those_it_reads(house: SmallHouse) -> None:
    await house.put(b"one", seq=1)
    assert await _claim(house, "dedupe", "ocr", "caption") == []
    for step in ("quality", "dedupe", "ocr", "caption"):
        (job,) = await _claim(house, "quality", "dedupe", "ocr", "caption")
        assert job.step == step
        await house.spool.done(job, Kind.IMAGE, _said(job))
    assert await house.count("job") == 0


async def test_what_a_person_asked_for_goes_first_and_live_before_backlog(house: SmallHouse) -> None:
    await house.put(b"old", seq=1, priority=Priority.BACKLOG)
    await house.put(b"new", seq=2, priority=Priority.LIVE)
    await house.put(b"asked", seq=3, priority=Priority.PERSON)
    taken = await _claim(house, "quality", limit=2)
    assert [job.priority for job in taken] == [Priority.PERSON, Priority.LIVE]


async def test_the_backlog_can_be_made_to_wait(house: SmallHouse) -> None:
    await house.put(b"old", seq=1, priority=Priority.BACKLOG)
    assert await house.spool.claim(["quality"], lowest=Priority.LIVE, limit=5, now_us=DAY) == []


async def test_a_job_is_leased_to_one(house: SmallHouse) -> None:
    await house.put(b"one", seq=1)
    taken = await asyncio.gather(*(_claim(house, "quality") for _ in range(5)))
    assert sum(len(each) for each in taken) == 1


async def test_a_retried_job_rests_and_counts_its_tries(house: SmallHouse) -> None:
    await house.put(b"one", seq=1)
    (job,) = await _claim(house, "quality")
    await house.spool.retry(job, not_before_us=DAY + 10)
    assert await _claim(house, "quality") == []
    (again,) = await _claim(house, "quality", now_us=DAY + 10)
    assert again.tries == 1


async def test_a_lease_of_an_earlier_run_is_void_and_no_try(tmp_path: Path) -> None:
    house = await open_small_house(tmp_path)
    async with house.stack:
        await house.put(b"one", seq=1)
        await _claim(house, "quality")
    house = await open_small_house(tmp_path, run="run-2")
    async with house.stack:
        assert house.spool.lost == 1
        (job,) = await _claim(house, "quality")
        assert job.tries == 0


async def test_a_job_that_is_lost_too_often_is_set_aside(house: SmallHouse) -> None:
    await house.put(b"one", seq=1)
    for _ in range(MAX_LOSSES):
        await _claim(house, "quality")
        await house.db.write(jobs.recover)
    await _claim(house, "quality")
    await house.db.write(jobs.recover)
    backlog = {each.step: each for each in await house.db.read(jobs.backlogs)}
    assert backlog["quality"].dead == 1


async def test_a_buried_job_lets_the_others_go_on(house: SmallHouse) -> None:
    await house.put(b"one", seq=1)
    (job,) = await _claim(house, "quality")
    await house.spool.bury(job, Kind.IMAGE, Unreadable("broken", hint="send another"), at_us=9)
    (next_,) = await _claim(house, "dedupe")
    assert next_.step == "dedupe"


async def test_what_cannot_be_read_at_all_is_one_dead_letter_and_replay_brings_the_rest(house: SmallHouse) -> None:
    await house.put(b"one", seq=1)
    (job,) = await _claim(house, "quality")
    await house.spool.bury(job, Kind.IMAGE, Unreadable("broken"), at_us=9, alone=False)
    assert await house.count("job") == 1
    await house.db.write(lambda c: house.spool.requeue(c, capture_id=job.capture_id, step="quality", at_us=10))
    (again,) = await _claim(house, "quality")
    await house.spool.done(again, Kind.IMAGE, _said(again))
    assert [(each.step, each.priority) for each in await _claim(house, "dedupe")] == [("dedupe", Priority.PERSON)]


async def test_doing_a_step_again_redoes_what_is_made_from_it(house: SmallHouse) -> None:
    await house.put(b"one", seq=1)
    for _ in range(4):
        (job,) = await _claim(house, "quality", "dedupe", "ocr", "caption")
        await house.spool.done(job, Kind.IMAGE, _said(job))
    await house.db.write(lambda c: house.spool.requeue(c, capture_id=job.capture_id, step="ocr", at_us=10))
    for step in ("ocr", "caption"):
        (job,) = await _claim(house, "quality", "dedupe", "ocr", "caption")
        assert job.step == step
        await house.spool.done(job, Kind.IMAGE, _said(job))


async def test_an_annotation_the_change_and_the_jobs_end_are_one(house: SmallHouse) -> None:
    put = await house.put(b"one", seq=1)
    before = await house.count("change")
    (job,) = await _claim(house, "quality")
    await house.spool.done(job, Kind.IMAGE, _said(job, caption="A porch.", tags=("porch",), text="12"))
    row = await house.db.read(lambda c: c.execute("SELECT * FROM understood").fetchone())
    assert (row["caption"], row["caption_source"], row["text"], row["tags"]) == (
        "A porch.", "composed", "12", '["porch"]',
    )  # fmt: skip
    last = await house.db.read(lambda c: c.execute("SELECT * FROM change ORDER BY sequence DESC").fetchone())
    assert (await house.count("change"), last["entity_id"]) == (before + 1, put.uid)


async def test_a_persons_words_win_and_stay(house: SmallHouse) -> None:
    await house.put(b"one", seq=1)
    (job,) = await _claim(house, "quality")
    await house.spool.done(job, Kind.IMAGE, _said(job, caption="A dog."))
    await house.db.write(
        lambda c: understood.decide(
            c, job.capture_id, person=house.owner, decisions=[("caption", "Rex!"), ("tag", "rex")], at_us=7
        )
    )
    later = replace(_said(job, caption="A cat."), fingerprint="g")
    await house.db.write(lambda c: understood.put_annotation(c, later))
    row = await house.db.read(lambda c: c.execute("SELECT * FROM understood").fetchone())
    assert (row["caption"], row["tags"]) == ("Rex!", '["rex"]')
    assert row["caption_source"].startswith("person:")


async def _folded(house: SmallHouse, capture_id: int, of: int) -> None:
    def fold(connection: Connection) -> None:
        connection.execute(
            "INSERT INTO duplicate(capture, step, kind, of, evidence) VALUES (?, 'dedupe', 'static', ?, '{}')",
            (capture_id, of),
        )
        understood.refresh(connection, capture_id)

    await house.db.write(fold)


async def test_when_a_picture_goes_its_earliest_copy_takes_its_place(house: SmallHouse) -> None:
    for n in range(4):
        await house.put(b"still %d" % n, seq=n, at_us=n * 1_000_000)
    for copy in (2, 3, 4):
        await _folded(house, copy, of=1)
    assert await house.db.write(lambda c: understood.promote(c, 1, at_us=9)) == 2
    rows = await house.db.read(
        lambda c: [
            tuple(row) for row in c.execute("SELECT capture, folded FROM understood ORDER BY capture").fetchall()
        ]
    )
    assert rows == [(1, ""), (2, ""), (3, "static"), (4, "static")]
    of = await house.db.read(lambda c: [row["of"] for row in c.execute("SELECT of FROM duplicate").fetchall()])
    assert of == [2, 2]
    assert await house.db.write(lambda c: understood.promote(c, 3, at_us=9)) is None


async def test_a_copy_in_the_bin_is_not_folded_behind_what_was_erased(house: SmallHouse) -> None:
    for n in range(2):
        await house.put(b"still %d" % n, seq=n, at_us=n * 1_000_000)
    await _folded(house, 2, of=1)
    await house.db.write(lambda c: c.execute("UPDATE capture SET deleted_at_us = id"))
    assert (await house.db.write(lambda c: captures.erase_deleted(c, before_us=2)))[0] == 1
    await house.db.write(lambda c: edits.take_from_bin(c, 2, at_us=9))
    rows = await house.db.read(lambda c: [tuple(row) for row in c.execute("SELECT capture, folded FROM understood")])
    assert rows == [(2, "")]


async def test_arrivals_of_one_commit_keep_apart_what_repeats(house: SmallHouse) -> None:
    """A handful: two of one name, two of one content, one refused before, and one that is new."""
    handful = [(b"one", 1), (b"one", 1), (b"same", 2), (b"same", 3), (b"other", 1), (b"new", 4)]
    puts = await house.spool.put_all([house.arrival(body, seq=seq) for body, seq in handful])
    verdicts = [put.verdict for put in puts if isinstance(put, Put)]
    stored, repeated, conflict = Verdict.STORED, Verdict.REPEATED, Verdict.CONFLICT
    assert verdicts == [stored, repeated, stored, stored, conflict, stored]
    rows = await house.db.read(lambda c: c.execute("SELECT seq, blob FROM capture ORDER BY seq").fetchall())
    assert [row["seq"] for row in rows] == [1, 2, 3, 4]
    assert rows[1]["blob"] == rows[2]["blob"]
    named = await house.db.read(lambda c: {row["name"] for row in c.execute("SELECT name FROM blob")})
    assert house.folder.names() == named, "what was sealed for nothing is gone"


async def test_one_that_cannot_be_written_does_not_take_its_neighbours_along(house: SmallHouse) -> None:
    names = ["one", "no text: \ud800", "three"]
    handful = [replace(house.arrival(b"%d" % n, seq=n), source_name=name) for n, name in enumerate(names)]
    puts = await house.spool.put_all(handful)
    assert [isinstance(put, Put) for put in puts] == [True, False, True]
    assert await house.db.read(lambda c: [row["seq"] for row in c.execute("SELECT seq FROM capture")]) == [0, 2]
    assert len(house.folder.names()) == 2
