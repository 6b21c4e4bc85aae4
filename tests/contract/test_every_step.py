"""One suite over every step of the pipeline, on each kind of capture that it takes: what it declares is what it does,
what it says can be kept, and whatever is amiss it skips or fails as the house knows it."""

from __future__ import annotations

import io
import json
import math
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from gateway.decoders.audio import wav_from_pcm
from gateway.entities import Annotation, BlobRef, Capture, Decoded, Kind, Priority, Provenance, Stored
from gateway.errors import HearthlogError, ModelMissing, Skip
from gateway.inference.manifest import read_manifests
from gateway.pipeline.plan import find_steps, queue_plan
from gateway.pipeline.runner import PLACES
from gateway.pipeline.step import Context, Step
from gateway.store import captures
from gateway.testing import TwinWorkers
from tests.contract import inference_house
from tests.unit.conftest import SmallHouse, open_small_house

STEPS = find_steps()
TAKEN = [(step, kind) for step in STEPS.values() for kind in step.takes]
every_kind = pytest.mark.parametrize(("step", "kind"), TAKEN, ids=[f"{step.name}-{kind}" for step, kind in TAKEN])
in_one_house = pytest.mark.asyncio(loop_scope="module")
TASKS = {manifest.task for manifest in read_manifests().values()}
GO_ON = {"caption": "caption", "dedupe": "copy-vector"}
"""Steps that have something to say without this model."""
MOST_BYTES = 64 << 10
"""Of what a step says of a tiny capture, as JSON."""


def picture(level: int = 90) -> bytes:
    out = io.BytesIO()
    grain = np.random.default_rng(level).integers(0, 60, (96, 128, 3), dtype=np.uint8)
    Image.fromarray(grain + np.uint8(level)).save(out, "JPEG", quality=90)
    return out.getvalue()


BODIES: Mapping[Kind, tuple[str, bytes]] = {
    Kind.IMAGE: ("image/jpeg", picture()),
    Kind.AUDIO: ("audio/wav", wav_from_pcm(bytes(range(250)) * 128, 16_000)),
    Kind.TEXT: ("text/plain", "The cat came in at nine. Grüße – 猫".encode()),
}


class Notes(dict[str, Stored]):
    """What was said before, which remembers what of it was asked for."""

    def __init__(self, notes: Mapping[str, Stored]) -> None:
        super().__init__(notes)
        self.read: set[str] = set()

    def get(self, key: str, default: Stored | None = None) -> Stored | None:  # type: ignore[override]  # one form of it
        self.read.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> Stored:
        self.read.add(key)
        return super().__getitem__(key)


@dataclass(frozen=True, slots=True)
class Bench:
    """A house with one capture of each kind, and an earlier picture."""

    house: SmallHouse
    captures: Mapping[Kind, Capture]

    def context(self, workers: TwinWorkers, notes: Mapping[str, Stored]) -> Context:
        return Context(self.house.db, workers, Notes(notes), Priority.LIVE, shelf=self.house.shelf)

    async def before(self, step: Step, capture: Capture, workers: TwinWorkers) -> dict[str, Stored]:
        """What the steps that it comes after say, and those before them."""
        notes: dict[str, Stored] = {}
        for other in STEPS.values():
            if other.name == step.name:
                break
            if capture.kind in other.takes:
                try:
                    said = await other.run(capture, self.context(workers, notes))
                except (Skip, HearthlogError):
                    continue
                notes[other.name] = stored(other, capture, said)
        return {name: note for name, note in notes.items() if name in step.after}

    async def run(self, step: Step, capture: Capture, workers: TwinWorkers | None = None) -> tuple[Annotation, Context]:
        """What it says of a capture after those before it; Skip where it has nothing to say."""
        notes = await self.before(step, capture, TwinWorkers())
        context = self.context(workers or TwinWorkers(), notes)
        return await step.run(capture, context), context


def stored(step: Step, capture: Capture, said: Annotation) -> Stored:
    return Stored(capture.id, step.name, step.version, "f", 1, 1.0, said, skipped="", skip_code="", hint="")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    """For all tests: a step changes nothing, it says."""
    house = await open_small_house(tmp_path_factory.mktemp("home"), plan=queue_plan(STEPS))
    async with house.stack:
        await house.put(picture(20), at_us=1_000_000)
        found: dict[Kind, Capture] = {}
        for n, (kind, (media_type, body)) in enumerate(BODIES.items(), 2):
            decoded = Decoded(kind, media_type, body, b"", 128, 96) if kind is Kind.IMAGE else None
            sha256 = house.arrival(body).decoded.sha256
            decoded = replace(decoded or Decoded(kind, media_type, body, b""), sha256=sha256)
            await house.put(body, at_us=n * 1_000_000_000, decoded=decoded)
        for n in range(1, 10):
            each = await house.db.read(lambda c, n=n: captures.get(c, n, house.shelf))
            if each is not None:
                found[each.kind] = each  # of pictures the later one
        assert set(found) == set(BODIES)
        yield Bench(house, found)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_step_declares_what_the_house_knows(step: Step) -> None:
    assert step.takes and set(step.takes) <= set(BODIES)
    assert step.version >= 1 and step.label and step.lane in PLACES
    assert set(step.tasks) <= TASKS and len(set(step.tasks)) == len(step.tasks)
    assert set(step.after) <= set(STEPS) - {step.name}
    module = __import__(step.run.__module__, fromlist=["STEP"])
    assert module.STEP is step and step.run.__module__.rpartition(".")[2] == step.name and module.__doc__
    source = Path(module.__file__).read_text()
    assert "pipeline.steps" not in source  # steps never import each other


