"""People and the tokens of their programs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.entities import Role, Viewer
from gateway.errors import Forbidden
from gateway.shapes import Shape, instant
from gateway.store.people import TokenRow
from gateway.web.route import Ask, Model, Nothing, Rules, reads, writes


class PersonOut(Shape):
    """Somebody of this home."""

    id: str
    name: str
    role: Role


class PersonList(Shape):
    """By name."""

    items: list[PersonOut]


class NewPerson(Model):
    """Somebody new."""

    name: str = Field(max_length=200)
    role: Role = Role.MEMBER
    password: str = Field(max_length=2_000)


class PasswordReset(Model):
    """Whose, and the new one."""

    name: str = Field(max_length=200)
    password: str = Field(max_length=2_000)


class TokenOut(Shape):
    """What is known of a token. Its secret is not."""

    id: str
    name: str
    scopes: list[str]
    created_at: str
    seen_at: str | None
    expires_at: str | None


class TokenList(Shape):
    """Newest first."""

    items: list[TokenOut]


class NewToken(Model):
    """A token for a program."""

    name: str = Field(default="", max_length=64)
    scopes: list[Literal["read", "write"]] = Field(min_length=1, max_length=2)
    days: int | None = Field(default=None, ge=1, le=3_650, description="How long it opens; absent: until it is ended")


class TokenMade(Shape):
    """Shown this once."""

    id: str
    token: str


@reads("/people", query=Nothing, answer=PersonList)
async def list_people(ask: Ask[Nothing]) -> PersonList:
    """Who lives here."""
    found = await ask.parts.accounts.people(ask.viewer)
    return PersonList(items=[PersonOut(id=each.id, name=each.name, role=each.role) for each in found])


@writes("POST", "/people", body=NewPerson, answer=PersonOut, rules=Rules(scope="write", status=201))
async def add_person(ask: Ask[NewPerson]) -> PersonOut:
    """Add somebody; only an admin can."""
    viewer = await ask.parts.accounts.add(ask.person, ask.given.name, ask.given.role, ask.given.password)
    return _person(viewer)


@writes("POST", "/people/password", body=PasswordReset, answer=PersonOut)
async def reset_password(ask: Ask[PasswordReset]) -> PersonOut:
    """Set somebody's password without the old one and sign them out everywhere: only from the box's own console."""
    if not ask.caller.console:
        raise Forbidden("only the console of the box may do this", hint="hearthlog user password")
    return _person(await ask.parts.accounts.reset_password(ask.given.name, ask.given.password))


@reads("/tokens", query=Nothing, answer=TokenList)
async def list_tokens(ask: Ask[Nothing]) -> TokenList:
    """One's own tokens."""
    return TokenList(items=[_token(row) for row in await ask.parts.accounts.tokens(ask.viewer)])


@writes("POST", "/tokens", body=NewToken, answer=TokenMade, rules=Rules(scope="write", status=201))
async def make_token(ask: Ask[NewToken]) -> TokenMade:
    """Make a token that speaks for oneself. A token makes no others."""
    viewer = ask.person
    expires_at_us = None if ask.given.days is None else ask.parts.clock() + ask.given.days * 86_400 * 1_000_000
    made = await ask.parts.accounts.create_token(
        viewer, ask.given.scopes, name=ask.given.name, expires_at_us=expires_at_us
    )
    return TokenMade(id=made[0], token=made[1])


@writes("DELETE", "/tokens/{id:[a-z0-9]{1,40}}", body=Nothing, answer=Nothing)
async def end_token(ask: Ask[Nothing]) -> Nothing:
    """End one of one's own tokens."""
    await ask.parts.accounts.end_token(ask.person, ask.part("id"))
    return Nothing()


ROUTES = (list_people, add_person, reset_password, list_tokens, make_token, end_token)


def _person(viewer: Viewer) -> PersonOut:
    return PersonOut(id=viewer.user, name=viewer.name, role=viewer.role)


def _token(row: TokenRow) -> TokenOut:
    return TokenOut(
        id=row.id,
        name=row.name,
        scopes=list(row.scopes),
        created_at=instant(row.created_at_us),
        seen_at=None if row.seen_at_us is None else instant(row.seen_at_us),
        expires_at=None if row.expires_at_us is None else instant(row.expires_at_us),
    )
