"""What the way in could reach at most: the least that is durable, sealed and acknowledged, with the same libraries.

aiomqtt receives, by the gateway's own reading of packets; one thread hashes, seals, writes, syncs and renames the files
of a handful, as the gateway does, and commits their names.
Nothing is checked, dated, queued or told to anybody. It shares both cores with the broker and the cameras, as the
gateway does, and as the two bare loops do not.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import secrets
import socket
import sqlite3
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import aiomqtt
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.ingest.packets import Packets, Published

_NAME = struct.Struct("<8sQ")
_HANDFUL = 32
_Record: TypeAlias = tuple[str, bytes]


class _Keeper:
    """The disk's side; in one thread."""

    def __init__(self, folder: Path) -> None:
        self._parts, self._files = folder / "part", folder / "files"
        self._parts.mkdir(parents=True)
        self._files.mkdir()
        self._folder = os.open(self._files, os.O_RDONLY)
        self._connection = sqlite3.connect(folder / "lean.db", isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE TABLE file(id INTEGER PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL)")

    def keep(self, handful: Sequence[_Record]) -> None:
        rows = []
        opened = []
        for _, data in handful:
            body = memoryview(data)[48:-36]
            digest, drawn = hashlib.sha256(body).digest(), secrets.token_bytes(60)
            name = digest.hex()[:24] + drawn[44:].hex()
            descriptor = os.open(self._parts / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(descriptor, AESGCM(drawn[:32]).encrypt(drawn[32:44], body, None))
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            opened.append(descriptor)
            rows.append((name, digest))
        for descriptor in opened:
            os.fsync(descriptor)
            os.close(descriptor)
        for name, _ in rows:
            (self._parts / name).rename(self._files / name)
        os.fsync(self._folder)
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO file(name, hash) VALUES (?,?)", rows)
        self._connection.execute("COMMIT")


async def _run(port: int, credit: int, folder: Path) -> None:
    keeper = _Keeper(folder)
    came: asyncio.Queue[_Record] = asyncio.Queue()
    options = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)

    def heard(message: Published) -> None:
        came.put_nowait((message.topic, message.payload))

    with ThreadPoolExecutor(1) as thread:
        async with aiomqtt.Client(
            "127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5, socket_options=options
        ) as client:
            Packets(client._client, heard, modern=True)
            await client.subscribe("hearthlog/v1/+/up/rec", qos=0)
            await client.publish("hearthlog/v1/gateway/status", b'{"state":"online"}', qos=1, retain=True)
            print("ready", flush=True)
            while True:
                handful = [await came.get()]
                while len(handful) < _HANDFUL and not came.empty():
                    handful.append(came.get_nowait())
                await asyncio.get_running_loop().run_in_executor(thread, keeper.keep, handful)
                kept: dict[tuple[str, bytes], list[int]] = {}
                for topic, data in handful:
                    boot, sequence = _NAME.unpack_from(data, 20)
                    kept.setdefault((topic.split("/")[2], boot), []).append(sequence)
                for (device, boot), sequences in kept.items():
                    ranges = [[each, each] for each in sequences]
                    said = {"boot": boot.hex(), "ranges": ranges, "nack": [], "credit": credit}
                    await client.publish(f"hearthlog/v1/{device}/dn/ack", json.dumps(said))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--credit", type=int, default=8)
    given = parser.parse_args()
    asyncio.run(_run(given.port, given.credit, given.folder))


if __name__ == "__main__":
    main()
