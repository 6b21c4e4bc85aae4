"""A gateway whose disk is full, until somebody kills it: python -m tests.e2e.dying_gateway HOME URL."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gateway.config import Mqtt
from tests.e2e.road import eventually, house


async def main(home: Path, url: str) -> None:
    async with house(home, Mqtt(url=url)) as one:
        one.spool.free_floor_bytes = 1 << 60
        await eventually(lambda: all(link.connected_since_us is not None for link in one.ingest.links))
        await asyncio.sleep(0.2)  # its subscriptions are on their way
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
