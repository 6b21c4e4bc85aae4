"""Settings: read, checked, explained."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from gateway.config import RANGES, Settings, load, zone_name
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


def test_what_tests_and_other_programs_set_is_none_of_its_business(tmp_path: Path) -> None:
    environ = {"HEARTHLOG_TEST_MEDIA": "/media", "HEARTHLOG_TEST_ANYTHING": "1", "HTTP_PORT": "1", "hearthlog_x": "1"}
    assert _load(tmp_path, **environ) == Settings(tmp_path)


def test_foreign_cameras_are_a_list_of_tables(tmp_path: Path) -> None:
    settings = _load(tmp_path, '[[mqtt.source]]\ntopic = "frigate/+/person/snapshot"\n')
    assert settings.mqtt.source[0].topic == "frigate/+/person/snapshot"


@pytest.mark.parametrize(
    ("text", "environ", "complaint"),
    [
        ("[htpp]\n", {}, "unknown section"),
        ("[http]\nprot = 1\n", {}, "unknown setting http.prot"),
        ("[http]\nprot = 1\n", {}, r"Did you mean port\? Allowed: host, port"),
        ("", {"HEARTHLOG_HTTP_PROT": "1"}, r"unknown setting HEARTHLOG_HTTP_PROT\. Did you mean HEARTHLOG_HTTP_PORT"),
        ("", {"HEARTHLOG_HTP_PORT": "1"}, r"unknown setting HEARTHLOG_HTP_PORT\. Did you mean HEARTHLOG_HTTP_PORT"),
        ("", {"HEARTHLOG_STORGE_KEEP_DAYS": "7"}, "Did you mean HEARTHLOG_STORAGE_KEEP_DAYS"),
        ("", {"HEARTHLOG_X": "7"}, r"unknown setting HEARTHLOG_X\. docs/settings.md lists"),
        ("[http]\nport = 'x'\n", {}, "http.port must be a whole number, not 'x'"),
        ("[http]\nport = true\n", {}, "http.port must be a whole number, not True"),
        ("", {"HEARTHLOG_HTTP_PORT": "many"}, "'many' is not a whole number"),
        ("[storage]\nkeep_gb = '9'\n", {}, "storage.keep_gb must be a number"),
        ("[home_assistant]\ndiscovery = 1\n", {}, "must be yes or no"),
        ("[mqtt]\nurl = 1\n", {}, "must be text"),
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


@pytest.mark.parametrize("name", sorted(RANGES))
def test_no_number_is_taken_beyond_its_range(tmp_path: Path, name: str) -> None:
    """Above all not one that would take every original: a negative number of days puts the cut in the future."""
    section, key = name.split(".")
    low, high = RANGES[name]
    fits = type(getattr(getattr(Settings(tmp_path), section), key))
    wrong = [low - 1, high + 1, 10**400] + (["nan", "inf", "-inf", low - 1e-9] if fits is float else [])
    for value in wrong:
        complaint = re.escape(f"{name} must be between {low} and {high}, not {str(value)[:40]}")
        with pytest.raises(ConfigError, match=complaint):
            _load(tmp_path, f"[{section}]\n{key} = {value}\n")
        if value != 10**400:
            with pytest.raises(ConfigError, match=complaint):
                _load(tmp_path, **{f"HEARTHLOG_{section}_{key}".upper(): str(value)})
    for value in (low, high):
        assert getattr(getattr(_load(tmp_path, f"[{section}]\n{key} = {value}\n"), section), key) == value


def test_every_number_has_a_range() -> None:
    numbers = {
        f"{section.name}.{item.name}"
        for section in fields(Settings)
        if section.name != "home"
        for item in fields(getattr(Settings(Path("/")), section.name))
        if type(getattr(getattr(Settings(Path("/")), section.name), item.name)) in (int, float)
    }
    assert numbers == set(RANGES)


def test_the_zone_is_the_one_set(tmp_path: Path) -> None:
    assert zone_name(_load(tmp_path, '[clock]\nzone = "Europe/Stockholm"\n')) == "Europe/Stockholm"
