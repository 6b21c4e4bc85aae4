"""Pictures: JPEG, PNG and WebP, checked by their markers. No pixel is decoded here.

Every byte must belong to the picture: what follows its end (a second file, a script) is refused, so a stored picture
is nothing else as well. Dimensions and scans are limited by what a worker may need to decode them.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.decoders.decoder import Decoder
from gateway.decoders.exif import read_exif_time
from gateway.entities import CapturedAt, Decoded, Kind
from gateway.errors import Rejected

MAX_BYTES = 32 << 20
MAX_JPEG_PIXELS = 64_000_000
MAX_PIXELS = 24_000_000
"""For PNG, WebP and progressive JPEG, which a worker cannot decode at a smaller scale."""
MAX_SCANS = 100
MAX_PARTS = 16_384
"""Segments or chunks in one picture; a file of nothing else would take seconds to walk."""
MAX_FILL = 1_024
"""Fill bytes before a JPEG's marker."""
MAX_PICTURES = 4
"""Pictures in one multi-picture file: phones append a depth or brightness map to the first (CIPA DC-007)."""

_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def sniff(head: bytes) -> bool:
    """True for the first bytes of a JPEG, PNG or WebP, and of formats we only know well enough to refuse by name."""
    return _format(head) != ""


def decode(data: bytes, *, sha256: bytes | None = None) -> Decoded:
    """Check a whole picture; `sha256` is its hash where it has been made already.

    Raises `Rejected`: empty, too-big, bad-jpeg, bad-png, bad-webp, truncated, trailing-data, animated, bad-dimensions,
    too-many-pixels, too-many-scans, unsupported-image, unknown-format.
    """
    if not data:
        raise Rejected("the file is empty", code="empty")
    if len(data) > MAX_BYTES:
        raise Rejected(f"a picture of {len(data)} bytes; the limit is {MAX_BYTES}", code="too-big")
    match _format(data[:64]):
        case "jpeg":
            size, media_type = _jpeg(data), "image/jpeg"
        case "png":
            size, media_type = _png(data), "image/png"
        case "webp":
            size, media_type = _webp(data), "image/webp"
        case "":
            raise Rejected("not a picture that is known here", code="unknown-format", hint="Send JPEG, PNG or WebP")
        case name:
            raise Rejected(f"{name} pictures are not read yet", code="unsupported-image", hint="Send JPEG, PNG or WebP")
    return Decoded(
        kind=Kind.IMAGE,
        media_type=media_type,
        body=data,
        sha256=sha256 or hashlib.sha256(data).digest(),
        width_px=size.width,
        height_px=size.height,
        captured_at=size.taken,
    )


@dataclass(frozen=True, slots=True)
class _Size:
    width: int
    height: int
    taken: CapturedAt | None


def _format(head: bytes) -> str:
    if head[:2] == b"\xff\xd8":
        return "jpeg"
    if head[:8] == _PNG_MAGIC:
        return "png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"avif", b"heif", b"msf1"):
        return "HEIF"
    return "TIFF" if head[:4] in (b"II*\0", b"MM\0*") else ""


# JPEG (ITU-T T.81, annex B)


def _jpeg(data: bytes) -> _Size:
    walk = _JpegWalk(data)
    first = walk.picture()
    for _ in range(MAX_PICTURES - 1):
        if not walk.multi_picture or data[walk.at : walk.at + 2] != b"\xff\xd8":
            break
        walk.picture()
    if data[walk.at :].strip(b"\0"):
        raise Rejected(f"{len(data) - walk.at} bytes follow the picture's end", code="trailing-data")
    return first


