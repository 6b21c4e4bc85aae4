"""The words of the pages: instants, spans, counts and badges, in the home's zone and as the design writes them.

Everything here is pure: microseconds since 1970 UTC in, short English out. Nothing is escaped; templates do that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from gateway.entities import Capture, CapturedAt, Confidence, DuplicateKind, Kind, Memory, Privacy, TimeSource

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
# never the locale's
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August"),
    *("September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Badge:
    """A word in a coloured ground."""

    icon: str
    """Of the sprite; empty: none."""
    text: str
    tone: str = ""
    """`good`, `look`, `wrong`, `ember`, `person` or empty."""


def local(at_us: int, zone: str) -> datetime:
    """The instant as a clock on the wall of the home shows it."""
    return datetime.fromtimestamp(at_us / SECOND_US, tz=ZoneInfo(zone))


def clock(at_us: int, zone: str, *, seconds: bool = False) -> str:
    """`18:42`, or `18:42:07`."""
    return local(at_us, zone).strftime("%H:%M:%S" if seconds else "%H:%M")


def tenths(at_us: int, zone: str) -> str:
    """`11:06:42.1`."""
    moment = local(at_us, zone)
    return f"{moment:%H:%M:%S}.{moment.microsecond // 100_000}"


def long_day(day: date) -> str:
    """`Thursday 24 September`."""
    return f"{_DAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]}"


def short_day(day: date, *, year: bool = False) -> str:
    """`Thu 24 Sep`, with the year if asked for."""
    text = f"{_DAYS[day.weekday()][:3]} {day.day} {_MONTHS[day.month - 1][:3]}"
    return f"{text} {day.year}" if year else text


def weekday(day: date) -> str:
    """`Thu`."""
    return _DAYS[day.weekday()][:3]


def short_when(at_us: int, now_us: int, zone: str) -> str:
    """`today 14:12`, `Wed 21:40` within a week, else `3 Sep 21:40`."""
    moment, today = local(at_us, zone), local(now_us, zone).date()
    if moment.date() == today:
        return f"today {moment:%H:%M}"
    if timedelta(0) < today - moment.date() < timedelta(days=7):
        return f"{weekday(moment.date())} {moment:%H:%M}"
    return f"{moment.day} {_MONTHS[moment.month - 1][:3]} {moment:%H:%M}"


def span(length_us: int) -> str:
    """`41 s`, `32 min`, `2 h 10 min`, `3 d 4 h`: two parts at most, rounded down."""
    seconds = max(0, length_us) // SECOND_US
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3_600:
        return f"{seconds // 60} min"
    hours, minutes = seconds // 3_600, seconds % 3_600 // 60
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"


def seconds_span(length_s: float) -> str:
    """Like `span`, but `1 m 52 s` below ten minutes: for queues, where seconds count."""
    whole = int(length_s)
    if 60 <= whole < 600:
        return f"{whole // 60} m {whole % 60} s"
    return span(whole * SECOND_US)


def ago(at_us: int, now_us: int) -> str:
    """`3 s ago`; an instant ahead of us is `now`."""
    return "now" if at_us > now_us - SECOND_US else f"{span(now_us - at_us)} ago"


def number(value: float) -> str:
    """`6,240`; one decimal below ten where it is not whole."""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.1f}" if abs(value) < 10 else f"{value:,.0f}"


def count(n: int, one: str, many: str = "") -> str:
    """`1 picture`, `58 pictures`, `0 pictures`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def size(length_bytes: int) -> str:
    """`71 KB`, `2.4 MB`."""
    if length_bytes < 1_000:
        return f"{length_bytes} B"
    value, unit = length_bytes / 1e3, "KB"
    for bigger in ("MB", "GB"):
        if value >= 999.5:
            value, unit = value / 1e3, bigger
    return f"{number(round(value, 1) if value < 9.95 else round(value))} {unit}"


def listed(words: Iterable[str]) -> str:
    """`Porch, Hall`: what is empty or repeated is left out."""
    return ", ".join(dict.fromkeys(word for word in words if word))


def play_time(length_us: int) -> str:
    """`0:07`."""
    seconds = max(0, length_us) // SECOND_US
    return f"{seconds // 60}:{seconds % 60:02d}"


def plus_minus(error_us: int) -> str:
    """`± 80 ms`, `± 2 s`, `± 20 min`."""
    if error_us < SECOND_US:
        return f"± {max(1, error_us // 1_000)} ms"
    if error_us < 10 * SECOND_US:
        return f"± {number(round(error_us / SECOND_US, 1))} s"
    return f"± {span(error_us)}"


def time_badge(captured_at: CapturedAt) -> Badge:
    """Sure, Likely or Uncertain, with ±."""
    how = plus_minus(captured_at.error_us)
    match captured_at.confidence:
        case Confidence.SURE:
            return Badge("check", f"Sure, {how}", "good")
        case Confidence.LIKELY:
            return Badge("clock", f"Likely, {how}")
    return Badge("clock", f"Uncertain, {how}", "look")


