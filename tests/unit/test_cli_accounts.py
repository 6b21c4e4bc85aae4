"""`hearthlog user` and `hearthlog token`, with a gateway running and without one."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import root
from gateway.config import Http
from gateway.errors import Conflict, HearthlogError
from gateway.store.home import hold
from gateway.web.serve import open_web
from tests.web_house import WORDS, WebHouse, open_web_house


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEARTHLOG_HOME", str(tmp_path))
    monkeypatch.setenv("HEARTHLOG_HTTP_PORT", "0")
    return tmp_path


@pytest.fixture
async def served(home: Path) -> AsyncIterator[WebHouse]:
    """A running gateway."""
    with hold(home):
        async with open_web_house(home, http=Http(port=0)) as house, open_web(house.parts):
            yield house


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(root, arguments, input=stdin)


def error_of(result: Result) -> HearthlogError:
    assert isinstance(result.exception, HearthlogError), result.output
    return result.exception


def test_first_steps_without_a_browser_or_a_gateway(home: Path) -> None:
    added = run("user", "add", "Nora", "--role", "admin", "--password-stdin", stdin=WORDS + "\n")
    assert (added.exit_code, added.output) == (0, "Nora can sign in now.\n")
    made = run("token", "create", "--user", "Nora", "--scope", "read,write", "--json")
    assert json.loads(made.output)["token"].startswith("hl_")
    assert run("user", "password", "Nora", "--password-stdin", stdin="five quite other words").exit_code == 0
    listed = json.loads(run("token", "list", "--user", "nora", "--json").output)["items"]
    assert listed[0]["scopes"] == ["read", "write"]
    assert run("token", "end", listed[0]["id"], "--user", "Nora").exit_code == 0
    assert json.loads(run("token", "list", "--user", "Nora", "--json").output)["items"] == []
    assert json.loads(run("user", "list", "--json").output)["items"][0]["role"] == "admin"


@pytest.mark.parametrize(
    ("arguments", "stdin", "code"),
    [
        (("user", "add", "Nora", "--password-stdin"), "short\n", "password-short"),
        (("token", "create", "--user", "Nobody"), "", "not-found"),
    ],
)
def test_mistakes_are_told_alike_with_and_without_a_gateway(
    home: Path, arguments: tuple[str, ...], stdin: str, code: str
) -> None:
    assert error_of(run(*arguments, stdin=stdin)).code == code


@pytest.mark.parametrize(
    "arguments", [("token", "create", "--user", "Nora", "--scope", "admin"), ("user", "add", "Nora", "--role", "king")]
)
def test_wrong_usage_is_status_two(home: Path, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


async def test_commands_speak_to_the_running_gateway(served: WebHouse) -> None:
    added = await asyncio.to_thread(run, "user", "add", "Zoë", "--role", "admin", "--password-stdin", stdin=WORDS)
    assert added.exit_code == 0, added.exception
    assert not await served.parts.accounts.first_run()
    made = await asyncio.to_thread(run, "token", "create", "--user", "Zoë", "--scope", "read", "--json")
    viewer, scopes = await served.parts.accounts.bearer(json.loads(made.output)["token"]) or (None, None)
    assert viewer is not None
    assert (viewer.name, scopes) == ("Zoë", frozenset({"read"}))
    begun = await served.parts.accounts.sign_in("Zoë", WORDS)
    reset = await asyncio.to_thread(run, "user", "password", "Zoë", "--password-stdin", stdin="five quite other words")
    assert reset.exit_code == 0, reset.exception
    assert await served.parts.accounts.session(begun.secret) is None
    assert await served.parts.accounts.sign_in("Zoë", "five quite other words")
    again = await asyncio.to_thread(run, "user", "add", "Zoë", "--password-stdin", stdin=WORDS)
    assert error_of(again).code == "name-taken"
    nobody = await asyncio.to_thread(run, "token", "create", "--user", "Nobody")
    assert error_of(nobody).code == "not-found"


def test_gateway_that_holds_the_folder_but_does_not_answer_yet_is_told(home: Path) -> None:
    with hold(home):
        error = error_of(run("user", "list"))
    assert isinstance(error, Conflict)
    assert error.code == "in-use"


def test_socket_that_a_crash_left_over_is_passed_by(home: Path) -> None:
    import socket

    (home / "run").mkdir()
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(home / "run" / "gateway.sock"))
    left.close()
    assert run("user", "list", "--json").output == '{"items": []}\n'
