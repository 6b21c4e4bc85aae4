"""A worker that is killed, hangs, needs too much or loses its model costs the job that it had a try, or its place; what
stands beside it does not notice. The pipeline over real processes and a real queue."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gateway.entities import Annotation, Capture, Kind
from gateway.inference import workers as inference
from gateway.inference.manifest import Manifest, ModelFile, manifests_folder, read_manifests
from gateway.inference.models import Models, file_sha256
from gateway.inference.providers import CPU, CUDA
from gateway.inference.runtime import LiteModel
from gateway.inference.slot import BASE_MB
from gateway.inference.workers import Budget, ProcessWorkers, SlotStatus, open_workers
from gateway.pipeline.plan import find_steps, queue_plan
from gateway.pipeline.runner import House, Runner
from gateway.pipeline.step import Context, Step
from gateway.store import jobs
from tests.contract import inference_house as house
from tests.unit.conftest import SmallHouse, open_small_house

pytestmark = pytest.mark.slow
NOW_US = 10**15
PATIENT = Budget(default_s=120)


async def _small(capture: Capture, ctx: Context) -> Annotation:
    return Annotation(data={"bytes": len((await ctx.infer("thumbnail", capture))["jpeg"])})


STEPS = {
    "quality": find_steps()["quality"],
    "small": Step(name="small", version=1, takes=(Kind.IMAGE,), run=_small, label="Small", lane="words"),
}
"""Two steps in two lanes, each with a worker of its own."""


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[SmallHouse]:
    one = await open_small_house(tmp_path, plan=queue_plan(STEPS))
    async with one.stack:
        yield one


class _Clock:
    """Every rest is over at the next look."""

    now_us = NOW_US

    def __call__(self) -> int:
        self.now_us += 3_600_000_000
        return self.now_us


@asynccontextmanager
async def working(small: SmallHouse, workers: ProcessWorkers) -> AsyncIterator[None]:
    runner = Runner(House(small.db, small.spool, small.shelf, workers, STEPS, _Clock()))
    task = asyncio.create_task(runner.run())
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def settled(small: SmallHouse) -> None:
    """Until no job waits or runs."""
    async with asyncio.timeout(400):
        while True:
            wake = asyncio.create_task(small.db.next_commit())
            await asyncio.sleep(0)
            if not any(each.waiting + each.running for each in await small.db.read(jobs.backlogs)):
                wake.cancel()
                return
            await wake


async def rows(small: SmallHouse, sql: str) -> list[tuple[object, ...]]:
    return await small.db.read(lambda c: [tuple(row) for row in c.execute(sql).fetchall()])


async def outcome(small: SmallHouse) -> dict[object, set[object]]:
    """Step → captures that it spoke of."""
    found: dict[object, set[object]] = {}
    for step, capture in await rows(small, "SELECT step, capture FROM annotation WHERE skipped = ''"):
        found.setdefault(step, set()).add(capture)
    return found


def slot(workers: ProcessWorkers, name: str) -> SlotStatus:
    return next(each for each in workers.status() if each.slot == name)


async def stopped(small: SmallHouse, workers: ProcessWorkers) -> int:
    """Both workers are up, and that of the pictures stands still: what it is given next it does not end."""
    blob = house.sealed(small.path, house.picture(seed=99))
    await workers.run("pixels", blob)
    await workers.run("thumbnail", blob)
    pid = slot(workers, "look").pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    return pid


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not reached():  # noqa: ASYNC110  another process: there is no event to wait on
            await asyncio.sleep(0.01)


async def test_a_killed_worker_costs_a_try_and_the_next_one_ends_the_job(small: SmallHouse) -> None:
    async with open_workers(Models(small.path), PATIENT) as workers:
        pid, beside = await stopped(small, workers), slot(workers, "thumb").pid
        async with working(small, workers):
            for seq in range(3):
                await small.put(house.picture(seed=seq), seq=seq)
            await until(lambda: slot(workers, "look").busy)
            os.kill(pid, signal.SIGKILL)
            await settled(small)
        assert slot(workers, "look").restarts == 1
        assert (slot(workers, "thumb").pid, slot(workers, "thumb").restarts) == (beside, 0)
    assert await outcome(small) == {"quality": {1, 2, 3}, "small": {1, 2, 3}}
    assert await small.count("job") == 0


async def test_a_hanging_worker_is_ended_at_its_deadline_and_the_job_is_done_by_the_next(small: SmallHouse) -> None:
    async with open_workers(Models(small.path), PATIENT) as workers:
        await stopped(small, workers)
        beside = slot(workers, "thumb").pid
        workers._deadlines_s["pixels"] = 0.2
        async with working(small, workers):
            await small.put(house.picture(seed=1), seq=1)
            await until(lambda: slot(workers, "look").busy)
            workers._deadlines_s["pixels"] = PATIENT.default_s  # to start another one takes longer
            await settled(small)
        assert slot(workers, "look").restarts == 1
        assert slot(workers, "thumb").pid == beside
    assert await outcome(small) == {"quality": {1}, "small": {1}}


def _page(side_px: int) -> bytes:
    """A PNG that is small until it is opened."""
    out = io.BytesIO()
    Image.new("RGB", (side_px, side_px), (120, 130, 140)).save(out, "PNG", compress_level=1)
    return out.getvalue()


async def test_a_picture_that_needs_too_much_memory_is_set_aside_alone(
    small: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = read_manifests()
    known = {"quality": every["quality"], "thumbnail": replace(every["thumbnail"], ram_mb=300)}
    async with open_workers(Models(small.path, known), PATIENT) as workers:
        await workers.run("pixels", house.sealed(small.path, house.picture(seed=98)))
        held_mb = slot(workers, "look").rss_bytes >> 20
    over_mb = held_mb + 25 - BASE_MB - every["quality"].ram_mb  # enough for all but the large one
    monkeypatch.setattr(inference, "OVER_MODELS_MB", over_mb)
    async with open_workers(Models(small.path, known), PATIENT) as workers, working(small, workers):
        await small.put(house.picture(seed=1), seq=1)
        await small.put(_page(4_600), seq=2)
        await small.put(house.picture(seed=2), seq=3)
        await settled(small)
    assert await rows(small, "SELECT capture, step, tries, code FROM job") == [(2, "quality", 3, "out-of-memory")]
    assert await outcome(small) == {"quality": {1, 3}, "small": {1, 2, 3}}


def _own(name: str, folder: Path, *files: str) -> Manifest:
    """A model of ours whose files lie in the house's own folder, where they can be damaged."""
    manifest = read_manifests()[name]
    made = []
    for file in files:
        body = (manifests_folder() / file).read_bytes()
        path = folder / "models" / manifest.name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        made.append(ModelFile(file, file_sha256(path), len(body), ()))
    return replace(manifest, files=tuple(made))


