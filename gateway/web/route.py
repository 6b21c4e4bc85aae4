"""One way of the API: a handler with the pydantic models that check what comes in and what goes out.

The same models make the OpenAPI document, so it cannot say anything else than what is checked.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar, get_args, get_origin

from aiohttp import hdrs, web
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.entities import Viewer
from gateway.errors import Forbidden, HearthlogError, Rejected, Retryable
from gateway.web.parts import CALLER, PARTS, Caller, Parts
from gateway.web.problem import Fault, Invalid

BASE = "/api/v1"
BODY_BYTES = 64 * 1024
_BODY_S = 10.0
_MOST_FAULTS = 8
FORM = "application/x-www-form-urlencoded"

Scope: TypeAlias = Literal["read", "write", ""]
"""What a token needs; empty: nobody has to be signed in."""


class Model(BaseModel):
    """What comes in: an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", str_max_length=BODY_BYTES, hide_input_in_errors=True)


class Nothing(Model):
    """No fields."""


T = TypeVar("T", bound=BaseModel)
A = TypeVar("A", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Ask(Generic[T]):
    """One request, checked."""

    request: web.Request
    parts: Parts
    given: T
    """The query of a read, the body of a write."""
    form: bool
    """It was posted by a plain HTML form: answer with a redirect."""

    @property
    def caller(self) -> Caller:
        """Who asks. Raises Forbidden when nobody is signed in, which only a public way can meet."""
        caller: Caller | None = self.request.get(CALLER)
        if caller is None:
            raise Forbidden("nobody is signed in", code="signed-out", hint="Sign in")
        return caller

    @property
    def viewer(self) -> Viewer:
        """As `caller`."""
        return self.caller.viewer

    @property
    def person(self) -> Viewer:
        """As `viewer`, in a browser or on the console. Raises Forbidden for a token: one that was lost must not be
        able to make others, or people, that outlive it."""
        if self.caller.bearer:
            raise Forbidden("a token may not do this", code="scope", hint="Sign in, or use the command line")
        return self.caller.viewer

    def part(self, name: str) -> str:
        """A part of the path."""
        return self.request.match_info[name]


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may come this way, and how it answers."""

    scope: Scope = "read"
    status: int = 200
    form_page: str = ""
    """Plain HTML forms may post here; an error sends them back to this page with `?error=<code>`."""
    media: tuple[str, ...] = ()
    """Media types of an answer that is not JSON."""
    takes: tuple[str, ...] = ()
    """Media types of a body that is a file and nothing else."""


@dataclass(frozen=True, slots=True)
class Route:
    """A way of the API, as the application mounts it and the document shows it."""

    method: str
    path: str
    """Below `/api/v1`; a trailing regular expression in a part is aiohttp's."""
    name: str
    about: str
    query: type[BaseModel]
    body: type[BaseModel]
    answer: type[BaseModel]
    rules: Rules
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]


def reads(
    path: str, *, query: type[T], answer: type[A], rules: Rules | None = None
) -> Callable[[Callable[[Ask[T]], Awaitable[A | web.StreamResponse]]], Route]:
    """A GET. The handler's docstring tells what it is for."""

    def make(run: Callable[[Ask[T]], Awaitable[A | web.StreamResponse]]) -> Route:
        settled = rules or Rules()

        async def handler(request: web.Request) -> web.StreamResponse:
            given = checked(query, _query(request, query))
            return _respond(await run(Ask(request, request.app[PARTS], given, form=False)), settled.status)

        return Route("GET", path, run.__name__, _about(run), query, Nothing, answer, settled, handler)

    return make


def writes(
    method: str, path: str, *, body: type[T], answer: type[A], rules: Rules | None = None
) -> Callable[[Callable[[Ask[T]], Awaitable[A | web.StreamResponse]]], Route]:
    """A POST, PATCH or DELETE. `answer` Nothing makes it a 204."""

    def make(run: Callable[[Ask[T]], Awaitable[A | web.StreamResponse]]) -> Route:
        settled = rules or Rules(scope="write", status=204 if answer is Nothing else 200)

        async def handler(request: web.Request) -> web.StreamResponse:
            form = bool(settled.form_page) and request.content_type == FORM
            try:
                given = await _body(request, body, form=form)
                answered = await run(Ask(request, request.app[PARTS], given, form=form))
            except HearthlogError as error:
                if form:
                    return _back(settled.form_page, error)
                raise
            return _respond(answered, settled.status)

        return Route(method, path, run.__name__, _about(run), Nothing, body, answer, settled, handler)

    return make


def checked(model: type[T], values: Mapping[str, object] | bytes) -> T:
    """Raises Invalid, which names the fields and never repeats their content."""
    try:
        return model.model_validate_json(values) if isinstance(values, bytes) else model.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        faults = [
            Fault(field=".".join(str(part)[:40] for part in each["loc"]) or "body", what=each["msg"][:200])
            for each in found[:_MOST_FAULTS]
        ]
        raise Invalid(faults) from error


def _query(request: web.Request, model: type[BaseModel]) -> dict[str, object]:
    many = {name for name, field in model.model_fields.items() if _is_many(field.annotation)}
    aliases = {field.alias or name: name in many for name, field in model.model_fields.items()}
    return {
        key: request.query.getall(key) if aliases.get(key, False) else request.query[key]
        for key in set(request.query.keys())
    }


def _is_many(annotation: object) -> bool:
    if get_origin(annotation) is types.UnionType:
        return any(_is_many(each) for each in get_args(annotation))
    return get_origin(annotation) in (list, tuple, set, frozenset)


async def _body(request: web.Request, model: type[T], *, form: bool) -> T:
    if form:
        posted = await _in_time(request.post())
        return checked(model, {key: value for key, value in posted.items() if isinstance(value, str)})
    raw = await _in_time(request.read())
    if not raw and not any(field.is_required() for field in model.model_fields.values()):
        return checked(model, {})
    if request.content_type != "application/json":
        raise Rejected("the body must be JSON", code="wrong-media-type", hint="Content-Type: application/json")
    return checked(model, raw)


R = TypeVar("R")


async def _in_time(reading: Awaitable[R]) -> R:
    try:
        async with asyncio.timeout(_BODY_S):
            return await reading
    except TimeoutError as error:
        raise Retryable("the request came too slowly", code="slow-request") from error


def _respond(answered: BaseModel | web.StreamResponse, status: int) -> web.StreamResponse:
    if isinstance(answered, web.StreamResponse):
        return answered
    if isinstance(answered, Nothing):
        return web.Response(status=204)
    return web.Response(
        text=answered.model_dump_json(by_alias=True), status=status, content_type="application/json", charset="utf-8"
    )


def _back(page: str, error: HearthlogError) -> web.Response:
    wait = f"&wait_s={max(1, error.retry_ms // 1_000)}" if isinstance(error, Retryable) else ""
    return web.Response(status=303, headers={hdrs.LOCATION: f"{page}?error={error.code}{wait}"})


def _about(run: object) -> str:
    return " ".join((getattr(run, "__doc__", None) or "").split())
