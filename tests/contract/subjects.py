"""Every family with a model that it can run: our own and real weights where they are at hand, else small models of the
same architecture. All under one home, beside broken ones of each: a file cut in half, and another file in its place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from gateway.entities import Json
from gateway.inference import bert
from gateway.inference.manifest import Manifest, ModelFile, read_manifests
from gateway.inference.models import Models, file_sha256
from tests.contract import inference_house as house
from tests.contract.test_faces import contract_model

TINY = Path(__file__).resolve().parent.parent / "fixtures/tiny"
FACE = {"points": [[0.38, 0.40], [0.62, 0.40], [0.50, 0.55], [0.41, 0.70], [0.59, 0.70]]}
SPOKEN = {"speech": [{"start_us": 0, "end_us": 900_000}]}
WORDS = {"texts": ["a dog beside a bicycle", "nobody on the porch"]}


@dataclass(frozen=True, slots=True)
class Subject:
    """A model of a family, and what it is asked."""

    model: str
    """Name of the manifest."""
    asked: str = "picture"
    """`picture`, `sound` or `words`."""
    params: Json = field(default_factory=dict)
    tiny: str = ""
    """Folder of fixtures/tiny; empty: real weights."""
    files: tuple[str, ...] = ()
    """Of that folder, in the order of the manifest's."""
    own: tuple[str, ...] = ()
    """Options that are the small model's own, from its expected.json."""
    made: Callable[[Path], Mapping[str, Path]] | None = None
    """Writes a small model into a folder."""


def _sface(folder: Path) -> Mapping[str, Path]:
    name = read_manifests()["sface"].files[0].name
    return {name: contract_model(folder / name)}


