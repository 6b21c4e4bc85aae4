"""A small share of the fault runs among the tests; `make fault` does them at full length."""

from __future__ import annotations

import pytest

from tests.fault import cuts, fuzz, kills, schedules
from tests.fault.mutants import MUTANTS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.system("mosquitto")
def test_kills_lose_nothing_acknowledged_and_the_queue_drains() -> None:
    for result in kills.run(count=20):
        assert result.passed, result


@pytest.mark.system("mosquitto")
def test_power_cuts_lose_nothing_acknowledged() -> None:
    (result,) = cuts.run(count=6, mutants=False)
    if result.passed is None:
        pytest.skip(result.detail)
    assert result.passed, result


@pytest.mark.system("mosquitto", "gcc", "make")
def test_seeded_fault_schedules_lose_nothing_from_the_card_to_the_gateway() -> None:
    for result in schedules.run(count=60):
        assert result.passed, result


@pytest.mark.system("mosquitto")
@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_power_cut_harness_catches_a_gateway_that_breaks_its_promise(mutant: str) -> None:
    result = cuts.catch(mutant)
    if result.passed is None:
        pytest.skip(result.detail)
    assert result.passed, result


def test_mutated_bytes_are_refused_and_nothing_else() -> None:
    result = fuzz.run(seconds=5)
    assert result.passed, result.detail
