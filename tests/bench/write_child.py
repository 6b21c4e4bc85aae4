"""The other bare loop: write, fsync, rename, one fsync of the folder, one commit a batch, as fast as this disk lets.

Prints files a second. One loop, as the bar says; `--threads` syncs files side by side. The batch is what
the cameras' credit lets be in flight.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--bytes", type=int, default=50_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    parts, target = given.folder / "part", given.folder / "files"
    parts.mkdir(parents=True)
    target.mkdir()
    connection = sqlite3.connect(given.folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE file(id INTEGER PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL)")
    body, mark = os.urandom(given.bytes), os.urandom(32)
    folder = os.open(target, os.O_RDONLY)

    def write(number: int) -> None:
        descriptor = os.open(parts / str(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(descriptor, body)
        os.fsync(descriptor)
        os.close(descriptor)
        (parts / str(number)).rename(target / str(number))

    with ThreadPoolExecutor(given.threads) as pool:
        began_s = time.monotonic()
        for first in range(0, given.count, given.batch):
            numbers = range(first, min(given.count, first + given.batch))
            list(pool.map(write, numbers))
            os.fsync(folder)
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO file(name, hash) VALUES (?,?)", [(str(each), mark) for each in numbers])
            connection.execute("COMMIT")
        print(given.count / (time.monotonic() - began_s), flush=True)


if __name__ == "__main__":
    main()
