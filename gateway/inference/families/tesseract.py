"""Read printed text with Tesseract (Smith 2007; its LSTM recogniser), the program of the system.

Task `ocr`, no params. File: one `.traineddata` in Tesseract's own format. Options: `min_score` of a word, 0..1. Needs
the program `tesseract`. Answers `{lines: [{text, score, x, y, w, h}], partial}`, lines in reading order,
at most 60 of at most 500 characters; score 0..1, the mean over a line's words by their lengths; the box around the
line in fractions 0..1 of the upright picture. `partial`: there were more lines.

The program is one process a picture, in the worker's process group and without network as the worker is. Its limits
(processor, memory, what it writes) are set before it is given the picture, and it is ended when it takes longer than
it may. Pixels go to it as plain PGM, so that none of its decoders sees a byte that a camera sent, and nothing of them
or of what it reads touches a disk.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from PIL import Image, ImageOps

from gateway.entities import Json
from gateway.errors import ModelBroken, WorkerFailed
from gateway.inference.families.rapidocr import in_reading_order
from gateway.inference.family import Family, Options, Request, Runner
from gateway.inference.pictures import picture_of

_PROGRAM = "tesseract"
_SPARSE = "11"
"""Lines are looked for wherever they are: what a camera sees is labels more than pages, and pages lose nothing."""
_MAX_LINES = 60
_MAX_CHARACTERS = 500
_MAX_WORDS = 5_000
_ANSWER_BYTES = 4 << 20
_SHORT, _MIN_SHORT_SCORE = 3, 0.85
"""A line of so few letters is what grain and texture are most easily taken for."""
_SECONDS = 20
"""Of the processor and of the clock. Below the caller's own deadline."""
_DATA_BYTES = 384 << 20
_ENLARGE_BELOW_PX = 1_000
"""A picture whose long side is shorter is read at twice its size: letters are best read at about 30 pixels."""
_COLUMNS = 12
_WORD = "5"
_NOT_LOADED = 1
"""How it ends when what it was trained on cannot be read: what it is given to read is always a picture."""

Place: TypeAlias = tuple[int, int, int, int]


@dataclass(slots=True)
class _Line:
    words: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    """Left, top, right, bottom of each word."""


def load(files: Mapping[str, Path], options: Options) -> Runner:
    if len(files) != 1 or next(iter(files.values())).suffix != ".traineddata":
        raise ModelBroken("reading with tesseract needs exactly one .traineddata file")
    trained = next(iter(files.values()))
    command = (
        _PROGRAM, "stdin", "stdout", "--tessdata-dir", str(trained.parent), "-l", trained.stem,
        "--psm", _SPARSE, "-c", "tessedit_create_tsv=1",
    )  # fmt: skip
    min_score = options.number("min_score", 0.5)

    def run(request: Request) -> Json:
        image = picture_of(request.the_blob()).image.convert("L")
        image = ImageOps.autocontrast(image, cutoff=1)  # at night print is grey on grey
        if max(image.size) < _ENLARGE_BELOW_PX:
            image = image.resize((image.width * 2, image.height * 2), Image.Resampling.BICUBIC)
        lines = list(_lines(_answer(command, image, options.threads), image.size, min_score))
        return {"lines": in_reading_order(lines)[:_MAX_LINES], "partial": len(lines) > _MAX_LINES}

    return run


def _answer(command: tuple[str, ...], image: Image.Image, threads: int) -> str:
    """What the program wrote for a picture (8 bit grey). WorkerFailed when it died or took too long, ModelBroken when
    it cannot be run at all."""
    pgm = b"P5 %d %d 255\n" % image.size + image.tobytes()
    environment = {"PATH": os.environ.get("PATH", os.defpath), "OMP_THREAD_LIMIT": str(threads), "LC_ALL": "C.UTF-8"}
    with os.fdopen(os.memfd_create("answer"), "w+b") as answer:
        try:
            process = subprocess.Popen(
                command, env=environment, cwd="/", stdin=subprocess.PIPE, stdout=answer, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise ModelBroken(f"{_PROGRAM} cannot be run: {error.strerror}") from error
        with process:
            try:
                _limit(process.pid)
                process.communicate(pgm, timeout=_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise WorkerFailed(f"{_PROGRAM} took more than {_SECONDS} s", code="deadline") from error
            finally:
                process.kill()
        if process.returncode == _NOT_LOADED:
            raise ModelBroken(f"{_PROGRAM} cannot load its file", hint="hearthlog models verify")
        if process.returncode != 0:
            raise WorkerFailed(f"{_PROGRAM} ended with status {process.returncode}", code="died")
        answer.seek(0)
        return str(answer.read(_ANSWER_BYTES), "utf-8", "replace")


def _limit(pid: int) -> None:
    """Before the picture is written, so whatever the picture does to the program happens within these."""
    for kind, most in (
        (resource.RLIMIT_CPU, _SECONDS),
        (resource.RLIMIT_DATA, _DATA_BYTES),
        (resource.RLIMIT_FSIZE, _ANSWER_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.prlimit(pid, kind, (most, most))


def _lines(
    table: str, size: tuple[int, int], min_score: float
) -> Iterator[dict[str, Any]]:  # `Any`: as `in_reading_order` takes them
    """The lines of a TSV answer: level, page, block, paragraph, line, word, left, top, width, height, confidence (0 to
    100), text. A row that is not such a row is left out."""
    lines: dict[tuple[str, ...], _Line] = {}
    for row in table.splitlines()[1 : 1 + 4 * _MAX_WORDS]:
        cells = row.split("\t", _COLUMNS - 1)
        if len(cells) != _COLUMNS or cells[0] != _WORD:
            continue
        try:
            left, top, width, height = (int(cell) for cell in cells[6:10])
            score = float(cells[10]) / 100
        except ValueError:
            continue
        word = "".join(each for each in cells[11] if each.isprintable()).strip()
        if not word or not min_score <= score <= 1.0:
            continue
        line = lines.setdefault(tuple(cells[1:5]), _Line())
        line.words.append(word)
        line.scores.append(score)
        line.places.append((left, top, left + width, top + height))
    for line in lines.values():
        text = " ".join(line.words)
        if not any(each.isalnum() for each in text):
            continue  # specks are read as strokes and dots
        letters = sum(len(word) for word in line.words)
        mean = sum(score * len(word) for score, word in zip(line.scores, line.words, strict=True)) / letters
        if letters <= _SHORT and mean < _MIN_SHORT_SCORE:
            continue
        yield {"text": text[:_MAX_CHARACTERS], "score": mean, **_box(line.places, size)}


def _box(places: list[Place], size: tuple[int, int]) -> dict[str, float]:
    width, height = size
    x0, x1 = (min(1.0, max(0.0, at / width)) for at in (min(p[0] for p in places), max(p[2] for p in places)))
    y0, y1 = (min(1.0, max(0.0, at / height)) for at in (min(p[1] for p in places), max(p[3] for p in places)))
    return {"x": x0, "y": y0, "w": x1 - x0, "h": y1 - y0}


FAMILY = Family(name="tesseract", tasks=("ocr",), load=load)
