"""Two ways to read print, on the same pictures in the same run: what each makes of pages and of labels.

`pytest tests/contract/test_reading.py -s` prints the table.
"""

from __future__ import annotations

import io
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from gateway.entities import BlobRef
from gateway.errors import ModelBroken, WorkerFailed
from gateway.inference.families import rapidocr, tesseract
from gateway.inference.family import Options, Request, Runner
from gateway.inference.fetch import pull
from gateway.inference.manifest import Manifest, manifests_folder, read_manifest
from gateway.inference.models import Models, State
from gateway.inference.workers import open_workers
from tests.contract import inference_house as house

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


TRAINED = "eng.traineddata"
PAGE = (
    "3 MovieShots Dataset\n"
    "To facilitate the shot type analysis in videos, we collect MovieShots, a large-scale\n"
    "shot type annotation set that contains 46K shots from 7858 movies. The details\n"
    "of this dataset are specified as follows."
)
LABEL = ("N. LINDQVIST", "12 ALDER LANE", "ORDER A7-3391-QX")


@pytest.fixture(scope="module")
def seal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bytes], BlobRef]]:
    home = tmp_path_factory.mktemp("house")
    yield lambda body: house.sealed(home, body)


@pytest.fixture(scope="module")
def page_reader(models_mirror: Path) -> Runner:
    return tesseract.load({TRAINED: models_mirror / TRAINED}, Options(1, manifest("tesseract").options))


@pytest.fixture(scope="module")
def sign_reader(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    look = Models(tmp_path_factory.mktemp("models"), {"rapidocr": manifest("rapidocr")}).get("rapidocr")
    if look.state is not State.READY:
        pytest.skip(f"this machine has no RapidOCR: {look.reason}")
    return rapidocr.load({each.name: each.path for each in look.files}, Options(1, look.manifest.options))


def manifest(name: str) -> Manifest:
    return read_manifest(manifests_folder() / f"{name}.toml")


def jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=85)
    return out.getvalue()


