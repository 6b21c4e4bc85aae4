"""What can be measured of a picture without weights.

Task `pixels`, no params. Answers `{width_px, height_px, luma_mean, luma_std, sharpness, dark_share, bright_share,
colourfulness, phash, grid, grid_colour}`:
- width_px, height_px: of the original, upright
- luma_mean, luma_std: 0..255 (ITU-R 601)
- sharpness: variance of the 4-neighbour Laplacian of the luma, long side 512 px (Pech-Pacheco et al. 2000)
- dark_share, bright_share: of pixels with luma < 16, > 240; 0..1
- colourfulness: Hasler and Süsstrunk 2003; 0 is grey, 33 is moderate, 109 is extreme
- phash: 16 hex digits, DCT hash of 64 bit (imagehash.phash)
- grid: bytes, 32 × 24 luma, rows from the top; grid_colour: bytes, 8 × 6 × RGB, means
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from gateway.entities import Json
from gateway.inference.family import Family, Options, Request, Runner
from gateway.inference.pictures import picture_of

_SIDE_PX = 512


def load(files: Mapping[str, Path], options: Options) -> Runner:
    from imagehash import phash  # noqa: PLC0415  (heavy)

    def run(request: Request) -> Json:
        picture = picture_of(request.the_blob())
        small = picture.image
        if max(small.size) > _SIDE_PX:
            ratio = _SIDE_PX / max(small.size)
            size = (max(1, round(small.width * ratio)), max(1, round(small.height * ratio)))
            small = small.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
        luma_image = small.convert("L")
        luma = np.asarray(luma_image, dtype=np.float32)
        return {
            "width_px": picture.width_px,
            "height_px": picture.height_px,
            "luma_mean": float(luma.mean()),
            "luma_std": float(luma.std()),
            "sharpness": _sharpness(luma),
            "dark_share": float((luma < 16).mean()),
            "bright_share": float((luma > 240).mean()),
            "colourfulness": _colourfulness(np.asarray(small, dtype=np.float32)),
            "phash": str(phash(picture.image)),
            "grid": luma_image.resize((32, 24), Image.Resampling.BOX).tobytes(),
            "grid_colour": small.resize((8, 6), Image.Resampling.BOX).tobytes(),
        }

    return run


def _sharpness(luma: npt.NDArray[np.float32]) -> float:
    if min(luma.shape) < 3:
        return 0.0
    centre = luma[1:-1, 1:-1]
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * centre
    return float(laplacian.var())


def _colourfulness(rgb: npt.NDArray[np.float32]) -> float:
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    red_green = red - green
    yellow_blue = (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    centre = np.hypot(red_green.mean(), yellow_blue.mean())
    return float(spread + 0.3 * centre)


FAMILY = Family(name="pixels", tasks=("pixels",), load=load)
