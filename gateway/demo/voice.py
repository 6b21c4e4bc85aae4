"""What the simulated cameras hear: 16 kHz mono PCM16, one or two seconds a piece.

Words are spoken by espeak-ng where it is installed; everything else is made of numbers here.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import wave
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
PIECE_SAMPLES = 2 * RATE_HZ
MAX_WORDS = 200
_SPEAK_S = 10.0
_VOICES = ("en-us", "en-gb", "en-gb-scotland")


@dataclass(frozen=True, slots=True)
class Heard:
    """A sound, or why there is none."""

    pieces: tuple[bytes, ...]
    """PCM16 little-endian, each of one to two seconds, in order; empty when there is no sound."""
    missing: str = ""
    """Why it is empty, for people."""


def listen(what: str, words: str, *, seed: int = 0) -> Heard:
    """The sound `what` (`voice`, `doorbell`, `knock`, `rain`). Blocks for some 100 ms: call it in a thread."""
    if what == "voice":
        return speak(words, seed=seed)
    return Heard(_pieces(_SOUNDS[what](np.random.default_rng(seed))))


def speak(words: str, *, seed: int = 0) -> Heard:
    """`words` spoken by espeak-ng (at most 200 characters are)."""
    program = shutil.which("espeak-ng")
    if program is None:
        return Heard((), "espeak-ng is not installed, so nothing is spoken")
    voice = _VOICES[seed % len(_VOICES)]
    command = [program, "-v", voice, "-s", "150", "-p", str(40 + seed % 20), "--stdout", "--stdin"]
    try:
        done = subprocess.run(
            command, input=words[:MAX_WORDS].encode(), capture_output=True, timeout=_SPEAK_S, check=True
        )
        samples, rate_hz = _read_wav(done.stdout)
    except (subprocess.SubprocessError, OSError, wave.Error, EOFError) as error:
        return Heard((), f"espeak-ng could not speak ({type(error).__name__})")
    return Heard(_pieces(_trimmed(_resampled(samples, rate_hz)) * 0.8))


def _read_wav(data: bytes) -> tuple[NDArray[np.float64], int]:
    with wave.open(io.BytesIO(data)) as sound:
        # espeak-ng writes to a pipe and cannot know the length: take what is there
        raw = sound.readframes(sound.getframerate() * 30)
        samples = np.frombuffer(raw[: len(raw) // 2 * 2], "<i2").astype(np.float64) / 32_768
        return samples, sound.getframerate()


def _resampled(samples: NDArray[np.float64], rate_hz: int) -> NDArray[np.float64]:
    """By a windowed sinc low-pass and linear interpolation."""
    if rate_hz == RATE_HZ:
        return samples
    taps = np.arange(-32, 33)
    kernel = np.sinc(taps * min(1.0, RATE_HZ / rate_hz) * 0.94) * np.hamming(65)
    smooth = np.convolve(samples, kernel / kernel.sum(), "same")
    at = np.arange(int(len(samples) * RATE_HZ / rate_hz)) * (rate_hz / RATE_HZ)
    return np.asarray(np.interp(at, np.arange(len(samples)), smooth), np.float64)


def _trimmed(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without the silence around it, 120 ms left at each end."""
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    if not len(loud):
        return samples
    margin = RATE_HZ * 12 // 100
    return samples[max(0, loud[0] - margin) : loud[-1] + margin]


def _doorbell(rng: np.random.Generator) -> NDArray[np.float64]:
    """Two struck tones, a major third down, with their overtones."""
    out = np.zeros(PIECE_SAMPLES)
    for start_s, hertz in ((0.15, 659.3), (0.75, 523.3)):
        t = np.arange(int(1.2 * RATE_HZ)) / RATE_HZ
        tone = sum(np.sin(2 * np.pi * hertz * k * t) * a for k, a in ((1, 1.0), (2.0, 0.4), (3.01, 0.22), (4.2, 0.1)))
        begin = int(start_s * RATE_HZ)
        room = PIECE_SAMPLES - begin
        out[begin : begin + len(t)] += (tone * np.exp(-t * 4.2))[:room] * 0.42
    return out + rng.normal(0, 0.002, PIECE_SAMPLES)


def _knock(rng: np.random.Generator) -> NDArray[np.float64]:
    """Three knocks on wood: short bursts through two resonances."""
    out = rng.normal(0, 0.002, PIECE_SAMPLES)
    t = np.arange(int(0.14 * RATE_HZ)) / RATE_HZ
    for start_s in (0.3, 0.55, 0.8):
        body = np.sin(2 * np.pi * 165 * t) * np.exp(-t * 38) + 0.6 * np.sin(2 * np.pi * 410 * t) * np.exp(-t * 60)
        click = rng.normal(0, 1, len(t)) * np.exp(-t * 160)
        begin = int(start_s * RATE_HZ)
        out[begin : begin + len(t)] += 0.55 * body + 0.3 * click
    return out


def _rain(rng: np.random.Generator) -> NDArray[np.float64]:
    """A steady hiss and single drops."""
    hiss = np.convolve(rng.normal(0, 1, PIECE_SAMPLES), [0.25, 0.5, 0.25], "same") * 0.06
    for _ in range(240):
        at = int(rng.integers(0, PIECE_SAMPLES - 200))
        t = np.arange(160) / RATE_HZ
        hiss[at : at + 160] += (
            np.sin(2 * np.pi * rng.uniform(1_500, 5_200) * t) * np.exp(-t * 700) * rng.uniform(0.05, 0.25)
        )
    return hiss


_SOUNDS = {"doorbell": _doorbell, "knock": _knock, "rain": _rain}


def _pieces(samples: NDArray[np.float64]) -> tuple[bytes, ...]:
    """Cut into pieces of at most two seconds, as even as can be; a short end is filled with silence to one second."""
    count = max(1, -(-len(samples) // PIECE_SAMPLES))
    found = []
    for part in np.array_split(samples, count):
        full = np.pad(part, (0, max(0, RATE_HZ - len(part))))
        found.append((np.clip(full, -1, 1) * 32_767).astype("<i2").tobytes())
    return tuple(found)
