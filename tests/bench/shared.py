"""What real weights, pictures and recordings the benches find beside the checkout."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.entities import BlobRef, Json
from gateway.errors import HearthlogError
from gateway.inference.family import Options, Request, Runner
from gateway.inference.fetch import pull
from gateway.inference.models import Models, State
from gateway.inference.worker import family_of
from gateway.store.blobs import BlobFolder


@dataclass(frozen=True, slots=True)
class Timed:
    """A model in this process, on one thread."""

    name: str
    run: Runner

    def __call__(self, request: Request) -> tuple[Json, float]:
        """The answer, and milliseconds of the processor, those of programs that it ran included."""
        began_s = sum(os.times()[:4])
        answer = self.run(request)
        return answer, (sum(os.times()[:4]) - began_s) * 1_000


def media() -> Path | None:
    """Real pictures and recordings, where they are."""
    return folder("HEARTHLOG_TEST_MEDIA", "media")


def folder(variable: str, name: str) -> Path | None:
    """The folder that the environment names, else `shared/<name>` beside this checkout or above it."""
    given = os.environ.get(variable)
    found = [Path(given)] if given else [each / "shared" / name for each in Path(__file__).resolve().parents]
    return next((each for each in found if each.is_dir()), None)


def load(home: Path, names: Sequence[str]) -> tuple[list[Timed], dict[str, str]]:
    """Those of the models that a mirror or an installed package has; and of the others why not."""
    mirror = folder("HEARTHLOG_TEST_MODELS", "models")
    models, found, missing = Models(home), [], {}
    for name in names:
        try:
            (look,) = asyncio.run(pull(models, name, mirror=mirror))
        except HearthlogError as error:
            missing[name] = str(error)
            continue
        if look.state is not State.READY:
            missing[name] = look.reason
            continue
        files = {each.name: each.path for each in look.files}
        runner = family_of(look.manifest.family).load(files, Options(threads=1, table=look.manifest.options))
        found.append(Timed(name, runner))
    return found, missing


def sealed(home: Path, body: bytes) -> BlobRef:
    """Bytes stored as the house does, and a reference to them."""
    sha256 = hashlib.sha256(body).digest()
    blobs = BlobFolder(home)
    blob = blobs.put(body, owner_key=b"k" * 32, sha256=sha256)
    return BlobRef(path=str(blobs.root / blob.name), key=blob.key, sha256=sha256, body_bytes=len(body), media_type="")


def errors(said: Sequence[str], truth: Sequence[str]) -> int:
    """The least insertions, deletions and changes that make one of the other (Levenshtein 1966)."""
    row = list(range(len(truth) + 1))
    for n, left in enumerate(said, 1):
        before, row[0] = row[0], n
        for m, right in enumerate(truth, 1):
            before, row[m] = row[m], min(row[m] + 1, row[m - 1] + 1, before + (left != right))
    return row[-1]
