"""Whatever answers as Workers does these things: the processes and their twin."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from gateway.entities import BlobRef, Priority
from gateway.errors import HearthlogError, ModelMissing, NotFound, Rejected, Unreadable, WorkerFailed
from gateway.inference import workers as inference
from gateway.inference.manifest import ModelFile, read_manifests
from gateway.inference.models import Models
from gateway.inference.workers import Budget, Workers, open_workers
from gateway.testing import TwinWorkers
from tests.contract import inference_house as house

pytestmark = pytest.mark.asyncio(loop_scope="module")
BUILT_IN = ("pixels", "thumbnail")
PATIENT = Budget(default_s=120)
"""A busy machine is no fault."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def processes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[inference.ProcessWorkers]:
    """One pool for every test that leaves it as it was: a process's start is most of what these tests cost."""
    async with open_workers(Models(tmp_path_factory.mktemp("home")), PATIENT) as real:
        yield real


@pytest.fixture(params=[pytest.param("processes", marks=pytest.mark.slow), "twin"])
def workers(request: pytest.FixtureRequest) -> Workers:
    if request.param == "twin":
        return TwinWorkers(missing=("asr",))
    real: Workers = request.getfixturevalue("processes")
    return real


@pytest.fixture
def seal(tmp_path: Path) -> Callable[[bytes], BlobRef]:
    return lambda body: house.sealed(tmp_path, body)


async def test_a_task_is_answered_in_the_documented_shape(workers: Workers, seal: Callable[[bytes], BlobRef]) -> None:
    reply = await workers.run("pixels", seal(house.picture()))
    assert set(reply.data) - {"faults"} == {
        "width_px", "height_px", "luma_mean", "luma_std", "sharpness", "dark_share", "bright_share",
        "colourfulness", "phash", "grid", "grid_colour",
    }  # fmt: skip
    assert len(reply.data["grid"]) == 32 * 24 and len(reply.data["grid_colour"]) == 8 * 6 * 3
    assert len(reply.data["phash"]) == 16 and int(reply.data["phash"], 16) >= 0
    assert reply.took_ms > 0
    assert reply.provenance == workers.provenance("pixels")


async def test_the_same_bytes_get_the_same_answer(workers: Workers, seal: Callable[[bytes], BlobRef]) -> None:
    first, second = seal(house.picture(seed=1)), seal(house.picture(seed=2))
    one = await workers.run("pixels", first)
    assert (await workers.run("pixels", first)).data == one.data
    assert (await workers.run("pixels", second)).data != one.data


async def test_a_missing_model_names_its_command(workers: Workers, seal: Callable[[bytes], BlobRef]) -> None:
    with pytest.raises(ModelMissing) as failed:
        await workers.run("asr", seal(house.picture()))
    assert failed.value.hint == "hearthlog models pull asr"
    with pytest.raises(ModelMissing):
        workers.provenance("asr")


async def test_a_model_can_be_asked_for_by_its_space(workers: Workers, seal: Callable[[bytes], BlobRef]) -> None:
    space, plain = workers.newest("pixels"), workers.provenance("pixels")
    assert space == f"{plain.model}@{plain.revision}/{plain.preprocessing}"
    assert (await workers.run("pixels", seal(house.picture()), space=space)).provenance == plain
    with pytest.raises(ModelMissing):
        await workers.run("pixels", seal(house.picture()), space="other@1/1")
    workers.settle("pixels", "other@1/1")  # one that is not there serves nobody
    assert workers.provenance("pixels") == plain
    workers.settle("pixels", space)
    await workers.unload("pixels")
    assert (await workers.run("pixels", seal(house.picture()))).provenance == plain
    workers.settle("pixels", "")


async def test_what_cannot_be_decoded_is_unreadable_and_disturbs_nothing(
    workers: Workers, seal: Callable[[bytes], BlobRef]
) -> None:
    with pytest.raises(Unreadable):
        await workers.run("thumbnail", seal(b"no picture at all"))
    assert (await workers.run("thumbnail", seal(house.picture()))).data["jpeg"]


async def test_a_blob_that_is_gone_is_not_found(workers: Workers, seal: Callable[[bytes], BlobRef]) -> None:
    blob = seal(house.picture(seed=7))  # of which the pool remembers nothing yet
    Path(blob.path).unlink()
    with pytest.raises(NotFound):
        await workers.run("thumbnail", blob)


