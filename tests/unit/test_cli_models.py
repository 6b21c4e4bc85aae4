"""`hearthlog models` says what is here and brings what is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.models import COMMAND
from gateway.errors import NotFound
from gateway.inference.manifest import TIERS


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


def test_list_says_what_the_machine_is_and_what_fits(home: Path) -> None:
    _, text = run("list", "--json")
    rows = {row["name"]: row for row in json.loads(text)}
    (tier,) = {row["tier"] for row in rows.values()}
    assert tier in TIERS and rows["pixels"]["fits"] and rows["pixels"]["tiers"] == list(TIERS)
    assert run("list")[1].startswith(f"This machine: {tier} (")


@pytest.mark.slow
def test_bench_tells_what_a_model_costs(home: Path) -> None:
    status, text = run("bench", "--only", "thumbnail", "--runs", "3", "--watts", "2", "--json")
    told = json.loads(text)
    (row,) = told["models"]
    assert status == 0 and (row["model"], row["failed"], row["fits"]) == ("thumbnail", "", True)
    assert 0 < row["p50_ms"] <= row["p95_ms"] and row["ram_mb"] > 0 and row["load_s"] >= 0
    assert row["energy_mj"] == pytest.approx(row["cpu_ms"] * 2) and told["energy"]["from"] == "given"
    assert "| thumbnail | thumbnail |" in run("bench", "--only", "thumbnail", "--runs", "1")[1]


def test_bench_says_which_model_failed(home: Path, tmp_path: Path) -> None:
    broken = tmp_path / "no.jpg"
    broken.write_bytes(b"nothing of the kind")
    (row,) = json.loads(run("bench", str(broken), "--only", "thumbnail", "--runs", "1", "--json")[1])["models"]
    assert "cannot be decoded" in row["failed"] and row["p50_ms"] is None


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
