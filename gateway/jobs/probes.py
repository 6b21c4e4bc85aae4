"""What the box itself tells: memory, temperature, disk. Each answers None where the box does not say."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_THERMAL = Path("/sys/class/thermal")
_PLAUSIBLE_C = (1.0, 120.0)
"""Below and above it is a sensor that is not read, or not there."""
_OTHERS = ("pmic-die", "iwlwifi", "bat", "tz_charger")
"""Beginnings of the types of zones that are no processor's: a Jetson's PMIC says 100 °C for ever, a radio has limits of
its own."""


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system where the data lies, in bytes."""

    total: int
    free: int


def disk(folder: Path) -> Disk:
    """Raises OSError when the folder cannot be asked."""
    usage = shutil.disk_usage(folder)
    return Disk(total=usage.total, free=usage.free)


def why_not_written(folder: Path) -> str:
    """The code of what keeps the folder from being written, empty when nothing does. A file is opened there that has
    no name and is gone at once: only the file system itself knows that it gave up, no flag tells.
    """
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600))
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):  # a file system without such files
            return "" if os.access(folder, os.W_OK) else "disk-read-only"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return "disk-full"
        return "disk-read-only" if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM) else "disk-error"
    return ""


def temperature_c(root: Path = _THERMAL) -> float | None:
    """The hottest of the processor's sensors that says something plausible, in °C."""
    found: list[float] = []
    for zone in sorted(root.glob("thermal_zone*")):
        try:
            celsius = int((zone / "temp").read_text()) / 1_000
        except (OSError, ValueError):
            continue  # a sensor that cannot be read says nothing
        if _PLAUSIBLE_C[0] < celsius < _PLAUSIBLE_C[1] and not _kind(zone).startswith(_OTHERS):
            found.append(celsius)
    return max(found, default=None)


def _kind(zone: Path) -> str:
    try:
        return (zone / "type").read_text().strip().lower()
    except OSError:
        return ""


def proportional_bytes(pids: Iterable[int]) -> int:
    """Memory of processes without counting shared pages twice (PSS); those that are gone count nothing."""
    total = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue  # it ended meanwhile
        for line in rollup.splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1_024
    return total