async def test_a_blob_of_other_bytes_is_refused(workers: Workers, seal: Callable[[bytes], BlobRef]) -> None:
    blob = replace(seal(house.picture()), sha256=hashlib.sha256(b"other").digest())
    with pytest.raises(HearthlogError):
        await workers.run("thumbnail", blob)


async def test_a_task_on_pictures_without_one_is_rejected(workers: Workers) -> None:
    with pytest.raises(Rejected):
        await workers.run("thumbnail")


async def test_many_requests_at_once_are_all_answered(workers: Workers, seal: Callable[[bytes], BlobRef]) -> None:
    blobs = [seal(house.picture(seed=n)) for n in range(6)]
    alone = [(await workers.run("thumbnail", blob)).data["jpeg"] for blob in blobs]
    together = await asyncio.gather(*(workers.run("thumbnail", blob) for blob in blobs))
    assert [reply.data["jpeg"] for reply in together] == alone


async def test_status_has_a_line_for_each_slot(workers: Workers, seal: Callable[[bytes], BlobRef]) -> None:
    await workers.run("thumbnail", seal(house.picture()))
    slots = workers.status()
    assert slots and all(not each.busy and each.waiting == 0 and each.restarts == 0 for each in slots)
    workers.refresh()
    assert workers.provenance("thumbnail") == workers.provenance("thumbnail")


# What only processes can do.


async def turns(reached: Callable[[], bool]) -> None:
    """Let the loop go round until something that needs no time has happened."""
    for _ in range(1000):
        if reached():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never happened")


def slot_of(workers: Workers, name: str) -> inference.SlotStatus:
    return next(each for each in workers.status() if each.slot == name)


@pytest.mark.slow
async def test_a_killed_worker_comes_back_and_the_others_stay(tmp_path: Path, seal: Callable[[bytes], BlobRef]) -> None:
    blob = seal(house.picture())
    async with open_workers(Models(tmp_path), PATIENT) as own:
        await own.run("pixels", blob)
        await own.run("thumbnail", blob, params={"width_px": 64})
        look, thumb = slot_of(own, "look"), slot_of(own, "thumb")
        assert look.pid and thumb.pid and thumb.tasks == ("thumbnail",) and thumb.rss_bytes > 1 << 20
        os.kill(thumb.pid, signal.SIGSTOP)
        running = asyncio.ensure_future(own.run("thumbnail", blob))
        await turns(lambda: slot_of(own, "thumb").busy)
        os.kill(thumb.pid, signal.SIGKILL)
        with pytest.raises(WorkerFailed) as failed:
            await running
        assert failed.value.code == "died"
        assert (await own.run("thumbnail", blob)).data["jpeg"]
        assert slot_of(own, "thumb").restarts == 1
        assert slot_of(own, "look").pid == look.pid


async def test_a_worker_that_hangs_is_killed_at_its_deadline(tmp_path: Path, seal: Callable[[bytes], BlobRef]) -> None:
    blob = seal(house.picture())
    async with open_workers(Models(tmp_path), Budget(default_s=0.3)) as workers:
        with pytest.raises(WorkerFailed) as failed:
            for _ in range(50):  # once it runs, it is stopped: from then on it cannot answer
                await workers.run("thumbnail", blob)
                pid = slot_of(workers, "thumb").pid
                assert pid is not None
                os.kill(pid, signal.SIGSTOP)
        assert failed.value.code == "deadline"
        assert slot_of(workers, "thumb").pid is None


@pytest.mark.slow
async def test_a_person_goes_before_the_backlog(
    processes: inference.ProcessWorkers, seal: Callable[[bytes], BlobRef]
) -> None:
    blob = seal(house.picture())
    await processes.run("thumbnail", blob)
    order: list[str] = []

    async def ask(name: str, priority: Priority) -> None:
        await processes.run("thumbnail", blob, priority=priority)
        order.append(name)

    asked = [
        ("backlog", Priority.BACKLOG),
        ("late", Priority.BACKLOG),
        ("live", Priority.LIVE),
        ("me", Priority.PERSON),
    ]
    async with asyncio.TaskGroup() as group:
        for name, priority in asked:
            group.create_task(ask(name, priority), name=name)
    assert order == ["backlog", "me", "live", "late"]


