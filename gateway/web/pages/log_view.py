"""The rows of a day's log as values for `parts/row.html`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.entities import Device, Kind, Memory
from gateway.recall.day import Day, GapRow, MomentRow, NoteRow, QuietRow, Row, SoundRow, UncertainRow
from gateway.web.pages import words
from gateway.web.pages.day_view import Asked
from gateway.web.pages.thumbs import Thumb, media, thumb
from gateway.web.pages.words import Badge, count

LIVE_US = 5 * words.MINUTE_US
"""A moment whose last frame is younger than this goes on."""
STILLS_SHOWN = 60


@dataclass(frozen=True, slots=True)
class LogRow:
    """One line of the log. Which fields count depends on `kind`."""

    kind: str
    """`moment`, `quiet`, `gap`, `sound`, `uncertain` or `note`."""
    key: str
    time: str
    under: str
    title: str
    from_us: int
    to_us: int
    text: str = ""
    place: str = ""
    counts: str = ""
    badge: Badge | None = None
    front: Thumb | None = None
    thumbs: tuple[Thumb, ...] = ()
    more: int = 0
    more_href: str = ""
    search_href: str = ""
    media: str = ""
    live: bool = False
    open: bool = False


def row(given: Row, day: Day, asked: Asked) -> LogRow:
    """One row for the template."""
    match given:
        case MomentRow():
            return _moment(given, day)
        case QuietRow():
            return _quiet(given, day, asked)
        case UncertainRow():
            return _uncertain(given, day, asked)
        case GapRow():
            return _gap(given, day)
        case SoundRow():
            return _sound(given.memory, day)
        case NoteRow():
            return _note(given.memory, day)


def rows(day: Day, asked: Asked) -> tuple[LogRow, ...]:
    """Every row that touches what is asked for, newest first."""
    made = (row(given, day, asked) for given in day.rows)
    return tuple(each for each in made if asked.from_us is None or _touches(each, asked))


def opened(given: LogRow, stills: Sequence[Memory], *, more: int, zone: str) -> LogRow:
    """A folded row with its still pictures."""
    return replace(given, open=True, thumbs=tuple(thumb(each, zone) for each in stills), more=max(0, more))


def _touches(each: LogRow, asked: Asked) -> bool:
    assert asked.from_us is not None and asked.to_us is not None
    return each.from_us < asked.to_us and each.to_us >= asked.from_us


def _place(device: Device | None) -> str:
    return device.name if device else "Added by people"


def _moment(given: MomentRow, day: Day) -> LogRow:
    front = _front(given)
    others = [
        each for each in given.memories if each.capture.uid != front.capture.uid and each.capture.kind is Kind.IMAGE
    ]
    live = 0 <= day.now_us - given.to_us < LIVE_US
    small = _spread(others, 3)
    counts = [count(given.pictures, "picture")] if given.pictures else []
    if given.sounds:
        counts.append(count(given.sounds, "sound"))
    title = words.heading(given.caption or _untold(given, front))
    return LogRow(
        kind="moment",
        key=f"m{given.from_us}-{given.device.id if given.device else ''}",
        time=words.clock(given.from_us, day.zone),
        under="so far" if live else words.span(given.to_us - given.from_us) if given.to_us > given.from_us else "",
        title=title,
        from_us=given.from_us,
        to_us=given.to_us,
        text=_also(given.memories, title),
        place=_place(given.device),
        counts=" · ".join(counts),
        badge=words.caption_badge(front.caption_source) if given.caption else None,
        front=thumb(front, day.zone),
        thumbs=tuple(thumb(each, day.zone, size=128) for each in small),
        more=max(0, given.pictures - 1 - len(small)),
        more_href=_search(given.device, day, given.from_us, given.to_us + words.SECOND_US),
        live=live,
    )


def _untold(given: MomentRow, front: Memory) -> str:
    """What a moment without a caption is called."""
    if given.pictures > 1 and not (front.text or front.transcript):
        return f"{count(given.pictures, 'picture')}, not understood yet"
    return words.title(front)


def _search(device: Device | None, day: Day, from_us: int, to_us: int) -> str:
    """Everything of that stretch in Search."""
    start, end = (words.local(at_us, day.zone).strftime("%Y-%m-%dT%H:%M:%S") for at_us in (from_us, to_us))
    return f"/search?{f'device={device.id}&' if device else ''}from={start}&to={end}&folded=1"


def _front(given: MomentRow) -> Memory:
    """The picture that the moment's caption is about; else the one that says most."""
    for each in given.memories:
        if each.caption and each.caption == given.caption:
            return each
    return max(given.memories, key=lambda each: (each.capture.kind is Kind.IMAGE, len(each.caption)))


def _also(memories: Sequence[Memory], title: str) -> str:
    """What else was read or heard in a moment, in its own words."""
    heard = next((each.transcript for each in memories if each.transcript), "")
    printed = next((" ".join(each.text.split()) for each in memories if each.text), "")
    title = " ".join(title.replace(" / ", " ").split())
    parts = []
    if printed and printed not in title and " ".join(printed.split()[:3]) not in title:
        parts.append(f"Reads “{printed[:120]}”.")
    if heard and heard not in title:
        parts.append(f"Heard: “{heard[:120]}”")
    return " ".join(parts)


