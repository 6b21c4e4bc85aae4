"""Topics: which device speaks, in which voice. Everything in a topic is checked before it names anything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.config import MqttSource

ROOT = "hearthlog/v1"
STATUS = f"{ROOT}/gateway/status"
_DEVICE = re.compile(r"[a-z0-9][a-z0-9-]{2,31}")
_RESERVED = {"gateway"}


class Voice(StrEnum):
    """The last part of an `up/` topic."""

    RECORD = "rec"
    HELLO = "hello"
    STATUS = "status"
    EVENT = "event"
    RESULT = "result"
    JPEG = "jpeg"
    WAV = "wav"


@dataclass(frozen=True, slots=True)
class Up:
    """Something a device of ours sent."""

    device: str
    voice: Voice


@dataclass(frozen=True, slots=True)
class Foreign:
    """A frame of firmware that is not ours."""

    device: str
    decoder: str


def valid_device(name: str) -> bool:
    """Whether this can be a device's id."""
    return _DEVICE.fullmatch(name) is not None and name not in _RESERVED


def up_filter(voice: Voice) -> str:
    """The filter of one voice of every device."""
    return f"{ROOT}/+/up/{voice}"


def down(device: str, what: str) -> str:
    """The topic on which a device is told something: ack, cfg, cmd, time."""
    return f"{ROOT}/{device}/dn/{what}"


def read_topic(topic: str, sources: Sequence[MqttSource]) -> Up | Foreign | None:
    """What a topic says; None for one that names no valid device or no known voice."""
    if topic.startswith(ROOT + "/"):
        parts = topic.split("/")
        if len(parts) != 5 or parts[3] != "up" or not valid_device(parts[2]) or parts[4] not in _VOICES:
            return None
        return Up(parts[2], Voice(parts[4]))
    for source in sources:
        caught = match(source.topic, topic)
        if caught is not None:
            device = source.device or device_name(caught[0] if caught else "")
            return Foreign(device, source.decoder) if valid_device(device) else None
    return None


def match(topic_filter: str, topic: str) -> tuple[str, ...] | None:
    """What each `+` of the filter caught, or None when the topic is not of the filter (MQTT 5, 4.7)."""
    caught: list[str] = []
    wanted, given = topic_filter.split("/"), topic.split("/")
    for n, part in enumerate(wanted):
        if part == "#":
            return tuple(caught)
        if n >= len(given):
            return None
        if part == "+":
            caught.append(given[n])
        elif part != given[n]:
            return None
    return tuple(caught) if len(wanted) == len(given) else None


def device_name(caught: str) -> str:
    """A device id from a foreign name (`Front_Door` → `front-door`); may still be no valid one."""
    return re.sub(r"[^a-z0-9]+", "-", caught.lower()[:64]).strip("-")[:32].strip("-")


_VOICES = frozenset(voice.value for voice in Voice)
