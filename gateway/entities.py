"""The data model. Frozen values with the unit in the name; rows and JSON end here.

Instants are microseconds since 1970-01-01 UTC. Public ids (`uid`) are opaque strings; `id` is the row number
inside this installation and never leaves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

Json: TypeAlias = Mapping[str, Any]
"""A decoded JSON object. `Any` because JSON is: whoever reads a key checks it."""


class Kind(StrEnum):
    """What a capture is made of."""

    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    TEXT = "text"


class Privacy(StrEnum):
    """Who may see a memory."""

    PRIVATE = "private"
    CIRCLE = "circle"
    PUBLIC = "public"


class AiUsage(StrEnum):
    """What machines may use a memory for, beyond storing and finding it."""

    NONE = "none"
    CHAT = "chat"
    TRAIN = "train"


class Role(StrEnum):
    """What a person may do here. A guest sees what is public; only an admin changes the house."""

    ADMIN = "admin"
    MEMBER = "member"
    GUEST = "guest"


class TimeSource(StrEnum):
    """Where `captured_at_us` comes from, best first."""

    DEVICE_SYNCED = "device-synced"
    DEVICE_ESTIMATE = "device-estimate"
    EXIF = "exif"
    CONTAINER = "container"
    FILE_NAME = "file-name"
    ARRIVAL = "arrival"


class Confidence(StrEnum):
    """How far `captured_at_us` can be trusted: within 2 s, within 2 min, or not."""

    SURE = "sure"
    LIKELY = "likely"
    UNCERTAIN = "uncertain"


class Lane(StrEnum):
    """The way a capture came in."""

    RECORD = "record"
    PLAIN = "plain"
    FOLDER = "folder"
    UPLOAD = "upload"


class DuplicateKind(StrEnum):
    """How a picture is a copy of an earlier one. `STATIC`: same camera, nothing moved."""

    EXACT = "exact"
    REENCODED = "reencoded"
    EDITED = "edited"
    BURST = "burst"
    STATIC = "static"


class PairVerdict(StrEnum):
    """What a person says of a picture and the one it is said to repeat."""

    SAME = "same"
    APART = "apart"
    """Not the same: neither is ever called a duplicate of the other again."""
    WITHDRAWN = "withdrawn"
    """Taken back: what the step claims counts again."""


class Priority(StrEnum):
    """What goes first in the queue."""

    PERSON = "person"
    LIVE = "live"
    BACKLOG = "backlog"


@dataclass(frozen=True, slots=True)
class CapturedAt:
    """When something was captured, and how we know."""

    at_us: int
    """The best estimate, UTC."""
    source: TimeSource
    error_us: int
    """Half the width of the interval the truth is believed to lie in; 0 is never used: 1 is the least."""
    zone: str = "UTC"
    """IANA name of the zone the home was in."""

    @property
    def confidence(self) -> Confidence:
        if self.error_us <= 2_000_000:
            return Confidence.SURE
        return Confidence.LIKELY if self.error_us <= 120_000_000 else Confidence.UNCERTAIN


@dataclass(frozen=True, slots=True)
class RecordKey:
    """The name that a device gave a record. Unique for a device's life; orders its records."""

    boot_id: bytes
    """8 opaque bytes."""
    boot_counter: int
    sequence: int
    mono_us: int
    """Microseconds since that boot."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a decoder says of bytes that passed its checks. No pixel has been decoded yet."""

    kind: Kind
    media_type: str
    """As in IANA's registry: image/jpeg, audio/wav, text/plain."""
    body: bytes
    """The file as it will be stored."""
    sha256: bytes
    width_px: int | None = None
    height_px: int | None = None
    duration_us: int | None = None
    captured_at: CapturedAt | None = None
    """Absent when the bytes carry no time of their own."""
    first_sample: int | None = None
    """Audio on the record lane: index of the first sample since the device's boot."""
    extra: Json = field(default_factory=dict)
    """Capture settings and the like, shown and never searched."""


@dataclass(frozen=True, slots=True)
class Capture:
    """One frame, recording, file or note that is stored here."""

    id: int
    uid: str
    kind: Kind
    device: str | None
    owner: str
    privacy: Privacy
    ai_usage: AiUsage
    captured_at: CapturedAt
    received_at_us: int
    lane: Lane
    sha256: bytes
    body_bytes: int
    media_type: str
    width_px: int | None
    height_px: int | None
    duration_us: int | None
    record: RecordKey | None
    source_name: str
    """File name or topic: where it came from, for people. Hostile text: escape it."""
    deleted_at_us: int | None
    """Set while it lies in the bin."""
    pinned: bool
    blob: BlobRef | None
    """Absent once retention took the original away."""