def _spread(memories: Sequence[Memory], n: int) -> list[Memory]:
    """n of them, evenly apart."""
    if len(memories) <= n:
        return list(memories)
    return [memories[round(k * (len(memories) - 1) / (n - 1))] for k in range(n)]


def _toggle(key: str, day: Day, asked: Asked) -> tuple[bool, str]:
    is_open = key in asked.show or "all" in asked.show
    show = asked.show - {key, "all"} if is_open else asked.show | {key}
    return is_open, f"/day/{day.day}{asked.query(day.zone, show=frozenset(show))}"


def _quiet(given: QuietRow, day: Day, asked: Asked) -> LogRow:
    key = f"q{given.from_us}"
    is_open, href = _toggle(key, day, asked)
    rooms = len(given.devices)
    length = words.span(max(given.to_us - given.from_us, words.MINUTE_US))
    return LogRow(
        kind="quiet",
        key=key,
        time=words.clock(given.from_us, day.zone),
        under="",
        title=f"{length}, nothing changed",
        from_us=given.from_us,
        to_us=given.to_us,
        text=(
            f"{count(given.frames, 'still frame')} in {count(rooms, 'room')}, folded into {given.folded_into:,}"
            if given.frames
            else "nothing came"
        ),
        more_href=href,
        search_href=_search(None, day, given.from_us, given.to_us + words.SECOND_US),
        open=is_open,
    )


def _uncertain(given: UncertainRow, day: Day, asked: Asked) -> LogRow:
    device = given.device.id if given.device else ""
    key = f"u{given.from_us}-{device}"
    is_open, href = _toggle(key, day, asked)
    return LogRow(
        kind="uncertain",
        key=key,
        time=f"≈ {words.clock((given.from_us + given.to_us) // 2, day.zone)}",
        under=words.plus_minus(given.error_us),
        title=f"{_place(given.device)}: {count(given.frames, 'frame')} with an uncertain time.",
        from_us=given.from_us,
        to_us=given.to_us,
        text=given.why,
        thumbs=tuple(thumb(each, day.zone) for each in given.memories),
        more=max(0, given.frames - len(given.memories)),
        more_href=href,
        search_href=_search(given.device, day, given.from_us, given.to_us + words.SECOND_US),
        open=is_open,
    )


def _gap(given: GapRow, day: Day) -> LogRow:
    gap = given.gap
    n = gap.last - gap.first + 1
    reason = words.gap_reason(gap.reason)
    numbers = f"numbers {gap.first:,} to {gap.last:,}" if n > 1 else f"number {gap.first:,}"
    return LogRow(
        kind="gap",
        key=f"g{gap.id}",
        time=words.clock(gap.from_us, day.zone),
        under=words.span(max(gap.to_us - gap.from_us, words.SECOND_US)),
        title=f"{given.device.name}: {count(n, 'frame')} lost" + (f", {reason}" if reason else ""),
        from_us=gap.from_us,
        to_us=gap.to_us,
        text=f"The camera reported the loss itself ({numbers}). They cannot be recovered.",
        more_href=f"/devices#{given.device.id}",
    )


def _sound(memory: Memory, day: Day) -> LogRow:
    capture = memory.capture
    place = _name(day, capture.device)
    length = words.play_time(capture.duration_us or 0)
    said = bool(memory.transcript)
    return LogRow(
        kind="sound",
        key=f"s{capture.uid}",
        time=words.clock(capture.captured_at.at_us, day.zone),
        under=place,
        title=f"“{memory.transcript}”" if said else words.title(memory),
        from_us=capture.captured_at.at_us,
        to_us=capture.captured_at.at_us,
        text=f"{'Voice note' if said else 'Sound'}, {length}"
        + (f" · {words.how_heard(memory).lower()}" if said else ""),
        badge=words.privacy_badge(capture.privacy),
        front=thumb(memory, day.zone),
        media=media(capture.uid),
    )


def _note(memory: Memory, day: Day) -> LogRow:
    capture = memory.capture
    kind = {Kind.TEXT: "Note", Kind.IMAGE: "Photo", Kind.VIDEO: "Video", Kind.AUDIO: "Sound"}[capture.kind]
    return LogRow(
        kind="note",
        key=f"n{capture.uid}",
        time=words.clock(capture.captured_at.at_us, day.zone),
        under=_name(day, capture.device),
        title=words.title(memory),
        from_us=capture.captured_at.at_us,
        to_us=capture.captured_at.at_us,
        text=words.listed((kind, capture.source_name)),
        badge=words.privacy_badge(capture.privacy),
        front=thumb(memory, day.zone),
    )


def _name(day: Day, device: str | None) -> str:
    names: Mapping[str, str] = {each.id: each.name for each in day.devices}
    return names.get(device or "", "")
