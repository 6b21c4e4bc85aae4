"""A picture's vector goes into the space of the model that made it, or into the one that the model shares."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.entities import BlobRef, Json, Priority, Provenance
from gateway.inference.workers import Reply
from gateway.pipeline.step import Context
from gateway.pipeline.steps.look import STEP


class _Eyes:
    """Workers with one model for the looks of pictures."""

    def __init__(self, extra: Json) -> None:
        self.extra = extra

    async def run(self, task: str, blob: BlobRef | None, *, params: Json, priority: Priority, space: str) -> Reply:
        assert task == "embed-image" and blob is not None and not space
        return Reply({"vector": bytes(8), "dim": 2, **self.extra}, Provenance("eyes-vision", "r1", "p1"), 1.0)


@pytest.mark.parametrize(("extra", "space"), [({}, "eyes-vision@r1/p1"), ({"space": "eyes"}, "eyes@r1/p1")])
async def test_a_look_names_its_space(extra: Json, space: str) -> None:
    workers: Any = _Eyes(extra)  # Any: the step asks for nothing else
    capture: Any = SimpleNamespace(blob=BlobRef("p", b"k", b"s", 1, "image/jpeg"))
    db: Any = None
    note = await STEP.run(capture, Context(db, workers, {}, Priority.BACKLOG))
    assert note.embedding is not None and note.embedding.space == space
    assert note.provenance.model == "eyes-vision"
