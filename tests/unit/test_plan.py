"""The pipeline's order, pinned: a change of it is a decision."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from gateway.cli import root
from gateway.entities import Kind
from gateway.errors import ConfigError
from gateway.pipeline import plan
from gateway.pipeline.plan import find_steps, queue_plan

ORDER = [
    "note", "quality", "sound", "vad", "asr", "detect", "speakers", "dedupe", "classify", "look", "ocr",
    "caption", "embed",
]  # fmt: skip


def test_the_order_is_pinned() -> None:
    assert list(find_steps()) == ORDER


def test_every_step_comes_after_what_it_reads() -> None:
    steps = find_steps()
    for index, step in enumerate(steps.values()):
        assert set(step.after) <= set(list(steps)[:index])


def test_a_kind_waits_only_for_its_own_steps() -> None:
    plan_ = queue_plan(find_steps())
    assert plan_.steps[Kind.TEXT] == {"note": (), "embed": ("note",)}
    assert plan_.first(Kind.AUDIO) == ["sound", "vad"]
    assert plan_.dependents(Kind.IMAGE, "ocr") == ["caption", "embed"]


def test_a_step_is_ready_when_what_it_reads_is_settled_and_nothing_above_it_is_to_be_redone() -> None:
    plan_ = queue_plan(find_steps())
    everything = set(plan_.steps[Kind.IMAGE])
    assert plan_.ready(Kind.IMAGE, "detect", settled={"quality"}, queued=())
    assert not plan_.ready(Kind.IMAGE, "dedupe", settled={"quality"}, queued=())
    assert not plan_.ready(Kind.IMAGE, "ocr", settled=everything, queued={"detect"})
    assert plan_.ready(Kind.IMAGE, "ocr", settled=everything, queued={"caption"})


def test_hearthlog_plan_prints_it() -> None:
    answer = CliRunner().invoke(root, ["plan", "--json"])
    assert [step["name"] for step in json.loads(answer.output)] == ORDER
    assert CliRunner().invoke(root, ["plan"]).output.splitlines()[0].startswith("note")


@pytest.fixture
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A package of steps, each (name, after)."""
    folder = tmp_path_factory.mktemp("steps")
    name = f"steps_of_{abs(hash(request.node.name))}"
    (folder / name).mkdir()
    (folder / name / "__init__.py").touch()
    sys.path.insert(0, str(folder))
    for index, (step, after) in enumerate(request.param):
        (folder / name / f"m{index}.py").write_text(
            "from gateway.entities import Kind\nfrom gateway.pipeline.step import Step\n"
            f"STEP = Step(name={step!r}, version=1, takes=(Kind.IMAGE,), run=None, label='', after={after!r})\n"
        )
    yield name
    sys.path.remove(str(folder))


@pytest.mark.parametrize(
    ("package", "complaint"),
    [
        ([("a", ("b",)), ("b", ("a",))], "wait for each other"),
        ([("a", ("gone",))], "not there"),
        ([("a", ()), ("a", ())], "two modules"),
    ],
    indirect=["package"],
)
def test_a_plan_that_cannot_be_done_is_refused(package: str, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "STEPS_PACKAGE", package)
    with pytest.raises(ConfigError, match=complaint):
        find_steps()
