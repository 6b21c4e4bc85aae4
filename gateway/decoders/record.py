"""The record: what a camera writes on its card and sends, the same bytes (docs/wire.md, version 1).

Little-endian: a header of 48 bytes with its own CRC-32, a CBOR map `meta`, the body, SHA-256 of the body, CRC-32 of
everything before. `decode_record` checks all of it; what the body holds is the business of its kind's decoder.
Checks come in one fixed order, so that every reader of the format gives the same code for the same bytes:
magic, header CRC, sequence, time, whole size, version, kind, flags, lengths, commit mark, hash, meta.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

import cbor2

from gateway.decoders.cbor import Value, read_cbor
from gateway.entities import Json, RecordKey
from gateway.errors import Rejected

MAGIC = b"HLR1"
VERSION = 1
HEADER_BYTES = 48
TRAILER_BYTES = 36
MAX_RECORD_BYTES = 1 << 20
MAX_META_BYTES = 2_048
MAX_META_KEYS = 32
MAX_META_TEXT = 64
MAX_SEQUENCE = (1 << 53) - 1
MAX_MONO_US = (1 << 63) - 1
LATEST_UTC_US = 32_503_680_000_000_000
"""The year 3000: an instant beyond it is a broken clock, and would overflow calendars."""

_HEADER = struct.Struct("<4sBBHHHII8sQQI")
_CRC = struct.Struct("<I")
_CRC_AT = 44


class RecordKind(IntEnum):
    """What the body is."""

    JPEG = 1
    AUDIO = 2
    TELEMETRY = 3
    ANCHOR = 4
    GAP = 5


class BadRecord(Rejected):
    """A record that breaks the format. `key` is there when the header could be trusted: it can be refused by name."""

    def __init__(self, what: str, *, code: str, key: RecordKey | None = None) -> None:
        super().__init__(what, code=code)
        self.key = key


@dataclass(frozen=True, slots=True)
class Header:
    """The first 48 bytes of a record, checked."""

    kind: RecordKind
    key: RecordKey
    meta_bytes: int
    body_bytes: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record, checked down to its hash and its meta."""

    kind: RecordKind
    key: RecordKey
    meta: Json
    """Bounded scalars by short text keys; the keys named in docs/wire.md have been checked for type and range."""
    body: bytes
    body_sha256: bytes

    @property
    def boot_counter(self) -> int:
        return self.key.boot_counter

    @property
    def boot_id(self) -> bytes:
        return self.key.boot_id

    @property
    def sequence(self) -> int:
        return self.key.sequence

    @property
    def mono_us(self) -> int:
        return self.key.mono_us


def decode_header(data: bytes) -> Header:
    """Read and check the header, and that `data` is as long as it says. Raises `BadRecord`."""
    if len(data) < HEADER_BYTES:
        raise BadRecord(f"only {len(data)} bytes; a record's header has {HEADER_BYTES}", code="bad-length")
    magic, version, kind, flags, meta_bytes, reserved, body_bytes, *name, crc = _HEADER.unpack_from(data)
    boot_counter, boot_id, sequence, mono_us = name
    if magic != MAGIC:
        raise BadRecord("does not begin with HLR1", code="bad-magic")
    if zlib.crc32(data[:_CRC_AT]) != crc:
        raise BadRecord("the header's CRC does not match", code="bad-header-crc")
    if sequence > MAX_SEQUENCE:
        raise BadRecord(f"sequence {sequence} is out of range", code="bad-sequence")
    if mono_us > MAX_MONO_US:
        raise BadRecord("the time since boot is out of range", code="bad-time")
    key = RecordKey(boot_id=boot_id, boot_counter=boot_counter, sequence=sequence, mono_us=mono_us)
    if len(data) > MAX_RECORD_BYTES:
        raise BadRecord(f"a record of {len(data)} bytes; the limit is {MAX_RECORD_BYTES}", code="too-big", key=key)
    if version != VERSION:
        raise BadRecord(f"record version {version}; this gateway reads {VERSION}", code="bad-version", key=key)
    if kind not in _KINDS:
        raise BadRecord(f"unknown record kind {kind}", code="bad-kind", key=key)
    if flags or reserved:
        raise BadRecord("flags or reserved bytes are set", code="bad-flags", key=key)
    if meta_bytes > MAX_META_BYTES:
        raise BadRecord(f"{meta_bytes} bytes of meta; the limit is {MAX_META_BYTES}", code="too-big", key=key)
    if body_bytes > MAX_RECORD_BYTES:
        raise BadRecord(f"a body of {body_bytes} bytes; the limit is {MAX_RECORD_BYTES}", code="too-big", key=key)
    if len(data) != HEADER_BYTES + meta_bytes + body_bytes + TRAILER_BYTES:
        raise BadRecord("the lengths in the header do not fit the record", code="bad-length", key=key)
    return Header(kind=RecordKind(kind), key=key, meta_bytes=meta_bytes, body_bytes=body_bytes)


