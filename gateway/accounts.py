"""People, their sessions and their tokens: the door for whoever wants to come in.

Secrets are 256 random bits; what is kept is their HMAC under a key of the installation. Nothing here logs a name
that a stranger typed, a password or a secret.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.attempts import Attempts
from gateway.entities import Role, Viewer
from gateway.errors import Conflict, Forbidden, NotFound, Rejected, Retryable
from gateway.passwords import Cost, Passwords, calibrate, check, cost_from
from gateway.store import people
from gateway.store.db import Connection, Database
from gateway.store.people import Person, SessionRow, TokenRow

log = logging.getLogger(__name__)

SCOPES = ("read", "write")
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_CHARACTERS = 8
_CODE_TRIES = 5
_DAY_US = 86_400 * 1_000_000
_IDLE_US = 14 * _DAY_US
_ABSOLUTE_US = 90 * _DAY_US
_SEEN_EVERY_US = 3_600 * 1_000_000
_MOST_NAME = 64
_MOST_AGENT = 200


@dataclass(frozen=True, slots=True)
class SessionToken:
    """A session that has just begun. The secret is shown to its browser and to nobody else."""

    secret: str
    viewer: Viewer
    expires_at_us: int


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is signed in, as its person sees it."""

    id: str
    created_at_us: int
    seen_at_us: int
    expires_at_us: int
    agent: str
    current: bool


