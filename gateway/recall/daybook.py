"""A day of the home, put together from its frames: strip, moments, quiet stretches, losses, and figures that add up.

Every frame of a camera that the viewer may see is in exactly one place: folded (still or copy), set aside, or shown;
and every one that is shown is in exactly one row.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from gateway.entities import Device, Gap, Memory, TimeSource, Viewer
from gateway.policy import Sql, knows_device, visible
from gateway.recall.dates import day_bounds
from gateway.recall.day import (
    Day,
    GapRow,
    MomentRow,
    NoteRow,
    QuietRow,
    Row,
    SoundRow,
    StripRow,
    UncertainRow,
    Where,
)
from gateway.store import devices as device_rows
from gateway.store import reading
from gateway.store.captures import Shelf
from gateway.store.db import Connection
from gateway.store.reading import Frame

PAUSE_US = 5 * 60_000_000
"""A moment ends when its camera has shown nothing new for so long."""
QUIET_US = 10 * 60_000_000
UNCERTAIN_US = 120_000_000
QUARTER_US = 15 * 60_000_000
PICTURES_A_ROW = 12
_OFF_US = 10 * 60_000_000
_OFF_TIMES = 6
"""Off: silent for longer than ten minutes and than six of the camera's usual pauses at that time of the day."""
_NEAR = 7
"""Pauses before and after a silence, by which it is judged: a camera may be in a hurry in the morning alone."""

_WHY = {
    TimeSource.DEVICE_ESTIMATE: "Its clock was not set yet; the time lies between what is known.",
    TimeSource.EXIF: "The time is the one in the file.",
    TimeSource.CONTAINER: "The time is the one in the file.",
    TimeSource.FILE_NAME: "The time is the one in the file's name.",
    TimeSource.ARRIVAL: "It told no time; this is when it arrived.",
    TimeSource.DEVICE_SYNCED: "Its clock had not been set for long.",
}


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of a day, each in one list."""

    stands: tuple[Frame, ...]
    """Shown, with a time that is known to two minutes; of cameras and people."""
    uncertain: tuple[Frame, ...]
    """Shown, and their time is not known."""
    folded: tuple[Frame, ...]
    aside: tuple[Frame, ...]


def day(
    connection: Connection, viewer: Viewer, which: date, *, zone: str, now_us: int, shelf: Shelf | None = None
) -> Day:
    """Put a day together as the viewer may see it. Blocks: call it where SQLite is read."""
    seen = visible(viewer)
    from_us, to_us = day_bounds(which, zone)
    everything = reading.frames(connection, seen, from_us=from_us, to_us=to_us)
    frames = sort(everything)
    cameras = {device.id: device for device in device_rows.all_of(connection)}
    sending = {frame.device for frame in everything if frame.device}
    known = {name: device for name, device in cameras.items() if name in sending or knows_device(viewer, device)}
    gaps = device_rows.gaps(connection, from_us=from_us, to_us=to_us, devices=list(known))
    strip = tuple(
        _strip(device, everything, gaps, bounds=(from_us, min(to_us, max(now_us, from_us)), to_us))
        for device in known.values()
        if device.first_seen_us < to_us or device.id in sending
    )
    rows = drafts(frames, gaps, known, (from_us, min(to_us, now_us)))
    return Day(
        day=which,
        zone=zone,
        from_us=from_us,
        to_us=to_us,
        now_us=now_us,
        devices=tuple(known.values()),
        strip=strip,
        people=tuple((frame.at_us, frame.uid) for frame in everything if frame.device is None and not frame.folded),
        rows=tuple(_with_memories(connection, rows, seen, shelf)),
        totals=where(everything, sum(lost for line in strip for _, _, lost in line.lost)),
        memories=len(frames.stands) + len(frames.uncertain),
    )


def sort(everything: Sequence[Frame]) -> Frames:
    """Put each frame where it belongs. Folded comes before set aside: a copy of what is shown is not missing."""
    folded, aside, uncertain, stands = [], [], [], []
    for frame in everything:
        if frame.folded:
            folded.append(frame)
        elif frame.set_aside:
            aside.append(frame)
        elif frame.error_us > UNCERTAIN_US and frame.device is not None:
            uncertain.append(frame)
        else:
            stands.append(frame)
    return Frames(tuple(stands), tuple(uncertain), tuple(folded), tuple(aside))


def where(everything: Sequence[Frame], lost: int) -> Where:
    """Count the frames of cameras; what people added is not a frame that was taken."""
    own = sort([frame for frame in everything if frame.device is not None])
    stills = sum(frame.folded == "static" for frame in own.folded)
    stored = len(own.stands) + len(own.uncertain) + len(own.folded) + len(own.aside)
    return Where(
        taken=stored + lost,
        lost=lost,
        stored=stored,
        folded_static=stills,
        folded_copies=len(own.folded) - stills,
        set_aside=len(own.aside),
        shown=len(own.stands) + len(own.uncertain),
    )


def _strip(
    device: Device, everything: Sequence[Frame], gaps: Sequence[Gap], *, bounds: tuple[int, int, int]
) -> StripRow:
    from_us, until_us, to_us = bounds
    own = [frame for frame in everything if frame.device == device.id]
    shown = [frame for frame in own if not frame.folded and not frame.set_aside]
    counts = [0] * -(-(to_us - from_us) // QUARTER_US)
    for frame in shown:
        if frame.kind in ("image", "video"):
            counts[(frame.at_us - from_us) // QUARTER_US] += 1
    lost = tuple(
        (max(gap.from_us, from_us), min(max(gap.to_us, gap.from_us + 1), to_us), gap.last - gap.first + 1)
        for gap in gaps
        if gap.device == device.id and from_us <= gap.from_us < to_us
    )
    return StripRow(device, tuple(counts), len(shown), lost, _off(device, own, lost, (from_us, until_us)))


def _off(
    device: Device, own: Sequence[Frame], lost: Sequence[tuple[int, int, int]], bounds: tuple[int, int]
) -> tuple[tuple[int, int], ...]:
    """Silences far beyond the camera's habit. A day without a single frame is one whole silence."""
    times = [frame.at_us for frame in own]
    known_us = min([device.first_seen_us, *times[:1]])  # what it kept on its card is older than its first message
    from_us, until_us = max(bounds[0], min(known_us, bounds[1])), bounds[1]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    heard = sorted([*times, *(edge for start, end, _ in lost for edge in (start, end))])
    edges = [from_us, *(at for at in heard if from_us <= at <= until_us), until_us]
    return tuple(
        (start, end)
        for start, end in pairwise(edges)
        if end - start > max(_OFF_US, _OFF_TIMES * _usual(pauses, bisect_right(times, start)))
    )


