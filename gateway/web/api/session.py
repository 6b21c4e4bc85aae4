"""Signing in and out, the first run, and the sessions of a person."""

from __future__ import annotations

from aiohttp import hdrs, web
from pydantic import Field

from gateway.accounts import SessionToken
from gateway.entities import Role, Viewer
from gateway.shapes import Shape, instant
from gateway.web import auth
from gateway.web.page import FIRST_RUN, SIGN_IN
from gateway.web.parts import PARTS
from gateway.web.route import Ask, Model, Nothing, Rules, reads, writes


class Who(Shape):
    """Who is signed in."""

    id: str
    name: str
    role: Role


class SignIn(Model):
    """Name and password. `next` is where a plain form goes on."""

    name: str = Field(max_length=200)
    password: str = Field(max_length=2_000)
    next: str = Field(default="", max_length=1_000)


class Setup(Model):
    """The code of the console, and who looks after this home from now on."""

    code: str = Field(max_length=64)
    name: str = Field(max_length=200)
    password: str = Field(max_length=2_000)
    next: str = Field(default="", max_length=1_000)


class SetupState(Shape):
    """Whether this home still waits for its first admin."""

    first_run: bool


class SessionOut(Shape):
    """A browser that is signed in."""

    id: str
    created_at: str
    seen_at: str
    expires_at: str
    agent: str = Field(description="What the browser calls itself")
    current: bool


class SessionList(Shape):
    """One's own sessions, last used first."""

    items: list[SessionOut]


class PasswordChange(Model):
    """The old password and the new one."""

    old: str = Field(max_length=2_000)
    new: str = Field(max_length=2_000)


class SignOut(Model):
    """Nothing but where a plain form goes on."""

    next: str = Field(default="", max_length=1_000)


@writes("POST", "/session", body=SignIn, answer=Who, rules=Rules(scope="", form_page=SIGN_IN))
async def sign_in(ask: Ask[SignIn]) -> Who | web.StreamResponse:
    """Sign in: the answer carries the session's cookie."""
    begun = await ask.parts.accounts.sign_in(
        ask.given.name, ask.given.password, agent=_agent(ask.request), address=ask.request.remote or ""
    )
    return await _entered(ask.request, begun, ask.given.next if ask.form else None)


@reads("/session", query=Nothing, answer=Who)
async def who_am_i(ask: Ask[Nothing]) -> Who:
    """Who is signed in."""
    return _who(ask.viewer)


@writes("DELETE", "/session", body=Nothing, answer=Nothing, rules=Rules(scope="read", status=204))
async def sign_out(ask: Ask[Nothing]) -> web.StreamResponse:
    """Sign out: the session is over at once, everywhere."""
    return await _left(ask.request, web.Response(status=204), ask.caller.session)


@writes("POST", "/session/end", body=SignOut, answer=Nothing, rules=Rules(scope="read", status=204, form_page=SIGN_IN))
async def sign_out_by_form(ask: Ask[SignOut]) -> web.StreamResponse:
    """Sign out, for a plain HTML form."""
    response = _to(SIGN_IN) if ask.form else web.Response(status=204)
    return await _left(ask.request, response, ask.caller.session)


@reads("/setup", query=Nothing, answer=SetupState, rules=Rules(scope=""))
async def setup_state(ask: Ask[Nothing]) -> SetupState:
    """Whether this home still waits for its first admin."""
    return SetupState(first_run=await ask.parts.accounts.first_run())


@writes("POST", "/setup", body=Setup, answer=Who, rules=Rules(scope="", form_page=FIRST_RUN))
async def setup(ask: Ask[Setup]) -> Who | web.StreamResponse:
    """The first admin takes the home with the code that the console shows, and is signed in."""
    accounts = ask.parts.accounts
    viewer = await accounts.claim(ask.given.code, ask.given.name, ask.given.password)
    begun = await accounts.begin(viewer, agent=_agent(ask.request))
    return await _entered(ask.request, begun, (ask.given.next or FIRST_RUN) if ask.form else None)


@reads("/sessions", query=Nothing, answer=SessionList)
async def list_sessions(ask: Ask[Nothing]) -> SessionList:
    """Where one is signed in."""
    found = await ask.parts.accounts.sessions(ask.viewer, current=ask.caller.session)
    return SessionList(
        items=[
            SessionOut(
                id=each.id,
                created_at=instant(each.created_at_us),
                seen_at=instant(each.seen_at_us),
                expires_at=instant(each.expires_at_us),
                agent=each.agent,
                current=each.current,
            )
            for each in found
        ]
    )


@writes("DELETE", "/sessions/{id:[0-9a-f]{16}}", body=Nothing, answer=Nothing)
async def end_session(ask: Ask[Nothing]) -> Nothing:
    """Sign one of one's own browsers out."""
    await ask.parts.accounts.revoke(ask.person, ask.part("id"))
    return Nothing()


@writes("POST", "/password", body=PasswordChange, answer=Nothing)
async def change_password(ask: Ask[PasswordChange]) -> web.StreamResponse:
    """Set another password. All sessions end; this browser gets a new one."""
    accounts = ask.parts.accounts
    await accounts.change_password(ask.person, old=ask.given.old, new=ask.given.new)
    response = web.Response(status=204)
    if ask.caller.session:
        auth.set_session(ask.request, response, await accounts.begin(ask.viewer, agent=_agent(ask.request)))
    return response


ROUTES = (
    sign_in,
    who_am_i,
    sign_out,
    sign_out_by_form,
    setup_state,
    setup,
    list_sessions,
    end_session,
    change_password,
)


async def _entered(request: web.Request, begun: SessionToken, go_on: str | None) -> web.Response:
    old = request.cookies.get(auth.cookie_name(request), "")
    if old:
        await request.app[PARTS].accounts.sign_out(old)
    if go_on is None:
        response = web.json_response(text=_who(begun.viewer).model_dump_json())
    else:
        response = _to(go_on if auth.is_own_path(go_on) else "/")
    auth.set_session(request, response, begun)
    return response


async def _left(request: web.Request, response: web.Response, session: str) -> web.Response:
    if session:
        await request.app[PARTS].accounts.sign_out(session)
    auth.end_session(request, response)
    return response


def _to(path: str) -> web.Response:
    return web.Response(status=303, headers={hdrs.LOCATION: path})


def _who(viewer: Viewer) -> Who:
    return Who(id=viewer.user, name=viewer.name, role=viewer.role)


def _agent(request: web.Request) -> str:
    return request.headers.get(hdrs.USER_AGENT, "")[:200]
