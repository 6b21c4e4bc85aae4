"""Rows of people, their sessions and their tokens. Secrets come here as hashes only."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.entities import Role, Viewer
from gateway.errors import Conflict, NotFound
from gateway.store import changes
from gateway.store.db import Connection, Row
from gateway.store.devices import first_admin


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in, or the nameless owner of what came before the first run."""

    id: str
    name: str
    role: Role
    created_at_us: int


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A browser that is signed in."""

    hash: bytes
    person: str
    created_at_us: int
    seen_at_us: int
    expires_at_us: int
    agent: str
    """What the browser called itself. Hostile text: escape it."""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A program that may come in."""

    id: str
    person: str
    name: str
    scopes: tuple[str, ...]
    created_at_us: int
    seen_at_us: int | None
    expires_at_us: int | None


def unclaimed(connection: Connection) -> bool:
    """Whether the first admin still has no name."""
    row = connection.execute("SELECT name FROM person WHERE id = ?", (first_admin(connection),)).fetchone()
    return str(row["name"]) == ""


def everyone(connection: Connection) -> list[Person]:
    """Everybody with a name, by name."""
    rows = connection.execute(
        "SELECT id, name, role, created_at_us FROM person WHERE name <> '' AND gone_at_us IS NULL"
        " ORDER BY name COLLATE NOCASE"
    ).fetchall()
    return [_person(row) for row in rows]


def by_name(connection: Connection, name: str) -> Person | None:
    """Somebody by name, whatever the case of its ASCII letters."""
    row = connection.execute(
        "SELECT id, name, role, created_at_us FROM person WHERE name = ? COLLATE NOCASE AND gone_at_us IS NULL", (name,)
    ).fetchone()
    return _person(row) if row else None


def first(connection: Connection) -> Person:
    """The first admin, with or without a name."""
    row = connection.execute(
        "SELECT id, name, role, created_at_us FROM person WHERE id = ?", (first_admin(connection),)
    ).fetchone()
    return _person(row)


def password_of(connection: Connection, person: str) -> str:
    """The argon2 hash; empty when that person has no password."""
    row = connection.execute("SELECT password FROM person WHERE id = ?", (person,)).fetchone()
    return str(row["password"] or "") if row else ""


def set_password(connection: Connection, person: str, password: str) -> None:
    """Keep a new argon2 hash."""
    connection.execute("UPDATE person SET password = ? WHERE id = ?", (password, person))


def claim(connection: Connection, *, name: str, password: str, at_us: int) -> Person:
    """Give the first admin a name and a password. Raises Conflict when that was done before."""
    if not unclaimed(connection):
        raise Conflict("this home has an admin already", code="claimed", hint="Sign in")
    if by_name(connection, name) is not None:
        raise Conflict(f"there is somebody called {name} already", code="name-taken")
    person = first_admin(connection)
    connection.execute(
        "UPDATE person SET name = ?, password = ?, created_at_us = ? WHERE id = ?", (name, password, at_us, person)
    )
    changes.append(connection, entity="person", entity_id=person, operation="put", at_us=at_us)
    return first(connection)


def add(connection: Connection, person: Person, *, password: str) -> None:
    """A new person. Raises Conflict when the name is taken."""
    if by_name(connection, person.name) is not None:
        raise Conflict(f"there is somebody called {person.name} already", code="name-taken")
    connection.execute(
        "INSERT INTO person(id, name, role, password, created_at_us) VALUES (?, ?, ?, ?, ?)",
        (person.id, person.name, person.role.value, password, person.created_at_us),
    )
    changes.append(connection, entity="person", entity_id=person.id, operation="put", at_us=person.created_at_us)


def add_session(connection: Connection, session: SessionRow) -> None:
    """Keep a session, and drop those that are over."""
    connection.execute("DELETE FROM session WHERE expires_at_us <= ?", (session.created_at_us,))
    connection.execute(
        "INSERT INTO session(hash, person, created_at_us, seen_at_us, expires_at_us, agent) VALUES (?,?,?,?,?,?)",
        (
            session.hash,
            session.person,
            session.created_at_us,
            session.seen_at_us,
            session.expires_at_us,
            session.agent,
        ),
    )


