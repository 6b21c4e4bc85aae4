"""What other models would answer now is done again; what can only be said worse stands."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import sqlite_utils
from PIL import Image

from gateway.entities import Decoded, Json, Kind, Priority, Provenance
from gateway.errors import ModelBroken, ModelMissing
from gateway.inference.family import Request
from gateway.pipeline.catch_up import catch_up
from gateway.pipeline.plan import find_steps, queue_plan
from gateway.pipeline.runner import House, Runner
from gateway.store import asked, jobs, migrations, spaces, understood
from gateway.store.db import Connection, connect
from gateway.testing import TwinWorkers
from tests.unit.conftest import SmallHouse, open_small_house

NOW_US = 10**15
CAPTIONERS = ("large", "small", "own")
"""The best first."""
STEPS = find_steps()


class _Shelf(TwinWorkers):
    """A twin whose captioners are put on and taken off, and say who they are."""

    def __init__(self, *captioners: str, missing: Sequence[str] = ()) -> None:
        super().__init__(missing=missing)
        self.captioners = set(captioners)
        self.broken = False
        self.silent: set[str] = set()

    async def answer(self, task: str, request: Request, used: Provenance) -> Json:
        if task != "caption":
            return await super().answer(task, request, used)
        if self.broken:
            raise ModelBroken(f"the model {used.model} is broken")
        said = "" if used.model in self.silent else f"{used.model} saw a room"
        return {"caption": said, "tokens": [1], "stopped": "end" if said else "abstained", "confidence": 0.5}

    def provenance(self, task: str, *, space: str = "") -> Provenance:
        if task != "caption":
            return super().provenance(task, space=space)
        for name in CAPTIONERS:
            if name in self.captioners:
                return Provenance(name, "r1", "p1")
        raise ModelMissing(task)

    def order(self, task: str) -> Sequence[str]:
        return CAPTIONERS if task == "caption" else super().order(task)


@dataclass
class _Home:
    house: SmallHouse
    workers: _Shelf

    async def work(self) -> None:
        """Until no job waits or runs."""
        house = self.house
        runner = Runner(House(house.db, house.spool, house.shelf, self.workers, STEPS, lambda: NOW_US))
        task = asyncio.create_task(runner.run(), name="runner")
        await house.until_idle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def look(self) -> int:
        """What is queued once models came or went."""
        return await catch_up(self.house.spool, STEPS, workers=self.workers, at_us=NOW_US)

    async def caption(self, capture: int = 1) -> tuple[str, str]:
        """What the memory says, and who says so."""
        sql = "SELECT caption, caption_source FROM understood WHERE capture = ?"
        row = await self.house.db.read(lambda c: c.execute(sql, (capture,)).fetchone())
        return str(row[0]), str(row[1])

    async def rows(self, sql: str) -> list[tuple[object, ...]]:
        return await self.house.db.read(lambda c: [tuple(row) for row in c.execute(sql).fetchall()])

    def times(self, task: str) -> int:
        return [name for name, _ in self.workers.asked].count(task)


@asynccontextmanager
async def _home(folder: Path, workers: _Shelf, *, pictures: int = 1) -> AsyncIterator[_Home]:
    house = await open_small_house(folder, plan=queue_plan(STEPS))
    async with house.stack:
        home = _Home(house, workers)
        for n in range(pictures):
            await house.put(_picture(n), seq=n + 1, at_us=1_000_000 + n * 60_000_000)
        await home.work()
        workers.asked.clear()
        yield home


def _picture(seed: int) -> bytes:
    out = io.BytesIO()
    grain = np.random.default_rng(seed).integers(60, 200, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(grain).save(out, "JPEG")
    return out.getvalue()


async def test_captions_are_made_again_once_when_a_captioner_comes(tmp_path: Path) -> None:
    async with _home(tmp_path, _Shelf(), pictures=3) as home:
        assert (await home.caption())[1] == "composed"
        assert await home.look() == 0
        home.workers.captioners.add("small")
        assert await home.look() == 3
        priorities = await home.rows("SELECT DISTINCT step, priority FROM job")
        assert priorities == [("caption", jobs.RANK[Priority.BACKLOG])]
        assert (await home.caption())[1] == "composed"  # what was said stands, and is found, until then
        await home.work()
        for capture in (1, 2, 3):
            caption, source = await home.caption(capture)
            assert caption.startswith("Small saw a room.") and source == "model:small"
        assert await home.look() == 0
        assert (home.times("caption"), home.times("detect"), home.times("ocr")) == (3, 0, 0)
        assert home.times("embed-text") == 3  # its meaning follows


async def test_a_persons_words_stay_whoever_comes(tmp_path: Path) -> None:
    async with _home(tmp_path, _Shelf()) as home:
        house, said = home.house, [("caption", "Our parcel")]
        await house.db.write(lambda c: understood.decide(c, 1, person=house.owner, decisions=said, at_us=NOW_US))
        home.workers.captioners.add("small")
        assert await home.look() == 1
        await home.work()
        assert (await home.caption())[0] == "Our parcel"
        assert (await home.rows("SELECT model FROM annotation WHERE step = 'caption' AND current = 1")) == [("small",)]


async def test_a_captioner_that_goes_leaves_what_it_wrote(tmp_path: Path) -> None:
    async with _home(tmp_path, _Shelf("large", "own")) as home:
        home.workers.silent.add("own")  # it knows another home
        home.workers.captioners.remove("large")
        assert await home.look() == 0
        assert (await home.caption())[1] == "model:large"
        await _changed(home, "detect")
        await home.work()  # what a caption is made from changed: those that are left have less to say
        assert (await home.caption())[1] == "model:large"
        assert await home.look() == 0
        home.workers.captioners.add("small")
        assert await home.look() == 0
        home.workers.captioners.add("large")
        assert await home.look() == 1  # what was owed is done once it can be
        await home.work()
        assert ((await home.caption())[1], await home.look()) == ("model:large", 0)


async def test_a_better_captioner_takes_a_lesser_ones_place_and_no_other_way_round(tmp_path: Path) -> None:
    async with _home(tmp_path, _Shelf("small")) as home:
        home.workers.captioners.add("own")
        assert await home.look() == 0
        home.workers.captioners.add("large")
        assert await home.look() == 1
        await home.work()
        assert (await home.caption())[1] == "model:large"


async def test_a_captioner_that_turns_out_broken_takes_no_sentence_away(tmp_path: Path) -> None:
    async with _home(tmp_path, _Shelf("small")) as home:
        home.workers.captioners.add("large")
        home.workers.broken = True
        assert await home.look() == 1
        await home.work()
        assert (await home.caption())[1] == "model:small"
        home.workers.broken = False
        assert await home.look() == 1
        await home.work()
        assert (await home.caption())[1] == "model:large"


async def test_what_a_person_asks_for_is_done_with_what_there_is(tmp_path: Path) -> None:
    async with _home(tmp_path, _Shelf("small")) as home:
        home.workers.captioners.clear()
        spool = home.house.spool
        await home.house.db.write(lambda c: spool.requeue(c, capture_id=1, step="caption", at_us=NOW_US))
        await home.work()
        assert (await home.caption())[1] == "composed"


async def test_a_folded_picture_stays_folded_and_is_not_looked_at(tmp_path: Path) -> None:
    async with _home(tmp_path, _Shelf()) as home:
        await home.house.put(_picture(0), at_us=9_000_000)
        await home.work()
        folded = "SELECT capture, folded FROM understood ORDER BY capture"
        assert await home.rows(folded) == [(1, ""), (2, "exact")]
        home.workers.captioners.add("small")
        assert await home.look() == 1
        await home.work()
        assert await home.rows(folded) == [(1, ""), (2, "exact")]
        assert (await home.caption(2))[0] == ""
        assert home.times("caption") == 1


async def test_without_the_original_what_was_said_stands(tmp_path: Path) -> None:
    async with _home(tmp_path, _Shelf("small", missing=["detect"])) as home:
        await home.house.db.write(lambda c: c.execute("UPDATE capture SET blob = NULL"))
        home.workers.captioners.add("large")
        home.workers.install("detect")
        assert await home.look() == 1  # nothing was said of objects: that is settled now
        await home.work()
        assert await home.rows("SELECT skip_code FROM annotation WHERE step = 'detect' AND current = 1") == [
            ("original-gone",)
        ]
        assert (await home.caption())[1] == "model:small"
        assert await home.look() == 0


async def test_what_follows_by_itself_is_not_queued_beside(tmp_path: Path) -> None:
    async with _home(tmp_path, _Shelf(missing=["detect"])) as home:
        home.workers.install("detect")
        home.workers.captioners.add("small")
        assert await home.look() == 1
        await home.work()
        assert (await home.caption())[1] == "model:small"
        assert (home.times("detect"), home.times("caption"), await home.look()) == (1, 1, 0)


async def test_a_draft_is_made_again_when_a_recogniser_comes_and_never_takes_its_place(tmp_path: Path) -> None:
    body = b"RIFF" + bytes(40)
    sound = Decoded(Kind.AUDIO, "audio/wav", body, hashlib.sha256(body).digest(), None, None)
    async with _home(tmp_path, _Shelf(missing=["asr"]), pictures=0) as home:
        await home.house.put(body, seq=1, decoded=sound)
        await home.work()
        draft = "SELECT model, json_extract(data, '$.draft') FROM annotation WHERE step = 'asr' AND current = 1"
        assert await home.rows(draft) == [("twin-asr-draft", 1)]
        home.workers.install("asr-draft", "2")
        home.workers.install("asr")
        assert await home.look() == 1
        await home.work()
        assert await home.rows(draft) == [("twin-asr", 0)]
        home.workers.install("asr-draft", "3")
        assert await home.look() == 0  # it was not asked
        home.workers.remove("asr", "1")
        assert await home.look() == 0
        await _changed(home, "vad")
        await home.work()
        assert await home.rows(draft) == [("twin-asr", 0)]


async def test_another_revision_does_everything_again_that_the_first_one_said(tmp_path: Path) -> None:
    async with _home(tmp_path, _Shelf(), pictures=2) as home:
        home.workers.install("classify", "2")
        assert await home.look() == 2
        await home.work()
        revisions = "SELECT DISTINCT revision FROM annotation WHERE step = 'classify' AND current = 1"
        assert await home.rows(revisions) == [("2",)]
        assert await home.look() == 0


async def test_what_was_queued_is_done_after_a_stop_and_once(tmp_path: Path) -> None:
    workers = _Shelf()
    async with _home(tmp_path, workers, pictures=3) as home:
        workers.captioners.add("small")
        assert await home.look() == 3
        assert await home.look() == 0  # it waits already
    async with _home(tmp_path, _Shelf("small"), pictures=0) as home:
        assert await home.look() == 0
        assert [(await home.caption(n))[1] for n in (1, 2, 3)] == ["model:small"] * 3


async def test_vectors_are_left_to_the_space_that_fills(tmp_path: Path) -> None:
    async with _home(tmp_path, _Shelf()) as home:
        await home.house.db.write(lambda c: spaces.settle(c, "embed", at_us=NOW_US))
        home.workers.install("embed-text", "2")
        assert await home.look() == 0


async def test_who_was_asked_is_found_without_reading_every_annotation(tmp_path: Path) -> None:
    def plan(connection: Connection) -> list[str]:
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        asked.captures(connection, list(asked.known(connection, "caption")), folded=False)
        connection.set_trace_callback(None)
        return [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {statements[-1]}").fetchall()]

    async with _home(tmp_path, _Shelf()) as home:
        assert any("annotation_asked" in step for step in await home.house.db.read(plan))
        told = await home.rows("SELECT step, answers FROM asked WHERE step IN ('caption', 'dedupe') ORDER BY step")
    assert [(step, json.loads(str(answers))) for step, answers in told] == [
        ("caption", {"caption": ""}),
        ("dedupe", {"copy-vector": "twin-copy-vector@1/1"}),
    ]


async def _changed(home: _Home, step: str) -> None:
    """As if what a step is made from had changed."""
    await home.house.db.write(lambda c: c.execute("UPDATE annotation SET fingerprint = 'old' WHERE step = ?", (step,)))
    spool = home.house.spool
    await home.house.db.write(
        lambda c: spool.requeue(c, capture_id=1, step=step, at_us=NOW_US, priority=Priority.BACKLOG)
    )
    await home.house.db.write(lambda c: c.execute("UPDATE annotation SET fingerprint = 'older' WHERE step = 'caption'"))


def test_of_what_stood_before_the_captions_and_drafts_are_known(tmp_path: Path) -> None:
    connection = connect(tmp_path / "old.db", read_only=False)
    migrations._steps.apply(sqlite_utils.Database(connection, execute_plugins=False), stop_before="009_asked")
    connection.execute("INSERT INTO person(id, name, role, created_at_us) VALUES ('p', 'Nora', 'admin', 0)")
    stood = [
        ("image", "caption", "", "", "{}"),
        ("image", "caption", "", "", '{"captioner":"own does not know this place"}'),
        ("audio", "asr", "sphinx", "", '{"draft":true}'),
        ("audio", "asr", "vosk", "", '{"draft":false}'),
        ("image", "embed", "", "model-missing", "{}"),
        ("image", "detect", "yolox", "", "{}"),
    ]
    for number, (kind, step, model, code, data) in enumerate(stood, start=1):
        connection.execute(
            "INSERT INTO capture(id, uid, kind, owner, privacy, ai_usage, captured_at_us, time_source, time_error_us,"
            " zone, received_at_us, lane, sha256, body_bytes, media_type, source_name)"
            " VALUES (?, ?, ?, 'p', 'circle', 'chat', 1, 'arrival', 1, 'UTC', 1, 'plain', x'00', 1, '', '')",
            (number, f"u{number}", kind),
        )
        connection.execute(
            "INSERT INTO annotation(capture, step, fingerprint, step_version, model, revision, preprocessing, skipped,"
            " skip_code, data, at_us, took_ms) VALUES (?, ?, 'f', 1, ?, 'r', 'p', ?, ?, ?, 1, 1)",
            (number, step, model, code, code, data),
        )
    migrations.apply(connection)
    told = connection.execute(
        "SELECT q.answers FROM annotation AS a LEFT JOIN asked AS q ON q.id = a.asked ORDER BY a.capture"
    ).fetchall()
    connection.close()
    assert [row[0] for row in told] == [
        '{"caption":""}', None, '{"asr":"","asr-draft":"sphinx@r/p"}', '{"asr":"vosk@r/p"}', '{"embed-text":""}', None,
    ]  # fmt: skip
