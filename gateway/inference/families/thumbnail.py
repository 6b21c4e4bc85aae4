"""Make a picture smaller.

Task `thumbnail`, params `{width_px}` (16..1920, default 320). Answers `{jpeg}`: bytes of a JPEG at most that wide and
never larger than the original, upright, without any metadata.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from gateway.entities import Json
from gateway.errors import Rejected
from gateway.inference.family import Family, Options, Request, Runner
from gateway.inference.pictures import LONG_SIDE_PX, picture_of

_QUALITY = 80


def load(files: Mapping[str, Path], options: Options) -> Runner:
    def run(request: Request) -> Json:
        width_px = request.params.get("width_px", 320)
        if not isinstance(width_px, int) or not 16 <= width_px <= LONG_SIDE_PX:
            raise Rejected(f"params.width_px must be 16..{LONG_SIDE_PX}", code="bad-params")
        image = picture_of(request.the_blob()).image
        if image.width > width_px:
            size = (width_px, max(1, round(image.height * width_px / image.width)))
            image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
        out = io.BytesIO()
        image.save(out, "JPEG", quality=_QUALITY, optimize=False, exif=b"")
        return {"jpeg": out.getvalue()}

    return run


FAMILY = Family(name="thumbnail", tasks=("thumbnail",), load=load)
