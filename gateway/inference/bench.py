"""Time the installed models one by one, each in a worker process of its own, as the house runs them.

What a model costs: the time of one request (p50, p95), the seconds until it is loaded, the memory that it adds to an
empty worker at its highest, the processor time of one request, and an estimate of its energy: processor seconds times
what one busy core draws over idling (`board.CORE_WATTS`, or a figure of one's own). What the memory, the disk and a
graphics processor draw besides is not in it.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import math
import os
import secrets
import statistics
import tempfile
import time
import wave
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.child import Child, Limits, python_argv, python_env, rss_peak_bytes
from gateway.entities import BlobRef, Json
from gateway.errors import HearthlogError, WorkerFailed
from gateway.inference.models import Models, State
from gateway.inference.worker import blob_to_map
from gateway.inference.workers import Budget, Workers, open_workers
from gateway.store.blobs import BlobFolder

_TEXT = "A person with a dog beside a bicycle, in front of a car."
_FACE = ((0.38, 0.40), (0.62, 0.40), (0.50, 0.55), (0.41, 0.70), (0.59, 0.70))
"""Where a face's eyes, nose and corners of the mouth are in a portrait."""
_TICKS_S = os.sysconf("SC_CLK_TCK")
_START_S = 60.0


@dataclass(frozen=True, slots=True)
class Timing:
    """What one model took."""

    task: str
    model: str
    p50_ms: float
    p95_ms: float
    load_s: float
    """From the worker's readiness to the model's: hashing, loading, and what only the first request does."""
    ram_mb: float
    """Resident at the highest, over an empty worker."""
    cpu_ms: float
    """Of all threads, one request."""
    energy_mj: float
    """An estimate: see above."""
    runs_on: str = ""
    """What runs it: `CPU`, `CUDA`, `TensorRT`; and why nothing better does, if something is there."""
    failed: str = ""
    """Why there are no figures, for people; empty when there are."""


@dataclass(frozen=True, slots=True)
class Samples:
    """What the models are asked about."""

    picture: bytes | None
    """JPEG, PNG or WebP; None: models of pictures are left out."""
    sound: bytes | None
    """WAV; None: models of sound are left out."""


async def bench(
    models: Models, samples: Samples, *, runs: int, budget: Budget, core_watts: float
) -> AsyncIterator[Timing]:
    """Every ready model, by name. One that cannot answer is told with the reason."""
    looks = await asyncio.to_thread(models.installed)
    with tempfile.TemporaryDirectory(prefix="hearthlog-bench-") as scratch:
        empty = await _empty_worker(budget.threads)
        blobs = {
            kind: None if body is None else await asyncio.to_thread(_sealed, Path(scratch), body)
            for kind, body in (("picture", samples.picture), ("sound", samples.sound))
        }
        for look in looks:
            if look.state is not State.READY:
                continue
            manifest = look.manifest
            blob = None if manifest.slot == "query" else blobs["sound" if manifest.slot == "listen" else "picture"]
            if blob is None and manifest.slot != "query":
                continue
            alone = Models(models.folder.parent, {manifest.name: manifest})
            async with open_workers(alone, budget) as workers:
                try:
                    yield await _timed(workers, manifest.task, blob, empty, runs, core_watts)
                except HearthlogError as error:
                    nothing = math.nan
                    figures = (nothing, nothing, nothing, nothing, nothing, nothing)
                    yield Timing(manifest.task, manifest.name, *figures, failed=str(error))


@dataclass(frozen=True, slots=True)
class _Empty:
    """A worker that has loaded nothing."""

    start_s: float
    peak_mb: float


