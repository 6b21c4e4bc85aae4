"""Settings: read, checked, explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import Settings, load, zone_name
from gateway.errors import ConfigError


def _load(home: Path, text: str = "", **environ: str) -> Settings:
    home.mkdir(exist_ok=True)
    (home / "hearthlog.toml").write_text(text)
    return load({"HEARTHLOG_HOME": str(home), **environ})


def test_without_a_file_the_defaults_stand(tmp_path: Path) -> None:
    settings = load({"HEARTHLOG_HOME": str(tmp_path / "none")})
    assert (settings.http.host, settings.http.port, settings.mqtt.unknown_devices) == ("127.0.0.1", 8480, "auto")


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    settings = _load(tmp_path, "[http]\nport = 9000\n", HEARTHLOG_HTTP_PORT="9001", HEARTHLOG_HTTP_NAMES="a.lan, b.lan")
    assert (settings.http.port, settings.http.names) == (9001, ("a.lan", "b.lan"))


def test_foreign_cameras_are_a_list_of_tables(tmp_path: Path) -> None:
    settings = _load(tmp_path, '[[mqtt.source]]\ntopic = "frigate/+/person/snapshot"\n')
    assert settings.mqtt.source[0].topic == "frigate/+/person/snapshot"


@pytest.mark.parametrize(
    ("text", "environ", "complaint"),
    [
        ("[htpp]\n", {}, "unknown section"),
        ("[http]\nprot = 1\n", {}, "unknown setting http.prot"),
        ("", {"HEARTHLOG_HTTP_PROT": "1"}, "unknown setting HEARTHLOG_HTTP_PROT"),
        ("[http]\nport = 'x'\n", {}, "must be a int"),
        ("[http]\nport = true\n", {}, "must be a int"),
        ("", {"HEARTHLOG_HTTP_PORT": "many"}, "not a int"),
        ("[http]\nport = 70000\n", {}, "between"),
        ("[mqtt]\nprotocol = '4'\n", {}, "cannot be"),
        ("[[mqtt.source]]\ntopic = 'a/b'\n", {}, "names no device"),
        ("[[mqtt.source]]\ntopic = 'a/b'\ndevice = 'X!'\n", {}, "not a device id"),
        ("[clock]\nzone = 'Mars/Base'\n", {}, "not a time zone"),
        ("[http\n", {}, "cannot read"),
        ("http = 3\n", {}, "must be a table"),
        ("[http]\nnames = 'a'\n", {}, "must be a list"),
    ],
)
def test_what_cannot_be_used_is_said_plainly(
    tmp_path: Path, text: str, environ: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        _load(tmp_path, text, **environ)


def test_the_zone_is_the_one_set(tmp_path: Path) -> None:
    assert zone_name(_load(tmp_path, '[clock]\nzone = "Europe/Stockholm"\n')) == "Europe/Stockholm"
