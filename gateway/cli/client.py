"""How a command reaches the house: a running gateway over its unix socket, else the data folder itself.

`through` does the one or the other; every command that reads or changes something is one call of it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import HearthlogError

if TYPE_CHECKING:  # `hearthlog --help` imports every command: what only some of them need waits
    from http.client import HTTPConnection
    from pathlib import Path

    from gateway.accounts import Accounts
    from gateway.config import Settings
    from gateway.entities import Json

_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a running gateway."""

    method: str
    path: str
    """Below `/api/v1`."""
    body: Json | None = None
    query: Mapping[str, str | list[str]] | None = None
    user: str = ""
    """As whom; empty: the first admin, who owns the data folder."""
    file: bytes | None = None
    """A file as the body, in place of JSON."""


def through(request: Request, alone: Callable[[Settings], Awaitable[Json]]) -> Json:
    """The answer of the running gateway, else of `alone`, which works on the data folder itself.

    Raises what either raises; Conflict (`in-use`) while a gateway starts or stops.
    """
    import asyncio

    from gateway.config import load

    settings = load()
    answered = call(settings.home, request)
    return asyncio.run(_awaited(alone(settings))) if answered is None else answered


def ask(request: Request) -> Json:
    """The answer of the running gateway, else of one that this command is for a moment. Raises as `through`."""
    return through(request, lambda settings: _for_a_moment(settings, request))


def running(request: Request) -> Json:
    """The answer of a gateway that runs. Raises NotFound without one: what is asked would be gone with this command."""
    from gateway.config import load
    from gateway.errors import NotFound

    answered = call(load().home, request)
    if answered is None:
        raise NotFound("no gateway is running", hint="hearthlog serve")
    return answered


async def _for_a_moment(settings: Settings, request: Request) -> Json:
    import asyncio

    from gateway.app import open_gateway
    from gateway.web.serve import open_commands

    async with open_gateway(settings) as gateway, open_commands(gateway.parts):
        await gateway.index.catch_up()
        answered = await asyncio.to_thread(call, settings.home, request)
    assert answered is not None
    return answered


def call(home: Path, request: Request) -> Json | None:
    """Ask the running gateway; None when none answers. Raises the gateway's own errors."""
    from http.client import HTTPException
    from urllib.parse import quote, urlencode

    from gateway.store.home import SOCKET, explained

    connection = _unix_connection(home / SOCKET)
    query = "?" + urlencode(request.query, doseq=True) if request.query else ""
    headers = {"Host": "localhost", "Accept": "application/json"}
    if request.user:
        headers["X-Hearthlog-User"] = quote(request.user)
    body = None
    if request.body is not None:
        body = json.dumps(request.body).encode()
        headers["Content-Type"] = "application/json"
    try:
        try:
            connection.connect()
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            return None
        except PermissionError as error:
            raise explained(error, home) from error
        if request.file is not None:
            body = request.file
            headers["Content-Type"] = "application/octet-stream"
        connection.request(request.method, f"/api/v1{request.path}{query}", body, headers)
        response = connection.getresponse()
        raw = response.read()
    except (OSError, HTTPException) as error:
        raise HearthlogError("the running gateway does not answer", code="no-answer", hint=str(error)) from error
    finally:
        connection.close()
    if response.status >= 400:
        from gateway.web.problem import read

        raise read(raw, response.status)
    decoded = json.loads(raw) if raw else {}
    if not isinstance(decoded, dict):
        raise HearthlogError("the running gateway gave an answer that makes no sense", code="bad-answer")
    return decoded


@asynccontextmanager
async def accounts_alone(settings: Settings) -> AsyncIterator[Accounts]:
    """The accounts, while this command holds the data folder. Raises Conflict when a gateway holds it."""
    import time

    from gateway.accounts import Accounts
    from gateway.store.db import Database
    from gateway.store.home import hold
    from gateway.store.keys import open_keyring

    with hold(settings.home):
        keyring = open_keyring(settings.home)
        async with Database(settings.home / "hearthlog.db") as db:
            yield Accounts(db, keyring.secret("accounts"), lambda: time.time_ns() // 1_000)


def read_password(*, from_stdin: bool) -> str:
    """A password: the first line of standard input, else asked for twice on the terminal."""
    import click

    if from_stdin:
        return sys.stdin.readline(2_000).rstrip("\r\n")
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on: use --password-stdin")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt="Same again"))


async def _awaited(work: Awaitable[Json]) -> Json:
    return await work


def _unix_connection(path: Path) -> HTTPConnection:
    """An HTTP connection over a unix socket, whose path may be longer than a socket address takes."""
    import http.client
    import os
    import socket

    class Connection(http.client.HTTPConnection):
        def connect(self) -> None:
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self.sock.settimeout(_TIMEOUT_S)
                self.sock.connect(f"/proc/self/fd/{folder}/{path.name}")
            finally:
                os.close(folder)

    return Connection("localhost")
