"""The cursor of a search: opaque outside, checked when it comes back. It names the last hit that was given."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass

from gateway.errors import Rejected
from gateway.recall.answer import Query

_HEAD = struct.Struct("<B8s?dq")
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended."""

    weak: bool
    score: float
    at_us: int
    uid: str


def seal(query: Query, place: Place) -> str:
    """The cursor of the page after `place`."""
    head = _HEAD.pack(_VERSION, _digest(query), place.weak, place.score, place.at_us)
    return base64.urlsafe_b64encode(head + place.uid.encode()).decode().rstrip("=")


def unseal(query: Query) -> Place | None:
    """Where `query.cursor` says that the page before ended; None for the first page.

    Raises Rejected (`bad-cursor`) for anything but a cursor of this query.
    """
    if not query.cursor:
        return None
    bad = Rejected("this page cannot be found", code="bad-cursor", hint="Search again from the first page")
    try:
        raw = base64.b64decode(query.cursor.encode("ascii") + b"=" * (-len(query.cursor) % 4), b"-_", validate=True)
        version, digest, weak, score, at_us = _HEAD.unpack_from(raw)
        uid = raw[_HEAD.size :].decode("ascii")
    except (binascii.Error, ValueError, struct.error) as error:
        raise bad from error
    if version != _VERSION or digest != _digest(query) or not 0 <= score <= 1 or len(uid) > 64:
        raise bad
    return Place(weak, score, at_us, uid)


def _digest(query: Query) -> bytes:
    asked = (
        query.text,
        query.from_us,
        query.to_us,
        sorted(query.devices),
        sorted(kind.value for kind in query.kinds),
        sorted(query.has),
        query.folded,
        query.parse,
    )
    return hashlib.blake2b(repr(asked).encode(), digest_size=8).digest()
