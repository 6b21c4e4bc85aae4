"""Programs that benches and fault runs start beside themselves; they are spoken to by lines on stdin and stdout."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Child:
    """One Python module as a process in a group of its own, so that what it starts ends with it."""

    def __init__(self, module: str, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
        self._buffer = b""
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, **(environ or {})},
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def line(self, *, limit_s: float = 60.0) -> str:
        """The next line it prints. Raises TimeoutError, or EOFError when it ended without one."""
        assert self._process.stdout is not None
        ends_s = time.monotonic() + limit_s
        while b"\n" not in self._buffer:
            left_s = ends_s - time.monotonic()
            if left_s <= 0 or not select.select([self._process.stdout], [], [], left_s)[0]:
                raise TimeoutError("the child says nothing")
            got = os.read(self._process.stdout.fileno(), 1 << 16)
            if not got:
                raise EOFError(f"the child ended with {self._process.wait(10)}")
            self._buffer += got
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode()

    def lines(self) -> list[str]:
        """The whole lines it has printed since the last look; does not wait."""
        assert self._process.stdout is not None
        while select.select([self._process.stdout], [], [], 0)[0]:
            got = os.read(self._process.stdout.fileno(), 1 << 16)
            if not got:
                break
            self._buffer += got
        *whole, self._buffer = self._buffer.split(b"\n")
        return [line.decode() for line in whole]

    def wait_for(self, word: str, *, limit_s: float = 60.0) -> None:
        """Read lines until one is `word`."""
        ends_s = time.monotonic() + limit_s
        while self.line(limit_s=ends_s - time.monotonic()) != word:
            continue

    def say(self, line: str = "") -> None:
        """Send it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def kill(self, how: signal.Signals = signal.SIGKILL, *, group: bool = True) -> None:
        """End it, with everything it started when `group`, and wait for it."""
        with contextlib.suppress(ProcessLookupError):
            if group:
                os.killpg(self.pid, how)
            else:
                os.kill(self.pid, how)
        self._process.wait(20)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


@contextlib.contextmanager
def child(module: str, *arguments: str, environ: Mapping[str, str] | None = None) -> Iterator[Child]:
    """A child that is killed at the end, with all that it started."""
    one = Child(module, *arguments, environ=environ)
    try:
        yield one
    finally:
        one.kill()


def family(pid: int) -> list[int]:
    """A process and everything below it, by /proc."""
    found, at = [pid], 0
    while at < len(found):
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{found[at]}/task").iterdir():
                found += [int(word) for word in (task / "children").read_text().split()]
        at += 1
    return found


def pss_mb(pids: Sequence[int]) -> float:
    """Proportional memory of these processes, in MB of 10⁶ bytes."""
    return _rollup_mb(pids, "Pss:")


def own_mb(pids: Sequence[int]) -> float:
    """The part of it that is no file's: what they took for themselves."""
    return _rollup_mb(pids, "Pss_Anon:")


def _rollup_mb(pids: Sequence[int], line_of: str) -> float:
    total_kb = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(line_of):
                    total_kb += int(line.split()[1])
    return total_kb * 1_024 / 1e6


def rss_mb(pid: int) -> float:
    """Resident memory of one process, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1_024 / 1e6
    return 0.0
