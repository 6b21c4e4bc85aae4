"""A day of the home, and the days before it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, TypedDict

from pydantic import BaseModel, Field

from gateway.entities import Device
from gateway.recall import day as recalled
from gateway.shapes import MemoryOut, Shape, instant, memory_out
from gateway.web.route import Ask, Model, reads
from gateway.web.times import day_of

_Span = TypedDict("_Span", {"from": str, "to": str})


class Brief(Shape):
    """A camera, in brief."""

    id: str
    name: str
    room: str


class Stretch(Shape):
    """A stretch of time."""

    from_: str = Field(alias="from")
    to: str


class Lost(Stretch):
    """Frames that a camera says it lost."""

    frames: int


class StripOut(Shape):
    """One camera's day, by quarters of an hour."""

    device: Brief
    counts: list[int] = Field(description="Pictures that stand in each quarter of an hour from the day's first instant")
    total: int
    lost: list[Lost]
    off: list[Stretch]


class PersonAdded(Shape):
    """Something that a person added."""

    at: str
    memory: str


class MomentOut(Stretch):
    """Frames of one camera that stand, with pauses under five minutes."""

    row: Literal["moment"] = "moment"
    device: Brief | None
    memories: list[MemoryOut] = Field(description="At most 12, spread over the moment, oldest first")
    pictures: int
    sounds: int
    caption: str


class QuietOut(Stretch):
    """A stretch in which every frame was folded away."""

    row: Literal["quiet"] = "quiet"
    frames: int
    folded_into: int
    devices: list[Brief]


class GapOut(Stretch):
    """Frames that a camera says it lost."""

    row: Literal["gap"] = "gap"
    device: Brief
    first: int
    last: int
    frames: int
    reason: str


class SoundOut(Shape):
    """A recording in which something was heard."""

    row: Literal["sound"] = "sound"
    memory: MemoryOut


class UncertainOut(Stretch):
    """Frames of one camera whose time is not known to two minutes."""

    row: Literal["uncertain"] = "uncertain"
    device: Brief | None
    frames: int
    error_us: int
    why: str
    memories: list[MemoryOut]


class NoteOut(Shape):
    """Something written."""

    row: Literal["note"] = "note"
    memory: MemoryOut


RowOut = Annotated[
    MomentOut | QuietOut | GapOut | SoundOut | UncertainOut | NoteOut,
    Field(discriminator="row"),
]


class WhereOut(Shape):
    """Where every frame went. taken - lost = stored; stored = the other four together."""

    taken: int
    lost: int
    stored: int
    folded_static: int
    folded_copies: int
    set_aside: int
    shown: int


class DayOut(Shape):
    """One day of the home, newest first."""

    day: date
    zone: str
    from_: str = Field(alias="from")
    to: str
    now: str
    devices: list[Brief]
    strip: list[StripOut]
    people: list[PersonAdded]
    items: list[RowOut]
    totals: WhereOut
    memories: int


class DayQuery(Model):
    """Which day."""

    day: str = Field(default="", max_length=10, description="As 2026-11-20, of the home's calendar; absent: today")


class DaysQuery(Model):
    """Which days."""

    until: str = Field(default="", max_length=10, description="The last of them; absent: today")
    count: int = Field(default=7, ge=1, le=62)


class DayCountOut(Shape):
    """How much a day has."""

    day: date
    memories: int


class DaysOut(Shape):
    """Oldest first."""

    items: list[DayCountOut]


@reads("/timeline", query=DayQuery, answer=DayOut)
async def read_day(ask: Ask[DayQuery]) -> DayOut:
    """A day: what happened, by camera, with its gaps, its quiet stretches and where every frame went."""
    memories = ask.parts.memories
    return day_out(await memories.day(ask.viewer, day_of(ask.given.day, memories.zone, ask.parts.clock())))


@reads("/days", query=DaysQuery, answer=DaysOut)
async def list_days(ask: Ask[DaysQuery]) -> DaysOut:
    """How much each of the last days has."""
    memories = ask.parts.memories
    until = day_of(ask.given.until, memories.zone, ask.parts.clock())
    found = await memories.days(ask.viewer, until=until, count=ask.given.count)
    return DaysOut(items=[DayCountOut(day=each.day, memories=each.memories) for each in found])


ROUTES = (read_day, list_days)


def day_out(day: recalled.Day) -> DayOut:
    """A day as JSON has it."""
    return DayOut.model_validate(
        {
            "day": day.day,
            "zone": day.zone,
            **_stretch(day.from_us, day.to_us),
            "now": instant(day.now_us),
            "devices": [_brief(device) for device in day.devices],
            "strip": [_strip(row) for row in day.strip],
            "people": [PersonAdded(at=instant(at_us), memory=uid) for at_us, uid in day.people],
            "items": [_row(row) for row in day.rows],
            "totals": WhereOut(
                taken=day.totals.taken,
                lost=day.totals.lost,
                stored=day.totals.stored,
                folded_static=day.totals.folded_static,
                folded_copies=day.totals.folded_copies,
                set_aside=day.totals.set_aside,
                shown=day.totals.shown,
            ),
            "memories": day.memories,
        }
    )


def _row(row: recalled.Row) -> BaseModel:
    match row:
        case recalled.MomentRow():
            return MomentOut(
                **_stretch(row.from_us, row.to_us),
                device=None if row.device is None else _brief(row.device),
                memories=[memory_out(memory) for memory in row.memories],
                pictures=row.pictures,
                sounds=row.sounds,
                caption=row.caption,
            )
        case recalled.QuietRow():
            return QuietOut(
                **_stretch(row.from_us, row.to_us),
                frames=row.frames,
                folded_into=row.folded_into,
                devices=[_brief(device) for device in row.devices],
            )
        case recalled.GapRow():
            return GapOut(
                **_stretch(row.gap.from_us, row.gap.to_us),
                device=_brief(row.device),
                first=row.gap.first,
                last=row.gap.last,
                frames=row.gap.last - row.gap.first + 1,
                reason=row.gap.reason,
            )
        case recalled.SoundRow():
            return SoundOut(memory=memory_out(row.memory))
        case recalled.UncertainRow():
            return UncertainOut(
                **_stretch(row.from_us, row.to_us),
                device=None if row.device is None else _brief(row.device),
                frames=row.frames,
                error_us=row.error_us,
                why=row.why,
                memories=[memory_out(memory) for memory in row.memories],
            )
        case recalled.NoteRow():
            return NoteOut(memory=memory_out(row.memory))


def _strip(row: recalled.StripRow) -> StripOut:
    return StripOut(
        device=_brief(row.device),
        counts=list(row.counts),
        total=row.total,
        lost=[Lost(**_stretch(from_us, to_us), frames=frames) for from_us, to_us, frames in row.lost],
        off=[Stretch(**_stretch(from_us, to_us)) for from_us, to_us in row.off],
    )


def _stretch(from_us: int, to_us: int) -> _Span:
    return {"from": instant(from_us), "to": instant(to_us)}


def _brief(device: Device) -> Brief:
    return Brief(id=device.id, name=device.name, room=device.room)
