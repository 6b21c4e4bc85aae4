"""`python -m models.train.copy_limits [--homes N]`: precision and recall by how much doubt `dedupe` lets pass.

On the changes of the measured suite, but on homes of its own (`CHECK_SEEDS`) and procedural pictures in the place of
photographs. `dedupe.MOST_DOUBT` is set by this table, well below where wrong pairs begin.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from models.train.copy_pictures import CHECK_SEEDS, photographed, procedural
from tests.bench import copies, copy_suite

_PICTURES = 12
_DOUBTS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0, 20.0)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--homes", type=int, default=len(CHECK_SEEDS))
    given = parser.parse_args(argv)
    made = procedural(_PICTURES, seed=CHECK_SEEDS[0], size=(640, 480))
    more = {f"procedural {n}": photographed(each) for n, each in enumerate(made)}
    found = copy_suite.suite(None, quick=given.homes == 1, seeds=CHECK_SEEDS[: given.homes], more=more)
    with copies.product() as ours:
        row = copies.compared(replace(ours, marks=tuple(-doubt for doubt in _DOUBTS)), found)
    sys.stdout.write("| doubt | precision | recall | by axis |\n| --- | --- | --- | --- |\n")
    for each in row.marks:
        by_axis = ", ".join(f"{axis} {recall:.2f}" for axis, recall in each.by_axis.items())
        sys.stdout.write(f"| {-each.limit:g} | {each.precision:.3f} | {each.recall:.3f} | {by_axis} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
