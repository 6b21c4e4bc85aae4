"""Workers share their memory: nobody begins before there is room."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from gateway.errors import Retryable
from gateway.inference.room import OVERTAKES, Room


@dataclass
class Worker:
    """One that has so much, and ends when it is told."""

    name: str
    rss_mb: int
    pid: int | None = 1
    idle_since: float = 0.0

    async def stop(self) -> None:
        self.pid, self.rss_mb = None, 0


def room_of(ceiling_mb: int | None, *workers: Worker) -> Room:
    room = Room(ceiling_mb, kept="query", unasked="shadow")
    room.tenants = workers
    return room


def fresh(name: str) -> Worker:
    return Worker(name, 0, pid=None)


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_longest_idle_ends_first_and_no_more_than_must() -> None:
    old, young, wanted = Worker("listen", 200, idle_since=1.0), Worker("thumb", 50, idle_since=2.0), fresh("read")
    await room_of(700, old, young, wanted).enter(wanted, lambda: 500)
    assert old.pid is None and young.pid is not None


async def test_a_request_waits_until_another_is_through_when_both_do_not_fit() -> None:
    look, read = Worker("look", 200), fresh("read")
    room = room_of(600, look, read)
    await room.enter(look, lambda: 50)
    waits = asyncio.ensure_future(room.enter(read, lambda: 500))
    await turns()
    assert not waits.done() and look.pid is not None
    room.leave(look)
    await waits
    assert look.pid is None


async def test_what_somebody_was_promised_counts_though_it_is_not_taken_yet() -> None:
    read, listen = fresh("read"), fresh("listen")
    room = room_of(600, read, listen)
    await room.enter(read, lambda: 500)
    waits = asyncio.ensure_future(room.enter(listen, lambda: 200))
    await turns()
    assert not waits.done()
    room.leave(read)
    await waits


async def test_what_fits_goes_before_one_that_waits_but_not_for_ever() -> None:
    listen, look, read = Worker("listen", 300), Worker("look", 100), fresh("read")
    room = room_of(800, listen, look, read)
    await room.enter(listen, lambda: 0)
    large = asyncio.ensure_future(room.enter(read, lambda: 600))
    await turns()
    for _ in range(OVERTAKES):
        await asyncio.wait_for(room.enter(look, lambda: 10), 5)
        room.leave(look)
    one_more = asyncio.ensure_future(room.enter(look, lambda: 10))
    await turns()
    assert not large.done() and not one_more.done()
    assert look.pid is not None  # it would not have been enough
    room.leave(listen)
    await large
    room.leave(read)
    await one_more


async def test_queries_never_wait_and_what_they_take_is_kept_free() -> None:
    query, look, read = fresh("query"), Worker("look", 300), fresh("read")
    room = room_of(600, query, look, read)
    room.kept_mb = lambda: 180
    await room.enter(look, lambda: 100)
    await room.enter(query, lambda: 180)
    waits = asyncio.ensure_future(room.enter(read, lambda: 50))
    await turns()
    assert not waits.done()
    room.leave(look)
    await waits
    query.pid, query.rss_mb = 1, 180
    room.leave(query)
    room.leave(read)
    await room.enter(read, lambda: 400)
    assert query.pid is not None and look.pid is None


async def test_one_alone_may_begin_though_it_needs_more_than_there_is() -> None:
    read = fresh("read")
    await asyncio.wait_for(room_of(300, read).enter(read, lambda: 500), 5)


async def test_nobody_waits_for_a_model_that_is_to_come() -> None:
    look, shadow = Worker("look", 300), fresh("shadow")
    room = room_of(400, look, shadow)
    await room.enter(look, lambda: 0)
    with pytest.raises(Retryable) as refused:
        await room.enter(shadow, lambda: 200)
    assert refused.value.code == "no-memory" and look.pid is not None


async def test_who_gives_up_waiting_lets_the_next_one_in() -> None:
    look, read, thumb = Worker("look", 300), fresh("read"), fresh("thumb")
    room = room_of(400, look, read, thumb)
    await room.enter(look, lambda: 0)
    waits = asyncio.ensure_future(room.enter(read, lambda: 500))
    await turns()
    waits.cancel()
    await asyncio.wait_for(room.enter(thumb, lambda: 50), 5)
