"""What a picture tells of its time, and pictures with more than one picture in them."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gateway.decoders.exif import NO_ZONE, read_exif_time
from gateway.decoders.image import DECODER
from gateway.entities import CapturedAt, Confidence, TimeSource
from gateway.errors import Rejected


def tiff(taken: str | None, offset: str | None = None) -> bytes:
    """An EXIF block as Pillow writes it."""
    exif = Image.Exif()
    inner = exif.get_ifd(0x8769)
    if taken is not None:
        inner[0x9003] = taken
    if offset is not None:
        inner[0x9011] = offset
    exif[0x010F] = "a camera"
    return exif.tobytes().removeprefix(b"Exif\0\0")


def jpeg(exif: bytes = b"") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 8), (9, 99, 199)).save(out, "JPEG", exif=b"Exif\0\0" + exif if exif else b"")
    return out.getvalue()


def test_time_with_an_offset_is_an_instant() -> None:
    found = read_exif_time(tiff("2026:09:24 11:06:42", "+02:00"))
    assert found == CapturedAt(1_790_240_802_000_000, TimeSource.EXIF, 2_000_000)
    assert found.confidence is Confidence.SURE


def test_time_without_an_offset_waits_for_the_homes_zone() -> None:
    found = read_exif_time(tiff("2026:09:24 11:06:42"))
    assert found is not None
    assert found.zone == NO_ZONE
    assert found.confidence is Confidence.LIKELY


@pytest.mark.parametrize("taken", [None, "0000:00:00 00:00:00", "2026:13:40 11:06:42", "yesterday", ""])
def test_time_that_is_none_is_absent(taken: str | None) -> None:
    assert read_exif_time(tiff(taken)) is None


def test_time_is_found_in_each_format() -> None:
    block = tiff("2026:09:24 11:06:42", "-05:30")
    picture = Image.new("RGB", (16, 8))
    for form in ("JPEG", "PNG", "WEBP"):
        out = io.BytesIO()
        picture.save(out, form, exif=b"Exif\0\0" + block)
        found = DECODER.decode(out.getvalue()).captured_at
        assert found is not None, form
        assert found.at_us == 1_790_267_802_000_000


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120), st.booleans(), st.integers(0, 200))
def test_hostile_exif_is_absent_or_a_time(noise: bytes, big: bool, at: int) -> None:
    start = b"MM\0*" if big else b"II*\0"
    read_exif_time(start + struct.pack(">I" if big else "<I", at) + noise)
    whole = bytearray(tiff("2026:09:24 11:06:42", "+02:00"))
    place = at % len(whole)
    whole[place : place + 4] = noise[:4]
    read_exif_time(bytes(whole))


def test_multi_picture_file_of_a_phone_is_one_picture() -> None:
    first, second = jpeg(), jpeg()
    mark = b"\xff\xe2" + struct.pack(">H", 8) + b"MPF\0\0\0"
    phone = first[:2] + mark + first[2:] + second
    assert DECODER.decode(phone).width_px == 16
    with pytest.raises(Rejected) as refused:
        DECODER.decode(phone + b"<?php")
    assert refused.value.code == "trailing-data"


def test_every_picture_of_the_media_passes_with_the_size_that_pillow_sees(media: Path) -> None:
    seen = 0
    for path in sorted(media.rglob("*.jpg")):
        data = path.read_bytes()
        if "corrupt" in path.name:
            continue
        decoded = DECODER.decode(data)
        with Image.open(path) as picture:
            assert (decoded.width_px, decoded.height_px) == picture.size
        seen += 1
    assert seen > 5