def _usual(pauses: Sequence[int], after: int) -> int:
    """A long pause (the third quartile: frames come in flurries) of those around the one that begins with the last of
    `after` frames; 0 without any."""
    near = sorted([*pauses[max(0, after - 1 - _NEAR) : max(0, after - 1)], *pauses[after : after + _NEAR]] or pauses)
    return near[len(near) * 3 // 4] if near else 0


@dataclass(frozen=True, slots=True)
class _Moment:
    """A moment before its memories are read. What nobody has judged yet is one moment, however long it is."""

    frames: tuple[Frame, ...]
    device: Device | None

    @property
    def shown(self) -> tuple[Frame, ...]:
        """At most PICTURES_A_ROW of them, spread evenly, first and last among them."""
        count = len(self.frames)
        if count <= PICTURES_A_ROW:
            return self.frames
        return tuple(self.frames[n * (count - 1) // (PICTURES_A_ROW - 1)] for n in range(PICTURES_A_ROW))


@dataclass(frozen=True, slots=True)
class _Single:
    """A note or a sound of its own."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class _Unsure:
    frames: tuple[Frame, ...]
    device: Device | None


Draft = _Moment | _Single | _Unsure | QuietRow | GapRow


def drafts(
    frames: Frames, gaps: Sequence[Gap], known: dict[str, Device], bounds: tuple[int, int]
) -> list[tuple[int, Draft]]:
    """(instant it is sorted by, row), newest first."""
    rows: list[tuple[int, Draft]] = []
    runs: dict[str | None, list[list[Frame]]] = defaultdict(list)
    for frame in frames.stands:
        if frame.kind == "text" or (frame.kind == "audio" and frame.heard):
            rows.append((frame.at_us, _Single(frame)))
            continue
        own = runs[frame.device]
        last = own[-1][-1] if own else None
        if last and (frame.at_us - last.at_us < PAUSE_US or (frame.pending and last.pending)):
            own[-1].append(frame)
        else:
            own.append([frame])
    rows += [
        (run[0].at_us, _Moment(tuple(run), known.get(device or ""))) for device, own in runs.items() for run in own
    ]
    unsure: dict[str | None, list[Frame]] = defaultdict(list)
    for frame in frames.uncertain:
        unsure[frame.device].append(frame)
    rows += [(own[0].at_us, _Unsure(tuple(own), known.get(device or ""))) for device, own in unsure.items()]
    rows += [
        (gap.from_us, GapRow(gap, known[gap.device]))
        for gap in gaps
        if bounds[0] <= gap.from_us and gap.device in known
    ]
    rows += [(row.from_us + 1, row) for row in _quiet(frames, known, gaps, bounds)]  # after what it begins with
    rows.sort(key=lambda entry: entry[0], reverse=True)
    return rows


def _quiet(frames: Frames, known: dict[str, Device], gaps: Sequence[Gap], bounds: tuple[int, int]) -> list[QuietRow]:
    """Stretches of at least ten minutes in which frames came and every one of them was folded."""
    busy = sorted(
        {frame.at_us for frame in (*frames.stands, *frames.aside)}
        | {edge for gap in gaps for edge in (gap.from_us, gap.to_us) if bounds[0] <= edge < bounds[1]}
    )
    edges = [bounds[0], *busy, bounds[1]]
    times = [frame.at_us for frame in frames.folded]
    found = []
    for start, end in pairwise(edges):
        if end - start < QUIET_US:
            continue
        still = frames.folded[bisect_left(times, start) : bisect_left(times, end)]
        if not still:
            continue
        names = {frame.device for frame in still}
        found.append(
            QuietRow(
                from_us=start,
                to_us=end,
                frames=len(still),
                folded_into=len({frame.folded_into for frame in still}),
                devices=tuple(device for name, device in known.items() if name in names),
            )
        )
    return found


def _with_memories(
    connection: Connection, rows: Sequence[tuple[int, Draft]], seen: Sql, shelf: Shelf | None
) -> list[Row]:
    wanted = dict.fromkeys(frame.id for _, row in rows for frame in _needed(row))
    memories = {memory.capture.id: memory for memory in reading.by_ids(connection, list(wanted), seen, shelf)}
    made: list[Row] = []
    for _, row in rows:
        found = tuple(memories[frame.id] for frame in _needed(row) if frame.id in memories)
        if isinstance(row, _Moment):
            made.append(_moment(row, found))
        elif isinstance(row, _Unsure):
            made.append(_unsure(row, found))
        elif isinstance(row, _Single):
            made += [SoundRow(memory) if row.frame.kind == "audio" else NoteRow(memory) for memory in found]
        else:
            made.append(row)
    return made


def frames_of(row: Draft) -> tuple[Frame, ...]:
    """The frames that a row stands for."""
    if isinstance(row, _Moment | _Unsure):
        return row.frames
    return (row.frame,) if isinstance(row, _Single) else ()


def _needed(row: Draft) -> tuple[Frame, ...]:
    if isinstance(row, _Moment):
        return row.shown
    if isinstance(row, _Unsure):
        return row.frames[:PICTURES_A_ROW]
    return (row.frame,) if isinstance(row, _Single) else ()


def _moment(row: _Moment, memories: tuple[Memory, ...]) -> MomentRow:
    captions = Counter(frame.caption for frame in row.frames if frame.caption)
    most = max(captions.values(), default=0)
    caption = max(
        (text for text, count in captions.items() if count == most), key=lambda text: (len(text), text), default=""
    )
    sounds = sum(frame.kind == "audio" for frame in row.frames)
    return MomentRow(
        from_us=row.frames[0].at_us,
        to_us=row.frames[-1].at_us,
        device=row.device,
        memories=memories,
        pictures=len(row.frames) - sounds,
        sounds=sounds,
        caption=caption,
    )


def _unsure(row: _Unsure, memories: tuple[Memory, ...]) -> UncertainRow:
    widest = max(row.frames, key=lambda frame: frame.error_us)
    return UncertainRow(
        device=row.device,
        frames=len(row.frames),
        from_us=row.frames[0].at_us,
        to_us=row.frames[-1].at_us,
        error_us=widest.error_us,
        why=_WHY[TimeSource(widest.source)],
        memories=memories,
    )
