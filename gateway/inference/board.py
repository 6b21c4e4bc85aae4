"""What this machine is: its tier, which says what models are meant for it, and what a busy core of it draws."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from gateway.inference.manifest import TIERS, Manifest

_MAX_BYTES = 64 << 10
_MODELS_SHARE = 0.5
"""Of the memory a model may take so much; the rest is the house's."""
_BY_NAME = (
    ("raspberry pi 5", "pi5"),
    ("raspberry pi 500", "pi5"),
    ("compute module 5", "pi5"),
    ("raspberry pi", "pi4"),
    ("jetson", "jetson"),
    ("orin", "jetson"),
)
"""The first that the device tree's name contains. What is smaller than a Pi 4 counts as one."""
_BY_CORE = {"0xd0b": "pi5", "0xd42": "jetson"}
"""Of other ARM boards, by the part number in /proc/cpuinfo: Cortex-A76 as in a Pi 5, A78AE as in an Orin."""
CORE_WATTS = {"pi4": 0.9, "pi5": 1.4, "jetson": 1.5, "x86": 4.0}
"""What one busy core adds to an idle board, at the plug (docs/models-on-a-board.md). Rounded, and good to a third."""

WARM_C = {"pi4": (75, 82), "pi5": (75, 82), "jetson": (85, 93), "x86": (85, 95)}
"""Above which the backlog, and what cameras send, should wait: below where the board slows itself down. A Pi does so at
80 °C and more at 85 (config.txt, temp_limit), an Orin at 99, processors for desktops at 100."""


@dataclass(frozen=True, slots=True)
class Board:
    """A machine."""

    tier: str
    """One of TIERS."""
    name: str
    """As the device tree or the processor calls itself."""
    processors: int
    memory_mb: int

    @property
    def core_watts(self) -> float:
        """What one busy core draws over idling, by the table."""
        return CORE_WATTS[self.tier]

    def fits(self, manifest: Manifest) -> bool:
        """Whether a model is meant for this tier and leaves the house its share of the memory."""
        return not self.unfit(manifest)

    def unfit(self, manifest: Manifest) -> str:
        """Why a model does not fit, for people; empty when it does."""
        if self.tier not in manifest.tiers:
            return f"meant for {', '.join(manifest.tiers)}; this machine counts as {self.tier}"
        most_mb = int(_MODELS_SHARE * self.memory_mb)
        if manifest.ram_mb > most_mb:
            return f"needs {manifest.ram_mb:,} MB of memory; a model may have {most_mb:,} MB of this machine's"
        return ""


def this_board(root: Path = Path("/"), machine: str = "", *, tier: str = "auto") -> Board:
    """What the machine says of itself below `root`; what nobody knows is taken for the smallest. `tier` is one of TIERS
    where somebody knows better, as the setting `models.tier`."""
    machine = machine or platform.machine()
    processor = _told(root / "proc/cpuinfo")
    name = _told(root / "proc/device-tree/model").strip("\0 \n")
    memory = _line(_told(root / "proc/meminfo"), "MemTotal").split()
    return Board(
        tier=_tier(name, processor, machine) if tier == "auto" else tier,
        name=name or _line(processor, "model name") or machine,
        processors=os.cpu_count() or 1,
        memory_mb=int(memory[0]) // 1024 if memory and memory[0].isdigit() else 1024,
    )


def _tier(name: str, processor: str, machine: str) -> str:
    known = next((tier for part, tier in _BY_NAME if part in name.lower()), None)
    if known is not None:
        return known
    if machine in ("x86_64", "AMD64", "i686"):
        return "x86"
    return _BY_CORE.get(_line(processor, "CPU part"), TIERS[0])


def _line(text: str, key: str) -> str:
    """The value of the first `key: value` line; empty when there is none."""
    for line in text.splitlines():
        before, colon, value = line.partition(":")
        if colon and before.strip() == key:
            return value.strip()
    return ""


def _told(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
