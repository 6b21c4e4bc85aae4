"""What the tests of inference share: blobs as the store seals them, and small pictures and recordings."""

from __future__ import annotations

import hashlib
import io
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from gateway.entities import BlobRef
from gateway.store.blobs import BlobFolder


def sealed(home: Path, body: bytes, media_type: str = "image/jpeg") -> BlobRef:
    """Store bytes as the house does, and a reference to them."""
    sha256 = hashlib.sha256(body).digest()
    blobs = BlobFolder(home)
    blob = blobs.put(body, owner_key=b"k" * 32, sha256=sha256)
    return BlobRef(
        path=str(blobs.root / blob.name), key=blob.key, sha256=sha256, body_bytes=len(body), media_type=media_type
    )


def picture(
    width_px: int = 320, height_px: int = 240, *, seed: int = 0, form: str = "JPEG", **options: object
) -> bytes:
    """A picture with a gradient and some noise."""
    rng = np.random.default_rng(seed)
    base = np.linspace(30, 220, width_px)[None, :, None] * np.ones((height_px, 1, 3))
    grain = rng.normal(0, 12, base.shape)
    image = Image.fromarray((base + grain).clip(0, 255).astype(np.uint8))
    out = io.BytesIO()
    image.save(out, form, **options)  # type: ignore[arg-type]
    return out.getvalue()


def recording(samples: npt.NDArray[np.floating], rate_hz: int = 16_000, channels: int = 1) -> bytes:
    """A WAV of samples −1..1, interleaved."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return out.getvalue()