async def test_a_model_that_is_overwritten_while_it_is_loaded_answers_as_before_and_is_never_loaded_again(
    small: SmallHouse,
) -> None:
    known = {"quality": _own("quality", small.path, "quality.onnx"), "thumbnail": read_manifests()["thumbnail"]}
    blob = house.sealed(small.path, house.picture(seed=97))
    async with open_workers(Models(small.path, known), PATIENT) as workers:
        before = (await workers.run("pixels", blob)).data
        path = small.path / "models/quality/quality.onnx"
        with path.open("r+b") as stream:  # in place: whoever has mapped it sees it
            stream.write(os.urandom(path.stat().st_size))
        async with working(small, workers):
            await small.put(house.picture(seed=1), seq=1)
            await settled(small)
            assert (await workers.run("pixels", blob)).data == before
            pid = slot(workers, "look").pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await small.put(house.picture(seed=2), seq=2)
            await settled(small)
    assert await outcome(small) == {"quality": {1}, "small": {1, 2}}
    assert await rows(small, "SELECT capture, step, tries, code FROM job") == [(2, "quality", 3, "model-broken")]


@pytest.mark.parametrize("damage", ["overwritten", "cut short"])
async def test_a_litert_model_that_is_damaged_while_it_is_loaded_answers_as_before(
    tmp_path: Path, models_mirror: Path, damage: str
) -> None:
    path = tmp_path / "ears.tflite"  # its weights are read at each run: mapped, it fails, or ends with SIGBUS
    path.write_bytes((models_mirror / "yamnet_audio_classifier_with_metadata.tflite").read_bytes())
    model = LiteModel(path, threads=1)
    sound = np.random.default_rng(1).uniform(-1, 1, 15_600).astype(np.float32)
    before = model.run(sound)
    with path.open("r+b") as stream:
        stream.write(bytes(path.stat().st_size)) if damage == "overwritten" else stream.truncate(0)
    assert np.array_equal(model.run(sound), before)


_DRIVER = """
import os, signal, sys
here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.remove(here)
del sys.modules["onnxruntime"]
import onnxruntime
real = onnxruntime.InferenceSession
def session(path, options, *, providers):
    if providers[0][0] == "CUDAExecutionProvider":
        os.kill(os.getpid(), signal.SIGKILL)
    return real(path, options, providers=providers)
onnxruntime.InferenceSession = session
onnxruntime.get_available_providers = lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
"""
"""A runtime whose driver takes the process along as soon as it is asked."""


async def test_a_driver_that_kills_its_worker_costs_one_try_and_leaves_the_model_on_the_processor(
    small: SmallHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "driver/onnxruntime/__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text(_DRIVER)
    monkeypatch.setenv("PYTHONPATH", f"{package.parent.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(inference, "built_in", lambda: [CUDA, CPU])
    async with open_workers(Models(small.path), PATIENT) as workers:
        async with working(small, workers):
            await small.put(house.picture(seed=1), seq=1)
            await settled(small)
        on = slot(workers, "look").runs_on["pixels"]
        assert (on.provider, on.instead) == (CPU, "its worker ended while it was loaded on an accelerator")
        assert slot(workers, "look").restarts == 1
    assert await outcome(small) == {"quality": {1}, "small": {1}}