class _JpegWalk:
    """A place in a file that moves from marker to marker."""

    __slots__ = ("_data", "_parts", "at", "multi_picture")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._parts = 0
        self.at = 0
        self.multi_picture = False

    def picture(self) -> _Size:
        """Read from a start-of-image to behind its end-of-image."""
        self.at += 2
        frame: tuple[int, int, bool] | None = None
        taken: CapturedAt | None = None
        scans = 0
        while True:
            marker = self._marker()
            if marker == 0xD9:
                break
            segment = self._segment()
            if marker == 0xDA:
                scans += 1
                self._scan(frame is not None, scans)
            elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
                if frame is not None:
                    raise Rejected("two frame headers in one JPEG", code="bad-jpeg")
                frame = _jpeg_frame(marker, segment)
            elif marker == 0xE1 and segment[:6] == b"Exif\0\0" and taken is None:
                taken = read_exif_time(segment[6:])
            elif marker == 0xE2 and segment[:4] == b"MPF\0":
                self.multi_picture = True
        if frame is None or not scans:
            raise Rejected("a JPEG without a picture in it", code="bad-jpeg")
        width, height, progressive = frame
        _check_pixels(width, height, MAX_PIXELS if progressive else MAX_JPEG_PIXELS)
        return _Size(width, height, taken)

    def _marker(self) -> int:
        data, at = self._data, self.at
        if at >= len(data):
            raise Rejected("the JPEG ends before its end marker", code="truncated")
        if data[at] != 0xFF:
            raise Rejected(f"no marker at byte {at} of the JPEG", code="bad-jpeg")
        self._parts += 1
        while at < len(data) and data[at] == 0xFF:
            at += 1
            if at - self.at > MAX_FILL or self._parts > MAX_PARTS:
                raise Rejected("a JPEG of nothing but filling", code="bad-jpeg")
        if at >= len(data):
            raise Rejected("the JPEG ends before its end marker", code="truncated")
        marker = data[at]
        if marker < 0xC0 or 0xD0 <= marker <= 0xD8:
            raise Rejected(f"marker {marker:#04x} out of place in the JPEG", code="bad-jpeg")
        self.at = at + 1
        return marker

    def _segment(self) -> bytes:
        data, at = self._data, self.at
        if at + 2 > len(data):
            raise Rejected("the JPEG ends inside a segment", code="truncated")
        length = (data[at] << 8) | data[at + 1]
        if length < 2:
            raise Rejected("a JPEG segment shorter than its own length field", code="bad-jpeg")
        if length > len(data) - at:
            raise Rejected("the JPEG ends inside a segment", code="truncated")
        self.at = at + length
        return data[at + 2 : self.at]

    def _scan(self, framed: bool, scans: int) -> None:
        if not framed:
            raise Rejected("a JPEG scan before its frame header", code="bad-jpeg")
        if scans > MAX_SCANS:
            raise Rejected(f"more than {MAX_SCANS} scans in one JPEG", code="too-many-scans")
        found = _NEXT_MARKER.search(self._data, self.at)
        if found is None:
            raise Rejected("the JPEG ends inside its picture data", code="truncated")
        if found.start() == self.at:
            raise Rejected("a JPEG scan without data", code="bad-jpeg")
        self.at = found.start()


def _jpeg_frame(marker: int, segment: bytes) -> tuple[int, int, bool]:
    if marker not in (0xC0, 0xC1, 0xC2):
        raise Rejected("a kind of JPEG that is not in use (lossless, arithmetic)", code="unsupported-image")
    if len(segment) < 6 or len(segment) != 6 + 3 * segment[5]:
        raise Rejected("a JPEG frame header of the wrong length", code="bad-jpeg")
    precision, height, width, components = struct.unpack_from(">BHHB", segment)
    if precision != 8 or components not in (1, 3, 4):
        raise Rejected(f"a JPEG of {precision} bits and {components} components", code="unsupported-image")
    return width, height, marker == 0xC2


# PNG (W3C, third edition)


