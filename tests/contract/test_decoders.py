"""One suite over every decoder: whatever the bytes, it answers with a `Decoded` or a `Rejected`, quickly."""

from __future__ import annotations

import hashlib
import io
import random
import struct
import time
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gateway.decoders.audio import wav_from_pcm
from gateway.decoders.decoder import Decoder
from gateway.discover import discover
from gateway.entities import Decoded, Kind
from gateway.errors import Rejected

DECODERS = discover("gateway.decoders", "DECODER", Decoder)
every_decoder = pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS.keys())


def picture(form: str, size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    out = io.BytesIO()
    canvas = Image.new("RGB", size, (120, 60, 30))
    canvas.putpixel((3, 3), (250, 250, 0))
    canvas.save(out, form, **options)
    return out.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, *extra: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + b"".join(extra) + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")


def sized_jpeg(width: int, height: int, *, marker: int = 0xC0) -> bytes:
    whole = picture("JPEG")
    at = whole.index(b"\xff\xc0")
    return (
        whole[:at]
        + bytes([0xFF, marker])
        + whole[at + 2 : at + 5]
        + struct.pack(">HH", height, width)
        + whole[at + 9 :]
    )


def animated(form: str) -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), (n * 90, 0, 0)) for n in range(3)]
    frames[0].save(out, form, save_all=True, append_images=frames[1:])
    return out.getvalue()


GOOD: dict[str, tuple[str, bytes]] = {
    "jpeg": ("image", picture("JPEG")),
    "jpeg-progressive": ("image", picture("JPEG", progressive=True)),
    "jpeg-padded": ("image", picture("JPEG") + bytes(64)),
    "png": ("image", picture("PNG")),
    "webp": ("image", picture("WEBP")),
    "webp-lossless": ("image", picture("WEBP", lossless=True)),
    "webp-exif": ("image", picture("WEBP", exif=Image.Exif().tobytes() + b"")),
    "wav": ("audio", wav_from_pcm(bytes(3_200), 16_000)),
    "note": ("text", "Grüße – 猫 on the porch\n".encode()),
    "note-with-mark": ("text", b"\xef\xbb\xbfhello"),
}
BAD: dict[str, tuple[str, bytes, str]] = {
    "jpeg-and-zip": ("image", picture("JPEG") + b"PK\x03\x04" + bytes(30), "trailing-data"),
    "jpeg-and-jpeg": ("image", picture("JPEG") * 2, "trailing-data"),
    "jpeg-100-megapixels": ("image", sized_jpeg(10_000, 10_000), "too-many-pixels"),
    "jpeg-progressive-big": ("image", sized_jpeg(6_000, 6_000, marker=0xC2), "too-many-pixels"),
    "jpeg-no-height": ("image", sized_jpeg(40, 0), "bad-dimensions"),
    "jpeg-lossless": ("image", sized_jpeg(40, 30, marker=0xC3), "unsupported-image"),
    "png-bomb": ("image", png(50_000, 50_000), "too-many-pixels"),
    "png-animated": ("image", animated("PNG"), "animated"),
    "png-and-html": ("image", picture("PNG") + b"<script>", "trailing-data"),
    "png-bad-crc": ("image", picture("PNG")[:40] + b"\x7f" + picture("PNG")[41:], "bad-png"),
    "png-two-headers": ("image", png(4, 4, chunk(b"IHDR", bytes(13))), "bad-png"),
    "webp-animated": ("image", animated("WEBP"), "animated"),
    "webp-and-more": ("image", picture("WEBP") + b"more", "trailing-data"),
    "gif": ("image", picture("GIF"), "unsupported-image"),
    "tiff": ("image", picture("TIFF"), "unsupported-image"),
    "heif": ("image", b"\0\0\0\x18ftypheic" + bytes(40), "unsupported-image"),
    "not-a-picture": ("image", b"hello there", "unknown-format"),
    "wav-that-is-mp3": ("audio", b"ID3\x04" + bytes(100), "bad-wav"),
    "wav-float": (
        "audio",
        wav_from_pcm(bytes(64), 16_000).replace(b"\x01\0\x01\0", b"\x03\0\x01\0", 1),
        "unsupported-audio",
    ),
    "wav-no-samples": ("audio", wav_from_pcm(bytes(2), 16_000)[:36] + b"data\0\0\0\0", "truncated"),
    "wav-and-more": ("audio", wav_from_pcm(bytes(64), 16_000) + b"\x01", "trailing-data"),
    "wav-eleven-minutes": ("audio", wav_from_pcm(bytes(8_000 * 2 * 660), 8_000), "too-long"),
    "note-with-nul": ("text", b"a\0b", "bad-text"),
    "note-latin-1": ("text", "Grüße".encode("latin-1"), "bad-text"),
    "note-blank": ("text", b" \n\t ", "empty"),
    "note-huge": ("text", b"a" * 65_537, "too-big"),
}


