"""Text notes: UTF-8, up to 64 KiB."""

from __future__ import annotations

import codecs
import hashlib
import re

from gateway.decoders.decoder import Decoder
from gateway.entities import Decoded, Kind
from gateway.errors import Rejected

MAX_BYTES = 64 << 10
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")


def sniff(head: bytes) -> bool:
    """True when the head reads as text; a character cut at its end is forgiven."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return bool(text) and not _CONTROL.search(text)


def decode(data: bytes) -> Decoded:
    """Check a whole note. Raises `Rejected`: empty, too-big, bad-text."""
    if not data:
        raise Rejected("the note is empty", code="empty")
    if len(data) > MAX_BYTES:
        raise Rejected(f"a note of {len(data)} bytes; the limit is {MAX_BYTES}", code="too-big")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Rejected("the note is not UTF-8 text", code="bad-text", hint="Save it as UTF-8") from None
    if _CONTROL.search(text):
        raise Rejected("the note has control characters in it", code="bad-text")
    if not text.strip():
        raise Rejected("the note is blank", code="empty")
    return Decoded(kind=Kind.TEXT, media_type="text/plain", body=data, sha256=hashlib.sha256(data).digest())


DECODER = Decoder(name="text", media_types=("text/plain", "text/markdown"), sniff=sniff, decode=decode)
