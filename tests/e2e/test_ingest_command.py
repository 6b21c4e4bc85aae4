"""`hearthlog ingest`, alone and beside a running gateway."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.slow

WAIT_S = 60


def environment(home: Path) -> Mapping[str, str]:
    broker = {"HEARTHLOG_MQTT_URL": "mqtt://127.0.0.1:1"}  # nobody listens there
    return {**os.environ, "HEARTHLOG_HOME": str(home), "HEARTHLOG_HTTP_PORT": "0", **broker}


async def hearthlog(home: Path, *arguments: str) -> tuple[int, str]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *arguments, env=environment(home), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(child.communicate(), WAIT_S)
    return child.returncode or 0, out.decode()


def photos(folder: Path) -> Path:
    folder.mkdir()
    for n in range(3):
        out = io.BytesIO()
        Image.new("RGB", (64, 48), (n * 80, 90, 30)).save(out, "JPEG")
        (folder / f"2026-09-24 11.06.4{n}.jpg").write_bytes(out.getvalue())
    (folder / "note.txt").write_text("The plumber came.\n")
    return folder


async def test_folder_is_taken_in_without_a_gateway_and_once(tmp_path: Path) -> None:
    folder = str(photos(tmp_path / "photos"))
    status, out = await hearthlog(tmp_path / "home", "ingest", folder)
    assert (status, out.splitlines()[0]) == (0, "4 stored, 0 here already, 0 refused.")
    Path(folder, "broken.jpg").write_bytes(b"\xff\xd8\xff")
    status, out = await hearthlog(tmp_path / "home", "ingest", folder, "--json")
    assert status == 1
    answer = json.loads(out)
    assert (answer["stored"], answer["repeated"]) == (0, 4)
    assert [(each["name"], each["code"]) for each in answer["refused"]] == [("broken.jpg", "truncated")]


async def test_folder_is_handed_to_the_gateway_that_runs(tmp_path: Path) -> None:
    folder = str(photos(tmp_path / "photos"))
    home = tmp_path / "home"
    gateway = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway", "serve"),
        env=environment(home),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert gateway.stdout is not None
        line = await asyncio.wait_for(gateway.stdout.readline(), WAIT_S)
        assert line.startswith(b"Hearthlog is at")
        status, out = await hearthlog(home, "ingest", folder)
        assert (status, out.splitlines()[0]) == (0, "4 stored, 0 here already, 0 refused.")
        status, out = await hearthlog(home, "ingest", folder)
        assert out.splitlines()[0] == "0 stored, 4 here already, 0 refused."
    finally:
        gateway.terminate()
        await asyncio.wait_for(gateway.communicate(), WAIT_S)
