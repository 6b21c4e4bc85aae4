"""Notice that models came or went while the gateway runs, and do again what others would answer now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.inference.models import Models
from gateway.inference.workers import KEPT, Workers
from gateway.pipeline.catch_up import catch_up
from gateway.pipeline.step import Step
from gateway.spool import Spool

log = logging.getLogger(__name__)

EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class NewModels:
    """`await NewModels(…).run()` looks every few seconds; what it looks at is the folder's names and times."""

    models: Models
    workers: Workers
    spool: Spool
    steps: Mapping[str, Step]
    now_us: Callable[[], int]

    async def run(self) -> None:
        """Catch up once, then after every change; for ever."""
        seen: object = None
        while True:
            here = await asyncio.to_thread(self._look)
            if here != seen:
                seen = here
                await asyncio.to_thread(self.models.refresh)
                self.workers.refresh()
                queued = await catch_up(self.spool, self.steps, workers=self.workers, at_us=self.now_us())
                log.info("models looked at", extra={"queued": queued})
            await asyncio.sleep(EVERY_S)

    def _look(self) -> frozenset[tuple[str, int]]:
        if not self.models.folder.is_dir():
            return frozenset()
        # What workers keep of graphs comes and goes without any model doing so.
        files = (path for path in self.models.folder.rglob("*") if path.suffix != ".part" and KEPT not in path.parts)
        found = (path for path in files if path.is_file())
        return frozenset((str(path), path.stat().st_mtime_ns) for path in found)
