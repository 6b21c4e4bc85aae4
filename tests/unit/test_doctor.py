"""`hearthlog doctor`: what whoever sets a box up has to know, a line each, with the next step."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway import checkup
from gateway.app import _broker
from gateway.checkup import Line
from gateway.cli import root
from gateway.config import Http, Mqtt
from gateway.inference.models import Models
from gateway.ingest.broker import parse_address
from gateway.ingest.lane import Link
from gateway.jobs import probes
from gateway.jobs.probes import Disk
from gateway.store.db import Database
from gateway.store.home import hold
from gateway.store.keys import open_keyring
from gateway.web import tls
from gateway.web.serve import open_web
from tests.bench.broker import Broker
from tests.web_house import WebHouse, open_web_house


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("HEARTHLOG_HOME", str(home))
    monkeypatch.setenv("HEARTHLOG_HTTP_PORT", "0")
    monkeypatch.setenv("HEARTHLOG_CLOCK_TRUST", "yes")
    monkeypatch.setenv("HEARTHLOG_MQTT_URL", "mqtt://127.0.0.1:1")
    return home


@pytest.fixture(autouse=True)
def few_models(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """To hash what came with the program takes a second in each new home: one test does it."""
    if "new_box" not in request.node.name:
        monkeypatch.setattr(checkup, "Models", lambda home, board: Models(home, {}, board=board))


@pytest.fixture
async def lived_in(home: Path) -> Path:
    """A data folder that a gateway has worked with."""
    open_keyring(home)
    async with Database(home / "hearthlog.db"):
        return home


@pytest.fixture
async def served(home: Path) -> AsyncIterator[WebHouse]:
    with hold(home):
        async with open_web_house(home, http=Http(port=0)) as house, open_web(house.parts):
            yield house


def ask() -> tuple[Result, dict[str, list[Line]]]:
    """The command as JSON, and its lines by name."""
    result = CliRunner().invoke(root, ["doctor", "--json"])
    found: dict[str, list[Line]] = {}
    for line in json.loads(result.stdout)["lines"]:
        found.setdefault(line["name"], []).append(Line(**line))
    assert result.exit_code == (0 if json.loads(result.stdout)["ok"] else 1)
    return result, found


def test_a_new_box_is_told_what_it_lacks_and_how_to_get_it(home: Path) -> None:
    result, found = ask()
    assert result.exit_code == 1
    (gateway,), (broker,), (models,) = found["Gateway"], found["Broker"], found["Models"]
    assert not (gateway.ok or broker.ok or models.ok)
    assert gateway.detail.startswith("None is running")
    assert gateway.hint.startswith("hearthlog serve")
    assert broker.detail == "The broker at 127.0.0.1:1 cannot be reached: Connection refused."
    assert "mosquitto" in broker.hint
    assert "minilm (embed-text)" in models.detail
    assert models.hint == "hearthlog models pull all"
    assert all(line.hint for lines in found.values() for line in lines if not line.ok)
    assert found["Clock"][0].ok
    assert found["Database"][0].ok
    assert {each.name for each in home.iterdir()} <= {"models"}  # where it is noted what was hashed


def test_for_people_each_line_says_ok_or_wrong_and_the_step_stands_below(home: Path) -> None:
    said = CliRunner().invoke(root, ["doctor"]).output.splitlines()
    at = next(n for n, line in enumerate(said) if line.startswith("WRONG  Broker:"))
    assert said[at + 1].startswith("       → sudo systemctl status mosquitto")
    assert said[0] == "ok     Settings: Understood."
    assert said[-1].endswith("need a hand.")


async def test_a_running_gateway_speaks_for_itself(served: WebHouse) -> None:
    _, found = await asyncio.to_thread(ask)
    assert found["Gateway"] == [Line("Gateway", True, "It runs.")]
    assert "Memory" in found
    assert "Database" not in found


def test_a_gateway_that_holds_the_folder_and_does_not_answer_is_on_its_way(home: Path) -> None:
    with hold(home):
        _, found = ask()
    assert found["Gateway"] == [Line("Gateway", False, "One is starting or stopping.", "Ask again in a moment")]


def test_a_taken_port_is_named_while_no_gateway_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("HEARTHLOG_HTTP_PORT", str(port))
        _, found = ask()
    assert f"cannot listen on 127.0.0.1 port {port}" in found["Gateway"][0].detail
    assert found["Gateway"][0].hint == "Another program has it; set http.port"


async def test_a_damaged_database_is_kept_and_its_copies_are_named(lived_in: Path) -> None:
    database = lived_in / "hearthlog.db"
    copy = lived_in.parent / "saved" / "hearthlog.db"
    copy.parent.mkdir()
    copy.write_bytes(database.read_bytes())
    (lived_in.parent / "other").mkdir()
    (lived_in.parent / "other" / "hearthlog.db").write_bytes(b"no database")
    database.write_bytes(b"nonsense " * 1_000)
    before = {path: path.read_bytes() for path in lived_in.rglob("*") if path.is_file()}
    _, found = await asyncio.to_thread(ask)
    (line,) = found["Database"]
    assert (line.ok, line.detail) == (False, f"{database} is damaged (file is not a database).")
    assert f"What may be one: {copy} (" in line.hint
    assert "delete nothing" in line.hint
    assert str(lived_in.parent / "other") not in line.hint
    assert {path: path.read_bytes() for path in before} == before


async def test_a_page_that_rotted_is_found(lived_in: Path) -> None:
    database = lived_in / "hearthlog.db"
    pages = bytearray(database.read_bytes())
    pages[8_192:12_288] = b"\x5a" * 4_096
    database.write_bytes(pages)
    for rest in ("-wal", "-shm"):
        Path(f"{database}{rest}").unlink(missing_ok=True)
    _, found = await asyncio.to_thread(ask)
    assert not found["Database"][0].ok


async def test_a_key_that_others_can_read_and_one_that_is_gone(lived_in: Path) -> None:
    key = lived_in / "installation.key"
    assert (await asyncio.to_thread(ask))[1]["Keys"][0].ok
    key.chmod(0o640)
    (line,) = (await asyncio.to_thread(ask))[1]["Keys"]
    assert (line.ok, line.hint) == (False, f"chmod 600 {key}")
    key.unlink()
    (line,) = (await asyncio.to_thread(ask))[1]["Keys"]
    assert f"{key} is gone" in line.detail


def test_a_folder_that_is_open_to_others(home: Path) -> None:
    home.chmod(0o755)
    (line,) = ask()[1]["Data folder"]
    assert (line.ok, line.hint) == (False, f"chmod 700 {home}")


@pytest.mark.parametrize(
    ("disk", "floor_mb", "ok", "says"),
    [
        (Disk(10**11, 10**10), "1024", True, "10.0 of 100.0 GB are free"),
        (Disk(10**11, 9 * 10**8), "1024", False, "originals go."),
        (Disk(10**11, 10**8), "1024", False, "Nothing is taken in."),
        (Disk(10**11, 10**10), "100000", False, "below 100 GB"),
    ],
)
def test_the_disk_and_its_floor(
    home: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk, floor_mb: str, ok: bool, says: str
) -> None:
    monkeypatch.setattr(probes, "disk", lambda _: disk)
    monkeypatch.setenv("HEARTHLOG_STORAGE_FREE_FLOOR_MB", floor_mb)
    (line,) = ask()[1]["Disk"]
    assert line.ok is ok
    assert says in line.detail


def test_a_clock_that_nobody_keeps(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTHLOG_CLOCK_TRUST", "no")
    (line,) = ask()[1]["Clock"]
    assert not line.ok
    assert "timedatectl" in line.hint


def test_a_certificate_near_its_end(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTHLOG_HTTP_HOST", "0.0.0.0")
    assert ask()[1]["HTTPS"] == [Line("HTTPS", True, "Its certificate is made at the first start.")]
    names = tls.own_names()
    tls.ensure(home, names, datetime.now(UTC) - timedelta(days=390))
    assert not ask()[1]["HTTPS"][0].ok
    tls.ensure(home, names, datetime.now(UTC))
    assert ask()[1]["HTTPS"][0].ok
    assert ask()[1]["Keys"][0].ok


def test_settings_that_cannot_be_used_are_the_only_line(home: Path) -> None:
    (home / "hearthlog.toml").write_text("[storage]\nkeep_days = -1\n")
    _, found = ask()
    assert list(found) == ["Settings"]
    assert "storage.keep_days must be between 0 and 36500, not -1" in found["Settings"][0].detail


def test_a_broker_that_answers(home: Path, mosquitto: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Broker(tmp_path / "broker") as broker:
        monkeypatch.setenv("HEARTHLOG_MQTT_URL", broker.url)
        (line,) = ask()[1]["Broker"]
    assert (line.ok, line.detail) == (True, f"127.0.0.1:{broker.port} answers.")


def test_a_broker_that_is_away_is_told_once_with_its_address_and_what_helps() -> None:
    address = parse_address(Mqtt(url="mqtt://10.0.0.7:1884"))
    up, down = (
        Link(lane, at, "5", "[Errno 111] Connection refused", 0) for lane, at in (("plain", 1), ("record", None))
    )
    (part,) = _broker([down, down], address)
    assert (part.name, part.state) == ("Broker", "look")
    assert part.detail.startswith("The broker at 10.0.0.7:1884 cannot be reached: Connection refused. Does it run")
    assert [(part.name, part.state) for part in _broker([up, down], address)] == [
        ("Broker, plain lane", "good"),
        ("Broker, record lane", "look"),
    ]


def test_when_all_is_well_the_status_is_zero(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "look", lambda *_: [Line("Gateway", True, "It runs.")])
    done = CliRunner().invoke(root, ["doctor"])
    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "All is well.")
