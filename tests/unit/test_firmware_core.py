"""The cameras' C core: its own tests, built with the compiler that is here and run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware" / "esp32"
BOARDS = 2


@pytest.fixture(scope="module")
def compiler() -> str:
    found = shutil.which("gcc") or shutil.which("cc")
    if found is None or shutil.which("make") is None:
        pytest.skip("no C compiler, or no make")
    return found


def made(target: str, compiler: str, build: Path) -> str:
    """What `make target` says; it must succeed."""
    command = ["make", "-s", "-C", str(FIRMWARE), target, f"BUILD={build}", f"CC={compiler}"]
    done = subprocess.run([*command, f"PYTHON={sys.executable}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    return done.stdout


@pytest.mark.slow
def test_core_passes_its_own_tests(compiler: str, tmp_path: Path) -> None:
    assert " passed" in made("test", compiler, tmp_path)


@pytest.mark.slow
@pytest.mark.system("gcov")
def test_cores_tests_take_19_branches_of_20(compiler: str, tmp_path: Path) -> None:
    assert "branch coverage of core/: 9" in made("coverage", compiler, tmp_path)


@pytest.mark.slow
def test_adapters_for_the_boards_are_well_typed(compiler: str, tmp_path: Path) -> None:
    assert made("esp-syntax", compiler, tmp_path).count(" files") == BOARDS
