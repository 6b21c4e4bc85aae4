"""A captioner takes the composed caption's place when it is there and has something to say."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gateway.entities import Annotation, BlobRef, Json, Kind, Priority, Provenance, Stored
from gateway.errors import ModelBroken
from gateway.inference.family import Request
from gateway.pipeline.plan import find_steps, queue_plan
from gateway.pipeline.runner import House, Runner
from gateway.pipeline.step import Context, fingerprint
from gateway.testing import TwinWorkers
from tests.unit.conftest import open_small_house

ANSWER: Json = {"caption": "a dog  beside a bicycle . ", "tokens": [1], "stopped": "end", "confidence": 0.5}


class _Captioner(TwinWorkers):
    """A twin with a captioner that says `said`, or raises it."""

    def __init__(self, said: Json | ModelBroken) -> None:
        super().__init__()
        self.said = said

    async def answer(self, task: str, request: Request, used: Provenance) -> Json:
        if task != "caption":
            return await super().answer(task, request, used)
        assert request.blob is not None
        if isinstance(self.said, ModelBroken):
            raise self.said
        return self.said

    def provenance(self, task: str, *, space: str = "") -> Provenance:
        return Provenance("vit-gpt2", "r1", "p1") if task == "caption" else super().provenance(task, space=space)


def picture() -> bytes:
    out = io.BytesIO()
    grain = np.random.default_rng(0).integers(60, 200, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(grain).save(out, "JPEG")
    return out.getvalue()


async def captioned(folder: Path, workers: TwinWorkers) -> tuple[str, str, str]:
    """Caption, its source, and the model beside the annotation, of a picture that went through the whole plan."""
    steps = find_steps()
    house = await open_small_house(folder, plan=queue_plan(steps))
    async with house.stack:
        await house.put(picture(), seq=1)
        runner = Runner(House(house.db, house.spool, house.shelf, workers, steps, lambda: 10**15))
        task = asyncio.create_task(runner.run(), name="runner")
        await house.until_idle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        sql = (
            "SELECT u.caption, u.caption_source, a.model FROM understood AS u"
            " JOIN annotation AS a USING (capture) WHERE a.step = 'caption'"
        )
        ((caption, source, model),) = await house.db.read(lambda c: c.execute(sql).fetchall())
        return str(caption), str(source), str(model)


async def data_of(answer: Json | ModelBroken, *, lines: list[Json]) -> Annotation:
    """The step alone, beside an answer of the reader of print."""
    read = Stored(1, "ocr", 1, "f", 0, 0.0, Annotation(data={"lines": lines}), "", "", "")
    where: Any = None  # Any: no database is asked
    context = Context(where, _Captioner(answer), {"ocr": read}, Priority.BACKLOG)
    capture: Any = SimpleNamespace(kind=Kind.IMAGE, blob=BlobRef("", b"", b"", 0, ""))  # Any: as much as it reads
    return await find_steps()["caption"].run(capture, context)


async def test_what_was_read_is_quoted_after_a_captioner_s_sentence() -> None:
    found = await data_of(ANSWER, lines=[{"text": "12 ALDER LANE", "score": 0.9}])
    assert found.caption == "A dog beside a bicycle. It reads “12 ALDER LANE”."
    assert (found.data["says"], found.provenance.model) == (["pixels", "print"], "vit-gpt2")


async def test_why_a_captioner_is_silent_can_be_seen() -> None:
    silent = await data_of({**ANSWER, "caption": "", "stopped": "abstained"}, lines=[])
    assert silent.data["captioner"] == "vit-gpt2 does not know this place"
    slow = await data_of({**ANSWER, "stopped": "time"}, lines=[])
    assert slow.data["captioner"] == "vit-gpt2 took too long"
    assert "captioner" not in (await data_of(ModelBroken("broken"), lines=[])).data


async def test_a_caption_names_the_model_that_said_it(tmp_path: Path) -> None:
    found = await captioned(tmp_path, _Captioner(ANSWER))
    caption, *named = found
    assert caption.startswith("A dog beside a bicycle. It reads “")
    assert named == ["model:vit-gpt2", "vit-gpt2"]


@pytest.mark.parametrize(
    "workers",
    [
        TwinWorkers(),
        _Captioner({**ANSWER, "caption": " "}),
        _Captioner({**ANSWER, "stopped": "time"}),
        _Captioner(ModelBroken("the model vit-gpt2 is broken")),
    ],
    ids=["missing", "nothing to say", "cut by time", "broken"],
)
async def test_the_composed_caption_remains(tmp_path: Path, workers: TwinWorkers) -> None:
    caption, source, model = await captioned(tmp_path, workers)
    assert caption.endswith(".") and "bicycle ." not in caption
    assert (source, model) == ("composed", "")


def test_a_captioner_that_comes_changes_the_fingerprint() -> None:
    step = find_steps()["caption"]
    assert fingerprint(step, TwinWorkers(), {}) != fingerprint(step, _Captioner(ANSWER), {})
