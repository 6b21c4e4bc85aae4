"""Work handed to threads by the handful."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from gateway.batches import Batches


async def test_what_gathers_while_a_thread_works_goes_together() -> None:
    sizes: list[int] = []
    gate = threading.Event()

    def work(items: Sequence[int]) -> list[int | Exception]:
        sizes.append(len(items))
        gate.wait(5)
        return [item * 2 for item in items]

    batches: Batches[int, int] = Batches(work, name="test", most=8)
    first = asyncio.create_task(batches.do(0))
    while not sizes:  # noqa: ASYNC110  the thread has no event of the loop
        await asyncio.sleep(0)
    others = [asyncio.create_task(batches.do(n)) for n in range(1, 11)]
    await asyncio.sleep(0)
    gate.set()
    assert [await each for each in (first, *others)] == [n * 2 for n in range(11)]
    assert sizes == [1, 8, 2]
    await batches.close()


async def test_an_error_reaches_only_the_one_it_belongs_to() -> None:
    def work(items: Sequence[int]) -> list[int | Exception]:
        return [item if item else ValueError("zero") for item in items]

    batches: Batches[int, int] = Batches(work, name="test")
    one, two = await asyncio.gather(batches.do(1), batches.do(0), return_exceptions=True)
    assert one == 1
    assert isinstance(two, ValueError)
    await batches.close()


async def test_a_work_that_breaks_is_heard_by_all_and_the_thread_lives_on() -> None:
    def work(items: Sequence[int]) -> list[int | Exception]:
        if 0 in items:
            raise RuntimeError("broken")
        return list(items)

    batches: Batches[int, int] = Batches(work, name="test")
    with pytest.raises(RuntimeError):
        await batches.do(0)
    assert await batches.do(3) == 3
    await batches.close()


async def test_a_cancelled_caller_is_not_told() -> None:
    gate = threading.Event()

    def work(items: Sequence[int]) -> list[int | Exception]:
        gate.wait(5)
        return list(items)

    batches: Batches[int, int] = Batches(work, name="test")
    given_up = asyncio.create_task(batches.do(1))
    await asyncio.sleep(0)
    given_up.cancel()
    gate.set()
    assert await batches.do(2) == 2
    await batches.close()