def _minilm(folder: Path) -> Mapping[str, Path]:
    """One layer of the real width with weights by chance, and a tokeniser of a few words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[UNK]", "[CLS]", "[SEP]", *("a", "dog", "beside", "bicycle", "nobody", "on", "the", "porch")]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    marks = [(mark, words.index(mark)) for mark in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=marks)
    tokenizer.save(str(folder / "tokenizer.json"))
    chance = np.random.default_rng(4)

    def made(*shape: int) -> np.ndarray:
        return chance.normal(0, 0.05, shape).astype(np.float32)

    wide, inner = 384, 64
    layer = "encoder.layer.0"
    shapes = {
        "embeddings.word_embeddings.weight": (len(words), wide),
        "embeddings.position_embeddings.weight": (256, wide),
        "embeddings.token_type_embeddings.weight": (2, wide),
        f"{layer}.intermediate.dense.weight": (inner, wide),
        f"{layer}.intermediate.dense.bias": (inner,),
        f"{layer}.output.dense.weight": (wide, inner),
        f"{layer}.output.dense.bias": (wide,),
    }
    for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
        shapes |= {f"{layer}.{part}.weight": (wide, wide), f"{layer}.{part}.bias": (wide,)}
    for norm in ("embeddings.LayerNorm", f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"):
        shapes |= {f"{norm}.weight": (wide,), f"{norm}.bias": (wide,)}
    tensors = {name: made(*shape) for name, shape in shapes.items()}
    bert.write_graph(tensors, bert.Shape(layers=1, heads=12), folder / "minilm-int8.onnx")
    return {name: folder / name for name in ("minilm-int8.onnx", "tokenizer.json")}


_DECODER = ("encoder_model.onnx", "decoder_model_merged.onnx", "tokenizer.json")
_SAYS = ("start_id", "end_id", "max_tokens")
SUBJECTS: Mapping[str, tuple[Subject, ...]] = {
    "campplus": (Subject("campplus", "sound", SPOKEN, tiny="campplus", files=("model.onnx",)),),
    "clip": tuple(
        subject
        for kind, folder in (("clip-vit-b32", "clip"), ("siglip2-base", "siglip2"))
        for subject in (
            Subject(f"{kind}-vision", tiny=folder, files=("vision_model.onnx",)),
            Subject(f"{kind}-text", "words", WORDS, tiny=folder, files=("text_model.onnx", "tokenizer.json")),
        )
    ),
    "dfine": (Subject("dfine-n", tiny="dfine", files=("model.onnx", "labels.txt"), own=("side_px", "min_score")),),
    "florence2": (
        Subject(
            "florence2-base",
            tiny="florence2",
            files=("vision_encoder.onnx", "embed_tokens.onnx", *_DECODER),
            own=("start_id", "end_id", "first_id", "last_id", "no_repeat", "max_tokens"),
        ),
    ),
    "hearth_caption": (Subject("hearth-caption"),),
    "hearth_copy": (Subject("hearth-copy"),),
    "minilm": (Subject("minilm", "words", WORDS, made=_minilm),),
    "mobilefacenet": (Subject("mobilefacenet", params=FACE),),
    "mobilenet": (Subject("mobilenet-v2"),),
    "mobilenet_embed": (Subject("mobilenet-v1-embed"),),
    "moonshine": (
        Subject("moonshine-tiny-en", "sound", SPOKEN, "moonshine", _DECODER, ("start_id", "end_id", "tokens_per_s")),
    ),
    "overlap": (Subject("overlap"),),
    "pixels": (Subject("pixels"), Subject("quality")),
    "pocketsphinx": (Subject("pocketsphinx", "sound", SPOKEN),),
    "rapidocr": (Subject("rapidocr"),),
    "sface": (Subject("sface", params=FACE, made=_sface),),
    "silero": (Subject("silero-vad", "sound"),),
    "tesseract": (Subject("tesseract"),),
    "thumbnail": (Subject("thumbnail", params={"width_px": 64}),),
    "vit_gpt2": (Subject("vit-gpt2", tiny="vit-gpt2", files=_DECODER, own=_SAYS),),
    "yamnet": (Subject("yamnet", "sound"),),
    "yolox": (Subject("yolox-nano"),),
    "yunet": (Subject("yunet"),),
}
"""By family. Vosk's weights are at no place that is reached from here: see test_vosk.py."""
OF_MODEL = {subject.model: subject for subjects in SUBJECTS.values() for subject in subjects}
HALF = "half of it"
"""Of the first file only: that a file is cut is no other matter from one to the next, and loading costs."""
BROKEN: Mapping[str, Callable[[bytes], bytes]] = {
    HALF: lambda body: body[: len(body) // 2],
    "a picture": lambda _: house.picture(64, 48),
}


def needs_mirror(subject: Subject) -> bool:
    """Whether its weights are published, and neither ours nor in a package."""
    files = read_manifests()[subject.model].files
    return not subject.tiny and subject.made is None and any(not each.is_here for file in files for each in _of(file))


def _of(file: ModelFile) -> Iterator[object]:
    yield from file.sources or (_Nowhere(),)


@dataclass(frozen=True, slots=True)
class _Nowhere:
    is_here: bool = False


def installed(home: Path, mirror: Path | None) -> tuple[dict[str, Manifest], dict[str, list[str]]]:
    """Every subject whose weights are at hand below `home`, by name; and the names of its broken forms."""
    manifests: dict[str, Manifest] = {}
    broken: dict[str, list[str]] = {}
    for subject in OF_MODEL.values():
        if needs_mirror(subject) and mirror is None:
            continue
        manifest, files = _at_hand(subject, home, mirror)
        manifests[subject.model] = _put(home, manifest, files)
        broken[subject.model] = []
        first = next(iter(files), "")
        ways = [(name, how) for name in files for how in BROKEN if name == first or how != HALF]
        for n, (name, how) in enumerate(ways):
            body = BROKEN[how](files[name].read_bytes())
            form = replace(manifest, name=f"{manifest.name}-broken-{n}", revision=f"{name}: {how}", ram_mb=1)
            manifests[form.name] = _put(home, form, {**files, name: body})
            broken[subject.model].append(form.name)
    return manifests, broken


def _at_hand(subject: Subject, home: Path, mirror: Path | None) -> tuple[Manifest, Mapping[str, Path]]:
    manifest = read_manifests()[subject.model]
    if subject.made is not None:
        folder = home / "made" / subject.model
        folder.mkdir(parents=True)
        return manifest, subject.made(folder)
    if subject.tiny:
        folder = TINY / subject.tiny
        own: dict[str, object] = {"side_px": 32} if "side_px" in manifest.options else {}
        if subject.own:
            expected = json.loads((folder / "expected.json").read_text())
            own |= {key: expected[key] for key in subject.own}
        options = {**manifest.options, **own}
        return replace(manifest, options=options, graphs=()), {name: folder / name for name in subject.files}
    models = Models(home, {manifest.name: manifest})
    here = {file.name: models.path_of(manifest, file) for file in manifest.files}
    return manifest, {name: path if path.is_file() or mirror is None else mirror / name for name, path in here.items()}


def _put(home: Path, manifest: Manifest, files: Mapping[str, Path | bytes]) -> Manifest:
    """The manifest of these files, which lie where it has them."""
    folder = home / "models" / manifest.name
    folder.mkdir(parents=True)
    found = []
    for name, what in files.items():
        path = folder / name
        if isinstance(what, bytes):
            path.write_bytes(what)
        else:
            path.symlink_to(what)
        found.append(ModelFile(name, file_sha256(path), path.stat().st_size, ()))
    return replace(manifest, files=tuple(found), build=None)
