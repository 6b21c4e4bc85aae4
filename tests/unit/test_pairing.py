"""The pairing window: one camera, five minutes, five tries, and the same answer for the same question."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.errors import Forbidden
from gateway.pairing import ALPHABET, TRIES, WINDOW_S, Claim, Grant, Opener, Pairing, normal

NORA = Opener("p1", "192.168.1.20:8480")


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pairing(clock: Clock) -> Pairing:
    return Pairing(clock)


def claim(code: str, nonce: str = "0" * 32, hardware: str = "f4:12") -> Claim:
    return Claim(code, nonce, hardware, "xiao", "1.0.0")


def refused(pairing: Pairing, asked: Claim) -> str:
    with pytest.raises(Forbidden) as error:
        pairing.check(asked)
    return error.value.code


def settled(pairing: Pairing, asked: Claim) -> Grant:
    opener, grant = pairing.check(asked)
    assert (opener, grant) == (NORA, None)
    given = Grant(asked.nonce, asked.hardware, "cam-1", "secret")
    pairing.settle(given)
    return given


def test_a_code_is_eight_of_an_alphabet_without_lookalikes(pairing: Pairing) -> None:
    codes = {pairing.open(NORA).code for _ in range(50)}
    assert len(codes) == 50
    assert all(len(code) == 8 and set(code) <= set(ALPHABET) for code in codes)
    assert not set("ILOU") & set(ALPHABET)


def test_without_a_window_nothing_is_taken(pairing: Pairing) -> None:
    assert refused(pairing, claim("K7QF3MPD")) == "pairing-closed"
    pairing.open(NORA)
    pairing.close()
    assert refused(pairing, claim("K7QF3MPD")) == "pairing-closed"
    assert pairing.offer is None


def test_a_code_is_read_as_people_type_it() -> None:
    assert normal(" k7qo-3mil ") == "K7Q03M11"
    assert normal("K7QF3MP") == normal("Ü7QF3MPD") == normal("") == "?"


def test_after_five_wrong_codes_the_right_one_opens_nothing(pairing: Pairing) -> None:
    code = pairing.open(NORA).code
    wrong = code[::-1] if code != code[::-1] else "00000000"
    for tries_left in range(TRIES, 0, -1):
        offer = pairing.offer
        assert offer is not None
        assert (offer.tries_left, offer.state) == (tries_left, "open")
        assert refused(pairing, claim(wrong)) == "pairing-code"
    assert refused(pairing, claim(code)) == "pairing-over"
    offer = pairing.offer
    assert offer is not None
    assert (offer.state, offer.code, offer.left_s) == ("over", "", 0.0)


def test_after_five_minutes_the_code_opens_nothing(pairing: Pairing, clock: Clock) -> None:
    code = pairing.open(NORA).code
    clock.now_s += WINDOW_S - 0.001
    pairing.check(claim(code))
    clock.now_s += 0.001
    assert refused(pairing, claim(code)) == "pairing-over"


def test_the_same_question_gets_the_same_answer_and_only_in_the_window(pairing: Pairing, clock: Clock) -> None:
    asked = claim(pairing.open(NORA).code)
    given = settled(pairing, asked)
    assert pairing.check(asked) == (NORA, given)
    clock.now_s += WINDOW_S
    assert refused(pairing, asked) == "pairing-over"


def test_a_window_takes_one_camera(pairing: Pairing) -> None:
    asked = claim(pairing.open(NORA).code)
    settled(pairing, asked)
    assert refused(pairing, replace(asked, nonce="1" * 32)) == "pairing-closed"
    assert refused(pairing, replace(asked, hardware="ff:ff")) == "pairing-closed"
    assert refused(pairing, replace(asked, code="00000000")) == "pairing-closed"
    offer = pairing.offer
    assert offer is not None
    assert (offer.state, offer.device, offer.code) == ("paired", "cam-1", "")


def test_a_window_that_is_over_keeps_no_password(pairing: Pairing, clock: Clock) -> None:
    asked = claim(pairing.open(NORA).code)
    settled(pairing, asked)
    clock.now_s += WINDOW_S
    refused(pairing, asked)
    assert "secret" not in repr(pairing._window)


def test_a_new_window_has_nothing_of_the_last(pairing: Pairing) -> None:
    first = claim(pairing.open(NORA).code)
    settled(pairing, first)
    second = pairing.open(NORA)
    assert second.code != first.code
    assert refused(pairing, first) == "pairing-code"
    assert refused(pairing, replace(first, code=second.code)) == "pairing-closed"
