"""One suite over every family of models, in real worker processes: whatever it is asked, it answers in the shape of its
task or refuses, and its worker stays."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from gateway.discover import discover
from gateway.entities import BlobRef, Json, Priority
from gateway.errors import HearthlogError, ModelBroken, WorkerFailed
from gateway.inference.family import MAX_TEXT_CHARACTERS, MAX_TEXTS, Family
from gateway.inference.manifest import read_manifests
from gateway.inference.models import Models, State
from gateway.inference.worker import blob_to_map
from gateway.inference.workers import Budget, ProcessWorkers, Reply, open_workers
from gateway.testing import TwinWorkers
from tests.contract import inference_house as house
from tests.contract.shapes import SHAPES
from tests.contract.subjects import OF_MODEL, SUBJECTS, TINY, Subject, installed, needs_mirror

pytestmark = pytest.mark.slow  # graphs are run

FAMILIES = discover("gateway.inference.families", "FAMILY", Family)
WITHOUT_WEIGHTS = {"vosk"}
ENDS_ITS_PROCESS = {"pocketsphinx"}
"""Its library ends the process over some files and does without others: its worker is started again, alone."""
real = pytest.mark.asyncio(loop_scope="module")
slow = pytest.mark.slow
patient = pytest.mark.timeout(300)
every_model = pytest.mark.parametrize("subject", OF_MODEL.values(), ids=OF_MODEL)


def test_every_family_is_under_this_suite() -> None:
    assert set(SUBJECTS) == set(FAMILIES) - WITHOUT_WEIGHTS
    manifests = read_manifests()
    for family, subjects in SUBJECTS.items():
        assert {manifests[each.model].family for each in subjects} == {family}
        assert {manifests[each.model].task for each in subjects} == set(FAMILIES[family].tasks)


def test_every_task_has_a_shape() -> None:
    assert set(SHAPES) == {task for family in FAMILIES.values() for task in family.tasks}


@pytest.mark.parametrize("task", SHAPES)
async def test_the_twin_answers_in_the_same_shape(task: str, tmp_path: Path) -> None:
    blobs = {True: house.sealed(tmp_path, speech()), False: house.sealed(tmp_path, house.picture())}
    heard = task in ("asr", "asr-draft", "embed-speaker", "sound", "vad")
    words = task in ("embed-text", "embed-text-for-images")
    reply = await TwinWorkers().run(
        task, None if words else blobs[heard], params={"texts": ["a dog", ""]} if words else {}
    )
    if task != "overlap":  # it finds nothing in anything, whatever it is asked about
        SHAPES[task](reply.data)


def speech() -> bytes:
    """A second of something that is no silence."""
    return (TINY / "sounds/5.wav").read_bytes()


@dataclass(slots=True)
class Pool:
    """All models in one pool of processes."""

    workers: ProcessWorkers
    models: Models
    home: Path
    broken: Mapping[str, list[str]]
    tried: set[str] = field(default_factory=set)

    def seal(self, body: bytes) -> BlobRef:
        return house.sealed(self.home, body)

    def blob(self, subject: Subject) -> BlobRef | None:
        """What it is usually asked about."""
        if subject.asked == "words":
            return None
        return self.seal(speech() if subject.asked == "sound" else (TINY / "pictures/00.jpeg").read_bytes())

    def params(self, subject: Subject) -> Json:
        others = {"others": [blob_to_map(self.seal(house.picture(seed=2)))]} if subject.model == "overlap" else {}
        return {**subject.params, **others}

    async def ask(self, name: str, blob: BlobRef | None, params: Json) -> Reply:
        """The model of this name, whatever else serves its task."""
        manifest = self.models.manifests[name]
        return await self.workers.run(manifest.task, blob, params=params, priority=Priority.LIVE, space=manifest.space)

    def pid(self, subject: Subject) -> int:
        slot = self.models.manifests[subject.model].slot
        (pid,) = [each.pid for each in self.workers.status() if each.slot == slot]
        assert pid is not None
        return pid


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> AsyncIterator[Pool]:
    home = tmp_path_factory.mktemp("home")
    try:
        mirror: Path | None = request.getfixturevalue("models_mirror")
    except pytest.skip.Exception:
        mirror = None  # those that need it are skipped one by one
    manifests, broken = installed(home, mirror)
    models = Models(home, manifests)
    assert {each.manifest.name for each in models.installed() if each.state is not State.READY} == set()
    patience = Budget(default_s=120, ocr_s=120, read_idle_s=600, listen_idle_s=600)  # a busy machine is no fault
    async with open_workers(models, patience) as workers:
        yield Pool(workers, models, home, broken)


@pytest.fixture
def at_hand(subject: Subject, request: pytest.FixtureRequest) -> Subject:
    if needs_mirror(subject):
        request.getfixturevalue("models_mirror")
    if subject.model == "tesseract" and not any(
        (Path(folder) / "tesseract").is_file() for folder in os.environ["PATH"].split(":")
    ):
        pytest.skip("tesseract is not installed")
    return subject


def same(one: Json, other: Json) -> bool:
    """Bytes and numbers alike: the same arithmetic on the same input."""
    return dict(one) == dict(other)


@slow
@patient
@real
@every_model
async def test_it_answers_in_the_shape_of_its_task_and_the_same_each_time(pool: Pool, at_hand: Subject) -> None:
    manifest = pool.models.manifests[at_hand.model]
    blob, params = pool.blob(at_hand), pool.params(at_hand)
    first = await pool.ask(at_hand.model, blob, params)
    SHAPES[manifest.task](first.data)
    assert first.provenance == manifest.provenance and all((first.provenance.revision, first.provenance.preprocessing))
    between = pool.seal(house.recording(np.zeros(8_000)) if at_hand.asked == "sound" else house.picture(seed=3))
    if blob is not None:  # so that nothing that was kept of the first is what answers again
        await pool.ask(at_hand.model, between, params)
    assert same((await pool.ask(at_hand.model, blob, params)).data, first.data)


def png(width_px: int, height_px: int, level: int = 128) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width_px, height_px), (level, level, level)).save(out, "PNG")
    return out.getvalue()


def _wide(samples: int, rate_hz: int = 16_000, channels: int = 1) -> bytes:
    loud = np.random.default_rng(1).choice([-1.0, 1.0], samples * channels)
    return house.recording(loud, rate_hz, channels)


PICTURES: Mapping[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "truncated": lambda: house.picture()[:3_000],
    "words": lambda: b"no picture at all" * 40,
    "a pixel": lambda: png(1, 1),
    "a column": lambda: png(1, 1_900),
    "a row": lambda: png(1_900, 1),
    "black": lambda: png(64, 48, 0),
    "white": lambda: png(64, 48, 255),
}
SOUNDS: Mapping[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "truncated": lambda: speech()[:30],
    "words": lambda: b"no recording at all" * 40,
    "no samples": lambda: house.recording(np.zeros(0)),
    "a sample": lambda: house.recording(np.ones(1)),
    "silence": lambda: house.recording(np.zeros(16_000)),
    "as loud as it goes": lambda: _wide(16_000),
    "two channels of another rate": lambda: _wide(11_025, 44_100, 2),
}
TEXTS: Mapping[str, Json] = {
    "none": {"texts": []},
    "nothing": {"texts": [""]},
    "a great many letters": {"texts": ["word " * MAX_TEXT_CHARACTERS]},
    "one endless word": {"texts": ["a" * 2 * MAX_TEXT_CHARACTERS]},
    "odd letters": {"texts": ["\0\x1b\u202e\ufeff🐕人", "\U0010ffff"]},
    "too many": {"texts": ["a"] * (MAX_TEXTS + 1)},
    "no list": {"texts": "a dog"},
    "no words": {"texts": [1.5, None]},
    "no params": {},
}
PARAMS: Mapping[str, Json] = {
    "no number": {"points": [[float("nan"), 0.1]] * 5, "speech": [{"start_us": float("nan"), "end_us": 9}]},
    "endless": {"points": [[float("inf"), -1e300]] * 5, "speech": [{"start_us": 0, "end_us": 2**62}]},
    "the wrong way round": {"points": [[0.5, 0.5]] * 5, "speech": [{"start_us": 9, "end_us": 1}]},
    "words": {"points": "all", "speech": "all", "others": "all", "prompt": "sing", "width_px": "wide"},
    "below nothing": {"points": [], "speech": [{"start_us": -5, "end_us": -1}], "others": [], "width_px": -1},
}


@slow
@patient
@real
@every_model
async def test_whatever_it_is_asked_its_worker_refuses_or_answers_and_stays(pool: Pool, at_hand: Subject) -> None:
    task = pool.models.manifests[at_hand.model].task
    blob, usual = pool.blob(at_hand), pool.params(at_hand)
    before = (await pool.ask(at_hand.model, blob, usual)).data
    pid = pool.pid(at_hand)
    asked: list[tuple[str, BlobRef | None, Json]] = [
        (name, blob, {**usual, **params}) for name, params in PARAMS.items()
    ]
    if at_hand.asked == "words":
        asked += [(name, None, params) for name, params in TEXTS.items()]
    else:
        bodies = SOUNDS if at_hand.asked == "sound" else PICTURES
        whole = {key: value for key, value in usual.items() if key != "speech"}
        asked += [(name, pool.seal(make()), whole) for name, make in bodies.items()]
        asked.append(("nothing", None, usual))
    for name, hostile, params in asked:
        try:
            answer = await pool.ask(at_hand.model, hostile, params)
        except HearthlogError as error:
            assert not isinstance(error, WorkerFailed | ModelBroken), (name, error)
        else:
            SHAPES[task](answer.data)
    assert same((await pool.ask(at_hand.model, blob, usual)).data, before)
    assert pool.pid(at_hand) == pid


@slow
@patient
@real
@every_model
async def test_another_file_in_the_place_of_a_model_s_is_refused_as_such(pool: Pool, at_hand: Subject) -> None:
    """Under its hash, so that it is the family that is asked: bytes of another hash never come so far."""
    blob, params = pool.blob(at_hand), pool.params(at_hand)
    before = (await pool.ask(at_hand.model, blob, params)).data
    pid = pool.pid(at_hand)
    for name in pool.broken[at_hand.model]:
        if at_hand.model in ENDS_ITS_PROCESS:
            try:
                SHAPES[pool.models.manifests[name].task]((await pool.ask(name, blob, params)).data)
            except (ModelBroken, WorkerFailed):
                continue
        else:
            with pytest.raises(ModelBroken):
                await pool.ask(name, blob, params)
            assert pool.pid(at_hand) == pid, name
    assert same((await pool.ask(at_hand.model, blob, params)).data, before)


@slow
@patient
@real
async def test_workers_keep_nothing_open_but_their_pipes(pool: Pool) -> None:
    """Neither a blob nor a model's file nor a way out of the process."""
    for subject in OF_MODEL.values():
        if subject.model in pool.models.manifests:
            await pool.ask(subject.model, pool.blob(subject), pool.params(subject))
    for slot in pool.workers.status():
        if slot.pid is None:
            continue
        found = sorted(str(each.readlink()) for each in Path(f"/proc/{slot.pid}/fd").iterdir())
        assert [each for each in found if not each.startswith(("pipe:", "socket:", "/dev/null"))] == [], slot.slot
        assert len(found) <= 6, found
