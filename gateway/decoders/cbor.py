"""A strict reader of the small CBOR that cameras write (RFC 8949, a subset).

Allowed: integers of 64 bits, floats, text, byte strings, arrays, maps with text keys, booleans, null; definite
lengths only. Refused: tags, other simple values, indefinite lengths, repeated keys, depth over 4, more than 1,024
items, bytes after the value. So nothing read here can build an object, refer to itself or grow beyond its bytes.
"""

from __future__ import annotations

import math
import struct
from typing import TypeAlias

from gateway.errors import Rejected

Value: TypeAlias = "bool | int | float | str | bytes | list[Value] | dict[str, Value] | None"

MAX_DEPTH = 4
MAX_ITEMS = 1_024
_FLOATS = {25: struct.Struct(">e"), 26: struct.Struct(">f"), 27: struct.Struct(">d")}
_SIMPLE: dict[int, Value] = {20: False, 21: True, 22: None}


def read_cbor(data: bytes) -> Value:
    """The one value that `data` holds, whole. Raises `Rejected("bad-cbor")` for anything outside the subset."""
    reader = _Reader(data)
    value = reader.value(0)
    if reader.at != len(data):
        raise _bad("bytes after the value")
    return value


class _Reader:
    __slots__ = ("_data", "_items", "at")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._items = 0
        self.at = 0

    def value(self, depth: int) -> Value:
        self._items += 1
        if self._items > MAX_ITEMS:
            raise _bad(f"more than {MAX_ITEMS} items")
        if depth > MAX_DEPTH:
            raise _bad(f"deeper than {MAX_DEPTH} levels")
        first = self._take(1)[0]
        major, low = first >> 5, first & 31
        if major == 7:
            return self._simple(low)
        if major == 6:
            raise _bad("tags are not allowed")
        number = self._number(low)
        if major == 0:
            return number
        if major == 1:
            return -1 - number
        if major == 2:
            return self._take(number)
        if major == 3:
            return self._text(number)
        return self._array(number, depth) if major == 4 else self._map(number, depth)

    def _simple(self, low: int) -> Value:
        if low in _SIMPLE:
            return _SIMPLE[low]
        layout = _FLOATS.get(low)
        if layout is None:
            raise _bad("a simple value outside the subset")
        number = float(layout.unpack(self._take(layout.size))[0])
        if not math.isfinite(number):
            raise _bad("a float that is not finite")
        return number

    def _number(self, low: int) -> int:
        if low < 24:
            return low
        if low > 27:
            raise _bad("an indefinite or reserved length")
        return int.from_bytes(self._take(1 << (low - 24)), "big")

    def _text(self, length: int) -> str:
        try:
            return self._take(length).decode("utf-8")
        except UnicodeDecodeError:
            raise _bad("text that is not UTF-8") from None

    def _array(self, length: int, depth: int) -> list[Value]:
        self._room(length)
        return [self.value(depth + 1) for _ in range(length)]

    def _map(self, length: int, depth: int) -> dict[str, Value]:
        self._room(length * 2)
        result: dict[str, Value] = {}
        for _ in range(length):
            key = self.value(depth + 1)
            if not isinstance(key, str):
                raise _bad("a map key that is not text")
            if key in result:
                raise _bad("a map key that is there twice")
            result[key] = self.value(depth + 1)
        return result

    def _room(self, items: int) -> None:
        """Each item is at least one byte: a longer claim is refused before anything is built."""
        if items > len(self._data) - self.at:
            raise _bad("cut short")

    def _take(self, length: int) -> bytes:
        if length > len(self._data) - self.at:
            raise _bad("cut short")
        piece = self._data[self.at : self.at + length]
        self.at += length
        return piece


def _bad(why: str) -> Rejected:
    return Rejected(f"CBOR: {why}", code="bad-cbor")
