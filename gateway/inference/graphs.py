"""Graphs as the runtime has optimised them, kept so that the next worker need not do it again.

Such a graph is good for one processor, one version of the runtime, one provider and one model: its name says all four,
and the hash of its own bytes, which is checked before it is used. What is damaged goes, and is made again. Nothing
depends on the folder: it may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from gateway.inference.models import file_sha256

_CPUINFO = Path("/proc/cpuinfo")
_CPU_LINES = ("model name", "flags", "features", "cpu implementer", "cpu part", "cpu variant")
_HEX = 16


@dataclass(frozen=True, slots=True)
class Graph:
    """Where the optimised form of one model lies, or would."""

    folder: Path
    model: str
    """Of the SHA-256 of the model's file, the beginning."""
    made_by: str
    """Likewise of what the form depends on besides."""

    def find(self) -> Path | None:
        """The form that was kept, if its bytes are what they were."""
        for path in self.folder.glob(f"{self.model}-{self.made_by}-*.onnx"):
            with contextlib.suppress(OSError):
                if file_sha256(path) == path.stem.rpartition("-")[2]:
                    return path
            path.unlink(missing_ok=True)
        return None

    @property
    def part(self) -> Path:
        """Where the runtime may write it; call `keep` once it did."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{self.model}-{self.made_by}.{os.getpid()}.part"

    def keep(self) -> None:
        """What lies at `part` is the form; forms of the same model for another runtime or processor go. A disk that
        does not take it costs the time again at the next start, and no more."""
        part = self.part
        try:
            with part.open("rb") as stream:
                os.fsync(stream.fileno())
            target = self.folder / f"{self.model}-{self.made_by}-{file_sha256(part)}.onnx"
            for path in self.folder.glob(f"{self.model}-*.onnx"):
                path.unlink(missing_ok=True)
            part.replace(target)
        except OSError:
            self.give_up()

    def give_up(self) -> None:
        """Nothing came of `part`."""
        with contextlib.suppress(OSError):
            part = self.part
            part.unlink(missing_ok=True)


def graph_of(folder: Path, sha256: str, *, runtime: str, provider: str, cpuinfo: Path = _CPUINFO) -> Graph:
    """The place for a model whose file has this hash, run by `provider` of the runtime `runtime` on this processor."""
    made_by = hashlib.sha256("\n".join((runtime, provider, _processor(cpuinfo))).encode()).hexdigest()
    return Graph(folder, sha256[:_HEX], made_by[:_HEX])


def _processor(cpuinfo: Path) -> str:
    """What of the first processor decides which kernels it may be given."""
    try:
        first = cpuinfo.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
    except OSError:
        return ""
    lines = (line.partition(":") for line in first.splitlines())
    return "\n".join(
        f"{name.strip()}:{value.strip()}" for name, _, value in lines if name.strip().lower() in _CPU_LINES
    )