_HOW = {
    TimeSource.DEVICE_SYNCED: "The camera’s clock, set from this box",
    TimeSource.DEVICE_ESTIMATE: "Reckoned from the camera’s clock",
    TimeSource.EXIF: "Written in the picture",
    TimeSource.CONTAINER: "Written in the file",
    TimeSource.FILE_NAME: "Read from the file’s name",
    TimeSource.ARRIVAL: "Dated on arrival",
}


def how_we_know(source: TimeSource) -> str:
    """Where a time comes from, as a sentence."""
    return _HOW[source]


def caption_badge(source: str) -> Badge:
    """Who said it. `source` as in Memory.caption_source."""
    kind, _, name = source.partition(":")
    if kind == "person":
        return Badge("person", f"Written by {name}", "person")
    if kind == "model":
        return Badge("model", "Written by a model")
    return Badge("objects", "Put together from objects")


_COPIES = {
    DuplicateKind.EXACT: "Exact",
    DuplicateKind.REENCODED: "Re-encoded",
    DuplicateKind.EDITED: "Edited",
    DuplicateKind.BURST: "Burst",
    DuplicateKind.STATIC: "Same still scene",
}


def copy_badge(kind: DuplicateKind) -> Badge:
    """How one picture repeats another."""
    return Badge("copy", _COPIES[kind])


FLAWS = {
    "dark": (Badge("moon", "Dark", "look"), "There was too little light to see by."),
    "covered": (Badge("hide", "Covered", "look"), "The camera saw next to nothing: something may be in front of it."),
    "blurred": (Badge("eye", "Blurred", "look"), "Nothing in it is sharp."),
    "overexposed": (Badge("warn", "Too bright", "look"), "There was far too much light."),
    "turned": (Badge("again", "Turned", "look"), "The camera looks another way than before."),
}
"""What is wrong with a picture: fault → the word, and what it means."""

_PRIVACY = {
    Privacy.PRIVATE: Badge("lock", "Only me"),
    Privacy.CIRCLE: Badge("home", "Circle"),
    Privacy.PUBLIC: Badge("eye", "Public"),
}


def privacy_badge(privacy: Privacy) -> Badge:
    """Who may see it, in two words."""
    return _PRIVACY[privacy]


_KINDS = {Kind.IMAGE: "Pictures", Kind.AUDIO: "Sounds", Kind.TEXT: "Written", Kind.VIDEO: "Videos"}


def kind_name(kind: Kind) -> str:
    """What a filter calls a kind."""
    return _KINDS[kind]


_STEPS = {
    "quality": "Read the file",
    "dedupe": "Duplicates",
    "detect": "Objects",
    "classify": "What it is of",
    "caption": "Caption",
    "ocr": "Printed text",
    "vad": "Voices",
    "asr": "Speech",
    "speakers": "Who spoke",
    "sound": "Sounds",
    "note": "Words",
    "embed": "Meaning, words",
    "look": "Meaning, picture",
}


def step_name(step: str) -> str:
    """What people call a step; a step that is not known here keeps its name."""
    return _STEPS.get(step, step.replace("-", " ").capitalize())


_REASONS = {
    "card-full": "card full",
    "full": "card full",
    "overflow": "card full",
    "power": "power lost",
    "crc": "damaged on its card",
    "corrupt": "damaged on its card",
}


def gap_reason(reason: str) -> str:
    """Why a device lost records; its own word where it is none of ours."""
    return _REASONS.get(reason, reason.replace("-", " ").replace("_", " "))


def title(memory: Memory) -> str:
    """One line for a memory: its caption, what was said, what is printed, or what it is."""
    for text in (memory.caption, memory.transcript, memory.text):
        if text.strip():
            return text.strip()
    return {
        Kind.IMAGE: "A picture, not understood yet",
        Kind.AUDIO: "A sound, not understood yet",
        Kind.VIDEO: "A video, not understood yet",
        Kind.TEXT: "A note",
    }[memory.capture.kind]


def heading(text: str) -> str:
    """One sentence as a heading: without its full stop."""
    return text[:-1] if text.endswith(".") and ". " not in text else text


def sentences(*parts: str) -> str:
    """Each part as a sentence of its own: `nothing is here` becomes `Nothing is here.`"""
    said = (part.strip() for part in parts)
    return " ".join(
        part[0].upper() + part[1:] + ("" if part.endswith((".", "!", "?")) else ".") for part in said if part
    )


def alt(memory: Memory) -> str:
    """The alternative text of a picture: its caption, and who said it."""
    if not memory.caption:
        return "A picture without a caption yet"
    return f"{memory.caption.rstrip('.')}. {caption_badge(memory.caption_source).text}."


def frame_name(capture: Capture, place: str) -> str:
    """`Porch, frame 48,097`, or the file's name where no camera took it."""
    if capture.record is not None:
        return f"{place}, frame {capture.record.sequence:,}"
    return place or capture.source_name


def how_heard(memory: Memory) -> str:
    """Who wrote a transcript down. A recogniser that is only good for a draft is said to be one."""
    note = next((note for note in memory.annotations if note.step == "asr" and not note.skipped), None)
    if note is None or note.annotation.transcript != memory.transcript:
        return "Words corrected by a person"
    if note.annotation.data.get("draft"):
        return "A rough draft, heard on this device"
    return "Heard on this device, not checked"
