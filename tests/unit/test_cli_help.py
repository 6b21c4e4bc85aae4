"""Help says what it is about, whole: for whoever reads it first."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from gateway.cli import root


def _commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _commands(found, (*path, name))


COMMANDS = dict(_commands(root))
each = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)


@each
def test_every_command_and_option_says_what_it_is_for(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help
    unsaid = [option.opts for option in command.params if isinstance(option, click.Option) and not option.help]
    assert not unsaid


@each
def test_no_line_of_a_list_of_commands_is_cut_off(path: tuple[str, ...]) -> None:
    if isinstance(COMMANDS[path], click.Group):
        assert "..." not in CliRunner().invoke(root, [*path, "--help"]).output.partition("Commands:")[2]


def test_help_imports_nothing_that_is_heavy() -> None:
    """To find the commands imports every module of `gateway.cli`."""
    say = "import sys; from gateway.cli import root; root.list_commands(None); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", say], capture_output=True, text=True, check=True)
    heavy = {"sqlite3", "asyncio", "aiohttp", "numpy", "pydantic", "cryptography", "aiomqtt", "gateway.config"}
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("demo --frames 0", "1<=x<=100000"),
        ("demo --frames -5", "1<=x<=100000"),
        ("demo --frames many", "not a valid integer"),
        ("demo --seed -1", "0<=x<="),
        ("broker setup there --port 0", "1<=x<=65535"),
        ("broker setup there --plain-port 70000", "0<=x<=65535"),
        ("jobs retry", "name a job, a --step, or --all"),
        ("search --limit 0", "1<=x<=200"),
    ],
)
def test_wrong_usage_says_what_is_allowed(words: str, says: str) -> None:
    done = CliRunner().invoke(root, words.split())
    assert done.exit_code == 2
    assert says in done.output