@every_decoder
def test_constant_is_complete(decoder: Decoder) -> None:
    assert decoder.media_types
    assert any(name == decoder.name for name, _ in GOOD.values())


@pytest.mark.parametrize("name", GOOD)
def test_good_file_is_decoded_and_kept_as_it_is(name: str) -> None:
    which, data = GOOD[name]
    decoder = DECODERS[which]
    assert decoder.sniff(data[:64])
    decoded = decoder.decode(data)
    assert decoded.body == data
    assert decoded.sha256 == hashlib.sha256(data).digest()
    assert decoded.media_type in decoder.media_types
    if decoded.kind is Kind.IMAGE:
        assert (decoded.width_px, decoded.height_px) == (40, 30)
    if decoded.kind is Kind.AUDIO:
        assert decoded.duration_us == 100_000


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_refused_with_its_code(name: str) -> None:
    which, data, code = BAD[name]
    with pytest.raises(Rejected) as refused:
        DECODERS[which].decode(data)
    assert refused.value.code == code


@every_decoder
def test_empty_is_refused(decoder: Decoder) -> None:
    with pytest.raises(Rejected) as refused:
        decoder.decode(b"")
    assert refused.value.code == "empty"
    assert decoder.sniff(b"") is False


@every_decoder
def test_oversize_is_refused_before_it_is_read(decoder: Decoder) -> None:
    head = next(data for which, data in GOOD.values() if which == decoder.name)
    body = head + bytes(120 << 20)
    began = time.thread_time()
    with pytest.raises(Rejected) as refused:
        decoder.decode(body)
    assert refused.value.code == "too-big"
    assert time.thread_time() - began < 1


@pytest.mark.parametrize("name", [name for name, (which, _) in GOOD.items() if which != "text"])
def test_truncation_at_every_offset_is_refused(name: str) -> None:
    which, data = GOOD[name]
    whole = data.rstrip(b"\0") if "padded" in name else data
    for length in range(len(whole)):
        with pytest.raises(Rejected):
            DECODERS[which].decode(whole[:length])


@every_decoder
def test_flipped_bytes_never_raise_anything_else(decoder: Decoder) -> None:
    draw = random.Random(7)
    for which, data in GOOD.values():
        if which != decoder.name:
            continue
        for _ in range(200):
            damaged = bytearray(data)
            for _ in range(draw.randint(1, 4)):
                damaged[draw.randrange(len(damaged))] = draw.randrange(256)
            _answer(decoder.decode, bytes(damaged))


@every_decoder
@settings(max_examples=100, deadline=None)
@given(head=st.sampled_from(["", "jpeg", "png", "webp", "wav"]), tail=st.binary(max_size=200))
def test_garbage_never_raises_anything_else(decoder: Decoder, head: str, tail: bytes) -> None:
    start = GOOD[head][1][:24] if head else b""
    decoder.sniff(start + tail[:40])
    _answer(decoder.decode, start + tail)


def test_files_of_many_parts_take_no_long_time() -> None:
    whole = picture("JPEG")
    scan = whole.index(b"\xff\xda")
    crowded = whole[: scan + 14] + b"\xff\x00" * 2_000_000
    many = whole[:2] + b"\xff\xfe\x00\x02" * 2_000_000 + whole[2:]
    filled = whole[:2] + b"\xff" * 4_000_000 + whole[3:]
    chunks = png(4, 4, chunk(b"tEXt", b"") * 1_000_000)
    riff = b"RIFF" + struct.pack("<I", 4 + 8 * 1_000_000) + b"WEBP" + b"JUNK\0\0\0\0" * 1_000_000
    began = time.perf_counter()
    for data in (crowded, many, filled, chunks, riff):
        _answer(DECODERS["image"].decode, data)
    _answer(DECODERS["audio"].decode, riff.replace(b"WEBP", b"WAVE", 1))
    assert time.perf_counter() - began < 2


def _answer(decode: Callable[[bytes], Decoded], data: bytes) -> None:
    try:
        decoded = decode(data)
    except Rejected as error:
        assert error.code
        assert error.what
        return
    if decoded.kind is Kind.IMAGE:
        assert decoded.width_px
        assert decoded.height_px
        assert decoded.width_px * decoded.height_px <= 64_000_000