def _png(data: bytes) -> _Size:
    width, height, pixels_seen = 0, 0, False
    taken: CapturedAt | None = None
    for name, chunk in _png_chunks(data):
        match name:
            case b"IHDR":
                width, height = _png_header(bytes(chunk))
            case b"acTL":
                raise Rejected("an animated PNG", code="animated", hint="Send a still picture")
            case b"IDAT":
                pixels_seen = True
            case b"eXIf":
                taken = read_exif_time(bytes(chunk[:65_536]))
            case _:
                pass
    if not pixels_seen:
        raise Rejected("a PNG without a picture in it", code="bad-png")
    return _Size(width, height, taken)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Name and content of each chunk, once its CRC has been checked; the end of the file after the last."""
    at = 8
    view = memoryview(data)
    for _ in range(MAX_PARTS):
        if at + 12 > len(data):
            raise Rejected("the PNG ends inside a chunk", code="truncated")
        length, name = struct.unpack_from(">I4s", data, at)
        if length > len(data) - at - 12:
            raise Rejected("the PNG ends inside a chunk", code="truncated")
        end = at + 8 + length
        if zlib.crc32(view[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise Rejected("a PNG chunk's CRC does not match", code="bad-png")
        if (name == b"IHDR") != (at == 8):
            raise Rejected("the PNG's header is not its first chunk", code="bad-png")
        yield name, view[at + 8 : end]
        at = end + 4
        if name == b"IEND":
            break
    else:
        raise Rejected(f"more than {MAX_PARTS} chunks in one PNG", code="bad-png")
    if data[at:].strip(b"\0"):
        raise Rejected(f"{len(data) - at} bytes follow the picture's end", code="trailing-data")


def _png_header(header: bytes) -> tuple[int, int]:
    if len(header) != 13:
        raise Rejected("a PNG header of the wrong length", code="bad-png")
    width, height, depth, color, compression, filters, interlace = struct.unpack(">IIBBBBB", header)
    if compression or filters or interlace > 1 or depth not in (1, 2, 4, 8, 16) or color not in (0, 2, 3, 4, 6):
        raise Rejected("a PNG header that makes no sense", code="bad-png")
    _check_pixels(width, height, MAX_PIXELS)
    return width, height


# WebP (RFC 9649)


def _webp(data: bytes) -> _Size:
    end = _riff_end(data)
    at, parts, canvas, frame = 12, 0, (0, 0), (0, 0)
    taken: CapturedAt | None = None
    while at < end:
        parts += 1
        if at + 8 > end or parts > MAX_PARTS:
            raise Rejected("the WebP ends inside a chunk, or has too many", code="truncated")
        name, length = struct.unpack_from("<4sI", data, at)
        if length > end - at - 8:
            raise Rejected("a WebP chunk is longer than its file", code="truncated")
        chunk = data[at + 8 : at + 8 + min(length, 65_536)]
        match name:
            case b"VP8 " | b"VP8L" if frame != (0, 0):
                raise Rejected("two pictures in one WebP", code="bad-webp")
            case b"VP8 ":
                frame = _vp8(chunk)
            case b"VP8L":
                frame = _vp8l(chunk)
            case b"VP8X":
                canvas = _vp8x(chunk)
            case b"ANIM" | b"ANMF":
                raise Rejected("an animated WebP", code="animated", hint="Send a still picture")
            case b"EXIF":
                taken = read_exif_time(chunk.removeprefix(b"Exif\0\0"))
            case _:
                pass
        at += 8 + length + (length & 1)
    if frame == (0, 0) or canvas not in ((0, 0), frame):
        raise Rejected("a WebP without a picture of its own size in it", code="bad-webp")
    return _Size(*frame, taken)


def _riff_end(data: bytes) -> int:
    if len(data) < 20:
        raise Rejected("the WebP ends inside its header", code="truncated")
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise Rejected("the WebP is shorter than it says", code="truncated")
    if data[end:].strip(b"\0"):
        raise Rejected(f"{len(data) - end} bytes follow the picture's end", code="trailing-data")
    return end


def _vp8(chunk: bytes) -> tuple[int, int]:
    if len(chunk) < 10 or chunk[0] & 1 or chunk[3:6] != b"\x9d\x01\x2a":
        raise Rejected("a WebP whose picture is not a key frame", code="bad-webp")
    width, height = struct.unpack_from("<HH", chunk, 6)
    return _sized(width & 0x3FFF, height & 0x3FFF)


def _vp8l(chunk: bytes) -> tuple[int, int]:
    if len(chunk) < 5 or chunk[0] != 0x2F:
        raise Rejected("a WebP whose lossless picture does not begin as one", code="bad-webp")
    bits = int.from_bytes(chunk[1:5], "little")
    return _sized((bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1)


def _vp8x(chunk: bytes) -> tuple[int, int]:
    if len(chunk) < 10:
        raise Rejected("a WebP header of the wrong length", code="bad-webp")
    if chunk[0] & 0x02:
        raise Rejected("an animated WebP", code="animated", hint="Send a still picture")
    return _sized(int.from_bytes(chunk[4:7], "little") + 1, int.from_bytes(chunk[7:10], "little") + 1)


def _sized(width: int, height: int) -> tuple[int, int]:
    _check_pixels(width, height, MAX_PIXELS)
    return width, height


def _check_pixels(width: int, height: int, most: int) -> None:
    if not width or not height:
        raise Rejected("the picture has no size", code="bad-dimensions")
    if width * height > most:
        raise Rejected(
            f"{width} × {height} pixels; the limit is {most // 1_000_000} megapixels",
            code="too-many-pixels",
            hint="Send it at a smaller size",
        )


DECODER = Decoder(name="image", media_types=("image/jpeg", "image/png", "image/webp"), sniff=sniff, decode=decode)