def label(*, letter_px: int = 34, degrees: float = 0.0, night: bool = False) -> bytes:
    """A printed label on a parcel before a wall, as a camera of 640 × 480 sees it."""
    paper = Image.new("RGB", (letter_px * 12, letter_px * 5), (240, 238, 226))
    draw = ImageDraw.Draw(paper)
    for row, line in enumerate(LABEL):
        at = (letter_px // 2, letter_px * (0.5 + 1.4 * row))
        draw.text(at, line, fill=(25, 25, 30), font=ImageFont.load_default(letter_px))
    picture = Image.new("RGB", (640, 480), (150, 140, 122))
    ImageDraw.Draw(picture).rectangle((60, 90, 600, 440), fill=(168, 128, 84))
    turned = paper.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    mask = Image.new("L", paper.size, 255).rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    picture.paste(turned, ((640 - turned.width) // 2, (480 - turned.height) // 2), mask)
    pixels = np.asarray(picture.filter(ImageFilter.GaussianBlur(0.6)), dtype=np.float32)
    if night:
        pixels = pixels.mean(axis=2, keepdims=True).repeat(3, axis=2) * 0.22
    grain = np.random.default_rng(7).normal(0, 5.0 if night else 2.0, (480, 640, 1))
    return jpeg(Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8)))


def errors(said: str, truth: str) -> float:
    """Character error rate: the least insertions, deletions and changes for each character of the truth (Levenshtein
    1966), blanks of any length as one."""
    one, other = " ".join(said.split()), " ".join(truth.split())
    row = list(range(len(other) + 1))
    for n, left in enumerate(one, 1):
        before, row[0] = row[0], n
        for m, right in enumerate(other, 1):
            before, row[m] = row[m], min(row[m] + 1, row[m - 1] + 1, before + (left != right))
    return row[-1] / len(other)


@pytest.mark.system("tesseract")
def test_pages_and_labels_are_read_by_both(
    page_reader: Runner, sign_reader: Runner, seal: Callable[[bytes], BlobRef], media: Path
) -> None:
    truth = " ".join(LABEL)
    pictures = {
        "page": ((media / "ocr/en.jpg").read_bytes(), PAGE),
        "label": (label(), truth),
        "label, night": (label(night=True), truth),
        "label, tilted 5°": (label(degrees=5), truth),
        "label, tilted 15°": (label(degrees=15), truth),
        "label, small": (label(letter_px=12), truth),
    }
    print("\n| picture | RapidOCR CER | ms | Tesseract CER | ms |\n| --- | --- | --- | --- | --- |")
    found: dict[str, tuple[float, float]] = {}
    for name, (body, said) in pictures.items():
        request = Request(seal(body), {})
        sign_reader(request)
        cells, rates = [], []
        for reader in (sign_reader, page_reader):
            began_s = time.perf_counter()
            lines = reader(request)["lines"]
            took_ms = (time.perf_counter() - began_s) * 1000
            rates.append(errors(" ".join(line["text"] for line in lines), said))
            cells.append(f"{rates[-1]:.3f} | {took_ms:.0f}")
            assert all(0 <= line[side] <= 1 for line in lines for side in ("score", "x", "y", "w", "h"))
        found[name] = (rates[0], rates[1])
        print(f"| {name} | {' | '.join(cells)} |")
    assert max(found["page"]) <= 0.02
    assert max(found["label"]) <= 0.1
    assert max(found["label, night"]) <= 0.1
    assert max(found["label, small"]) <= 0.15


@pytest.mark.system("tesseract")
def test_what_is_no_english_print_is_not_read_as_such(
    page_reader: Runner, seal: Callable[[bytes], BlobRef], media: Path
) -> None:
    for name in ("images/burger.jpg", "images/COCO_val2014_000000386164.jpg"):
        assert len(page_reader(Request(seal((media / name).read_bytes()), {}))["lines"]) <= 1, name
    grain = np.random.default_rng(0).integers(0, 255, (720, 960, 3), dtype=np.uint8)
    assert page_reader(Request(seal(jpeg(Image.fromarray(grain))), {}))["lines"] == []
    grey = Image.new("RGB", (64, 64), (90, 90, 90))
    assert page_reader(Request(seal(jpeg(grey)), {})) == {"lines": [], "partial": False}


@pytest.mark.system("tesseract")
def test_a_lines_box_is_where_the_line_is(page_reader: Runner, seal: Callable[[bytes], BlobRef], media: Path) -> None:
    lines = page_reader(Request(seal((media / "ocr/en.jpg").read_bytes()), {}))["lines"]
    (last,) = [line for line in lines if line["text"].startswith("of this dataset")]
    assert last["x"] < 0.03 and 0.4 < last["w"] < 0.55 and 0.75 < last["y"] < 0.9 and last["h"] < 0.2
    assert [line["y"] for line in lines] == sorted(line["y"] for line in lines)


@pytest.mark.system("tesseract")
async def test_the_readers_manifest_chooses_it_where_the_other_is_not(
    tmp_path: Path, models_mirror: Path, media: Path
) -> None:
    models = Models(tmp_path, {name: manifest(name) for name in ("tesseract", "pixels")})
    await pull(models, "ocr", mirror=models_mirror)
    blob = house.sealed(tmp_path, (media / "ocr/en.jpg").read_bytes())
    async with open_workers(models) as workers:
        reply = await workers.run("ocr", blob)
    assert reply.provenance.model == "tesseract"
    assert "large-scale" in " ".join(line["text"] for line in reply.data["lines"])
    assert manifest("tesseract").prefer < manifest("rapidocr").prefer


HOSTILE = {
    "rubbish": "printf 'level\\n5\\t1\\n5\\tx\\tx\\tx\\tx\\tx\\ta\\tb\\tc\\td\\te\\tfoo\\n\\377\\376'",
    "figures out of range": (
        "printf 'level\\n5\\t1\\t1\\t1\\t1\\t1\\t-99\\t-9\\t999999\\t9\\t96\\tword\\n"
        "5\\t1\\t1\\t1\\t2\\t1\\t0\\t0\\t1\\t1\\tnan\\tword\\n5\\t1\\t1\\t1\\t3\\t1\\t0\\t0\\t1\\t1\\t900\\tword\\n'"
    ),
    "controls": "printf 'level\\n5\\t1\\t1\\t1\\t1\\t1\\t0\\t0\\t1\\t1\\t96\\t\\033[2Jword\\n'",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_answer_that_makes_no_sense_is_no_text_out_of_place(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seal: Callable[[bytes], BlobRef]
) -> None:
    read = reader_that_runs(f"cat >/dev/null; {HOSTILE[kind]}", tmp_path, monkeypatch)
    for line in read(Request(seal(house.picture()), {}))["lines"]:
        assert line["text"].isprintable() and 0 <= line["score"] <= 1
        assert all(0 <= line[side] <= 1 for side in ("x", "y", "w", "h"))


def test_a_program_that_dies_hangs_or_floods_fails_that_picture_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seal: Callable[[bytes], BlobRef]
) -> None:
    request = Request(seal(house.picture()), {})
    for script, code in (("exit 3", "died"), ("cat >/dev/null; yes", "died")):
        with pytest.raises(WorkerFailed) as failed:
            reader_that_runs(script, tmp_path, monkeypatch)(request)
        assert failed.value.code == code
    monkeypatch.setattr(tesseract, "_SECONDS", 1)
    with pytest.raises(WorkerFailed) as failed:
        reader_that_runs("exec sleep 60", tmp_path, monkeypatch)(request)
    assert failed.value.code == "deadline"
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(ModelBroken):
        tesseract.load({TRAINED: tmp_path / TRAINED}, Options(1, {}))(request)


def reader_that_runs(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """The family, with a shell script where the program would be."""
    program = folder / "tesseract"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.defpath}")
    return tesseract.load({TRAINED: folder / TRAINED}, Options(1, {}))