class Accounts:
    """Made once. `secret`: 32 bytes, `Keyring.secret("accounts")`. `clock`: now in microseconds since 1970 UTC."""

    def __init__(self, db: Database, secret: bytes, clock: Callable[[], int], *, cost: Cost | None = None) -> None:
        self._db = db
        self._secret = secret
        self._clock = clock
        self._cost = cost
        self._passwords = Passwords()
        self._attempts = Attempts()
        self._code = new_code()
        self._code_tries = 0
        self.announce: Callable[[str], None] = lambda code: None
        """Called with a new setup code when the old one was guessed at too often: the console prints it."""

    async def first_run(self) -> bool:
        """Whether nobody looks after this home yet."""
        return await self._db.read(people.unclaimed)

    def setup_code(self) -> str:
        """What the console shows, and the first admin types: eight Crockford characters, as in `K7QM-4XRD`."""
        return f"{self._code[:4]}-{self._code[4:]}"

    async def claim(self, code: str, name: str, password: str) -> Viewer:
        """The first admin takes the home. Raises Forbidden for a wrong code (after five there is a new one),
        Rejected for a name or password that cannot be, Conflict when the home has an admin.
        """
        if not await self.first_run():
            raise Conflict("this home has an admin already", code="claimed", hint="Sign in")
        if not hmac.compare_digest(read_code(code).encode(), self._code.encode()):
            self._wrong_code()
            raise Forbidden("that is not the code", code="wrong-code", hint="The console of the box shows it")
        name = checked_name(name)
        check(password)
        hashed = await self._passwords.hash(password, await self._current_cost())
        person = await self._db.write(lambda c: people.claim(c, name=name, password=hashed, at_us=self._clock()))
        self._code = new_code()
        log.info("home claimed", extra={"person": person.id})
        return _viewer(person)

    async def add(self, viewer: Viewer | None, name: str, role: Role, password: str) -> Viewer:
        """A new person; `viewer` None is the owner of the data folder. The first admin added takes the home.

        Raises Forbidden unless an admin asks, Rejected, or Conflict when the name is taken.
        """
        _admin_only(viewer)
        name = checked_name(name)
        check(password)
        hashed = await self._passwords.hash(password, await self._current_cost())
        now_us = self._clock()

        def write(connection: Connection) -> Person:
            if role is Role.ADMIN and people.unclaimed(connection):
                return people.claim(connection, name=name, password=hashed, at_us=now_us)
            person = Person("p" + secrets.token_hex(8), name, role, now_us)
            people.add(connection, person, password=hashed)
            return person

        person = await self._db.write(write)
        log.info("person added", extra={"person": person.id, "role": role.value})
        return _viewer(person)

    async def sign_in(self, name: str, password: str, *, agent: str = "", address: str = "") -> SessionToken:
        """A new session. Raises Forbidden (`wrong-password`, which does not say what of the two was wrong), or
        Retryable (`too-many-tries`) with the time to wait.
        """
        name = unicodedata.normalize("NFC", name.strip())[:_MOST_NAME]
        keys = (f"name:{name.casefold()}", f"address:{address}")
        self._attempts.check(keys)
        person = await self._db.read(lambda c: people.by_name(c, name))
        hashed = await self._db.read(lambda c: people.password_of(c, person.id)) if person else ""
        fits = await self._passwords.fits(hashed, password, await self._current_cost())
        if person is None or not fits:
            self._attempts.failed(keys)
            log.warning("sign-in refused", extra={"person": person.id if person else "", "address": address})
            raise Forbidden("name and password do not go together", code="wrong-password")
        self._attempts.succeeded(keys[0])
        log.info("signed in", extra={"person": person.id, "address": address})
        return await self._begin(_viewer(person), agent)

    async def session_for(self, name: str, *, agent: str = "") -> SessionToken:
        """A session without a password, for `http.demo_user` alone. Raises NotFound when there is no such person."""
        return await self._begin(await self.named(name), agent)

    async def begin(self, viewer: Viewer, *, agent: str = "") -> SessionToken:
        """A session for somebody who has just shown who they are by other means (`claim`)."""
        return await self._begin(viewer, agent)

    async def session(self, secret: str, *, used: bool = True) -> Viewer | None:
        """Whose session this is; None when it is over or never was. `used` False: nobody did anything in it just now,
        as when an open page only listens, and it may go idle."""
        digest = self._digest(secret)
        found = await self._db.read(lambda c: people.session(c, digest))
        if found is None:
            return None
        row, viewer = found
        now_us = self._clock()
        if _is_over(row, now_us):
            await self._note(lambda c: people.end_session(c, digest))
            return None
        if used and now_us - row.seen_at_us >= _SEEN_EVERY_US:
            await self._note(lambda c: people.see_session(c, digest, at_us=now_us))
        return viewer

    async def sign_out(self, secret: str) -> None:
        """The session is over; over already is fine."""
        digest = self._digest(secret)
        await self._db.write(lambda c: people.end_session(c, digest))
        log.info("signed out", extra={"session": session_id(digest)})

    async def sessions(self, viewer: Viewer, *, current: str = "") -> list[Session]:
        """The viewer's own, last used first. `current` is the secret of the one that asks."""
        mine = self._digest(current) if current else b""
        return [
            Session(
                id=session_id(row.hash),
                created_at_us=row.created_at_us,
                seen_at_us=row.seen_at_us,
                expires_at_us=row.expires_at_us,
                agent=row.agent,
                current=row.hash == mine,
            )
            for row in await self._db.read(lambda c: people.sessions(c, viewer.user))
            if not _is_over(row, self._clock())
        ]

    async def revoke(self, viewer: Viewer, session: str) -> None:
        """End one of the viewer's own sessions by its id. Raises NotFound."""
        rows = await self._db.read(lambda c: people.sessions(c, viewer.user))
        digest = next((row.hash for row in rows if session_id(row.hash) == session), None)
        if digest is None:
            raise NotFound("there is no such session")
        await self._db.write(lambda c: people.end_session(c, digest))
        log.info("session revoked", extra={"session": session})

    async def change_password(self, viewer: Viewer, *, old: str, new: str) -> None:
        """Set another password and end all sessions of that person. Raises Forbidden when `old` is wrong."""
        hashed = await self._db.read(lambda c: people.password_of(c, viewer.user))
        keys = (f"name:{viewer.name.casefold()}",)
        self._attempts.check(keys)
        cost = await self._current_cost()
        if not await self._passwords.fits(hashed, old, cost):
            self._attempts.failed(keys)
            raise Forbidden("that is not your password", code="wrong-password")
        check(new)
        changed = await self._passwords.hash(new, cost)

        def write(connection: Connection) -> None:
            people.set_password(connection, viewer.user, changed)
            people.end_sessions(connection, viewer.user)

        await self._db.write(write)
        log.info("password changed", extra={"person": viewer.user})

    async def reset_password(self, name: str, password: str) -> Viewer:
        """Set somebody's password without the old one, and end all their sessions: for the owner of the data folder
        alone, who could read everything anyway. An admin may not: it would open other people's private memories.

        Raises NotFound, Rejected.
        """
        viewer = await self.named(name)
        check(password)
        hashed = await self._passwords.hash(password, await self._current_cost())

        def write(connection: Connection) -> None:
            people.set_password(connection, viewer.user, hashed)
            people.end_sessions(connection, viewer.user)

        await self._db.write(write)
        log.info("password reset", extra={"person": viewer.user})
        return viewer

    async def people(self, viewer: Viewer) -> list[Person]:
        """Everybody with a name; a guest sees only themselves."""
        return [
            person
            for person in await self._db.read(people.everyone)
            if viewer.role is not Role.GUEST or person.id == viewer.user
        ]

    async def circle(self, viewer: Viewer) -> list[Person]:
        """Those who see what is shared with the circle: admins and members."""
        return [person for person in await self.people(viewer) if person.role is not Role.GUEST]

    async def named(self, name: str) -> Viewer:
        """Somebody by name. Raises NotFound."""
        person = await self._db.read(lambda c: people.by_name(c, unicodedata.normalize("NFC", name.strip())))
        if person is None or not name.strip():
            raise NotFound("there is nobody of that name", hint="hearthlog user add")
        return _viewer(person)

    async def owner(self) -> Viewer:
        """The first admin, with or without a name: as whom the owner of the data folder acts."""
        return _viewer(await self._db.read(people.first))

    async def create_token(
        self, viewer: Viewer, scopes: Sequence[str], *, name: str = "", expires_at_us: int | None = None
    ) -> tuple[str, str]:
        """(id, secret) of a token that speaks for `viewer`. The secret is shown this once. Raises Rejected."""
        wanted = tuple(scope for scope in SCOPES if scope in scopes)
        if not wanted or set(scopes) - set(SCOPES):
            raise Rejected("there is no such scope", code="bad-scope", hint="Scopes are " + ", ".join(SCOPES))
        secret = "hl_" + secrets.token_urlsafe(32)
        row = TokenRow(
            id="t" + secrets.token_hex(8),
            person=viewer.user,
            name=_plain(name)[:_MOST_NAME],
            scopes=wanted,
            created_at_us=self._clock(),
            seen_at_us=None,
            expires_at_us=expires_at_us,
        )
        await self._db.write(lambda c: people.add_token(c, row, digest=self._digest(secret)))
        log.info("token made", extra={"token": row.id, "person": viewer.user, "scopes": " ".join(wanted)})
        return row.id, secret

    async def bearer(self, secret: str) -> tuple[Viewer, frozenset[str]] | None:
        """For whom a token speaks, and what it may; None when it is over or never was."""
        digest = self._digest(secret)
        found = await self._db.read(lambda c: people.token(c, digest))
        if found is None:
            return None
        row, viewer = found
        now_us = self._clock()
        if row.expires_at_us is not None and now_us >= row.expires_at_us:
            return None
        if row.seen_at_us is None or now_us - row.seen_at_us >= _SEEN_EVERY_US:
            await self._note(lambda c: people.see_token(c, row.id, at_us=now_us))
        return viewer, frozenset(row.scopes)

    async def _note(self, write: Callable[[Connection], None]) -> None:
        """Keep what only we want to know: whom a full or failing disk must not keep from looking."""
        try:
            await self._db.write(write)
        except Retryable as error:
            log.warning("visit not noted", extra={"code": error.code})

    async def tokens(self, viewer: Viewer) -> list[TokenRow]:
        """The viewer's own, newest first."""
        return await self._db.read(lambda c: people.tokens(c, viewer.user))

    async def end_token(self, viewer: Viewer, token: str) -> None:
        """Raises NotFound when it is not the viewer's."""
        await self._db.write(lambda c: people.end_token(c, token, person=viewer.user))
        log.info("token ended", extra={"token": token})

    async def _begin(self, viewer: Viewer, agent: str) -> SessionToken:
        secret = secrets.token_urlsafe(32)
        now_us = self._clock()
        row = SessionRow(
            hash=self._digest(secret),
            person=viewer.user,
            created_at_us=now_us,
            seen_at_us=now_us,
            expires_at_us=now_us + _ABSOLUTE_US,
            agent=_plain(agent)[:_MOST_AGENT],
        )
        await self._db.write(lambda c: people.add_session(c, row))
        return SessionToken(secret, viewer, row.expires_at_us)

    async def _current_cost(self) -> Cost:
        """One cost for everybody, measured once per installation: so an unknown name takes as long as a known one."""
        if self._cost is None:
            known = cost_from(await self._db.read(lambda c: people.fact(c, "password_cost")))
            if known is None:
                known = await self._passwords.calibrated(calibrate)
                text = str(known)
                await self._db.write(lambda c: people.keep_fact(c, "password_cost", text))
            self._cost = known
        return self._cost

    def _wrong_code(self) -> None:
        self._code_tries += 1
        log.warning("wrong setup code", extra={"tries": self._code_tries})
        if self._code_tries >= _CODE_TRIES:
            self._code = new_code()
            self._code_tries = 0
            self.announce(self.setup_code())

    def _digest(self, secret: str) -> bytes:
        return hmac.new(self._secret, secret.encode("utf-8", "surrogatepass")[:200], hashlib.sha256).digest()


