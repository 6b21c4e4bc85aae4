"""Rooms by number, drawn: still stretches, things that come and go, print. Real JPEGs for steps on real models."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE_PX = (640, 480)
STILL = 4
"""So many frames in a row show the same, but for the camera's own noise."""
_WORDS = ("LINDQVIST", "FRAGILE", "NORTHWIND BOOKS", "ALDER LANE 12", "THIS SIDE UP", "HELIOS", "")


def scene(number: int) -> bytes:
    """A JPEG of frame `number`, the same for the same number."""
    still = np.random.default_rng(number // STILL)
    width, height = SIZE_PX
    light = still.uniform(0.5, 1.0)
    picture = Image.new("RGB", SIZE_PX, tuple(int(light * each) for each in (188, 176, 160)))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, height * 2 // 3, width, height), fill=tuple(int(light * each) for each in (120, 96, 70)))
    for _ in range(8):
        x, y = still.uniform(0, width * 0.8), still.uniform(0, height * 0.8)
        w, h = still.uniform(30, 170), still.uniform(30, 150)
        colour = tuple(int(light * each) for each in still.uniform(20, 250, 3))
        (draw.rectangle if still.random() < 0.6 else draw.ellipse)((x, y, x + w, y + h), fill=colour)
    word = _WORDS[number // STILL % len(_WORDS)]
    if word:
        draw.rectangle((150, 180, 480, 250), fill=(240, 236, 220))
        draw.text((165, 192), word, fill=(20, 20, 20), font=ImageFont.load_default(36))
    grain = np.random.default_rng(number + 1_000_000).normal(0, 2.0, (height, width, 1))
    noisy = (np.asarray(picture, dtype=np.float32) + grain).clip(0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(noisy).save(out, "JPEG", quality=85)
    return out.getvalue()
