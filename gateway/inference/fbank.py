"""Speech as the logarithm of its energy in 80 bands, a row each 10 ms, as Kaldi computes it.

After Kaldi's `compute-fbank-feats` (Povey et al. 2011) with the settings that WeSpeaker's models were trained with:
25 ms windows of 16-bit numbers, Hamming, pre-emphasis .97, no dither, frames that lie wholly inside of the sound.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from gateway.inference.sounds import RATE_HZ, Floats

BANDS = 80
STEP = RATE_HZ // 100
WINDOW = RATE_HZ // 40
_FFT = 512
_LOW_HZ, _HIGH_HZ = 20.0, RATE_HZ / 2
_EMPHASIS = 0.97
_FULL_SCALE = 32768.0
_FLOOR = float(np.finfo(np.float32).eps)
_BLOCK = 2_000
"""Rows at a time, which bounds the memory."""


def fbank(samples: Floats) -> Floats:
    """[rows, 80] of mono samples −1..1 at 16 kHz; no rows for less than one window."""
    if len(samples) < WINDOW:
        return np.zeros((0, BANDS), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::STEP]
    rows = [_rows(windows[at : at + _BLOCK]) for at in range(0, len(windows), _BLOCK)]
    return np.concatenate(rows)


def _rows(windows: npt.NDArray[np.float32]) -> Floats:
    frames = windows.astype(np.float64) * _FULL_SCALE
    frames -= frames.mean(axis=1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    spectrum = np.fft.rfft((frames - _EMPHASIS * before) * np.hamming(WINDOW), _FFT)
    energy = (np.square(spectrum.real) + np.square(spectrum.imag)) @ _bands()
    found: Floats = np.log(np.maximum(energy, _FLOOR)).astype(np.float32)
    return found


@functools.cache
def _bands() -> npt.NDArray[np.float64]:
    """[257, 80]: triangles of equal width on the mel scale, each from its left to its right neighbour's middle."""
    edges = np.linspace(_mel(_LOW_HZ), _mel(_HIGH_HZ), BANDS + 2)
    at = _mel(np.arange(_FFT // 2 + 1) * RATE_HZ / _FFT)[:, None]
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    share = np.minimum((at - left) / (middle - left), (right - at) / (right - middle))
    share[-1] = 0.0  # Kaldi leaves the highest frequency out
    return np.maximum(share, 0.0)


def _mel(hz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    mel: npt.NDArray[np.float64] = 1127.0 * np.log1p(np.asarray(hz, dtype=np.float64) / 700.0)
    return mel
