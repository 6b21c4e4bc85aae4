"""Where fuzzing begins: python seeds.py RECORDS_FOLDER CORPUS_FOLDER. The first byte of each names its target."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

RECORD, NOTES, WORDS, MQTT, SPOOL, ORDERS, PAIRING, INSTALLER = range(8)
SAID = (
    b'{"boot":"00ff10203040a5c3","ranges":[[38,41],[44,47]],"nack":[{"seq":43,"code":"bad-jpeg","retry_ms":null}],'
    b'"credit":4}',
    b'{"t0_us": 5, "utc_us": 1790000000000000, "synced": true}',
    b'{"state": "online"}',
    b'{"every_s": 10, "quality": 12, "motion": true, "still_s": 600, "privacy": false, "quiet": [1320, 360]}',
)

ORDER = (
    b'{"id":"0123456789abcdef","cmd":"update","args":{"url":"https://h:1/f","board":"b","version":"1.2.3","size":5,'
    b'"sha256":"' + b"0a" * 32 + b'","signature":"AAAA"},"expires_us":1,"ttl_ms":1}'
)
ANSWER = (
    b'{"device":"cam-1","password":"p","root":"hearthlog/v1","mqtt":{"host":"h","port":1,"tls":true,"client_id":"x"}}'
)
TEXT = b"hearthlog:pair?c=K7QF3MPD&h=127.0.0.1:1"


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
    seeds += [(ORDERS, ORDER), (ORDERS, ORDER[ORDER.index(b'{"url') : ORDER.index(b',"expires')]), (ORDERS, b"1.2.3")]
    head = b"\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)
    seeds += [(PAIRING, TEXT + head[1:] + ANSWER), (PAIRING, TEXT + b"&f=" + b"0a" * 32 + head + b"-----B\nAAAA\n")]
    wifi = b"IMPROV\x01\x03\x0e\x01\x0c\x04home\x06secret"
    seeds += [(INSTALLER, wifi + bytes([sum(wifi) % 256])), (INSTALLER, TEXT + b"\n")]
    for n, (target, data) in enumerate(seeds):
        (corpus / f"seed-{n}").write_bytes(bytes([target]) + data)


main(Path(sys.argv[1]), Path(sys.argv[2]))
