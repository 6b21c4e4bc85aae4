"""People, sessions, tokens and the code of the first run."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.accounts import Accounts, read_code
from gateway.attempts import Attempts
from gateway.entities import Role
from gateway.errors import Conflict, Forbidden, NotFound, Rejected, Retryable
from gateway.passwords import Cost, calibrate, check
from gateway.store.db import Database

CHEAP = Cost(memory_kib=8, passes=1)
WORDS = "three or four words"
DAY_US = 86_400_000_000


class Clock:
    def __init__(self) -> None:
        self.us = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.us


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def accounts(tmp_path: Path, clock: Clock) -> AsyncIterator[Accounts]:
    async with Database(tmp_path / "hearthlog.db") as db:
        yield Accounts(db, b"k" * 32, clock, cost=CHEAP)


async def test_a_disk_that_takes_nothing_keeps_nobody_out(accounts: Accounts, clock: Clock) -> None:
    viewer = await accounts.claim(accounts.setup_code(), "Nora", WORDS)
    secret = (await accounts.begin(viewer)).secret
    _, token = await accounts.create_token(viewer, ("read",))
    clock.us += DAY_US
    await accounts._db.write(lambda c: c.execute("PRAGMA query_only = ON"))
    assert await accounts.session(secret) == viewer
    bearer = await accounts.bearer(token)
    assert bearer is not None and bearer[0] == viewer


async def test_first_admin_needs_the_code_and_takes_over_what_came_before(accounts: Accounts) -> None:
    before = await accounts.owner()
    assert await accounts.first_run()
    viewer = await accounts.claim(accounts.setup_code().lower().replace("-", " "), "Nora", WORDS)
    assert (viewer.user, viewer.name, viewer.role) == (before.user, "Nora", Role.ADMIN)
    assert not await accounts.first_run()
    with pytest.raises(Conflict):
        await accounts.claim(accounts.setup_code(), "Tomas", WORDS)


async def test_five_wrong_codes_make_a_new_one(accounts: Accounts) -> None:
    announced: list[str] = []
    accounts.announce = announced.append
    first = accounts.setup_code()
    for _ in range(5):
        with pytest.raises(Forbidden) as caught:
            await accounts.claim("00000000", "Nora", WORDS)
        assert caught.value.code == "wrong-code"
    assert announced == [accounts.setup_code()]
    assert accounts.setup_code() != first
    with pytest.raises(Forbidden):
        await accounts.claim(first, "Nora", WORDS)


def test_code_is_read_as_crockford_says() -> None:
    assert read_code(" o1il-abcd ") == "0111ABCD"


async def test_admin_added_at_the_console_takes_the_home(accounts: Accounts) -> None:
    before = await accounts.owner()
    assert (await accounts.add(None, "Nora", Role.ADMIN, WORDS)).user == before.user
    assert (await accounts.add(None, "Tomas", Role.ADMIN, WORDS)).user != before.user
    assert not await accounts.first_run()


async def test_only_an_admin_adds_people(accounts: Accounts) -> None:
    await accounts.add(None, "Nora", Role.ADMIN, WORDS)
    ada = await accounts.add(None, "Ada", Role.MEMBER, WORDS)
    with pytest.raises(Forbidden):
        await accounts.add(ada, "Mallory", Role.ADMIN, WORDS)


@pytest.mark.parametrize(
    ("name", "password", "code"),
    [
        ("Nora", "elevenchars", "password-short"),
        ("Nora", "x" * 1_025, "password-long"),
        ("", WORDS, "bad-name"),
        ("N\x00ora", WORDS, "bad-name"),
        ("x" * 65, WORDS, "bad-name"),
    ],
)
async def test_bad_names_and_passwords_are_refused(accounts: Accounts, name: str, password: str, code: str) -> None:
    with pytest.raises(Rejected) as caught:
        await accounts.add(None, name, Role.MEMBER, password)
    assert caught.value.code == code


async def test_name_is_taken_whatever_its_case(accounts: Accounts) -> None:
    await accounts.add(None, "Nora", Role.ADMIN, WORDS)
    with pytest.raises(Conflict):
        await accounts.add(None, "nora", Role.MEMBER, WORDS)


async def test_sign_in_gives_a_session_that_ends_with_sign_out(accounts: Accounts) -> None:
    nora = await accounts.add(None, "Nora", Role.ADMIN, WORDS)
    begun = await accounts.sign_in("nora", WORDS, agent="Browser\n1")
    assert await accounts.session(begun.secret) == nora
    assert len(begun.secret) >= 43  # 256 bits
    (shown,) = await accounts.sessions(nora, current=begun.secret)
    assert shown.current
    assert shown.agent == "Browser1"
    await accounts.sign_out(begun.secret)
    assert await accounts.session(begun.secret) is None


async def test_session_ends_when_idle_and_for_good_after_ninety_days(accounts: Accounts, clock: Clock) -> None:
    await accounts.add(None, "Nora", Role.ADMIN, WORDS)
    idle = await accounts.sign_in("Nora", WORDS)
    clock.us += 13 * DAY_US
    assert await accounts.session(idle.secret, used=False) is not None
    clock.us += 2 * DAY_US
    assert await accounts.sessions(idle.viewer) == []
    assert await accounts.session(idle.secret) is None
    used = await accounts.sign_in("Nora", WORDS)
    for _ in range(89):
        clock.us += DAY_US
        assert await accounts.session(used.secret) is not None
    clock.us += DAY_US
    assert await accounts.session(used.secret) is None


async def test_nobody_ends_the_session_of_another(accounts: Accounts) -> None:
    nora = await accounts.add(None, "Nora", Role.ADMIN, WORDS)
    ada = await accounts.add(None, "Ada", Role.MEMBER, WORDS)
    begun = await accounts.sign_in("Nora", WORDS)
    (mine,) = await accounts.sessions(nora)
    with pytest.raises(NotFound):
        await accounts.revoke(ada, mine.id)
    await accounts.revoke(nora, mine.id)
    assert await accounts.session(begun.secret) is None


async def test_wrong_password_and_unknown_name_are_told_alike(accounts: Accounts) -> None:
    await accounts.add(None, "Nora", Role.ADMIN, WORDS)
    told = []
    for name in ("Nora", "Nobody", ""):
        with pytest.raises(Forbidden) as caught:
            await accounts.sign_in(name, "not the right words")
        told.append((str(caught.value), caught.value.code))
    assert len(set(told)) == 1
    assert told[0][1] == "wrong-password"


async def test_unknown_name_costs_a_hash_like_a_known_one(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway import passwords

    await accounts.add(None, "Nora", Role.ADMIN, WORDS)
    hashed: list[str] = []
    real = passwords._verify
    monkeypatch.setattr(passwords, "_verify", lambda h, p: (hashed.append(h.split("$")[3]), real(h, p))[1])
    for name in ("Nora", "Nobody"):
        with pytest.raises(Forbidden):
            await accounts.sign_in(name, "not the right words")
    assert hashed == ["m=8,t=1,p=1", "m=8,t=1,p=1"]


async def test_too_many_wrong_passwords_must_wait(accounts: Accounts) -> None:
    await accounts.add(None, "Nora", Role.ADMIN, WORDS)
    for _ in range(5):
        with pytest.raises(Forbidden):
            await accounts.sign_in("Nora", "not the right words", address="192.0.2.1")
    with pytest.raises(Retryable) as caught:
        await accounts.sign_in("Nora", WORDS, address="192.0.2.2")
    assert caught.value.code == "too-many-tries"
    assert caught.value.retry_ms >= 1_000


def test_waiting_doubles_up_to_a_minute_and_success_forgives() -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    waits = []
    for _ in range(14):
        attempts.failed(("name:nora",))
        try:
            attempts.check(("name:nora",))
        except Retryable as error:
            waits.append(error.retry_ms // 1_000)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    now[0] += 60
    attempts.check(("name:nora",))
    attempts.failed(("name:nora",))
    attempts.succeeded("name:nora")
    attempts.check(("name:nora",))


def test_attempts_of_many_addresses_take_bounded_memory() -> None:
    attempts = Attempts(lambda: 0.0)
    for n in range(10_000):
        attempts.failed((f"address:{n}",))
    assert len(attempts._failures) == 4_096


async def test_new_password_ends_all_sessions(accounts: Accounts) -> None:
    nora = await accounts.add(None, "Nora", Role.ADMIN, WORDS)
    begun = await accounts.sign_in("Nora", WORDS)
    with pytest.raises(Forbidden):
        await accounts.change_password(nora, old="not the right words", new="five quite other words")
    await accounts.change_password(nora, old=WORDS, new="five quite other words")
    assert await accounts.session(begun.secret) is None
    await accounts.sign_in("Nora", "five quite other words")


async def test_token_opens_what_its_scopes_say_until_it_ends(accounts: Accounts, clock: Clock) -> None:
    nora = await accounts.add(None, "Nora", Role.ADMIN, WORDS)
    token_id, secret = await accounts.create_token(nora, ["read"], name="backup", expires_at_us=clock.us + DAY_US)
    assert await accounts.bearer(secret) == (nora, frozenset({"read"}))
    (shown,) = await accounts.tokens(nora)
    assert (shown.id, shown.scopes, shown.seen_at_us is not None) == (token_id, ("read",), True)
    clock.us += DAY_US
    assert await accounts.bearer(secret) is None
    await accounts.end_token(nora, token_id)
    assert await accounts.tokens(nora) == []
    with pytest.raises(Rejected):
        await accounts.create_token(nora, ["admin"])


async def test_no_secret_is_stored_or_logged(tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with Database(tmp_path / "hearthlog.db") as db:
        accounts = Accounts(db, b"k" * 32, clock, cost=CHEAP)
        nora = await accounts.claim(accounts.setup_code(), "Nora", WORDS)
        begun = await accounts.sign_in("Nora", WORDS)
        _, token = await accounts.create_token(nora, ["read"])
    kept = everything_in(tmp_path)
    logged = "".join(str(vars(record)) for record in caplog.records)
    for secret in (WORDS, begun.secret, token):
        assert secret.encode() not in kept
        assert secret not in logged


async def test_cost_is_measured_once_per_installation(tmp_path: Path, clock: Clock) -> None:
    async with Database(tmp_path / "hearthlog.db") as db:
        first = Accounts(db, b"k" * 32, clock)
        second = Accounts(db, b"k" * 32, clock)
        cost = await first._current_cost()
        assert cost.memory_kib >= 19_456
        assert cost.passes >= 2
        assert await second._current_cost() == cost


def test_calibrated_cost_is_never_below_the_floor() -> None:
    cost = calibrate()
    assert cost.memory_kib == 19_456
    assert 2 <= cost.passes <= 24


def test_length_is_the_only_rule() -> None:
    check("aaaaaaaaaaaa")
