"""Power cuts, simulated: the gateway's folder lies on a loop-mounted ext4 that is shut down without its journal.

The order in which nothing is held against the gateway that it did not promise: stop it (SIGSTOP), take in the
acknowledgements that are on their way, cut (EXT4_IOC_SHUTDOWN, no flush of the log), kill, mount again, compare.
SIGKILL alone finds none of these faults: the page cache survives it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import signal
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from tests.bench.broker import Broker
from tests.bench.result import Result
from tests.fault import evidence
from tests.fault.load import Load, loaded
from tests.fault.mutants import MUTANTS

_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = 2
_IMAGE_MB = 1_024
_QUIET_S = 0.15
"""Nothing has come for so long: the last acknowledgement is here."""


class Disk:
    """An ext4 of its own in a file. `with Disk(folder) as disk`: mounted at `disk.at`."""

    def __init__(self, folder: Path) -> None:
        self.at = folder / "disk"
        self._image = folder / "disk.img"

    def __enter__(self) -> Disk:
        self.at.mkdir()
        with self._image.open("wb") as file:
            file.truncate(_IMAGE_MB << 20)
        _call("mkfs.ext4", "-q", "-F", str(self._image))
        self.mount()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self.unmount()

    def mount(self) -> None:
        """As at start-up: the journal is replayed."""
        _call("mount", "-o", "loop,noatime,errors=remount-ro", str(self._image), str(self.at))

    def unmount(self) -> None:
        """Once nobody holds a file on it."""
        _call("umount", str(self.at))

    def give_up(self) -> None:
        """As a file system does that meets an error: read-only until it is mounted anew."""
        device = subprocess.run(
            ["findmnt", "-no", "SOURCE", str(self.at)], check=True, capture_output=True, text=True
        ).stdout.strip()
        Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error").write_text("1")

    def cut(self) -> None:
        """From now on nothing reaches the disk, nor what the journal has not written yet."""
        descriptor = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(descriptor)


def why_not() -> str:
    """Why cuts cannot be made here; empty when they can."""
    if os.geteuid() != 0:
        return "this machine's user is not root, and only root may mount"
    with tempfile.TemporaryDirectory() as folder:
        try:
            with Disk(Path(folder)) as disk:
                disk.cut()
        except (OSError, subprocess.CalledProcessError) as error:
            return f"this machine gives no loop-mounted ext4 that can be shut down: {error}"
    return ""


def run(*, count: int = 10, seed: int = 1, mutants: bool = True) -> list[Result]:
    """The gateway as it is, then each mutant until it is caught."""
    if reason := why_not():
        return [Result("simulated power cuts", "", "0 acknowledged lost", None, reason)]
    found, cuts, promised = _cut_often(count, seed, mutant="")
    results = [
        Result(
            "simulated power cuts of the gateway",
            f"{cuts} cuts: {len(found.lost)} of {promised} acknowledged lost",
            "0 acknowledged lost",
            cuts == count and found.clean and promised > 0,
            f"{found.words()}; seed {seed}",
        )
    ]
    return results + [catch(name, seed=seed) for name in MUTANTS if mutants]


def catch(mutant: str, *, seed: int = 1, most: int = 60) -> Result:
    """Cut a mutant's power until the harness notices."""
    if reason := why_not():
        return Result(f"mutant {mutant}", "", "caught", None, reason)
    found, cuts, promised = _cut_often(most, seed, mutant=mutant)
    return Result(
        f"mutant {mutant}",
        f"caught after {cuts} cuts" if found.lost else f"not caught in {cuts} cuts",
        "caught",
        bool(found.lost),
        f"{len(found.lost)} of {promised} acknowledged lost",
    )


def _cut_often(count: int, seed: int, *, mutant: str) -> tuple[evidence.Evidence, int, int]:
    """Cut until something is lost or `count` is reached: what was found, how many cuts, how much was promised."""
    draw = random.Random(seed)
    promised = 0
    found = evidence.Evidence()
    with tempfile.TemporaryDirectory(prefix="hearthlog-cuts-") as folder, contextlib.ExitStack() as stack:
        broker = stack.enter_context(Broker(Path(folder) / "broker"))
        disk = stack.enter_context(Disk(Path(folder)))
        home = disk.at / "home"
        load = stack.enter_context(loaded(broker, home, steps="none", mutant=mutant))
        for n in range(1, count + 1):
            load.start()
            load.spin_until(draw.randint(1, 60))
            load.spin_for(draw.uniform(0.0, 0.03))
            _cut(load, disk)
            found = evidence.look(home, records=load.promised)
            promised += len(load.promised)
            if not found.clean:
                return found, n, promised
            load.promised.clear()
            if os.statvfs(disk.at).f_bavail * 4 < os.statvfs(disk.at).f_blocks:
                _empty(disk)
    return found, count, promised


def _cut(load: Load, disk: Disk) -> None:
    assert load.gateway is not None
    os.kill(load.gateway.pid, signal.SIGSTOP)
    last_s, seen = time.monotonic(), len(load.promised)
    while time.monotonic() - last_s < _QUIET_S:
        load.cameras.spin(0.02)
        if len(load.promised) != seen:
            last_s, seen = time.monotonic(), len(load.promised)
    disk.cut()
    load.gateway.kill()
    disk.unmount()
    disk.mount()


def _empty(disk: Disk) -> None:
    """Start over on an empty disk: everything so far was compared."""
    disk.unmount()
    _call("mkfs.ext4", "-q", "-F", str(disk.at.parent / "disk.img"))
    disk.mount()


def _call(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
