"""`hearthlog models` says what is here and brings what is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway.cli.models import COMMAND
from gateway.errors import ModelMissing, NotFound
from gateway.inference.manifest import TIERS
from gateway.inference.models import Models


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


def run_all(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(COMMAND, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_list_names_what_is_missing_and_its_command(home: Path) -> None:
    status, text = run("list")
    assert status == 0 and "hearthlog models pull yolox-nano" in text
    status, text = run("list", "--json")
    rows = {row["name"]: row for row in json.loads(text)}
    assert rows["pixels"]["state"] == "ready" and rows["yolox-nano"]["state"] == "missing"


def test_list_says_what_a_model_is_made_of_and_whether_a_product_may_ship_it(home: Path) -> None:
    rows = {row["name"]: row for row in json.loads(run("list", "--json")[1])}
    row = rows["silero-vad"]
    assert (row["ships"], row["licence"], row["family"], row["slot"]) == (True, "MIT", "silero", "listen")
    (file,) = row["files"]
    assert file["bytes"] == 2_327_524 and len(file["sha256"]) == 64
    assert file["sources"][0]["url"].startswith("https://") and file["sources"][1]["wheel"] == "silero-vad==6.2.3"
    assert row["preprocessing"] == "16k-window512-1" and "sr int64[]" in row["graphs"][0]["inputs"]
    assert rows["sface"]["ships"] is False and "terms of their own" in rows["sface"]["terms"]


def test_list_names_no_command_for_what_nobody_could_check(home: Path) -> None:
    text = run("list")[1]
    assert "not available yet: no hash of vision_encoder_quantized.onnx is known" in text
    assert "pull florence2-base" not in text and "pull clip-vit-b32-text" not in text
    rows = {row["name"]: row for row in json.loads(run("list", "--json")[1])}
    assert rows["florence2-base"]["command"] == "" and rows["florence2-base"]["download_bytes"] is None
    assert rows["mobilefacenet"]["command"] == "hearthlog models pull mobilefacenet --mirror FOLDER"


@pytest.mark.parametrize("task", ["embed-speaker", "embed-text-for-images"])
def test_a_memory_is_not_told_a_command_that_cannot_work(home: Path, task: str) -> None:
    with pytest.raises(ModelMissing) as missing:
        Models(home).for_task(task)
    assert missing.value.hint == "No model for it can be fetched yet"
    status, _, err = run_all("pull", task)
    assert status == 1 and f"nothing to fetch for {task}: " in err and "not available yet" in err


def test_a_pull_shows_licence_size_and_hosts_before_anything_is_fetched(
    home: Path, models_mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def fetched(models: Models, what: str, **_: object) -> None:
        asked.append(what)
        click.echo(f"fetching {what}")

    monkeypatch.setattr("gateway.inference.fetch.pull", fetched)
    status, text, _ = run_all("pull", "vad", "sface", "--mirror", str(models_mirror), "--accept-licence")
    head = text.partition("fetching")[0].splitlines()
    assert status == 0 and asked == ["silero-vad", "sface"]
    assert head[0].split() == ["to", "be", "fetched", "MB", "licence", "may", "ship", "from"]
    told = f"{models_mirror}, raw.githubusercontent.com, the wheel silero-vad==6.2.3"
    assert head[1].split(maxsplit=4) == ["silero-vad", "2.3", "MIT", "yes", told]
    assert head[2].split()[:4] == ["sface", "38.7", "Apache-2.0", "no"]
    assert head[3].strip() == "The pictures that it was trained on have terms of their own."
    _, text, err = run_all("pull", "vad", "--dry-run", "--json")
    assert asked == ["silero-vad", "sface"] and err.startswith("to be fetched")
    assert json.loads(text)[0]["licence"] == "MIT"


def test_what_has_terms_of_its_own_is_not_fetched_unasked(home: Path, models_mirror: Path) -> None:
    arguments = ("pull", "mobilefacenet", "--mirror", str(models_mirror))
    status, _, err = run_all(*arguments)
    assert status == 1 and "mobilefacenet is not fetched. What it was trained on is not stated" in err
    assert not (home / "models/mobilefacenet").exists()
    status, _, err = run_all("pull", "mobilefacenet", "--accept-licence")
    assert status == 1 and "mobilefacenet.onnx could not be fetched: nobody offers it for download" in err
    assert run(*arguments, "--accept-licence")[0] == 0


@pytest.mark.slow
def test_at_a_terminal_somebody_is_asked(home: Path, models_mirror: Path) -> None:
    def answered(word: str) -> tuple[int, str]:
        ours, theirs = os.openpty()
        with os.fdopen(ours, "rb+", buffering=0) as terminal:
            terminal.write(f"{word}\n".encode())
            command = (
                sys.executable,
                "-m",
                "gateway",
                "models",
                "pull",
                "mobilefacenet",
                "--mirror",
                str(models_mirror),
            )
            done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=120, check=False)
            os.close(theirs)
        return done.returncode, done.stderr

    status, said = answered("n")
    assert status == 1 and "What it was trained on is not stated: for checks only. Fetch it? [y/N]" in said
    assert answered("y")[0] == 0 and (home / "models/mobilefacenet/mobilefacenet.onnx").exists()


def test_a_pull_of_all_names_what_does_not_fit_and_goes_by_the_tier_that_is_given(home: Path) -> None:
    text = run("pull", "all", "--dry-run", "--tier", "pi4")[1]
    assert "yolox-nano" in text and "florence2-base" not in text and "dfine-n" not in text
    rows = {row["name"]: row for row in json.loads(run("list", "--tier", "pi4", "--json")[1])}
    assert rows["dfine-n"]["unfit"] == "meant for pi5, jetson, x86; this machine counts as pi4"
    assert rows["dfine-n"]["tier"] == "pi4" and not rows["dfine-n"]["fits"]
    assert "  meant for pi5, jetson, x86; this machine counts as pi4" in run("list", "--tier", "pi4")[1]


def test_the_tier_may_be_a_setting(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTHLOG_MODELS_TIER", "jetson")
    assert run("list")[1].startswith("This machine: jetson (")


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
    status, text = run("bench", str(broken), "--only", "thumbnail", "--runs", "1", "--json")
    (row,) = json.loads(text)["models"]
    assert status == 1 and "cannot be decoded" in row["failed"] and row["p50_ms"] is None


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
