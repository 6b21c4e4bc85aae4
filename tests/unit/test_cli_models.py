"""`hearthlog models` says what is here and brings what is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.models import COMMAND
from gateway.errors import NotFound


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEARTHLOG_HOME", str(tmp_path))
    monkeypatch.delenv("HEARTHLOG_MODELS_MIRROR", raising=False)
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(COMMAND, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_list_names_what_is_missing_and_its_command(home: Path) -> None:
    status, text = run("list")
    assert status == 0 and "hearthlog models pull yolox-nano" in text
    status, text = run("list", "--json")
    rows = {row["name"]: row for row in json.loads(text)}
    assert rows["pixels"]["state"] == "ready" and rows["yolox-nano"]["state"] == "missing"


def test_pull_from_a_mirror_and_verify(home: Path, models_mirror: Path) -> None:
    status, text = run("pull", "vad", "yolox-nano", "--mirror", str(models_mirror), "--json")
    assert status == 0
    assert {row["name"]: row["state"] for row in json.loads(text)} == {"silero-vad": "ready", "yolox-nano": "ready"}
    assert run("verify", "vad")[0] == 0
    path = home / "models/silero-vad/silero_vad.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert run("verify", "silero-vad")[0] == 1


def test_the_mirror_may_be_a_setting(home: Path, models_mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTHLOG_MODELS_MIRROR", str(models_mirror))
    assert run("pull", "vad")[0] == 0


def test_a_name_that_nothing_has_fails(home: Path) -> None:
    with pytest.raises(NotFound):
        run("pull", "nose")
    assert run("pull")[0] == 2