def decode_record(data: bytes) -> Record:
    """Check a whole record. Raises `BadRecord` with the code of the first check that fails."""
    header = decode_header(data)
    key = header.key
    body_at = HEADER_BYTES + header.meta_bytes
    hash_at = body_at + header.body_bytes
    if zlib.crc32(memoryview(data)[:-4]) != _CRC.unpack_from(data, len(data) - 4)[0]:
        raise BadRecord("the record's CRC does not match", code="bad-crc", key=key)
    body = data[body_at:hash_at]
    digest = hashlib.sha256(body).digest()
    if digest != data[hash_at : hash_at + 32]:
        raise BadRecord("the body's hash does not match", code="bad-hash", key=key)
    try:
        meta = _read_meta(data[HEADER_BYTES:body_at])
    except Rejected as error:
        raise BadRecord(error.what, code="bad-meta", key=key) from None
    return Record(kind=header.kind, key=key, meta=meta, body=body, body_sha256=digest)


def encode_record(*, kind: RecordKind, key: RecordKey, meta: Json, body: bytes) -> bytes:
    """The bytes of a record. Encodes what it is given, so that tests can make broken ones; sizes are not checked."""
    meta_data = cbor2.dumps(dict(meta), canonical=True) if meta else b""
    fields = (int(kind), 0, len(meta_data), 0, len(body), key.boot_counter, key.boot_id, key.sequence, key.mono_us)
    header = _HEADER.pack(MAGIC, VERSION, *fields, 0)[:_CRC_AT]
    header += _CRC.pack(zlib.crc32(header))
    marked = header + meta_data + body + hashlib.sha256(body).digest()
    return marked + _CRC.pack(zlib.crc32(marked))


_KINDS = frozenset(int(kind) for kind in RecordKind)
_INTEGERS = {
    "utc_us": (0, LATEST_UTC_US),
    "utc_err_us": (0, LATEST_UTC_US),
    "rate_hz": (8_000, 48_000),
    "first_sample": (0, MAX_SEQUENCE),
}


def _read_meta(data: bytes) -> dict[str, Value]:
    """No meta at all is an empty map."""
    if not data:
        return {}
    return check_flat_map(read_cbor(data))


def check_flat_map(value: Value) -> dict[str, Value]:
    """A map of at most 32 scalars by keys of at most 32 characters; the known keys within their ranges."""
    if not isinstance(value, dict):
        raise Rejected("not a CBOR map", code="bad-meta")
    if len(value) > MAX_META_KEYS:
        raise Rejected(f"more than {MAX_META_KEYS} keys", code="bad-meta")
    for name, item in value.items():
        if not 1 <= len(name) <= 32 or not name.isprintable():
            raise Rejected("a key that is empty, too long or not printable", code="bad-meta")
        if isinstance(item, list | dict | bytes):
            raise Rejected("a value that is not a number, a text or a truth value", code="bad-meta")
        if isinstance(item, str) and len(item) > MAX_META_TEXT:
            raise Rejected("a text that is too long", code="bad-meta")
        if isinstance(item, int) and not -(1 << 63) <= item < 1 << 63:
            raise Rejected("a number beyond 64 bits", code="bad-meta")
    for name, (least, most) in _INTEGERS.items():
        if name in value:
            item = value[name]
            if not isinstance(item, int) or isinstance(item, bool) or not least <= item <= most:
                raise Rejected(f"{name} is not a whole number from {least} to {most}", code="bad-meta")
    return value
