"""What the README and the guides name exists: targets, commands, options, settings, files."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import click
import pytest

from gateway import config
from gateway.cli import root
from gateway.config import MqttSource, Settings

HERE = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [HERE / "README.md", HERE / "CHANGELOG.md", *(HERE / "docs").glob("*.md"), *(HERE / "docs/decisions").glob("*.md")]
)
SECTIONS = {
    item.name: type(getattr(Settings(Path("/")), item.name)) for item in fields(Settings) if item.name != "home"
}
FOR_TESTS = {"HEARTHLOG_HOME", "HEARTHLOG_TEST_MODELS", "HEARTHLOG_TEST_MEDIA", "HEARTHLOG_SECTION_KEY"}
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HERE)))


def _code(page: Path) -> str:
    """What stands in code fences and in backticks, a line each."""
    text = page.read_text("utf-8")
    fences = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    return "\n".join([*fences, *spans])


@pages
def test_every_make_target_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (HERE / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", _code(page))) <= targets


@pages
def test_every_command_exists_and_takes_its_options(page: Path) -> None:
    for words in re.findall(r"(?:^|/bin/|\| |\$ |sudo )hearthlog((?: +[^\s|;`#<>]+)*)", _code(page), re.MULTILINE):
        _follow(words.split())


def _follow(words: list[str]) -> None:
    command: click.Command = root
    context = click.Context(command)
    for word in words:
        if isinstance(command, click.Group) and not word.startswith("-"):
            found = command.get_command(context, word)
            assert found is not None, f"hearthlog {' '.join(words)}: no command {word!r}"
            command = found
        elif word.startswith("-"):
            options = {name for each in command.get_params(context) for name in [*each.opts, *each.secondary_opts]}
            assert word.partition("=")[0] in options, f"hearthlog {' '.join(words)}: no option {word!r}"


@pages
def test_every_variable_is_a_setting(page: Path) -> None:
    known = {f"HEARTHLOG_{name}_{item.name}".upper() for name, kind in SECTIONS.items() for item in fields(kind)}
    assert set(re.findall(r"\bHEARTHLOG_[A-Z_]*[A-Z]", page.read_text("utf-8"))) <= known | FOR_TESTS


@pages
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pages
def test_every_file_of_the_repository_that_is_named_exists(page: Path) -> None:
    folders = "gateway|models|sync|systemd|tests|docs|firmware|ansible"
    for name in re.findall(rf"(?<![\w./-])((?:{folders})/[\w./-]+\.\w+)", _code(page)):
        assert (HERE / name).exists(), f"{page.name} names {name}"


def test_the_page_of_settings_names_each_with_its_default_and_its_range() -> None:
    """And no other."""
    told = {}
    ranges = {}
    section = ""
    for line in (HERE / "docs/settings.md").read_text("utf-8").splitlines():
        if line.startswith("## ["):
            section = line.removeprefix("## [").removesuffix("]")
        elif section and line.startswith("| ") and not line.startswith(("| key", "| ---")):
            key, default, what = (cell.strip() for cell in line.split("|")[1:4])
            told[f"{section}.{key}"] = json.loads(default)
            if limits := re.search(r"(?:^|; )(\d+) to (\d+)$", what):
                ranges[f"{section}.{key}"] = (int(limits[1]), int(limits[2]))
    plain = {
        f"{name}.{item.name}": list(default) if isinstance(default := getattr(kind(), item.name), tuple) else default
        for name, kind in SECTIONS.items()
        for item in fields(kind)
        if item.name != "source"
    }
    assert told == plain
    assert ranges == config.RANGES


def test_the_settings_file_of_the_guide_is_accepted(tmp_path: Path) -> None:
    guide = (HERE / "docs/install.md").read_text("utf-8")
    written = re.search(r"hearthlog\.toml <<'END'\n(.*?)^END$", guide, re.MULTILINE | re.DOTALL)
    assert written is not None
    (tmp_path / "hearthlog.toml").write_text(written[1])
    settings = config.load({"HEARTHLOG_HOME": str(tmp_path)})
    assert (settings.http.host, settings.mqtt.url) == ("0.0.0.0", "mqtt://gateway@127.0.0.1:1883")


def test_the_foreign_topic_of_the_settings_page_is_accepted(tmp_path: Path) -> None:
    written = re.search(r"```toml\n(.*?)```", (HERE / "docs/settings.md").read_text("utf-8"), re.DOTALL)
    assert written is not None
    (tmp_path / "hearthlog.toml").write_text(written[1])
    (source,) = config.load({"HEARTHLOG_HOME": str(tmp_path)}).mqtt.source
    assert source == MqttSource(topic="frigate/+/person/snapshot")


def test_every_file_that_the_guide_installs_is_there_and_none_is_left_out() -> None:
    named = set(re.findall(r"systemd/([\w.-]+)", (HERE / "docs/install.md").read_text("utf-8")))
    ours = {path.name for path in (HERE / "systemd").iterdir()}
    assert ours <= named