async def _timed(
    workers: Workers, task: str, blob: BlobRef | None, empty: _Empty, runs: int, core_watts: float
) -> Timing:
    params = _params(task, blob)
    first = await workers.run(task, blob, params=params)
    slot = next(slot for slot in workers.status() if slot.pid is not None)
    pid, on = slot.pid or 0, slot.runs_on[task]
    began_s = _cpu_s(pid)
    took = [(await workers.run(task, blob, params=params)).took_ms for _ in range(runs)]
    cpu_s = (_cpu_s(pid) - began_s) / runs
    p50_ms = statistics.median(took)
    return Timing(
        task=task,
        model=first.provenance.model,
        p50_ms=p50_ms,
        p95_ms=sorted(took)[math.ceil(0.95 * runs) - 1],
        load_s=max(0.0, (first.took_ms - p50_ms) / 1000 - empty.start_s),
        ram_mb=max(0.0, _peak_mb(pid) - empty.peak_mb),
        cpu_ms=cpu_s * 1000,
        energy_mj=cpu_s * core_watts * 1000,
        runs_on=str(on),
    )


def _params(task: str, blob: BlobRef | None) -> Json:
    if blob is None:
        return {"texts": [_TEXT]}
    if task == "embed-face":
        return {"points": [list(point) for point in _FACE]}
    return {"others": [blob_to_map(blob)]} if task == "overlap" else {}


async def _empty_worker(threads: int) -> _Empty:
    """Start one and ask it for a family that nobody wrote: it refuses, and stays."""
    argv, env = python_argv("gateway.inference.worker"), python_env(threads=threads)
    nobody: Mapping[str, object] = {
        "key": "",
        "family": "nobody",
        "files": {},
        "threads": 1,
        "options": {},
        "accelerator": "cpu",
        "kept": "",
        "graphs": {},
    }
    async with Child(argv, name="empty", env=env, limits=Limits(network=False)) as child:
        began_s = time.perf_counter()
        try:
            await child.call({"model": dict(nobody), "blob": None, "params": {}}, timeout_s=_START_S)
        except WorkerFailed:
            raise
        except HearthlogError:
            start_s = time.perf_counter() - began_s
        pid = child.pid
        if pid is None:
            raise WorkerFailed("an empty worker does not stay", code="died")
        return _Empty(start_s, _peak_mb(pid))


def _peak_mb(pid: int) -> float:
    """The most memory that a process ever had resident."""
    return rss_peak_bytes(pid) / (1 << 20)


def _cpu_s(pid: int) -> float:
    """Processor seconds of a process so far, its ended children's among them. To the nanosecond where the kernel tells
    it by thread, else to the tick."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    own, children = (sum(int(each) for each in fields[start : start + 2]) / _TICKS_S for start in (11, 13))
    try:
        threads = [each.read_text(encoding="utf-8") for each in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    except OSError:
        threads = []  # a thread ended as we looked
    return children + (sum(int(each.split()[0]) for each in threads) / 1e9 if threads else own)


def as_wav(pcm16: bytes, rate_hz: int) -> bytes:
    """Mono samples as a WAV file."""
    out = io.BytesIO()
    with wave.open(out, "wb") as sink:
        sink.setparams((1, 2, rate_hz, 0, "NONE", ""))
        sink.writeframes(pcm16)
    return out.getvalue()


def _sealed(folder: Path, body: bytes) -> BlobRef:
    sha256 = hashlib.sha256(body).digest()
    blobs = BlobFolder(folder)
    sealed = blobs.put(body, owner_key=secrets.token_bytes(32), sha256=sha256)
    return BlobRef(
        path=str(blobs.root / sealed.name), key=sealed.key, sha256=sha256, body_bytes=len(body), media_type=""
    )


def table(timings: Sequence[Timing]) -> str:
    """Markdown."""
    lines = [
        "| model | task | runs on | p50 ms | p95 ms | load s | RAM MB | processor ms | energy mJ (estimate) |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for each in timings:
        if each.failed:
            lines.append(f"| {each.model} | {each.task} | | {each.failed} | | | | | |")
            continue
        figures = f"{each.p50_ms:.1f} | {each.p95_ms:.1f} | {each.load_s:.2f} | {each.ram_mb:.0f}"
        lines.append(
            f"| {each.model} | {each.task} | {each.runs_on} | {figures} | {each.cpu_ms:.1f} | {each.energy_mj:.1f} |"
        )
    return "\n".join(lines)
