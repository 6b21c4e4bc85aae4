"""`make fault ARGS="--kills 500 --cuts 300"`: the long runs, each sized by an argument, printed as a table."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.result import Result, table, write_json
from tests.fault import cuts, fuzz, kills, schedules


def main() -> int:
    """0 when every bar was met."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault")
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--cuts", type=int, default=300)
    parser.add_argument("--schedules", type=int, default=300)
    parser.add_argument("--fuzz", type=float, default=60.0, help="seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("kills", "cuts", "schedules", "fuzz"), action="append", default=[])
    given = parser.parse_args()
    runs: dict[str, Callable[[], list[Result]]] = {
        "kills": lambda: kills.run(count=given.kills, seed=given.seed),
        "cuts": lambda: cuts.run(count=given.cuts, seed=given.seed),
        "schedules": lambda: schedules.run(count=given.schedules, seed=given.seed),
        "fuzz": lambda: [fuzz.run(seconds=given.fuzz, seed=given.seed)],
    }
    results: list[Result] = []
    for name, run in runs.items():
        if given.only and name not in given.only:
            continue
        began_s = time.monotonic()
        found = run()
        results += found
        print(f"{name}: {time.monotonic() - began_s:.0f} s", *(f"  {each}" for each in found), sep="\n", flush=True)
    print(table(results))
    today = dt.datetime.now(dt.UTC).date()
    write_json(results, Path(f"bench-{today:%Y%m%d}-fault.json"), about={"seed": given.seed})
    return 0 if all(each.passed is not False for each in results) else 1


if __name__ == "__main__":
    sys.exit(main())
