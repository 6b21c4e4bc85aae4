"""The one place where pixels are decoded, inside a worker process.

Only JPEG, PNG and WebP, within limits that keep a hostile picture under 256 MB and 5 s: a JPEG is decoded at the
scale it is needed at, the others whole. The last two pictures are kept, so several tasks on one blob decode once.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections import OrderedDict
from dataclasses import dataclass

from PIL import Image, ImageFile

from gateway.entities import BlobRef
from gateway.errors import Unreadable
from gateway.store.blobs import read_blob

LONG_SIDE_PX = 1920
MAX_JPEG_PIXELS = 64_000_000
MAX_PROGRESSIVE_PIXELS = 24_000_000
MAX_WEBP_PIXELS = 16_000_000
MAX_PNG_PIXELS = 24_000_000
MAX_SCAN_PIXELS = 600_000_000
"""Pixels times scans of a progressive JPEG: every scan is a pass over the whole picture."""
FORMATS = ("JPEG", "PNG", "WEBP")
_KEPT = 2

ImageFile.LOAD_TRUNCATED_IMAGES = False
Image.MAX_IMAGE_PIXELS = None  # our own limits come first, per format


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, upright."""

    image: Image.Image
    """RGB, long side at most LONG_SIDE_PX. Shared: never changed in place."""
    width_px: int
    """Of the original, upright."""
    height_px: int


_recent: OrderedDict[bytes, Picture] = OrderedDict()
_lock = threading.Lock()


def picture_of(blob: BlobRef) -> Picture:
    """The picture of a blob, decoded now or just before.

    Raises Unreadable with code `animated`, `too-many-pixels` or `not-a-picture`, and what `read_blob` raises.
    """
    with _lock:
        known = _recent.get(blob.sha256)
        if known is not None:
            _recent.move_to_end(blob.sha256)
            return known
        picture = decode_picture(read_blob(blob))
        _recent[blob.sha256] = picture
        while len(_recent) > _KEPT:
            _recent.popitem(last=False)
        return picture


def decode_picture(data: bytes, *, long_side_px: int = LONG_SIDE_PX) -> Picture:
    """Decode to at most `long_side_px`; raises Unreadable as `picture_of` does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata; the pixels decide
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                _check(opened, data)
                return _upright(opened, long_side_px)
    except Unreadable:
        raise
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises many kinds on hostile bytes: all of them mean this
        raise Unreadable(f"the picture cannot be decoded: {type(error).__name__}", code="not-a-picture") from error


def shrunk(image: Image.Image, side_px: int) -> Image.Image:
    """The picture itself, or a smaller one whose long side is `side_px`."""
    if max(image.size) <= side_px:
        return image
    ratio = side_px / max(image.size)
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)


def _check(opened: Image.Image, data: bytes) -> None:
    if getattr(opened, "n_frames", 1) > 1 and opened.format != "MPO":
        raise Unreadable("the picture is animated", code="animated", hint="Send a still picture")
    width, height = opened.size
    pixels = width * height
    limit = {"PNG": MAX_PNG_PIXELS, "WEBP": MAX_WEBP_PIXELS}.get(opened.format or "", MAX_JPEG_PIXELS)
    if opened.info.get("progressive"):
        limit = min(MAX_PROGRESSIVE_PIXELS, MAX_SCAN_PIXELS // max(1, data.count(b"\xff\xda")))
    if pixels > limit or min(width, height) < 1:
        raise Unreadable(
            f"{width} × {height} is more than {limit // 1_000_000} megapixels",
            code="too-many-pixels",
            hint="Send a smaller picture",
        )


def _upright(opened: Image.Image, long_side_px: int) -> Picture:
    width, height = opened.size
    orientation = _orientation(opened)
    if opened.format in ("JPEG", "MPO"):
        # Twice the size, so that the resampling below still has something to average.
        scale = min(1.0, 2 * long_side_px / max(width, height))
        opened.draft("RGB", (max(1, int(width * scale)), max(1, int(height * scale))))
    opened.load()
    image: Image.Image = opened
    if image.mode in ("P", "1", "LA", "PA") or image.mode.startswith("I;") or image.mode in ("I", "F"):
        image = image.convert("RGBA" if "transparency" in image.info or image.mode in ("LA", "PA") else "RGB")
    if max(image.size) > long_side_px:
        ratio = long_side_px / max(image.size)
        size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    if image.mode == "RGBA":
        paper = Image.new("RGB", image.size, (255, 255, 255))
        paper.paste(image, mask=image.getchannel("A"))
        image = paper
    elif image.mode != "RGB":
        image = image.convert("RGB")
    if orientation is not None:
        image = image.transpose(orientation)
        if orientation in _SIDEWAYS:
            width, height = height, width
    return Picture(image=image.copy() if image is opened else image, width_px=width, height_px=height)


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = {
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
}


def _orientation(opened: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(int(opened.getexif().get(0x0112, 1)))
    except Exception:  # noqa: BLE001  (broken EXIF in many ways: the pixels are still good)
        return None
