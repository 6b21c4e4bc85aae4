"""The demo's own home, run whole: every label seen sharply is found by its words, every gap is shown, still scenes are
folded, and no event is folded away.

The truth comes from the home's script; nothing of it travels in a record.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from dataclasses import dataclass

from gateway import config
from gateway.demo.run import Show, Stage, once, staged
from gateway.recall.answer import Query
from gateway.recall.dates import day_of
from gateway.recall.day import GapRow
from gateway.store.db import Connection
from tests.bench.house import models_mirror
from tests.bench.result import Result

TOP = 3
FOLD_BAR = 0.8
NEAR_US = 2_000_000
"""A camera's clock is known to about so much; its frames lie further apart."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a frame."""

    at_us: int
    folded: bool
    of: int | None
    id: int


def run(*, quick: bool, seed: int = 1) -> list[Result]:
    """Three rows. `quick` changes nothing: a home has one size."""
    del quick
    with tempfile.TemporaryDirectory(prefix="hearthlog-home-") as folder:
        environ = {
            "HEARTHLOG_HOME": folder,
            "HEARTHLOG_HTTP_PORT": "0",
            "HEARTHLOG_MODELS_MIRROR": str(models_mirror() or ""),
        }
        return asyncio.run(_measure(config.load(environ), Show(seed=seed)))


async def _measure(settings: config.Settings, show: Show) -> list[Result]:
    async with staged(settings, show, lambda _: None) as stage:
        summary = await once(stage, show)
        labels = await _labels(stage)
        gaps = await _gaps(stage)
        folded, still, hidden, events = await _folding(stage)
    found = [label for label, rank in labels.items() if rank is not None]
    missed = sorted(set(labels) - set(found))
    return [
        Result(
            "the demo's labels found by their words",
            f"{len(found)} of {len(labels)} in the top {TOP}",
            "all",
            not missed,
            f"missed: {missed}; {summary['stored']} stored in {summary['seconds']} s" if missed else "",
        ),
        Result("gaps shown", f"{gaps} of {len(stage.home.losses)}", "all", gaps == len(stage.home.losses)),
        Result(
            "still scenes folded, events folded away",
            f"{folded / max(still, 1):.0%} of {still}, {len(hidden)} of {events}",
            "≥ 80 %, 0",
            folded >= FOLD_BAR * still and not hidden,
            f"folded away: {sorted(hidden)}" if hidden else "",
        ),
    ]


async def _labels(stage: Stage) -> dict[str, int | None]:
    """Label → the rank of the first of the top three that shows these words; None: none does."""
    asked = dict.fromkeys(label for frame in stage.home.truth() for label in frame.labels)
    found: dict[str, int | None] = {}
    for label in asked:
        answer = await stage.gateway.parts.memories.search(stage.viewer, Query(text=label, limit=TOP, parse=False))
        wanted = _letters(label)
        ranks = [rank for rank, hit in enumerate(answer.items) if wanted <= _letters(hit.memory.text)]
        found[label] = ranks[0] if ranks else None
    return found


async def _gaps(stage: Stage) -> int:
    """Losses that have a row of their own on their day."""
    memories = stage.gateway.parts.memories
    shown = 0
    for loss in stage.home.losses:
        day = await memories.day(stage.viewer, day_of(loss.from_us, memories.zone))
        rows = [row for row in day.rows if isinstance(row, GapRow) and row.device.id == loss.camera]
        shown += any(row.gap.last - row.gap.first + 1 == loss.frames for row in rows)
    return shown


async def _folding(stage: Stage) -> tuple[int, int, set[str], int]:
    """(still frames folded, still frames, events none of whose frames stands, events).

    An event is folded away when every frame of it is folded behind one that does not show it; or when none is here.
    """
    fates = await stage.gateway.db.read(_fates)
    folded = still = 0
    events: dict[tuple[str, str], list[Fate]] = defaultdict(list)
    for frame in stage.home.truth():
        fate = _nearest(fates.get(frame.camera, []), frame.at_us)
        if frame.event is not None:
            events[frame.camera, frame.event] += [fate] if fate is not None else []
        elif frame.still:
            still += 1
            folded += fate is not None and fate.folded
    hidden = set()
    for (camera, event), own in events.items():
        ids = {fate.id for fate in own}
        if all(fate.folded and fate.of not in ids for fate in own):
            hidden.add(f"{event} at {camera}")
    return folded, still, hidden, len(events)


def _fates(connection: Connection) -> dict[str, list[Fate]]:
    found: dict[str, list[Fate]] = defaultdict(list)
    for row in connection.execute(
        "SELECT c.id, c.device, c.captured_at_us, u.folded, d.of FROM capture AS c"
        " JOIN understood AS u ON u.capture = c.id LEFT JOIN duplicate AS d ON d.capture = c.id"
        " WHERE c.kind = 'image' AND c.device IS NOT NULL ORDER BY c.captured_at_us"
    ).fetchall():
        found[row["device"]].append(Fate(row["captured_at_us"], bool(row["folded"]), row["of"], row["id"]))
    return found


def _nearest(fates: list[Fate], at_us: int) -> Fate | None:
    best = min(fates, key=lambda fate: abs(fate.at_us - at_us), default=None)
    return best if best is not None and abs(best.at_us - at_us) <= NEAR_US else None


def _letters(text: str) -> set[str]:
    return {word for word in "".join(each if each.isalnum() else " " for each in text.upper()).split() if len(word) > 1}
