"""`hearthlog demo --once` as the README has it, with one camera of the five: its figures and its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.children import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]


def _once(home: Path) -> Any:  # Any: the summary's JSON
    argv = [sys.executable, "-m", "gateway", "demo", "--once", "--frames=5", "--camera=porch"]
    env = {**os.environ, "HEARTHLOG_HOME": str(home), "HEARTHLOG_HTTP_PORT": "0"}
    done = subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, text=True, timeout=1_100, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.system("mosquitto")
def test_a_camera_tells_its_day_and_the_figures_add_up(tmp_path: Path) -> None:
    told = _once(tmp_path)
    assert told["broker"] == "mosquitto"
    assert told["stored"] == sum(told["by_kind"].values()) <= told["received"]
    assert told["lost"] >= 0
    assert told["duplicates"]["static"] > 0
    assert told["captions"]["total"] >= told["captions"]["more_than_light"] > 0
    assert told["set_aside"] == 0
    assert {"quality", "dedupe", "caption", "embed"} <= told["seconds_per_step"].keys()
    assert all(set(each) == {"words", "total", "top"} for each in told["searches"])
    labels = [each for each in told["searches"] if each["words"].isupper()]
    assert labels
    assert all(each["top"] for each in labels)
