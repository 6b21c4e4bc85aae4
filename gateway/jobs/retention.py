"""Make room by rules that the owner saw: by age, by size, and below the free-space floor. Service goes last.

Only originals go; what was understood of them stays and is still found. Pinned memories keep theirs. The order is
always the same: folded still scenes first, then the oldest. `preview` tells what `sweep` would take. Rules by age wait
while nobody keeps the box's clock: one that is a year ahead would take everything.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.config import Storage
from gateway.jobs import probes
from gateway.store import changes
from gateway.store.blobs import BlobFolder
from gateway.store.db import Connection, Database

log = logging.getLogger(__name__)

EVERY_S = 60.0
BUSY_S = 1.0
"""Until the next sweep when the last one was not through: what comes in may be faster than one batch a minute."""
_BATCH = 200
_DAY_US = 86_400_000_000
_LEDGER_HASH_DAYS = 30

_OLDEST = """
SELECT b.id, b.name, b.body_bytes, max(c.captured_at_us) AS newest, min(u.folded = '') AS stands
FROM blob AS b JOIN capture AS c ON c.blob = b.id LEFT JOIN understood AS u ON u.capture = c.id
WHERE NOT EXISTS (SELECT 1 FROM capture AS p WHERE p.blob = b.id AND p.pinned = 1)
GROUP BY b.id HAVING newest < :before AND (:folded_only = 0 OR stands = 0)
ORDER BY stands, newest LIMIT :limit
"""


_BECAUSE = {
    "age": "they are older than the rules allow",
    "size": "more is kept than the rules allow",
    "still": "they are old still scenes",
    "floor": "the disk is nearly full",
}


_WAITS = "Rules by age wait: the box's clock is not synchronised."


@dataclass(frozen=True, slots=True)
class Preview:
    """What would go now, and why."""

    originals: int
    bytes: int
    why: str
    """`age`, `size`, `still`, `floor`, or empty when nothing would go."""
    waits: bool = False
    """There are rules by age, and they wait for the clock."""

    def sentence(self) -> str:
        """For Health."""
        said = "By the rules set, no original is to go."
        if self.why:
            which = "original is" if self.originals == 1 else "originals are"
            said = f"{self.originals} {which} to go ({self.bytes / 1e6:.0f} MB): {_BECAUSE[self.why]}."
        return f"{said} {_WAITS}" if self.waits else said


@dataclass(frozen=True, slots=True)
class Retention:
    """`await Retention(…).run()` keeps the rules until it is cancelled."""

    db: Database
    folder: BlobFolder
    home: Path
    rules: Storage
    now_us: Callable[[], int]
    synchronised: Callable[[], bool] = lambda: True
    """Whether somebody keeps the box's clock."""

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            went = await self.sweep()
            await asyncio.sleep(EVERY_S if went < _BATCH else BUSY_S)

    async def preview(self) -> Preview:
        """What the next sweep takes first; nothing is touched."""
        waits = bool(self.rules.still_days or self.rules.keep_days) and not self.synchronised()
        for why, doomed in await self._doomed():
            if doomed:
                return Preview(len(doomed), sum(each[2] for each in doomed), why, waits)
        return Preview(0, 0, "", waits)

    async def sweep(self) -> int:
        """Keep the rules once. Returns how many originals went."""
        await self.db.write(self._housekeep)
        went = 0
        for why, doomed in await self._doomed():
            if doomed:
                log.info("originals go", extra={"why": why, "originals": len(doomed)})
                await self._take(doomed)
                went += len(doomed)
        return went

    async def _doomed(self) -> list[tuple[str, list[tuple[int, str, int]]]]:
        """What each rule asks for. One that would take everything whatever happens is none, though the settings let
        none in: a cut in the future, a size below nothing, a floor that the whole disk could not keep.
        """
        rules, now = self.rules, self.now_us()
        found: list[tuple[str, list[tuple[int, str, int]]]] = []
        by_age = bool(rules.still_days or rules.keep_days) and self.synchronised()
        if rules.still_days > 0 and by_age:
            found.append(("still", await self._oldest(now - rules.still_days * _DAY_US, folded_only=True)))
        if rules.keep_days > 0 and by_age:
            found.append(("age", await self._oldest(now - rules.keep_days * _DAY_US)))
        if 0 < rules.keep_gb < math.inf:
            held = await self.db.read(lambda c: int(c.execute("SELECT total(body_bytes) FROM blob").fetchone()[0]))
            found.append(("size", await self._enough(now, held - int(rules.keep_gb * 1e9))))
        disk, floor_bytes = await asyncio.to_thread(probes.disk, self.home), rules.free_floor_mb * 1_000_000
        if floor_bytes < disk.total:
            found.append(("floor", await self._enough(now, floor_bytes - disk.free)))
        return found

    async def _enough(self, now_us: int, need_bytes: int) -> list[tuple[int, str, int]]:
        """As many of the first ones as it takes to give `need_bytes` back."""
        taken: list[tuple[int, str, int]] = []
        if need_bytes > 0:  # to look at all of them for nothing would cost a second a minute, and each view of Health
            for each in await self._oldest(now_us):
                taken.append(each)
                need_bytes -= each[2]
                if need_bytes <= 0:
                    break
        return taken

    async def _oldest(self, before_us: int, *, folded_only: bool = False) -> list[tuple[int, str, int]]:
        values = {"before": before_us, "folded_only": int(folded_only), "limit": _BATCH}
        return await self.db.read(
            lambda c: [(row["id"], row["name"], row["body_bytes"]) for row in c.execute(_OLDEST, values).fetchall()]
        )

    async def _take(self, doomed: Sequence[tuple[int, str, int]]) -> None:
        def forget(connection: Connection) -> list[str]:
            names: list[str] = []
            for blob_id, name, _ in doomed:
                if connection.execute("SELECT 1 FROM capture WHERE blob = ? AND pinned = 1", (blob_id,)).fetchone():
                    continue  # pinned since it was chosen
                for row in connection.execute("SELECT uid FROM capture WHERE blob = ?", (blob_id,)).fetchall():
                    changes.append(
                        connection, entity="memory", entity_id=row["uid"], operation="put", at_us=self.now_us()
                    )
                connection.execute("UPDATE capture SET blob = NULL WHERE blob = ?", (blob_id,))
                connection.execute("DELETE FROM blob WHERE id = ?", (blob_id,))
                names.append(name)
            return names

        await asyncio.to_thread(self.folder.remove, *await self.db.write(forget))

    def _housekeep(self, connection: Connection) -> None:
        now = self.now_us()
        connection.execute(
            "UPDATE ledger SET hash = NULL WHERE hash IS NOT NULL AND at_us < ?", (now - _LEDGER_HASH_DAYS * _DAY_US,)
        )
