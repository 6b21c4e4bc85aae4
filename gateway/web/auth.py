"""Who may come in: the host asked for, who asks, where the request comes from, and what the address demands.

Every handler is mounted through `protect`; there is no way around it.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from aiohttp import hdrs, web

from gateway.accounts import SCOPES, SessionToken
from gateway.config import Settings
from gateway.entities import Role
from gateway.errors import Forbidden, NotFound, Rejected
from gateway.web.page import FIRST_RUN, SIGN_IN, Handler
from gateway.web.parts import CALLER, PAGE_NAME, PARTS, VIEWER, Caller, Parts
from gateway.web.route import Scope

log = logging.getLogger(__name__)

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_BOTH = frozenset(SCOPES)
_SECURE_COOKIE = "__Host-hearthlog"
_MOST_SECRET = 200
USER_HEADER = "X-Hearthlog-User"
"""On the unix socket only: as whom the owner of the data folder wants to act, percent-encoded."""


@dataclass(frozen=True, slots=True)
class Access:
    """What an address demands."""

    scope: Scope = "read"
    page: str = ""
    """The name of the page that it is: whoever is not signed in is sent to do so. Empty: not a page."""


def protect(handler: Handler, access: Access) -> Handler:
    """The handler behind the checks."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        parts = request.app[PARTS]
        caller, begun = await identify(request, parts, access)
        if request.method not in _SAFE and not _is_explicit(request, caller):
            refuse_cross_site(request)
        if caller is not None:
            request[CALLER] = caller
            request[VIEWER] = caller.viewer
        request[PAGE_NAME] = access.page
        try:
            refuse(caller, access)
        except Forbidden:
            if access.page and caller is None:
                return await _to_sign_in(request, parts)
            raise
        response = await handler(request)
        if begun is not None and not response.prepared:
            set_session(request, response, begun)
        return response

    return guarded


