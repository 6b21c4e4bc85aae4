"""A memory as a small picture that opens it."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.entities import Kind, Memory
from gateway.web.pages import words


@dataclass(frozen=True, slots=True)
class Thumb:
    """What a template needs to draw one."""

    uid: str
    href: str
    src: str
    """Empty where there is no picture to show."""
    icon: str
    """Drawn in its place."""
    alt: str
    stamp: str
    """The time, as its corner tells it."""
    title: str


def media(uid: str, size: int = 0) -> str:
    """Address of a memory's bytes; `size`: the longer edge of a smaller picture."""
    return f"/api/v1/memories/{uid}/media" + (f"?size={size}" if size else "")


def thumb(memory: Memory, zone: str, *, size: int = 320, here: bool | None = None) -> Thumb:
    """The small picture of a memory. `here`: its bytes are, where the memory came without its blob."""
    capture = memory.capture
    shown = capture.kind is Kind.IMAGE and (capture.blob is not None if here is None else here)
    return Thumb(
        uid=capture.uid,
        href=f"/memory/{capture.uid}",
        src=media(capture.uid, size) if shown else "",
        icon={Kind.AUDIO: "sound", Kind.TEXT: "text", Kind.VIDEO: "video"}.get(capture.kind, "hide"),
        alt=words.alt(memory) if capture.kind is Kind.IMAGE else words.title(memory),
        stamp=words.clock(capture.captured_at.at_us, zone, seconds=True),
        title=words.title(memory),
    )
