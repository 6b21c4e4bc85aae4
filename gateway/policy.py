"""Who may see what, for which purpose: one SQL fragment, used by every reader.

The fragment is about a capture row under the alias `c`. There is no other way to a memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.entities import Device, Privacy, Role, Viewer


class Purpose(StrEnum):
    """What a reader wants a memory for."""

    SEE = "see"
    """Show it to the viewer."""
    BIN = "bin"
    """Show the viewer what they deleted and can still bring back."""
    ASK = "ask"
    """Let a language model read it to answer the viewer."""
    TRAIN = "train"
    """Let a model learn from it."""


@dataclass(frozen=True, slots=True)
class Sql:
    """A WHERE fragment in parentheses, with its named parameters (prefix `p_`)."""

    where: str
    params: dict[str, str]


_AI = {Purpose.ASK: "c.ai_usage IN ('chat','train')", Purpose.TRAIN: "c.ai_usage = 'train'"}


def visible(viewer: Viewer, purpose: Purpose = Purpose.SEE) -> Sql:
    """What `viewer` may have for `purpose`.

    An owner has their own; admins and members are the circle; a guest has what is public. Being an admin
    opens the house's settings, not other people's private memories.
    """
    own = "c.owner = :p_viewer"
    if viewer.role is Role.GUEST:
        audience = f"({own} OR c.privacy = 'public')"
    else:
        audience = f"({own} OR c.privacy IN ('circle','public'))"
    if purpose is Purpose.BIN:
        return Sql(f"(c.deleted_at_us IS NOT NULL AND {own})", {"p_viewer": viewer.user})
    parts = ["c.deleted_at_us IS NULL", audience]
    if purpose in _AI:
        parts.append(_AI[purpose])
    return Sql("(" + " AND ".join(parts) + ")", {"p_viewer": viewer.user})


def may_change(viewer: Viewer, owner: str) -> bool:
    """Only its owner changes, hides or deletes a memory."""
    return viewer.user == owner


def knows_device(viewer: Viewer, device: Device) -> bool:
    """Whether a viewer may know of a camera at all: its owner, an admin (who keeps the house's settings), or
    those who may see what it takes by its setting. Its memories are a matter of their own: see `visible`.
    """
    if viewer.role is Role.ADMIN or viewer.user == device.owner or device.privacy is Privacy.PUBLIC:
        return True
    return viewer.role is Role.MEMBER and device.privacy is Privacy.CIRCLE
