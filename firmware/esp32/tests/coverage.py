"""Branch coverage of core/: python coverage.py FOLDER LEAST_PERCENT [--missing]. FOLDER holds gcov's notes and counts.

A branch is one way out of one condition, as gcov counts them without optimisation; `--missing` lists those never taken.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path


def main(folder: Path, least_percent: float, *, missing: bool) -> int:
    """0 when the bar is met."""
    taken_all = branches_all = 0
    said: list[str] = []
    for counts in sorted(folder.glob("*.gcda")):
        command = ["gcov", "--json-format", "--stdout", "--branch-probabilities", counts.name]
        done = subprocess.run(command, cwd=folder, capture_output=True, check=True)
        text = gzip.decompress(done.stdout) if done.stdout[:2] == b"\x1f\x8b" else done.stdout
        for file in json.loads(text)["files"]:
            name = file["file"]
            if "core/" not in name or not name.endswith(".c"):
                continue
            lines = [line for line in file["lines"] if line["branches"]]
            branches = sum(len(line["branches"]) for line in lines)
            taken = sum(branch["count"] > 0 for line in lines for branch in line["branches"])
            branches_all += branches
            taken_all += taken
            said.append(f"{Path(name).name:14} {taken:4} of {branches:4}  {100 * taken / max(branches, 1):5.1f} %")
            for line in lines if missing else []:
                never = [n for n, branch in enumerate(line["branches"]) if not branch["count"]]
                if never:
                    source = Path(name).read_text().splitlines()[line["line_number"] - 1].strip()
                    said.append(f"    {line['line_number']}: {never} of {len(line['branches'])}: {source}")
    percent = 100 * taken_all / max(branches_all, 1)
    said.append(
        f"branch coverage of core/: {percent:.1f} % ({taken_all} of {branches_all}), at least {least_percent:.0f} %"
    )
    sys.stdout.write("\n".join(said) + "\n")
    return 0 if branches_all and percent >= least_percent else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2]), missing="--missing" in sys.argv))
