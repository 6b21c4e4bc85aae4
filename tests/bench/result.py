"""One row of the table: what was measured, against which bar, and how it went."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

NO_BAR = "none set"
"""The bar of a figure that is only looked at."""


@dataclass(frozen=True, slots=True)
class Result:
    """A figure beside its bar. `passed` None: it could not be measured here, and `detail` says why."""

    name: str
    figure: str
    bar: str
    passed: bool | None
    detail: str = ""


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of them lie, by the nearest rank; nan of none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]


def table(results: Sequence[Result]) -> str:
    """The rows in Markdown, as the README quotes them."""
    lines = ["| what | figure | bar | met |", "| --- | --- | --- | --- |"]
    met = {True: "yes", False: "NO", None: "not measured"}
    for each in results:
        said = "" if each.passed and each.bar == NO_BAR else met[each.passed]
        lines.append(f"| {each.name} | {each.figure} | {each.bar} | {said} |")
    lines += ["", *(f"- {each.name}: {each.detail}" for each in results if each.detail)]
    return "\n".join(lines)


def write_json(results: Sequence[Result], path: Path, *, about: dict[str, object]) -> None:
    """The same for machines."""
    path.write_text(json.dumps({**about, "results": [asdict(each) for each in results]}, indent=1) + "\n")