def session(connection: Connection, digest: bytes) -> tuple[SessionRow, Viewer] | None:
    """A session and whose it is; None when there is none or the person is gone."""
    row = connection.execute(
        "SELECT s.*, p.name, p.role FROM session AS s JOIN person AS p ON p.id = s.person"
        " WHERE s.hash = ? AND p.gone_at_us IS NULL",
        (digest,),
    ).fetchone()
    return (_session(row), Viewer(row["person"], row["name"], Role(row["role"]))) if row else None


def see_session(connection: Connection, digest: bytes, *, at_us: int) -> None:
    """It was used."""
    connection.execute("UPDATE session SET seen_at_us = ? WHERE hash = ?", (at_us, digest))


def sessions(connection: Connection, person: str) -> list[SessionRow]:
    """Somebody's sessions, last used first."""
    rows = connection.execute("SELECT * FROM session WHERE person = ? ORDER BY seen_at_us DESC", (person,)).fetchall()
    return [_session(row) for row in rows]


def end_session(connection: Connection, digest: bytes) -> None:
    """It is over; over already is fine."""
    connection.execute("DELETE FROM session WHERE hash = ?", (digest,))


def end_sessions(connection: Connection, person: str) -> None:
    """All of somebody's, as after a new password."""
    connection.execute("DELETE FROM session WHERE person = ?", (person,))


def add_token(connection: Connection, token: TokenRow, *, digest: bytes) -> None:
    """Keep a token's hash."""
    connection.execute(
        "INSERT INTO token(id, hash, person, name, scopes, created_at_us, expires_at_us) VALUES (?,?,?,?,?,?,?)",
        (
            token.id,
            digest,
            token.person,
            token.name,
            " ".join(token.scopes),
            token.created_at_us,
            token.expires_at_us,
        ),
    )


def token(connection: Connection, digest: bytes) -> tuple[TokenRow, Viewer] | None:
    """A token and for whom it speaks; None when there is none or the person is gone."""
    row = connection.execute(
        "SELECT t.*, p.name AS person_name, p.role FROM token AS t JOIN person AS p ON p.id = t.person"
        " WHERE t.hash = ? AND p.gone_at_us IS NULL",
        (digest,),
    ).fetchone()
    return (_token(row), Viewer(row["person"], row["person_name"], Role(row["role"]))) if row else None


def see_token(connection: Connection, token_id: str, *, at_us: int) -> None:
    """It was used."""
    connection.execute("UPDATE token SET seen_at_us = ? WHERE id = ?", (at_us, token_id))


def tokens(connection: Connection, person: str) -> list[TokenRow]:
    """Somebody's tokens, newest first."""
    rows = connection.execute("SELECT * FROM token WHERE person = ? ORDER BY created_at_us DESC", (person,)).fetchall()
    return [_token(row) for row in rows]


def end_token(connection: Connection, token_id: str, *, person: str) -> None:
    """Raises NotFound when that person has no such token."""
    if not connection.execute("DELETE FROM token WHERE id = ? AND person = ?", (token_id, person)).rowcount:
        raise NotFound("there is no such token")


def fact(connection: Connection, key: str) -> str:
    """A line of `meta`; empty when it is not there."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(row["value"]) if row else ""


def keep_fact(connection: Connection, key: str, value: str) -> None:
    """Write a line of `meta` unless it is there already."""
    connection.execute("INSERT INTO meta(key, value) VALUES (?, ?) ON CONFLICT DO NOTHING", (key, value))


def _person(row: Row) -> Person:
    return Person(row["id"], row["name"], Role(row["role"]), row["created_at_us"])


def _session(row: Row) -> SessionRow:
    return SessionRow(
        hash=bytes(row["hash"]),
        person=row["person"],
        created_at_us=row["created_at_us"],
        seen_at_us=row["seen_at_us"],
        expires_at_us=row["expires_at_us"],
        agent=row["agent"],
    )


def _token(row: Row) -> TokenRow:
    return TokenRow(
        id=row["id"],
        person=row["person"],
        name=row["name"],
        scopes=tuple(row["scopes"].split()),
        created_at_us=row["created_at_us"],
        seen_at_us=row["seen_at_us"],
        expires_at_us=row["expires_at_us"],
    )
