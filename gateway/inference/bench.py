"""Time the installed models on a file, through the same workers that the house uses."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gateway.entities import BlobRef, Json
from gateway.inference.models import Models, State
from gateway.inference.workers import Budget, Workers, open_workers
from gateway.store.blobs import BlobFolder

_LOOKING = ("pixels", "detect", "detect-faces", "classify", "ocr", "embed-image", "thumbnail")
_LISTENING = ("vad", "sound", "asr", "asr-draft")
_TEXT = "A person with a dog beside a bicycle, in front of a car."


@dataclass(frozen=True, slots=True)
class Timing:
    """What one task took."""

    task: str
    model: str
    first_ms: float
    """Starting the process and loading the model included."""
    median_ms: float


async def bench_file(models: Models, file: Path, *, runs: int, threads: int) -> list[Timing]:
    """Time every task that fits the file (a picture or a WAV) and whose model is ready. Raises what the tasks raise."""
    body = await asyncio.to_thread(file.read_bytes)
    sound = body[:4] == b"RIFF" and body[8:12] == b"WAVE"
    tasks = (*(_LISTENING if sound else _LOOKING), "embed-text")
    looks = await asyncio.to_thread(models.installed)
    ready = {look.manifest.task for look in looks if look.state is State.READY}
    with tempfile.TemporaryDirectory(prefix="hearthlog-bench-") as scratch:
        blob = await asyncio.to_thread(_sealed, Path(scratch), body)
        async with open_workers(models, Budget(threads=threads)) as workers:
            return [await _time(workers, task, blob, runs) for task in tasks if task in ready]


async def _time(workers: Workers, task: str, blob: BlobRef, runs: int) -> Timing:
    text = task == "embed-text"
    params: Json = {"texts": [_TEXT]} if text else {}
    replies = [await workers.run(task, None if text else blob, params=params) for _ in range(runs + 1)]
    return Timing(
        task=task,
        model=replies[0].provenance.model,
        first_ms=replies[0].took_ms,
        median_ms=statistics.median(reply.took_ms for reply in replies[1:]),
    )


def _sealed(folder: Path, body: bytes) -> BlobRef:
    sha256 = hashlib.sha256(body).digest()
    blobs = BlobFolder(folder)
    sealed = blobs.put(body, owner_key=secrets.token_bytes(32), sha256=sha256)
    return BlobRef(
        path=str(blobs.root / sealed.name), key=sealed.key, sha256=sha256, body_bytes=len(body), media_type=""
    )
