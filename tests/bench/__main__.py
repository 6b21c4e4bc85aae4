"""`make bench`: every figure that the README quotes, as a table and as bench-YYYYMMDD-HHMM.json.

ARGS="--quick" is a look in a few minutes; ARGS="--only ingest --rounds 5" is one row at full length.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.bench import (
    ack,
    asking,
    backlog,
    captions,
    copies,
    copy_crowd,
    finding,
    ingest,
    memory,
    own_home,
    quality,
    reading,
    speech,
    steps,
    whole,
)
from tests.bench.result import Result, table, write_json

NAMES = (
    "ingest",
    "backlog",
    "ack",
    "steps",
    "memory",
    "search",
    "whole",
    "help",
    "home",
    "copies",
    "caption",
    "quality",
    "speech",
    "reading",
)


def main(argv: list[str]) -> int:
    """0 when every bar that could be measured was met."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: a look, not a figure to quote")
    parser.add_argument("--rounds", type=int, default=0, help="interleaved rounds of a ratio (5, quick 2)")
    parser.add_argument("--among", type=int, default=0, help="copies: find originals among so many other pictures")
    parser.add_argument("--only", action="append", default=[], choices=NAMES)
    given = parser.parse_args(argv)
    quick: bool = given.quick
    among: int = given.among
    rounds: int = given.rounds or (2 if quick else 5)
    benches: Mapping[str, Callable[[], list[Result]]] = {
        "ingest": lambda: [ingest.run(quick=quick, rounds=rounds)],
        "backlog": lambda: [backlog.run(quick=quick)],
        "ack": lambda: [ack.run(quick=quick)],
        "steps": lambda: steps.run(quick=quick, rounds=rounds),
        "memory": lambda: memory.run(quick=quick),
        "search": lambda: [*finding.run(quick=quick, rounds=rounds), asking.run(quick=quick, rounds=rounds)],
        "whole": lambda: whole.run(quick=quick, rounds=rounds),
        "home": lambda: own_home.run(quick=quick),
        "help": lambda: [whole.run_help(rounds=rounds)],
        "copies": lambda: [copy_crowd.run(quick=quick, among=among) if among else copies.run(quick=quick)],
        "caption": lambda: captions.run(quick=quick),
        "quality": lambda: [quality.run(quick=quick)],
        "speech": lambda: speech.run(quick=quick),
        "reading": lambda: reading.run(quick=quick),
    }
    results: list[Result] = []
    for name, bench in benches.items():
        if given.only and name not in given.only:
            continue
        began_s = time.monotonic()
        results += bench()
        print(f"{name}: {time.monotonic() - began_s:.0f} s", file=sys.stderr, flush=True)
    print(table(results))
    about = {
        "when": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "rounds": rounds,
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
    }
    write_json(results, Path(f"bench-{dt.datetime.now(dt.UTC):%Y%m%d-%H%M}.json"), about=about)
    return 0 if all(each.passed is not False for each in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
