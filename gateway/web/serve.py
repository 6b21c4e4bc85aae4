"""The listeners: plain HTTP on loopback, HTTPS everywhere else, and a unix socket for commands.

With a wildcard host the plain listener is bound to 127.0.0.1 beside the wildcard, on the same port (SO_REUSEPORT):
Linux gives a connection to the most specific address, so loopback is plain and everything else is HTTPS.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from gateway.config import Http
from gateway.errors import ConfigError, HearthlogError
from gateway.store.home import SOCKET
from gateway.web import tls
from gateway.web.app import make_app
from gateway.web.parts import Parts

log = logging.getLogger(__name__)

_RENEW_S = 3_600.0
_STOP_S = 3.0
_IDLE_S = 75.0
_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Bound:
    """One listening address."""

    sock: socket.socket
    secure: bool


@dataclass(frozen=True, slots=True)
class Listening:
    """The web, open."""

    parts: Parts
    port: int
    urls: tuple[str, ...]
    """Where a browser finds it, the best for this machine first."""
    fingerprint: str
    """Of the authority; empty where only loopback is served."""
    context: ssl.SSLContext | None

    async def keep_fresh(self) -> None:
        """Renew the certificate when it nears its end or the box gets other addresses; for ever."""
        while self.context is not None:
            await asyncio.sleep(_RENEW_S)
            await asyncio.to_thread(tls.refresh, self.context, await asyncio.to_thread(_certificate, self.parts))


@contextlib.asynccontextmanager
async def open_web(parts: Parts) -> AsyncIterator[Listening]:
    """Listen where the settings say. Raises ConfigError when an address cannot be had."""
    app = await asyncio.to_thread(make_app, parts)
    runner = _runner(app)
    with contextlib.ExitStack() as sockets:
        bound = [sockets.enter_context(_closing(each)) for each in bind(parts.settings.http)]
        commands = sockets.enter_context(command_socket(parts.settings.home))
        certificate = await asyncio.to_thread(_certificate, parts) if any(each.secure for each in bound) else None
        context = tls.context(certificate) if certificate else None
        await runner.setup()
        try:
            for each in bound:
                await web.SockSite(runner, each.sock, ssl_context=context if each.secure else None).start()
            await web.SockSite(runner, commands).start()
            port = _port(bound[0])
            urls = tuple(dict.fromkeys(_url(each, port) for each in sorted(bound, key=lambda each: each.secure)))
            log.info("listening", extra={"port": port, "https": context is not None})
            yield Listening(parts, port, urls, certificate.fingerprint if certificate else "", context)
        finally:
            await runner.cleanup()


@contextlib.asynccontextmanager
async def open_commands(parts: Parts) -> AsyncIterator[None]:
    """Answer on the unix socket only: for a command that finds no gateway running and is one for a moment."""
    app = await asyncio.to_thread(make_app, parts)
    runner = _runner(app)
    with command_socket(parts.settings.home) as commands:
        await runner.setup()
        try:
            await web.SockSite(runner, commands).start()
            yield
        finally:
            await runner.cleanup()


def _runner(app: web.Application) -> web.AppRunner:
    """No access log: addresses hold what people search for. A connection that asks nothing whole is closed."""
    return web.AppRunner(
        app, access_log=None, shutdown_timeout=_STOP_S, keepalive_timeout=_IDLE_S, handle_signals=False
    )


def bind(http: Http) -> list[Bound]:
    """The sockets, listening not yet. Port 0 takes a free one, the same for all."""
    with contextlib.ExitStack() as closing:
        found = _bind(http, closing)
        closing.pop_all()
        return found


def _bind(http: Http, closing: contextlib.ExitStack) -> list[Bound]:
    def open_(host: str, port: int, *, secure: bool, shared: bool = False) -> Bound:
        return Bound(closing.enter_context(contextlib.closing(_socket(host, port, shared=shared))), secure)

    hosts = _addresses(http.host)
    if all(ipaddress.ip_address(host).is_loopback for host in hosts):
        first = open_(hosts[0], http.port, secure=False)
        rest = [host for host in ("127.0.0.1", "::1") if host != hosts[0]]
        return [first, *_if_free(rest, _port(first))]
    shared = any(ipaddress.ip_address(host).is_unspecified for host in hosts)
    if shared and http.port:
        _socket(hosts[0], http.port).close()  # shared ports would let two gateways listen without a word
    found = [open_(hosts[0], http.port, secure=True, shared=shared)]
    port = _port(found[0])
    found += [open_(host, port, secure=True, shared=shared) for host in hosts[1:]]
    found.append(open_("127.0.0.1", port, secure=False, shared=shared))
    return [*found, *_if_free(["::1"], port, shared)]


def _port(bound: Bound) -> int:
    return int(bound.sock.getsockname()[1])


@contextlib.contextmanager
def command_socket(home: Path) -> Iterator[socket.socket]:
    """`<home>/run/gateway.sock`, 0600 in a 0700 folder. The data folder is held, so an old one is left over."""
    path = home / SOCKET
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            made.bind(f"/proc/self/fd/{folder}/{path.name}")  # a socket's own path may have 107 bytes at most
        finally:
            os.close(folder)
        path.chmod(0o600)
        made.setblocking(False)
        yield made
    finally:
        made.close()
        path.unlink(missing_ok=True)


def _certificate(parts: Parts) -> tls.Tls:
    names = tls.own_names(parts.settings.http.names)
    return tls.ensure(parts.settings.home, names, datetime.fromtimestamp(parts.clock() / 1e6, UTC))


def _addresses(host: str) -> list[str]:
    if host == "::":
        return ["::", "0.0.0.0"]  # noqa: S104  a wildcard is what was asked for
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"http.host {host!r} is no address of this box", hint="127.0.0.1, or 0.0.0.0") from error
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def _socket(host: str, port: int, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
        made.listen(_BACKLOG)
        made.setblocking(False)
    except OSError as error:
        made.close()
        taken = error.errno == errno.EADDRINUSE
        raise ConfigError(
            f"cannot listen on {host} port {port}: {error.strerror}",
            code="port-taken" if taken else "address",
            hint="Another program has it; set http.port" if taken else "Set http.host to an address of this box",
        ) from error
    return made


def _if_free(hosts: list[str], port: int, shared: bool = False) -> list[Bound]:
    found: list[Bound] = []
    for host in hosts:
        with contextlib.suppress(HearthlogError):  # a box without IPv6 goes on without it
            found.append(Bound(_socket(host, port, shared=shared), secure=False))
    return found


@contextlib.contextmanager
def _closing(bound: Bound) -> Iterator[Bound]:
    try:
        yield bound
    finally:
        bound.sock.close()


def _url(bound: Bound, port: int) -> str:
    host = str(bound.sock.getsockname()[0])
    address = ipaddress.ip_address(host)
    if address.is_loopback:
        return f"http://localhost:{port}"
    if address.is_unspecified:
        return f"https://{socket.gethostname()}:{port}"
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
