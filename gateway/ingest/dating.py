"""Keep every record dated: what is known of each boot's clock in memory, and old captures dated again when it grows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from gateway.entities import CapturedAt, RecordKey
from gateway.ingest.clock import Told, date_record
from gateway.store import boots
from gateway.store.boots import Span, Tie
from gateway.store.db import Connection, Database

_MAX_BOOTS = 256


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one boot's clock. Replaced whole, so two of them can be told apart."""

    ties: tuple[Tie, ...]
    span: Span


class Dating:
    """One a gateway. `run` belongs into a task group; everything else may be called without it."""

    def __init__(self, db: Database, *, zone: str, now_us: Callable[[], int]) -> None:
        self._db = db
        self._zone = zone
        self._now_us = now_us
        self._known: dict[tuple[str, bytes], Known] = {}
        self._wake = asyncio.Event()
        self._wake.set()

    async def known(self, device: str, key: RecordKey) -> Known:
        """What is known of the record's boot; read from the store at the first asking."""
        place = (device, key.boot_id)
        found = self._known.get(place)
        if found is None:
            found = await self._db.read(lambda c: _load(c, device, key.boot_id, key.boot_counter))
            if len(self._known) >= _MAX_BOOTS:
                self._known.pop(next(iter(self._known)))
            self._known[place] = found
        return found

    def date(self, told: Told, known: Known) -> CapturedAt:
        """The surest date by what is known."""
        return date_record(told, known.ties, known.span, zone=self._zone)

    def learnt(self, device: str) -> None:
        """A tie of this device has been committed: forget what was known of its boots, and date again."""
        for place in [place for place in self._known if place[0] == device]:
            del self._known[place]
        self._wake.set()

    async def check(self, device: str, key: RecordKey, used: Known) -> None:
        """After a record has been stored: if something was learnt meanwhile, its boot must be dated again."""
        if self._known.get((device, key.boot_id)) is not used:
            await self._db.write(lambda c: boots.mark_undated(c, device=device, boot_id=key.boot_id))
            self._wake.set()

    async def run(self) -> None:
        """Date again whatever the store says must be, for ever; picks up what an earlier run left, or broke off."""
        self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            for device, boot_id, counter in await self._db.read(boots.to_redate):
                await self._redate(device, boot_id, counter or 0)

    async def _redate(self, device: str, boot_id: bytes, counter: int) -> None:
        known = await self._db.read(lambda c: _load(c, device, boot_id, counter))

        def again(mono_us: int, received_at_us: int) -> CapturedAt:
            return self.date(Told(mono_us, received_at_us), known)

        def some(connection: Connection) -> int | None:
            return boots.redate(connection, again, boot=(device, boot_id), after=after, at_us=self._now_us())

        after = -1
        while (reached := await self._db.write(some)) is not None:
            after = reached


def _load(connection: Connection, device: str, boot_id: bytes, counter: int) -> Known:
    found = boots.ties(connection, device=device, boot_id=boot_id)
    if found:
        return Known(found, Span())
    return Known((), boots.span(connection, device=device, boot_id=boot_id, counter=counter))
