"""Coverage-guided fuzzing of everything that reads bytes from a device, by Atheris (libFuzzer for Python).

`pip install atheris`, then `python -m tests.fault.guided record 600`: one target for so many seconds. Nothing but
Rejected may come out. What it learnt is kept in tests/fixtures/fuzz/<target>, small, and is where the next run begins;
the ordinary fuzz run (`--only fuzz`) reads it too.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import atheris
from PIL import Image

with atheris.instrument_imports(include=["gateway"]):
    from gateway.decoders import audio, image, text
    from gateway.decoders.cbor import read_cbor
    from gateway.decoders.contents import read_contents
    from gateway.decoders.exif import read_exif_time
    from gateway.decoders.record import RecordKind, decode_record, encode_record
    from gateway.entities import RecordKey
    from gateway.errors import Rejected
    from gateway.ingest.control import read_hello, read_status, read_time_question
    from gateway.ingest.desk import read_result

from tests.bench.frames import frame

GOLDEN = Path(__file__).resolve().parents[1] / "fixtures" / "records"
CORPUS = Path(__file__).resolve().parents[1] / "fixtures" / "fuzz"
_SLOW_S = 1.0
"""Of processor time, for one input."""
_HANGS_S = 60
"""Of the clock on the wall, which other programs share."""
_KINDS = tuple(RecordKind)


def _contents(data: bytes) -> None:
    """A record whose sums are right, so that what is inside is reached."""
    kind = _KINDS[data[0] % len(_KINDS)] if data else RecordKind.JPEG
    whole = encode_record(kind=kind, key=RecordKey(bytes(8), 1, 2, 3), meta={}, body=data[1:])
    read_contents(decode_record(whole))


def _said(data: bytes) -> None:
    """What a device says in JSON; each reader gets it."""
    for read in (read_hello, read_status, read_time_question, read_result):
        try:
            read(data)
        except Rejected:
            continue


TARGETS: Mapping[str, Callable[[bytes], object]] = {
    "record": decode_record,
    "contents": _contents,
    "cbor": read_cbor,
    "exif": read_exif_time,
    "image": image.DECODER.decode,
    "audio": audio.DECODER.decode,
    "text": text.DECODER.decode,
    "said": _said,
}


def _first(target: str) -> list[bytes]:
    """Where a target begins that has learnt nothing yet: the golden packets, and what a camera would say."""
    golden = [path.read_bytes() for path in sorted(GOLDEN.rglob("*")) if path.suffix in (".bin", ".hlr", ".rec")]
    match target:
        case "record":
            return [each for each in golden if each]
        case "contents":
            return [
                bytes([0]) + frame(1, size_bytes=3_000),
                *(bytes([(each[5] - 1) % 256]) + each[48:-36] for each in golden if len(each) > 84),
            ]
        case "cbor":
            return [each[48:-36] for each in golden if len(each) > 84]
        case "image":
            return [frame(1, size_bytes=3_000), *(_drawn(kind) for kind in ("PNG", "WEBP"))]
        case "exif":
            return [b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x1a\0\0\0" + bytes(40)]
        case "audio":
            return [audio.wav_from_pcm(bytes(320), 16_000)]
        case "said":
            return [
                b'{"firmware":"1.0.0","board":"xiao","boot":"0011223344556677","mono_us":5,'
                b'"spool":[{"boot":"0011223344556677","first":1,"last":9}]}',
                b'{"state":"online","battery_mv":3900,"rssi_dbm":-61,"spool_fill":0.5}',
                b'{"time":{"t0_us":12345}}',
                b'{"id":"0123456789abcdef","ok":true,"code":""}',
            ]
        case _:
            return ["Grüße".encode(), b"\xff\xfea\0"]


def _drawn(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 12), (200, 30, 90)).save(out, kind)
    return out.getvalue()


def main() -> None:
    """Runs until its time is over (status 0) or something is found, which libFuzzer prints and saves."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault.guided")
    parser.add_argument("target", choices=tuple(TARGETS))
    parser.add_argument("seconds", type=int)
    given = parser.parse_args()
    read = TARGETS[given.target]
    seeds = CORPUS / given.target
    seeds.mkdir(parents=True, exist_ok=True)

    def one(data: bytes) -> None:
        began_s = time.thread_time()
        with contextlib.suppress(Rejected):
            read(data)
        if time.thread_time() - began_s > _SLOW_S:
            raise TimeoutError(f"{len(data)} bytes took {time.thread_time() - began_s:.1f} s")

    with tempfile.TemporaryDirectory() as first:
        for n, data in enumerate(_first(given.target)):
            (Path(first) / f"first-{n}").write_bytes(data)
        options = [f"-max_total_time={given.seconds}", "-max_len=65536", f"-timeout={_HANGS_S}", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *options, str(seeds), first], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
