"""Make of a picture the numbers that a vision transformer takes: resized, cropped, scaled, one picture at a time.

Follows the image processors that the models were published with (CLIP: shortest side, then the middle square; ViT,
SigLIP and Florence-2: stretched to a square), down to the rounding of sizes and the order of the arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from gateway.errors import ModelBroken
from gateway.inference.family import Options

_MAX_SIDE_PX = 1024
_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Preparation:
    """How a model wants its picture."""

    side_px: int
    crop: bool
    """Keep the shape and take the middle square; otherwise the whole picture is stretched to one."""
    resample: Image.Resampling
    mean: tuple[float, float, float]
    """Of red, green and blue, 0..1."""
    std: tuple[float, float, float]


def preparation(options: Options) -> Preparation:
    """From a manifest's options `side_px`, `crop`, `resample` (`bilinear`, `bicubic`), `mean` and `std`, by default a
    stretched, bilinear 224 and halves. ModelBroken for what is out of shape."""
    side_px = int(options.number("side_px", 224))
    if not 1 <= side_px <= _MAX_SIDE_PX:
        raise ModelBroken(f"option side_px must be 1 to {_MAX_SIDE_PX}")
    resample = _RESAMPLING.get(str(options.table.get("resample", "bilinear")))
    if resample is None:
        raise ModelBroken(f"option resample must be one of {', '.join(_RESAMPLING)}")
    return Preparation(
        side_px=side_px,
        crop=options.table.get("crop", False) is True,
        resample=resample,
        mean=_colour(options, "mean"),
        std=_colour(options, "std"),
    )


def pixel_values(image: Image.Image, how: Preparation) -> Floats:
    """[1, 3, side, side] of an upright RGB picture."""
    size = (how.side_px, how.side_px)
    box = _middle(image.width, image.height, how.side_px) if how.crop else None
    square = image.resize(size, how.resample, box=box)
    scaled = (np.asarray(square).astype(np.float64) * (1 / 255)).astype(np.float32)
    values = (scaled - np.array(how.mean, np.float32)) / np.array(how.std, np.float32)
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None], dtype=np.float32)


def _middle(width_px: int, height_px: int, side_px: int) -> tuple[float, float, float, float]:
    """The part of a picture that its middle square covers once its shorter side is `side_px` long.

    Only that part is resampled, with the same pixels around its edges: a strip of 1 × 1,920 would else become a
    picture of 224 × 430,080.
    """
    short, long = sorted((width_px, height_px))
    long_px = side_px * long // short
    skipped_px = (long_px - side_px) // 2
    scale = long / long_px
    low, high = skipped_px * scale, (skipped_px + side_px) * scale
    return (0.0, low, float(short), high) if width_px <= height_px else (low, 0.0, high, float(short))


def _colour(options: Options, name: str) -> tuple[float, float, float]:
    values = options.table.get(name, (0.5, 0.5, 0.5))
    if not isinstance(values, list | tuple) or len(values) != 3:
        raise ModelBroken(f"option {name} must be three numbers")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1 for value in values):
        raise ModelBroken(f"option {name} must be three numbers above 0 and at most 1")
    red, green, blue = values
    return float(red), float(green), float(blue)
