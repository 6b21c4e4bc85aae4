"""Mutations of good and golden bytes into every decoder: nothing but Rejected may come out, and soon.

No library: a seeded generator flips, cuts, repeats and splices for as long as it is given.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.decoders import audio, image, text
from gateway.decoders.contents import read_contents
from gateway.decoders.record import decode_record
from gateway.errors import Rejected
from tests.bench.frames import frame, record
from tests.bench.result import Result

_GOLDEN = Path(__file__).resolve().parents[1] / "fixtures" / "records"
_LEARNT = _GOLDEN.parent / "fuzz"
_SLOW_S = 1.0
_INTERESTING = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)


def run(*, seconds: float = 10.0, seed: int = 1) -> Result:
    """For so long; the first bytes that break something are named by their seed and number."""
    draw = random.Random(seed)
    decoders: Mapping[str, Callable[[bytes], object]] = {
        "record": lambda data: read_contents(decode_record(data)),
        "image": image.DECODER.decode,
        "audio": audio.DECODER.decode,
        "text": text.DECODER.decode,
    }
    corpus = _corpus()
    tried: Counter[str] = Counter()
    broken: list[str] = []
    ends_s = time.monotonic() + seconds
    while time.monotonic() < ends_s and not broken:
        data = _mutated(draw, corpus)
        for name, decode in decoders.items():
            began_s = time.thread_time()
            try:
                decode(data)
            except Rejected:
                tried["refused"] += 1
            except Exception as error:  # noqa: BLE001  what this looks for
                broken.append(f"{name}: {type(error).__name__} {error} of {data[:64].hex()}… ({len(data)} bytes)")
            else:
                tried["taken"] += 1
            if time.thread_time() - began_s > _SLOW_S:
                broken.append(f"{name}: {time.thread_time() - began_s:.1f} s for {len(data)} bytes")
    return Result(
        "mutated bytes into every decoder",
        f"{sum(tried.values())} tries, {len(broken)} broken",
        "only refusals, each within a second",
        not broken,
        "; ".join(broken) or f"{dict(tried)}; seed {seed}",
    )


def _corpus() -> list[bytes]:
    small = frame(1, size_bytes=3_000)
    found = [path.read_bytes() for path in sorted(_GOLDEN.rglob("*")) if path.suffix in (".bin", ".hlr", ".rec")]
    found += [path.read_bytes() for path in sorted(_LEARNT.rglob("*")) if path.is_file()]
    found = [each for each in found if each]
    return [*found, small, record(small, boot=bytes(8), sequence=1), audio.wav_from_pcm(bytes(3_200), 16_000)]


def _mutated(draw: random.Random, corpus: list[bytes]) -> bytes:
    data = bytearray(draw.choice(corpus))
    for _ in range(draw.randint(1, 8)):
        if not data:
            break
        at = draw.randrange(len(data))
        match draw.randrange(6):
            case 0:
                data[at] ^= 1 << draw.randrange(8)
            case 1:
                data[at] = draw.choice(_INTERESTING)
            case 2:
                del data[at:]
            case 3:
                del data[at : at + draw.randint(1, 64)]
            case 4:
                data[at:at] = data[at : at + draw.randint(1, 64)]
            case _:
                other = draw.choice(corpus)
                data[at:] = other[draw.randrange(len(other)) :]
    return bytes(data)
