"""The cameras' C core: its own tests, built with the compiler that is here and run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware" / "esp32"


@pytest.fixture(scope="module")
def compiler() -> str:
    found = shutil.which("gcc") or shutil.which("cc")
    if found is None or shutil.which("make") is None:
        pytest.skip("no C compiler, or no make")
    return found


@pytest.mark.slow
def test_core_passes_its_own_tests(compiler: str, tmp_path: Path) -> None:
    command = ["make", "-s", "-C", str(FIRMWARE), "test", f"BUILD={tmp_path}", f"CC={compiler}"]
    done = subprocess.run([*command, f"PYTHON={sys.executable}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    assert " passed" in done.stdout