@in_one_house
@every_kind
async def test_what_it_says_can_be_kept_and_names_its_model(bench: Bench, step: Step, kind: Kind) -> None:
    workers = TwinWorkers()
    said, context = await bench.run(step, bench.captures[kind], workers)
    assert isinstance(said, Annotation)
    text = json.dumps(dict(said.data), ensure_ascii=False, allow_nan=False)
    assert json.loads(text) == json.loads(json.dumps(said.data)) and len(text.encode()) <= MOST_BYTES
    for words in (said.caption, said.text, said.transcript, *said.tags):
        assert isinstance(words, str) and len(words) <= 100_000
    named = said.provenance
    assert named == Provenance() or all((named.model, named.revision, named.preprocessing))
    composed = step.name == "caption" and "pixels" not in said.data["says"]
    assert (named in context.used) == (bool(context.used) and not composed)
    for vector in (said.embedding, said.copy_vector):
        if vector is not None:
            assert vector.space in {f"{each.model}@{each.revision}/{each.preprocessing}" for each in context.used}
            length = float(np.linalg.norm(np.frombuffer(vector.vector, "<f4")))
            assert math.isclose(length, 1.0, rel_tol=1e-4)
    assert said.likeness is None or len(said.likeness) == 8
    assert all(0 <= start <= end for start, end in said.segments)


@in_one_house
@every_kind
async def test_it_asks_and_reads_what_it_declares_and_nothing_else(bench: Bench, step: Step, kind: Kind) -> None:
    workers = TwinWorkers()
    _, context = await bench.run(step, bench.captures[kind], workers)
    assert {task for task, _ in workers.asked} <= set(step.tasks)
    assert set(context.asked) <= set(step.tasks)
    assert isinstance(context.notes, Notes) and context.notes.read <= set(step.after)


@in_one_house
@every_kind
async def test_the_same_input_is_told_the_same(bench: Bench, step: Step, kind: Kind) -> None:
    first, _ = await bench.run(step, bench.captures[kind])
    again, _ = await bench.run(step, bench.captures[kind])
    assert first == again


@in_one_house
@every_kind
async def test_without_its_models_it_names_the_command_or_says_what_it_can(
    bench: Bench, step: Step, kind: Kind
) -> None:
    workers = TwinWorkers(missing=TASKS)
    try:
        said, context = await bench.run(step, bench.captures[kind], workers)
    except ModelMissing as missing:
        assert missing.task in step.tasks and missing.code == "model-missing"
        assert missing.hint == f"hearthlog models pull {missing.task}"
        assert step.name not in GO_ON
    else:
        assert said.provenance == Provenance() and not context.used
        asked = context.asked
        assert set(asked.values()) <= {""}
        if step.name in GO_ON and kind is Kind.IMAGE:
            assert asked == {GO_ON[step.name]: ""}  # so that it is said again once the model is there
        else:
            assert not step.tasks or kind is not Kind.IMAGE


def amiss(capture: Capture, spare: Iterator[Path]) -> dict[str, Capture]:
    """The same capture with something wrong."""
    assert capture.blob is not None

    def of(body: bytes) -> BlobRef:
        return inference_house.sealed(next(spare), body, capture.media_type)

    sizes: dict[str, int | None] = {"width_px": None, "height_px": None, "duration_us": None}
    return {
        "no original": replace(capture, blob=None),
        "a blob that is gone": replace(capture, blob=replace(capture.blob, path="/nowhere/at/all")),
        "another key": replace(capture, blob=replace(capture.blob, key=bytes(32))),
        "other bytes": replace(capture, blob=replace(capture.blob, sha256=bytes(32))),
        "nothing in it": replace(capture, blob=of(b""), body_bytes=0),
        "rubbish": replace(capture, blob=of(b"\xff\xfe\x00 no such thing" * 9)),
        "no sizes": replace(capture, **sizes),
        "a point": replace(capture, width_px=1, height_px=1, duration_us=0),
        "no camera": replace(capture, device=None),
    }


@in_one_house
@every_kind
async def test_whatever_is_amiss_it_skips_or_fails_as_the_house_knows(
    bench: Bench, step: Step, kind: Kind, tmp_path: Path
) -> None:
    capture = bench.captures[kind]
    spare = (tmp_path / f"spare-{n}" for n in range(99))
    for name, other in amiss(capture, spare).items():
        for notes in ({}, await bench.before(step, capture, TwinWorkers())):
            try:
                said = await step.run(other, bench.context(TwinWorkers(), notes))
            except Skip as skip:
                assert skip.reason and skip.code, name
            except HearthlogError as error:
                assert error.code and str(error), name
            else:
                assert isinstance(said, Annotation), name


@in_one_house
@every_kind
async def test_a_covered_camera_and_a_silent_room_are_no_errors(bench: Bench, step: Step, kind: Kind) -> None:
    """Those before it found a fault, or nothing at all."""
    capture = bench.captures[kind]
    notes = await bench.before(step, capture, TwinWorkers())
    empty = {"boxes": [], "labels": [], "lines": [], "speech": [], "events": [], "duration_us": 0}
    for name, note in list(notes.items()):
        kept = {key: empty.get(key, value) for key, value in note.annotation.data.items()}
        kept |= {"fault": "covered"} if name == "quality" else {}
        notes[name] = replace(note, annotation=replace(Annotation(), data=kept))
    try:
        said = await step.run(capture, bench.context(TwinWorkers(), notes))
    except Skip as skip:
        assert skip.reason and skip.code
    else:
        assert isinstance(said, Annotation) and json.dumps(said.data)
