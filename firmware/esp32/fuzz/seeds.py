"""Where fuzzing begins: python seeds.py RECORDS_FOLDER CORPUS_FOLDER. The first byte of each names its target."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

RECORD, NOTES, WORDS, MQTT, SPOOL = range(5)
SAID = (
    b'{"boot":"00ff10203040a5c3","ranges":[[38,41],[44,47]],"nack":[{"seq":43,"code":"bad-jpeg","retry_ms":null}],'
    b'"credit":4}',
    b'{"t0_us": 5, "utc_us": 1790000000000000, "synced": true}',
    b'{"state": "online"}',
    b'{"every_s": 10, "quality": 12, "motion": true, "still_s": 600, "privacy": false, "quiet": [1320, 360]}',
)


def main(records: Path, corpus: Path) -> None:
    seeds = []
    for path in sorted(records.glob("*.rec")):
        data = path.read_bytes()
        seeds.append((RECORD, data))
        if len(data) >= 84:
            meta_bytes = struct.unpack_from("<H", data, 8)[0]
            seeds += [(NOTES, data[48 : 48 + meta_bytes]), (NOTES, data[48 + meta_bytes : -36])]
    seeds += [(WORDS, text) for text in SAID]
    for text in SAID:
        publish = struct.pack(">H", 3) + b"a/b" + text
        seeds.append((MQTT, b"\x20\x02\x00\x00" + bytes([0x30, len(publish)]) + publish))
    seeds += [(SPOOL, bytes([count, 3, 0, 20, 1, 0, 1, 7, 255])) for count in (0, 5, 30)]
    for n, (target, data) in enumerate(seeds):
        (corpus / f"seed-{n}").write_bytes(bytes([target]) + data)


main(Path(sys.argv[1]), Path(sys.argv[2]))
