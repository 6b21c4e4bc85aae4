"""A captioner and a recogniser of speech come into a home's folder and leave it, with real worker processes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.entities import Decoded, Kind
from gateway.inference.fetch import pull
from gateway.inference.manifest import read_manifests
from gateway.inference.models import Models
from gateway.inference.workers import Budget, open_workers
from gateway.jobs import new_models
from gateway.jobs.new_models import NewModels
from gateway.pipeline.catch_up import catch_up
from gateway.pipeline.plan import find_steps, queue_plan
from gateway.pipeline.runner import House, Runner
from tests.contract.test_tiny_workers import FOLDERS, TINY, tiny
from tests.unit.conftest import SmallHouse, open_small_house

CAME = ("vit-gpt2", "moonshine-tiny-en")
Said = dict[int, tuple[str, str, str]]
"""Of each memory, 1 the picture and 2 the recording: caption, who wrote it, what was heard."""


@pytest.mark.slow
async def test_models_that_come_are_asked_about_what_is_there_and_leave_it_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_models, "EVERY_S", 0.05)
    here = {name: read_manifests()[name] for name in ("pixels", "pocketsphinx")}
    models = Models(tmp_path, here | {name: tiny(name) for name in CAME})
    picture, sound = (TINY / "pictures/00.jpeg").read_bytes(), (TINY / "sounds/5.wav").read_bytes()
    steps = find_steps()
    house = await open_small_house(tmp_path, plan=queue_plan(steps))
    async with house.stack, open_workers(models, Budget(default_s=120)) as workers:  # a busy machine is no fault
        runner = Runner(House(house.db, house.spool, house.shelf, workers, steps, lambda: 10**15))
        watch = NewModels(models, workers, house.spool, steps, lambda: 10**15)
        tasks = [asyncio.create_task(each.run(), name="part") for each in (runner, watch)]
        await house.put(picture, seq=1)
        heard = Decoded(Kind.AUDIO, "audio/wav", sound, hashlib.sha256(sound).digest(), duration_us=1_000_000)
        await house.put(sound, seq=2, decoded=heard)
        before = await _until(house, lambda said: len(said) == 2 and said[1][1] == "composed")
        for name in CAME:
            await pull(models, name, mirror=TINY / FOLDERS[name])
        truth = {name: json.loads((TINY / name / "expected.json").read_text()) for name in ("vit-gpt2", "moonshine")}
        words = " ".join(truth["moonshine"]["sounds"]["5.wav"]["text"].split())
        after = await _until(house, lambda said: said[1][1] == "model:vit-gpt2" and said[2][2] == words)
        assert before[1][0] != after[1][0]
        sentence = " ".join(truth["vit-gpt2"]["pictures"]["00.jpeg"]["text"].split())
        assert after[1][0].lower().startswith(sentence.lower().rstrip(" ."))
        for name in CAME:
            shutil.rmtree(tmp_path / "models" / name)
        models.refresh()
        assert await catch_up(house.spool, steps, workers=workers, at_us=10**15) == 0
        assert await _until(house, bool) == after
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until(house: SmallHouse, enough: Callable[[Said], bool]) -> Said:
    """What the memories say, once it is enough and nothing waits."""
    sql = (
        "SELECT u.capture, u.caption, u.caption_source, u.transcript, (SELECT count(*) FROM job) AS waiting"
        " FROM understood AS u ORDER BY u.capture"
    )
    async with asyncio.timeout(120):
        while True:
            wake = asyncio.create_task(house.db.next_commit(), name="wake")
            await asyncio.sleep(0)
            rows = await house.db.read(lambda c: [tuple(row) for row in c.execute(sql).fetchall()])
            said = {row[0]: (row[1], row[2], row[3]) for row in rows}
            if rows and not any(row[4] for row in rows) and enough(said):
                wake.cancel()
                return said
            await wake
