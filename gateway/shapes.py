"""What leaves the house as JSON: the same in the API, in `--json` and for a model's client.

Instants are RFC 3339 in UTC with microseconds; ids are opaque; hashes are lower-case hex.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from gateway.entities import (
    AiUsage,
    Confidence,
    DuplicateKind,
    Kind,
    Lane,
    Memory,
    Privacy,
    Stored,
    TimeSource,
)
from gateway.recall.answer import Answer, Facets, Hit

_EPOCH = datetime(1970, 1, 1)  # in UTC


class Shape(BaseModel):
    """What goes out. A fault in it must not write content into the log."""

    model_config = ConfigDict(hide_input_in_errors=True)


def instant(at_us: int) -> str:
    """RFC 3339 in UTC with microseconds: `2026-11-20T23:48:35.000001Z`."""
    return (_EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="microseconds") + "Z"  # strftime is 10 × slower


class DuplicateOut(Shape):
    """How a memory repeats another one."""

    kind: DuplicateKind
    of: str | None = Field(description="The memory that stands for it; null when it is not yours to see")
    evidence: dict[str, Any]  # Any: JSON, whose shape the step documents


class AnnotationOut(Shape):
    """What one step found."""

    step: str
    version: int
    model: str = Field(description="Empty where no model was used")
    revision: str
    preprocessing: str
    fingerprint: str
    at: str
    took_ms: float
    skipped: str = Field(description="Why the step had nothing to say; empty when it did its work")
    skip_code: str
    hint: str
    caption: str
    text: str
    transcript: str
    tags: list[str]
    data: dict[str, Any]  # Any: JSON, whose shape the step documents


class MemoryOut(Shape):
    """A capture with everything understood about it."""

    id: str
    kind: Kind
    device: str | None
    owner: str = Field(description="Id of a person")
    privacy: Privacy
    ai_usage: AiUsage
    captured_at: str
    time_source: TimeSource
    time_confidence: Confidence
    time_error_us: int = Field(description="Half the width of the interval the true instant is believed to lie in")
    zone: str
    received_at: str
    lane: Lane
    sha256: str
    media_type: str
    body_bytes: int
    width_px: int | None
    height_px: int | None
    duration_us: int | None
    original: bool = Field(description="Whether the bytes are still here")
    source_name: str
    pinned: bool
    deleted_at: str | None
    caption: str
    caption_source: str = Field(description="`composed`, `model:<name>`, `person:<name>` or empty")
    text: str = Field(description="Printed text, or what a note says")
    transcript: str
    tags: list[str]
    duplicate: DuplicateOut | None
    annotations: list[AnnotationOut]


class WhyOut(Shape):
    """One reason for a hit."""

    kind: str = Field(description="`words`, `meaning` or `filter`")
    text: str
    value: float | None
    field: str
    marks: list[tuple[int, int]] = Field(description="[start, end) in that field, in characters")


class HitOut(Shape):
    """One memory that was found, and why."""

    memory: MemoryOut
    score: float
    why: list[WhyOut]
    weak: bool


class UnderstoodOut(Shape):
    """A stretch of the query that was taken as something."""

    kind: str
    start: int
    end: int
    label: str
    value: str


class DayFacet(Shape):
    """Hits of one day."""

    day: date
    count: int


class DeviceFacet(Shape):
    """Hits of one camera."""

    id: str
    name: str
    count: int


class CountFacet(Shape):
    """Hits of one value."""

    value: str
    count: int


class FacetsOut(Shape):
    """Counts over the hits."""

    when: list[DayFacet]
    devices: list[DeviceFacet]
    kinds: list[CountFacet]
    has: list[CountFacet]
    folded: list[CountFacet]


class DropOut(Shape):
    """A filter that could be dropped when nothing was found."""

    kind: str
    label: str
    total: int


class AnswerOut(Shape):
    """One page of what was found."""

    items: list[HitOut]
    next: str | None = Field(description="Cursor of the next page; null on the last")
    total: int
    looked_at: int
    understood: list[UnderstoodOut]
    facets: FacetsOut
    approximate: bool
    rebuilding: float | None
    meaning_off: str
    meaning_hint: str
    took_ms: float
    drop: list[DropOut]


def memory_out(memory: Memory) -> MemoryOut:
    """A memory as JSON has it."""
    capture = memory.capture
    duplicate = None
    if memory.duplicate is not None:
        duplicate = DuplicateOut(
            kind=memory.duplicate.kind,
            of=memory.duplicate_of_uid or None,
            evidence=dict(memory.duplicate.evidence),
        )
    return MemoryOut(
        id=capture.uid,
        kind=capture.kind,
        device=capture.device,
        owner=capture.owner,
        privacy=capture.privacy,
        ai_usage=capture.ai_usage,
        captured_at=instant(capture.captured_at.at_us),
        time_source=capture.captured_at.source,
        time_confidence=capture.captured_at.confidence,
        time_error_us=capture.captured_at.error_us,
        zone=capture.captured_at.zone,
        received_at=instant(capture.received_at_us),
        lane=capture.lane,
        sha256=capture.sha256.hex(),
        media_type=capture.media_type,
        body_bytes=capture.body_bytes,
        width_px=capture.width_px,
        height_px=capture.height_px,
        duration_us=capture.duration_us,
        original=capture.blob is not None,
        source_name=capture.source_name,
        pinned=capture.pinned,
        deleted_at=None if capture.deleted_at_us is None else instant(capture.deleted_at_us),
        caption=memory.caption,
        caption_source=memory.caption_source,
        text=memory.text,
        transcript=memory.transcript,
        tags=list(memory.tags),
        duplicate=duplicate,
        annotations=[annotation_out(each) for each in memory.annotations],
    )


def annotation_out(stored: Stored) -> AnnotationOut:
    """An annotation as JSON has it. Vectors stay in the house."""
    note = stored.annotation
    return AnnotationOut(
        step=stored.step,
        version=stored.step_version,
        model=note.provenance.model,
        revision=note.provenance.revision,
        preprocessing=note.provenance.preprocessing,
        fingerprint=stored.fingerprint,
        at=instant(stored.at_us),
        took_ms=stored.took_ms,
        skipped=stored.skipped,
        skip_code=stored.skip_code,
        hint=stored.hint,
        caption=note.caption,
        text=note.text,
        transcript=note.transcript,
        tags=list(note.tags),
        data=dict(note.data),
    )


def hit_out(hit: Hit) -> HitOut:
    """A hit as JSON has it."""
    return HitOut(
        memory=memory_out(hit.memory),
        score=hit.score,
        why=[
            WhyOut(kind=why.kind, text=why.text, value=why.value, field=why.field, marks=list(why.marks))
            for why in hit.why
        ],
        weak=hit.weak,
    )


def answer_out(answer: Answer) -> AnswerOut:
    """A search's answer as JSON has it."""
    return AnswerOut(
        items=[hit_out(hit) for hit in answer.items],
        next=answer.next or None,
        total=answer.total,
        looked_at=answer.looked_at,
        understood=[
            UnderstoodOut(kind=each.kind, start=each.start, end=each.end, label=each.label, value=each.value)
            for each in answer.understood
        ],
        facets=_facets(answer.facets),
        approximate=answer.approximate,
        rebuilding=answer.rebuilding,
        meaning_off=answer.meaning_off,
        meaning_hint=answer.meaning_hint,
        took_ms=answer.took_ms,
        drop=[DropOut(kind=each.kind, label=each.label, total=each.total) for each in answer.drop],
    )


def _facets(facets: Facets) -> FacetsOut:
    return FacetsOut(
        when=[DayFacet(day=day, count=count) for day, count in facets.when],
        devices=[DeviceFacet(id=device, name=name, count=count) for device, name, count in facets.devices],
        kinds=[CountFacet(value=value.value, count=count) for value, count in facets.kinds],
        has=[CountFacet(value=value, count=count) for value, count in facets.has],
        folded=[CountFacet(value=value, count=count) for value, count in facets.folded],
    )
