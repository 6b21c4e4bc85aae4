"""Recordings become 16 kHz mono, whatever they were; what is not a recording is said to be none."""

from __future__ import annotations

import io
import struct
import wave

import numpy as np
import numpy.typing as npt
import pytest

from gateway.errors import Rejected, Unreadable
from gateway.inference.sounds import RATE_HZ, decode_sound, pcm16, spans_of


def wav(samples: npt.NDArray[np.floating], rate_hz: int, channels: int = 1) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return out.getvalue()


def tone(hz: float, rate_hz: int, seconds: float) -> npt.NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_a_tone_keeps_its_pitch_loudness_and_place(rate_hz: int) -> None:
    sound = decode_sound(wav(tone(1_000, rate_hz, 1.0), rate_hz))
    assert abs(len(sound.samples) - RATE_HZ) <= 1
    expected = tone(1_000, RATE_HZ, 1.0)[: len(sound.samples)]
    middle = slice(200, -200)
    assert float(np.abs(sound.samples[middle] - expected[middle]).max()) < 0.01
    assert sound.duration_us == 1_000_000


@pytest.mark.parametrize("hz", [9_500, 12_000, 20_000])
def test_what_16_khz_cannot_hold_does_not_come_back_as_another_tone(hz: float) -> None:
    sound = decode_sound(wav(tone(hz, 48_000, 0.5), 48_000))
    assert float(np.abs(sound.samples[200:-200]).max()) < 0.02


def test_long_recordings_have_no_seams() -> None:
    sound = decode_sound(wav(tone(440, 44_100, 41.0), 44_100))
    expected = tone(440, RATE_HZ, 41.0)[: len(sound.samples)]
    assert float(np.abs(sound.samples[200:-200] - expected[200:-200]).max()) < 0.01


def test_two_channels_become_their_mean() -> None:
    both = np.stack([np.full(1600, 0.5), np.full(1600, -0.25)], axis=1).ravel()
    sound = decode_sound(wav(both, RATE_HZ, 2))
    assert np.allclose(sound.samples, 0.125, atol=1e-3) and len(sound.samples) == 1600


GOOD = wav(tone(100, RATE_HZ, 0.1), RATE_HZ)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"RIFF",
        b"x" * 100,
        GOOD[:20],
        GOOD[:36],
        GOOD.replace(b"data", b"junk"),
        GOOD[:20] + struct.pack("<H", 7) + GOOD[22:],
        GOOD[:22] + struct.pack("<H", 9) + GOOD[24:],
        GOOD[:24] + struct.pack("<I", 0) + GOOD[28:],
        GOOD[:24] + struct.pack("<I", 2**31) + GOOD[28:],
        GOOD[:34] + struct.pack("<H", 24) + GOOD[36:],
        GOOD[:40] + struct.pack("<I", 0) + GOOD[44:44],
    ],
)
def test_what_is_not_a_recording_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable) as failed:
        decode_sound(body)
    assert failed.value.code == "not-a-recording"


def test_a_recording_that_is_too_long_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(Unreadable) as failed:
        decode_sound(wav(np.zeros(4_000 * 601), 4_000))
    assert failed.value.code == "too-long"


def test_a_length_beyond_the_end_means_to_the_end() -> None:
    assert len(decode_sound(GOOD[:40] + b"\xff\xff\xff\x7f" + GOOD[44:]).samples) == 1600


def test_spans_are_checked_and_kept_inside_the_recording() -> None:
    assert spans_of({}, 1_000_000) == [(0, 16_000)]
    assert spans_of({"speech": []}, 1_000_000) == []
    assert spans_of({"speech": [{"start_us": 500_000, "end_us": 9_000_000}]}, 1_000_000) == [(8_000, 16_000)]
    for bad in ("all", [1], [{"start_us": 5, "end_us": 1}], [{"start_us": -1, "end_us": 1}], [{"start_us": "0"}]):
        with pytest.raises(Rejected):
            spans_of({"speech": bad}, 1_000_000)


def test_samples_beyond_full_scale_are_clipped() -> None:
    loud = np.array([2.0, -2.0, 0.0], dtype=np.float32)
    assert np.frombuffer(pcm16(loud), "<i2").tolist() == [32767, -32768, 0]