async def identify(request: web.Request, parts: Parts, access: Access) -> tuple[Caller | None, SessionToken | None]:
    """Who asks, and a session that was begun for them on the way (`http.demo_user`)."""
    if is_unix(request):
        name = unquote(request.headers.get(USER_HEADER, ""))
        viewer = await (parts.accounts.named(name) if name else parts.accounts.owner())
        return Caller(viewer, _BOTH, console=True), None
    header = request.headers.get(hdrs.AUTHORIZATION, "")
    if header:
        scheme, _, secret = header.partition(" ")
        found = await parts.accounts.bearer(secret.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise Forbidden("this token opens nothing", code="bad-token", hint="hearthlog token create")
        return Caller(found[0], found[1], bearer=secret.strip()), None
    secret = request.cookies.get(cookie_name(request), "")[:_MOST_SECRET]
    if secret:
        viewer_or_none = await parts.accounts.session(secret)
        if viewer_or_none is not None:
            return Caller(viewer_or_none, _BOTH, session=secret), None
    return await _demo(request, parts, access)


def is_unix(request: web.Request) -> bool:
    """Whether it came over the unix socket: only the owner of the data folder can open that."""
    connection = None if request.transport is None else request.transport.get_extra_info("socket")
    return connection is not None and connection.family == socket.AF_UNIX


def is_plain_loopback(request: web.Request) -> bool:
    """Whether it came without TLS, which only the loopback listener speaks, from this machine."""
    if request.secure or is_unix(request) or request.transport is None:
        return False
    peer = request.transport.get_extra_info("peername")
    return bool(peer) and ipaddress.ip_address(str(peer[0]).partition("%")[0]).is_loopback


def refuse(caller: Caller | None, access: Access) -> None:
    """Raises Forbidden when the caller may not come this way."""
    if not access.scope:
        return
    if caller is None:
        raise Forbidden("nobody is signed in", code="signed-out", hint="Sign in")
    if access.scope not in caller.scopes:
        raise Forbidden(f"this token may not {access.scope}", code="scope", hint="Make one that may")


def refuse_cross_site(request: web.Request) -> None:
    """Raises Forbidden when another site's page made this request (CSRF).

    Browsers say so in Sec-Fetch-Site; where that is missing, Origin must be this very address. A request with
    neither does not come from a browser that still gets updates: it is let through only without a cookie.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get(hdrs.ORIGIN)
    if site is not None:
        good = site in ("same-origin", "none")
    elif origin is not None:
        good = origin == f"{request.scheme}://{request.host}"
    else:
        good = hdrs.COOKIE not in request.headers
    if not good:
        log.warning("cross-site request refused", extra={"path": request.path})
        raise Forbidden("this request came from another site", code="cross-site")


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """Names under which a browser may ask. Addresses are always fine: a rebinding attack needs a name."""
    own = socket.gethostname().lower()
    names = {"localhost", own, own.partition(".")[0], own.partition(".")[0] + ".local"}
    names.update(name.lower().rstrip(".") for name in settings.http.names)
    return frozenset(names - {""})


def refuse_host(request: web.Request, hosts: frozenset[str]) -> None:
    """Raises Rejected (421) for a host that is not this box (DNS rebinding)."""
    if is_unix(request):
        return
    try:
        asked = urlsplit(f"//{request.headers.get(hdrs.HOST, '')}")
        name = (asked.hostname or "").lower().rstrip(".") if asked.port != 0 else ""
    except ValueError:  # brackets or a port that are none
        name = ""
    if name in hosts or _is_address(name):
        return
    raise Rejected("this box is not called that", code="wrong-host", hint="Add the name to http.names")


def cookie_name(request: web.Request) -> str:
    """`__Host-` needs HTTPS. On plain loopback the port keeps two boxes of one machine apart."""
    return _SECURE_COOKIE if request.secure else f"hearthlog-{request.url.port or 80}"


def set_session(request: web.Request, response: web.StreamResponse, token: SessionToken) -> None:
    """Give the browser its session."""
    now_us = request.app[PARTS].clock()
    response.set_cookie(
        cookie_name(request),
        token.secret,
        max_age=max(0, (token.expires_at_us - now_us) // 1_000_000),
        path="/",
        secure=request.secure,
        httponly=True,
        samesite="Lax",
    )


def end_session(request: web.Request, response: web.StreamResponse) -> None:
    """Take it away again."""
    response.del_cookie(cookie_name(request), path="/", secure=request.secure, httponly=True, samesite="Lax")


def is_own_path(path: str) -> bool:
    """Whether a `next` leads to a page of this box and nowhere else."""
    return path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and len(path) <= 1_000


def require_admin(role: Role) -> None:
    """Raises Forbidden for everybody else."""
    if role is not Role.ADMIN:
        raise Forbidden("only an admin may do this")


def refuse_guest(role: Role) -> None:
    """Raises Forbidden for a guest."""
    if role is Role.GUEST:
        raise Forbidden("a guest may not do this")


async def still_in(caller: Caller, parts: Parts) -> bool:
    """Whether what the caller came in with still opens the door."""
    if caller.session:
        return await parts.accounts.session(caller.session, used=False) is not None
    if caller.bearer:
        found = await parts.accounts.bearer(caller.bearer)
        return found is not None and "read" in found[1]
    return True


async def _demo(request: web.Request, parts: Parts, access: Access) -> tuple[Caller | None, SessionToken | None]:
    name = parts.settings.http.demo_user
    if not name or not access.scope or not is_plain_loopback(request):
        return None, None
    try:
        if not access.page:  # a program that keeps no cookies: no session of its own for every request
            return Caller(await parts.accounts.named(name), _BOTH), None
        begun = await parts.accounts.session_for(name, agent=request.headers.get(hdrs.USER_AGENT, ""))
    except NotFound:
        return None, None
    return Caller(begun.viewer, _BOTH, session=begun.secret), begun


async def _to_sign_in(request: web.Request, parts: Parts) -> web.Response:
    if await parts.accounts.first_run():
        return web.Response(status=303, headers={hdrs.LOCATION: FIRST_RUN})
    wanted = request.path_qs if request.method == "GET" and request.path_qs != "/" else ""
    place = f"{SIGN_IN}?next={quote(wanted, safe='')}" if wanted else SIGN_IN
    return web.Response(status=303, headers={hdrs.LOCATION: place})


def _is_explicit(request: web.Request, caller: Caller | None) -> bool:
    """Whether the sender showed a secret that a browser would not add by itself."""
    return is_unix(request) or (caller is not None and bool(caller.bearer))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