@dataclass(frozen=True, slots=True)
class BlobRef:
    """Enough for a worker process to read one blob, and nothing else. Never logged, never stored."""

    path: str
    key: bytes = field(repr=False)
    """32 bytes, AES-256-GCM."""
    sha256: bytes
    """Of the plain bytes."""
    body_bytes: int
    """Of the plain bytes."""
    media_type: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a capture. A picture has one, [0, 0); a recording or a video many."""

    capture_id: int
    n: int
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which model said it. Empty strings where no model was used."""

    model: str = ""
    revision: str = ""
    preprocessing: str = ""

    @property
    def name(self) -> str:
        """`<model>@<revision>/<preprocessing>`; empty where no model was used."""
        return f"{self.model}@{self.revision}/{self.preprocessing}" if self.model else ""


@dataclass(frozen=True, slots=True)
class Embedding:
    """A vector. It may be compared only within one space."""

    space: str
    """`<model>@<revision>/<preprocessing>`."""
    vector: bytes
    """float32 little-endian, L2-normalised."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """What one step found. `data` is its structured answer, whose shape the step's module documents."""

    data: Json = field(default_factory=dict)
    caption: str = ""
    text: str = ""
    """Printed text."""
    transcript: str = ""
    tags: tuple[str, ...] = ()
    provenance: Provenance = Provenance()
    embedding: Embedding | None = None
    duplicate: Duplicate | None = None
    likeness: bytes | None = None
    """64-bit hash of a picture that stands by itself, by which later copies of it are found."""
    copy_vector: Embedding | None = None
    """The same by how it looks: for copies alone, never for search."""
    again: tuple[int, ...] = ()
    """Captures that this step judged before it could know of this one: it judges them again."""
    segments: tuple[tuple[int, int], ...] = ()
    """(start_us, end_us) of segments this step cut; empty: the capture's own."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A claim that a capture repeats another one, with its evidence."""

    kind: DuplicateKind
    of: int
    """Capture id of the one that is kept in front."""
    evidence: Json


@dataclass(frozen=True, slots=True)
class Stored:
    """An annotation as it stands in the store."""

    capture_id: int
    step: str
    step_version: int
    fingerprint: str
    at_us: int
    took_ms: float
    annotation: Annotation
    skipped: str
    """Why the step had nothing to say; empty when it did its work."""
    skip_code: str
    hint: str
    asked: Mapping[str, str] = field(default_factory=dict)
    """Inference task that the step asked → `Provenance.name` of the model that answered; empty: there was none."""


@dataclass(frozen=True, slots=True)
class Job:
    """One step to be done for one capture."""

    id: int
    capture_id: int
    step: str
    priority: Priority
    tries: int
    """Tries that count: work lost to a restart or a killed gateway does not."""
    queued_at_us: int


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the log of changes. Carries ids, never content."""

    sequence: int
    entity: str
    """`memory`, `device`, `gap`, `job`, `person`, `refusal`."""
    entity_id: str
    """A memory's uid, a device's id, …"""
    operation: str
    """`put` or `gone`."""
    at_us: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the log. The epoch changes on a restore: then everything is read again."""

    epoch: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is asking. `user` is a person's id."""

    user: str
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Device:
    """A camera or another thing that sends."""

    id: str
    name: str
    """What people call it; the id until someone names it."""
    room: str
    owner: str
    privacy: Privacy
    ai_usage: AiUsage
    first_seen_us: int
    last_seen_us: int
    lane: Lane
    status: Json
    """The device's own last status, checked and bounded; {} when it never told."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Records that a device says it lost."""

    id: int
    device: str
    boot_id: bytes
    first: int
    last: int
    reason: str
    from_us: int
    to_us: int
    """Estimated instants between which they were taken."""


@dataclass(frozen=True, slots=True)
class Memory:
    """A capture with everything understood about it, as a viewer may see it."""

    capture: Capture
    caption: str
    caption_source: str
    """`composed`, `model:<name>`, `person:<name>` or empty."""
    text: str
    transcript: str
    tags: tuple[str, ...]
    duplicate: Duplicate | None
    duplicate_of_uid: str
    annotations: tuple[Stored, ...]
