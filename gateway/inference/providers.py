"""What runs a graph of ONNX Runtime: TensorRT or CUDA where they are and may be used, the processor else.

`available` is what `onnxruntime.get_available_providers()` says: what the installed runtime was built with, which is
more than what works here. So each is tried, and what does not start is left out with its reason.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from gateway.inference.contract import Graph

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
LABELS = {CPU: "CPU", CUDA: "CUDA", TENSORRT: "TensorRT"}
"""As people know them."""
MOST_MB = 2_000
"""What a driver and its libraries take of a worker's memory besides the model. A guess until somebody measures it."""

_ALLOWED = {
    "auto": (TENSORRT, CUDA, CPU),
    "tensorrt": (TENSORRT, CUDA, CPU),
    "cuda": (CUDA, CPU),
    "cpu": (CPU,),
}
"""By the setting `limits.accelerator`, the best first."""

Provider: TypeAlias = tuple[str, dict[str, Any]]
"""A name and its options, as the runtime takes them; `Any`, because they are numbers, words and truths."""


def tried(setting: str, available: Sequence[str]) -> list[str]:
    """The names that are tried, one after the other; the CPU is the last and always there."""
    return [name for name in _ALLOWED.get(setting, (CPU,)) if name == CPU or name in available]


def with_options(name: str, kept: Path | None) -> list[Provider]:
    """What a session is created with to run on `name`; what that one cannot do falls to those behind it. TensorRT keeps
    what it compiles, which takes minutes, in the folder `kept`."""
    arena = {"arena_extend_strategy": "kSameAsRequested"}
    behind: list[Provider] = [(CUDA, dict(arena)), (CPU, dict(arena))]
    if name == TENSORRT:
        engines: dict[str, Any] = {}
        if kept is not None:
            engines = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(kept / "tensorrt")}
        return [(TENSORRT, engines), *behind]
    return behind if name == CUDA else behind[1:]


def built_in() -> list[str]:
    """What the installed runtime was built with, by the files that it brought: who only wants to know whether a worker
    may need more need not load it."""
    spec = find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        return [CPU]
    capi = Path(spec.origin).parent / "capi"
    libraries = ((TENSORRT, "tensorrt"), (CUDA, "cuda"))
    return [name for name, word in libraries if any(capi.glob(f"*providers_{word}*"))] + [CPU]


@dataclass(frozen=True, slots=True)
class How:
    """How graphs are loaded: plainly, on the CPU, unless a worker says otherwise."""

    accelerator: str = "cpu"
    """As the setting of this name."""
    kept: Path | None = None
    """Where optimised forms of graphs are kept; None: nowhere."""
    hashes: Mapping[Path, str] = field(default_factory=dict)
    """SHA-256 of files that were checked just now; the form of another file is not kept."""
    graphs: Mapping[Path, Graph] = field(default_factory=dict)
    """What graphs must take and give; nothing is asked of the others."""


@dataclass(frozen=True, slots=True)
class RunsOn:
    """What runs a graph."""

    provider: str = CPU
    """As the runtime calls it."""
    instead: str = ""
    """Why nothing better does, though it was there; empty when nothing was."""

    def __str__(self) -> str:
        label = LABELS.get(self.provider, self.provider)
        return f"{label} ({self.instead})" if self.instead else label


_how: ContextVar[How] = ContextVar("how", default=How())  # noqa: B039  (frozen)
_loaded: ContextVar[list[RunsOn] | None] = ContextVar("loaded", default=None)


@contextlib.contextmanager
def loading(how: How) -> Iterator[list[RunsOn]]:
    """Graphs of this context are loaded like this; yields a list that they are put down in as they are."""
    found: list[RunsOn] = []
    before, told = _how.set(how), _loaded.set(found)
    try:
        yield found
    finally:
        _how.reset(before)
        _loaded.reset(told)


def how_to_load() -> How:
    """As this context says."""
    return _how.get()


def note(runs_on: RunsOn) -> None:
    """A graph was loaded, and this runs it."""
    told = _loaded.get()
    if told is not None:
        told.append(runs_on)
