"""`quality` on real pictures that are sound, dark, blurred, covered, overexposed or turned (`quality_suite`).

The network that ships stands beside the rules that are there without it, on the same pictures in the same run. The
turned ones are told apart as the product tells them, by what the same camera saw before; how much of a turn shows in
one picture alone, nobody here claims to know.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gateway.entities import Json
from gateway.inference.families import pixels
from gateway.inference.manifest import manifests_folder, read_manifests
from gateway.inference.pictures import Picture
from gateway.inference.runtime import OnnxModel
from gateway.pipeline.steps import quality
from gateway.pipeline.turn import Grid, turned
from tests.bench import shared
from tests.bench.quality_suite import FAULTS, TURNED, Case, cases
from tests.bench.result import Result, percentile

BAR = 0.95
_NAMES = {"": "sound"}


@dataclass(frozen=True, slots=True)
class Judged:
    """A case and what two judges said of it."""

    case: Case
    by_net: str
    by_rules: str
    stands_turned: bool
    """By what the camera saw before."""
    took_ms: float
    """Measuring and judging, decoding left out."""


def run(*, quick: bool) -> Result:
    """The table by faults on stdout, and balanced accuracy beside the bar."""
    name = "quality: balanced accuracy on real pictures degraded"
    media = shared.media()
    if media is None:
        return Result(name, "", f"≥ {BAR}", None, "no pictures here")
    manifest = read_manifests()["quality"]
    net = OnnxModel(manifests_folder() / manifest.files[0].name, threads=1)
    found = [_judged(each, net) for each in cases(media, each=2 if quick else 8)]
    lit = [each for each in found if each.case.fault != TURNED]
    sides = [each for each in found if each.case.fault in ("", TURNED)]
    judges: dict[str, Callable[[Judged], str]] = {"network": lambda j: j.by_net, "rules": lambda j: j.by_rules}
    recalls = {title: _recalls(lit, judge, FAULTS[:-1]) for title, judge in judges.items()}
    whole = {title: _recalls(found, _with_turned(judge), FAULTS) for title, judge in judges.items()}
    print(_table(recalls, whole))
    balanced = {title: float(np.mean(list(by.values()))) for title, by in recalls.items()}
    all_told = {title: float(np.mean(list(by.values()))) for title, by in whole.items()}
    turn = _recalls(sides, lambda j: TURNED if j.stands_turned else "", ("", TURNED))
    best = float(np.mean(list(whole["network"].values())))
    return Result(
        name=name,
        figure=f"{best:.3f}",
        bar=f"≥ {BAR}",
        passed=best >= BAR,
        detail=(
            f"{len(found)} cases of {len({each.case.name for each in found})} pictures; without the turned "
            f"{balanced['network']:.3f}, the rules alone {balanced['rules']:.3f} and {all_told['rules']:.3f}; turned "
            f"beside an earlier frame {turn[TURNED]:.3f} at {1 - turn['']:.3f} false; measuring and judging "
            f"{percentile([each.took_ms for each in found], 0.5):.1f} ms (p50), "
            f"{percentile([each.took_ms for each in found], 0.95):.1f} ms (p95)"
        ),
    )


def _judged(case: Case, net: OnnxModel) -> Judged:
    began_s = time.perf_counter()
    seen = pixels.measure(Picture(case.image, *case.image.size), net)
    took_ms = (time.perf_counter() - began_s) * 1000
    before = pixels.measure(Picture(case.before, *case.before.size))
    rules = {key: value for key, value in seen.items() if key != "faults"}
    return Judged(case, quality.fault_of(seen), quality.fault_of(rules), turned(_grid(before), _grid(seen)), took_ms)


def _grid(seen: Json) -> Grid:
    return np.frombuffer(seen["grid"], dtype=np.uint8).astype(np.float32).reshape(24, 32)


def _with_turned(judge: Callable[[Judged], str]) -> Callable[[Judged], str]:
    """A turn first: what is the earlier picture, turned, does show it."""
    return lambda judged: TURNED if judged.stands_turned else judge(judged)


def _recalls(found: Sequence[Judged], judge: Callable[[Judged], str], faults: Sequence[str]) -> dict[str, float]:
    said = [(each.case.fault, judge(each)) for each in found]
    return {fault: float(np.mean([told == fault for truth, told in said if truth == fault])) for fault in faults}


def _table(recalls: dict[str, dict[str, float]], whole: dict[str, dict[str, float]]) -> str:
    titles = [*recalls, *(f"{title}, with turned" for title in whole)]
    columns = [*recalls.values(), *whole.values()]
    lines = [f"| recall | {' | '.join(titles)} |", f"| --- |{' --- |' * len(titles)}"]
    for fault in FAULTS:
        cells = [f"{by[fault]:.3f}" if fault in by else "" for by in columns]
        lines.append(f"| {_NAMES.get(fault, fault)} | {' | '.join(cells)} |")
    means = [f"{np.mean(list(by.values())):.3f}" for by in columns]
    return "\n".join([*lines, f"| balanced accuracy | {' | '.join(means)} |"]) + "\n"