@pytest.mark.slow
async def test_a_request_that_is_cancelled_gives_its_turn_on(
    processes: inference.ProcessWorkers, seal: Callable[[bytes], BlobRef]
) -> None:
    blob = seal(house.picture())
    await processes.run("thumbnail", blob)
    tasks = [asyncio.ensure_future(processes.run("thumbnail", blob)) for _ in range(3)]
    await turns(lambda: slot_of(processes, "thumb").waiting == 2)
    tasks[1].cancel()
    assert (await tasks[2]).data["jpeg"]
    assert (await tasks[0]).data["jpeg"]
    assert not slot_of(processes, "thumb").busy and slot_of(processes, "thumb").waiting == 0


@pytest.mark.slow
async def test_workers_that_do_not_fit_together_take_turns(tmp_path: Path, seal: Callable[[bytes], BlobRef]) -> None:
    blobs = [seal(house.picture(seed=n)) for n in range(3)]
    most = 0
    async with open_workers(Models(tmp_path), replace(PATIENT, memory_mb=150)) as workers:

        async def one(task: str, blob: BlobRef) -> None:
            nonlocal most
            await workers.run(task, blob)
            most = max(most, sum(each.pid is not None for each in workers.status()))

        async with asyncio.TaskGroup() as group:
            for n, blob in enumerate(blobs):
                for task in BUILT_IN:
                    group.create_task(one(task, blob), name=f"{task}-{n}")
    assert most == 1


@pytest.mark.slow
async def test_idle_workers_leave_when_a_new_one_would_not_fit(
    tmp_path: Path, seal: Callable[[bytes], BlobRef]
) -> None:
    blob = seal(house.picture())
    async with open_workers(Models(tmp_path), replace(PATIENT, memory_mb=100)) as workers:
        await workers.run("pixels", blob)
        await workers.run("thumbnail", blob)
        assert slot_of(workers, "look").pid is None and slot_of(workers, "thumb").pid is not None
        await workers.run("pixels", blob)
        assert slot_of(workers, "look").restarts == 0


async def test_a_file_that_changed_under_a_worker_is_never_loaded(
    tmp_path: Path, seal: Callable[[bytes], BlobRef]
) -> None:
    manifest = replace(
        read_manifests()["yolox-nano"],
        files=(ModelFile("eyes.onnx", hashlib.sha256(b"abc").hexdigest(), 3, ()),),
    )
    path = tmp_path / "models" / manifest.name / "eyes.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"abc")
    models = Models(tmp_path, {manifest.name: manifest})
    async with open_workers(models) as workers:
        assert workers.provenance("detect").model == "yolox-nano"
        path.write_bytes(b"abd")
        with pytest.raises(HearthlogError) as failed:
            await workers.run("detect", seal(house.picture()))
        assert failed.value.code == "model-broken"
        with pytest.raises(HearthlogError):
            workers.provenance("detect")


@pytest.mark.slow
async def test_workers_have_no_secrets_and_no_network(
    tmp_path: Path, seal: Callable[[bytes], BlobRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTHLOG_MQTT_URL", "mqtt://user:hunter2@host")
    async with open_workers(Models(tmp_path)) as workers:
        await workers.run("thumbnail", seal(house.picture()))
        pid = slot_of(workers, "thumb").pid
        assert b"hunter2" not in Path(f"/proc/{pid}/environ").read_bytes()
        own, theirs = Path("/proc/self/ns/net").readlink(), Path(f"/proc/{pid}/ns/net").readlink()
        if own == theirs:
            pytest.skip("this kernel gives ordinary processes no namespaces")


async def test_heavy_libraries_load_only_where_they_are_needed(
    tmp_path: Path, seal: Callable[[bytes], BlobRef]
) -> None:
    async with open_workers(Models(tmp_path)) as workers:
        await workers.run("thumbnail", seal(house.picture()))
        maps = Path(f"/proc/{slot_of(workers, 'thumb').pid}/maps").read_text()
        assert "PIL" in maps
        assert not any(name in maps for name in ("onnxruntime", "scipy", "cv2", "litert"))


async def test_the_twin_speaks_of_every_task_that_we_have() -> None:
    twin = TwinWorkers()
    tasks = {manifest.task for manifest in read_manifests().values()}
    assert all(twin.provenance(task).model for task in tasks)


async def test_the_twins_texts_are_near_when_they_share_words() -> None:
    texts = ["a dog in the garden", "the dog in a garden", "stock prices fell"]
    reply = await TwinWorkers().run("embed-text", params={"texts": texts})
    near, same, far = (np.frombuffer(each, "<f4") for each in reply.data["vectors"])
    assert float(near @ same) > 0.7
    assert float(near @ far) < 0.3
