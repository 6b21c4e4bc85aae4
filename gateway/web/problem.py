"""Errors as problem+json (RFC 9457), with the `code` and the `hint` that every error of the house has."""

from __future__ import annotations

import json
from collections.abc import Mapping

from aiohttp import web
from pydantic import BaseModel, Field

from gateway import errors

_CODES: Mapping[str, int] = {
    "signed-out": 401,
    "wrong-password": 401,
    "bad-token": 401,
    "blob-gone": 410,
    "too-many-tries": 429,
    "too-many-streams": 429,
    "busy": 429,
    "too-large": 413,
    "wrong-media-type": 415,
    "invalid": 422,
    "wrong-host": 421,
    "not-allowed": 405,
    "range": 416,
}
_CLASSES: tuple[tuple[type[errors.HearthlogError], int], ...] = (
    (errors.NotFound, 404),
    (errors.Forbidden, 403),
    (errors.Conflict, 409),
    (errors.Rejected, 400),
    (errors.Unreadable, 422),
    (errors.StorageFull, 507),
    (errors.Retryable, 503),
    (errors.ModelMissing, 503),
    (errors.WorkerFailed, 503),
)
_TITLES: Mapping[int, str] = {
    400: "That cannot be done like this",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Not done here",
    409: "Not in this state",
    410: "Gone",
    413: "Too large",
    415: "Another kind of content",
    416: "Not in this range",
    421: "Another host",
    422: "Something in it is wrong",
    429: "Too often",
    500: "Something went wrong here",
    503: "Not now",
    507: "No room",
}


class Fault(BaseModel):
    """What is wrong with one field."""

    field: str
    what: str


class Problem(BaseModel):
    """Every error of the API."""

    type: str = Field(description="urn:hearthlog:<code>")
    title: str
    status: int
    detail: str
    code: str = Field(description="A stable kebab-case word")
    hint: str = Field(default="", description="What helps")
    faults: list[Fault] = Field(default_factory=list)


class Invalid(errors.Rejected):
    """A request whose fields are wrong; says which."""

    code = "invalid"

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.what}" for fault in faults[:3]))
        self.faults = faults


def status_of(error: errors.HearthlogError) -> int:
    """The HTTP status that fits an error."""
    if error.code in _CODES:
        return _CODES[error.code]
    return next((status for kind, status in _CLASSES if isinstance(error, kind)), 500)


def problem(error: errors.HearthlogError) -> web.Response:
    """The error as a response, with Retry-After when waiting helps."""
    status = status_of(error)
    headers: dict[str, str] = {}
    if isinstance(error, errors.Retryable):
        headers["Retry-After"] = str(max(1, -(-error.retry_ms // 1_000)))
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="hearthlog"'
    value = Problem(
        type=f"urn:hearthlog:{error.code}",
        title=_TITLES.get(status, "Something went wrong"),
        status=status,
        detail=error.what,
        code=error.code,
        hint=error.hint,
        faults=error.faults if isinstance(error, Invalid) else [],
    )
    return web.Response(
        text=value.model_dump_json(), status=status, headers=headers, content_type="application/problem+json"
    )


def from_http(error: web.HTTPException) -> errors.HearthlogError:
    """aiohttp's own refusals in our words."""
    if error.status == 404:
        return errors.NotFound("there is nothing at this address")
    if error.status == 405:
        return errors.Rejected("this address does not do that", code="not-allowed")
    if error.status == 413:
        return errors.Rejected("the request is too large", code="too-large")
    if error.status == 416:
        return errors.Rejected("the range lies outside", code="range")
    return errors.Rejected(error.reason or "the request is wrong")


def read(body: bytes, status: int) -> errors.HearthlogError:
    """The error again, at the other end of the wire."""
    try:
        value = json.loads(body)
        what, code, hint = str(value["detail"]), str(value["code"]), str(value.get("hint", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return errors.HearthlogError(f"the gateway answered {status}", code="bad-answer")
    kinds: Mapping[int, type[errors.HearthlogError]] = {
        401: errors.Forbidden,
        403: errors.Forbidden,
        404: errors.NotFound,
        409: errors.Conflict,
        400: errors.Rejected,
        422: errors.Rejected,
    }
    return kinds.get(status, errors.HearthlogError)(what, code=code, hint=hint)
