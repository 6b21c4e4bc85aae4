"""Acknowledgements: ranges, nacks, the credit window, and how they are collected."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.entities import RecordKey
from gateway.ingest.accept import Outcome, Receipt
from gateway.ingest.ack import MAX_RANGES, AckDesk, Nack, messages, ranges_of, window

BOOT = bytes(range(8))


@given(st.sets(st.integers(0, 300)))
def test_ranges_hold_exactly_these_sequences(sequences: set[int]) -> None:
    ranges = ranges_of(sequences)
    assert {n for first, last in ranges for n in range(first, last + 1)} == sequences
    assert all(later[0] > earlier[1] + 1 for earlier, later in itertools.pairwise(ranges))


def test_message_is_as_the_protocol_shows_it() -> None:
    (payload,) = messages(BOOT, [(38, 41), (44, 47)], [Nack(43, "bad-jpeg", None)], credit=4)
    assert payload == (
        b'{"boot":"0001020304050607","ranges":[[38,41],[44,47]],'
        b'"nack":[{"seq":43,"code":"bad-jpeg","retry_ms":null}],"credit":4}'
    )


def test_many_ranges_go_in_messages_of_sixty_four() -> None:
    ranges = [(n * 2, n * 2) for n in range(150)]
    found = [json.loads(payload) for payload in messages(BOOT, ranges, [], credit=1)]
    assert [len(each["ranges"]) for each in found] == [MAX_RANGES, MAX_RANGES, 22]
    assert [tuple(pair) for each in found for pair in each["ranges"]] == ranges


@given(st.sets(st.integers(0, 40)), st.lists(st.integers(0, 40), max_size=80))
def test_nacked_sequence_is_never_in_a_range_of_its_message(stored: set[int], refused: list[int]) -> None:
    nacks = [Nack(sequence, "conflict", None) for sequence in refused]
    heard: set[int] = set()
    told: list[int] = []
    for payload in messages(BOOT, ranges_of(stored), nacks, credit=1):
        answer = json.loads(payload)
        here = {n for first, last in answer["ranges"] for n in range(first, last + 1)}
        assert not here & {nack["seq"] for nack in answer["nack"]}
        heard |= here
        told += [nack["seq"] for nack in answer["nack"]]
    assert heard == stored
    assert sorted(told) == sorted(refused)


def test_hello_of_an_unknown_boot_is_answered_without_ranges() -> None:
    (payload,) = messages(BOOT, [], [], credit=8)
    assert json.loads(payload) == {"boot": BOOT.hex(), "ranges": [], "nack": [], "credit": 8}


@pytest.mark.parametrize(
    ("ack_s", "waiting", "expected"),
    [(0.01, 0, 8), (0.3, 0, 4), (0.6, 0, 2), (2.0, 0, 1), (0.01, 200, 4), (9.0, 9_999, 1)],
)
def test_credit_shrinks_as_the_disk_lags_and_is_never_nothing(ack_s: float, waiting: int, expected: int) -> None:
    assert window(8, ack_s=ack_s, waiting=waiting) == expected
    assert window(1, ack_s=ack_s, waiting=waiting) == 1


async def test_receipts_of_one_commit_go_out_together() -> None:
    desk = AckDesk(lambda: 8)
    sent: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    async def send(answers: Sequence[tuple[str, bytes]]) -> None:
        for answer in answers:
            await sent.put(answer)

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(desk.run(send))
        for sequence in (5, 3, 4, 9):
            desk.add("porch", receipt(Outcome.STORED, sequence), arrived_s=began)
        desk.add("porch", receipt(Outcome.REFUSED, 7, code="bad-jpeg"), arrived_s=began)
        desk.add("porch", receipt(Outcome.LATER, 8, code="disk-full", retry_ms=5_000), arrived_s=began)
        desk.add("porch", Receipt(Outcome.REFUSED, code="bad-magic"), arrived_s=began)
        device, payload = await asyncio.wait_for(sent.get(), 5)
        running.cancel()
    assert device == "porch"
    answer = json.loads(payload)
    assert answer["ranges"] == [[3, 5], [9, 9]]
    assert answer["nack"] == [
        {"seq": 7, "code": "bad-jpeg", "retry_ms": None},
        {"seq": 8, "code": "disk-full", "retry_ms": 5_000},
    ]
    assert sent.empty()


def receipt(outcome: Outcome, sequence: int, *, code: str = "", retry_ms: int | None = None) -> Receipt:
    return Receipt(outcome, key=RecordKey(BOOT, 1, sequence, 0), code=code, retry_ms=retry_ms)
