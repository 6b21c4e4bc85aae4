"""What can be measured of a picture, and with weights of our own what is wrong with it.

Task `pixels`, no params. Answers `{width_px, height_px, luma_mean, luma_std, sharpness, dark_share, bright_share,
colourfulness, phash, grid, grid_colour}`, and with a network `faults`:
- width_px, height_px: of the original, upright
- luma_mean, luma_std: 0..255 (ITU-R 601)
- sharpness: variance of the 4-neighbour Laplacian of the luma, long side 512 px (Pech-Pacheco et al. 2000)
- dark_share, bright_share: of pixels with luma < 16, > 240; 0..1
- colourfulness: Hasler and Süsstrunk 2003; 0 is grey, 33 is moderate, 109 is extreme
- phash: 16 hex digits, DCT hash of 64 bit (imagehash.phash)
- grid: bytes, 32 × 24 luma, rows from the top; grid_colour: bytes, 8 × 6 × RGB, means
- faults: {dark, blurred, covered, overexposed}: shares that add up to 1 with that of a sound picture; all are 0 for a
  picture that is too small to be judged
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from gateway.entities import Json
from gateway.inference.family import Family, Options, Runner, the_file
from gateway.inference.faults import FAULTS, LEAST_PX, features, judge
from gateway.inference.pictures import Picture, picture_of, shrunk
from gateway.inference.runtime import OnnxModel

SIDE_PX = 512


def load(files: Mapping[str, Path], options: Options) -> Runner:
    model = OnnxModel(the_file(files, "*.onnx"), threads=1) if files else None
    return lambda request: measure(picture_of(request.the_blob()), model)


def measure(picture: Picture, model: OnnxModel | None = None) -> Json:
    """As the task answers. ModelBroken for a network of another shape."""
    from imagehash import phash  # noqa: PLC0415  (heavy)

    small = shrunk(picture.image, SIDE_PX)
    luma_image = small.convert("L")
    levels, rgb = np.asarray(luma_image), np.asarray(small)
    luma = levels.astype(np.float32)
    seen: dict[str, object] = {
        "width_px": picture.width_px,
        "height_px": picture.height_px,
        "luma_mean": float(luma.mean()),
        "luma_std": float(luma.std()),
        "sharpness": _sharpness(luma),
        "dark_share": float((levels < 16).mean()),
        "bright_share": float((levels > 240).mean()),
        "colourfulness": _colourfulness(rgb.astype(np.float32)),
        "phash": str(phash(picture.image)),
        "grid": luma_image.resize((32, 24), Image.Resampling.BOX).tobytes(),
        "grid_colour": small.resize((8, 6), Image.Resampling.BOX).tobytes(),
    }
    if model is not None:
        large = min(small.size) >= LEAST_PX
        shares = judge(model, features(rgb, levels)) if large else dict.fromkeys(FAULTS, 0.0)
        seen["faults"] = {fault: shares[fault] for fault in FAULTS if fault}
    return seen


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
