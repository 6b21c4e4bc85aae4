"""Work for threads, taken by the handful: one hop to a thread and one back for everything that waits.

Handing each small piece over by itself costs more than the piece: a wake-up of the loop by its self-pipe, and a wait
for the interpreter's lock at every turn. Under load pieces gather while a thread works, and go together.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Generic, TypeAlias, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Work: TypeAlias = Callable[[Sequence[Item]], Sequence[Answer | Exception]]
"""One answer an item, in their order; an exception is raised for whoever handed that item in."""

_Held: TypeAlias = tuple[Item, "asyncio.Future[Answer]"]


class Batches(Generic[Item, Answer]):
    """`await batches.do(item)`. Threads start with the first item and end with `close`, or with the last reference."""

    def __init__(self, work: Work[Item, Answer], *, name: str, threads: int = 1, most: int = 64) -> None:
        self._work = work
        self._name = name
        self._count = threads
        self._most = most
        self._queue: queue.SimpleQueue[_Held[Item, Answer] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        weakref.finalize(self, self._queue.put, None)

    async def do(self, item: Item) -> Answer:
        """The answer for this item, of whichever batch it went with. Cancelling does not undo what was done."""
        if not self._threads:
            self._threads = [
                threading.Thread(
                    target=_loop, args=(self._queue, self._work, self._most), name=f"{self._name}_{n}", daemon=True
                )
                for n in range(self._count)
            ]
            for thread in self._threads:
                thread.start()
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.put((item, future))
        return await future

    async def close(self) -> None:
        """Let what was handed in be done, then end the threads."""
        self._queue.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)


def _loop(waiting: queue.SimpleQueue[_Held[Item, Answer] | None], work: Work[Item, Answer], most: int) -> None:
    while True:
        batch: list[_Held[Item, Answer]] = []
        held = waiting.get()
        while held is not None:
            batch.append(held)
            if len(batch) >= most:
                break
            try:
                held = waiting.get_nowait()
            except queue.Empty:
                break
        if batch:
            _do(batch, work)
        if held is None:
            waiting.put(None)  # for the next thread
            return


def _do(batch: list[_Held[Item, Answer]], work: Work[Item, Answer]) -> None:
    answers: Sequence[Answer | Exception]
    try:
        answers = work([item for item, _ in batch])
    except Exception as error:  # noqa: BLE001  whoever waits must hear of it, whatever it is: nobody else does
        answers = [error] * len(batch)
    loop = batch[0][1].get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(_tell, batch, answers)


def _tell(batch: list[_Held[Item, Answer]], answers: Sequence[Answer | Exception]) -> None:
    for (_, future), answer in zip(batch, answers, strict=True):
        if future.done():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