def new_code() -> str:
    """Eight characters of Crockford's base 32: 40 random bits."""
    return "".join(secrets.choice(_CROCKFORD) for _ in range(_CODE_CHARACTERS))


def read_code(typed: str) -> str:
    """What somebody typed, as Crockford reads it: case, hyphens and spaces do not count, O is 0, I and L are 1."""
    plain = typed[:64].upper().replace("-", "").replace(" ", "")
    return plain.translate(str.maketrans("OIL", "011"))


def checked_name(name: str) -> str:
    """A person's name, normalised. Raises Rejected when it is empty, too long or has control characters in it."""
    plain = unicodedata.normalize("NFC", name.strip())
    if not plain or len(plain) > _MOST_NAME:
        raise Rejected("a name has 1 to 64 characters", code="bad-name")
    if any(unicodedata.category(character)[0] == "C" for character in plain):
        raise Rejected("a name cannot have control characters", code="bad-name")
    return plain


def session_id(digest: bytes) -> str:
    """The public id of a session. It opens nothing."""
    return digest[:8].hex()


def _is_over(row: SessionRow, now_us: int) -> bool:
    return now_us >= row.expires_at_us or now_us - row.seen_at_us >= _IDLE_US


def _plain(text: str) -> str:
    return "".join(character for character in text if unicodedata.category(character)[0] != "C")


def _viewer(person: Person) -> Viewer:
    return Viewer(person.id, person.name, person.role)


def _admin_only(viewer: Viewer | None) -> None:
    if viewer is not None and viewer.role is not Role.ADMIN:
        raise Forbidden("only an admin adds people")
