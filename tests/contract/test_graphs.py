"""What manifests say that graphs take and give is what the real ones take and give, and another graph is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.entities import Json
from gateway.errors import ModelBroken
from gateway.inference.contract import Graph, Tensor, of_lite, of_onnx, tensor_of
from gateway.inference.manifest import Manifest, read_manifests
from gateway.inference.models import Models, file_sha256
from gateway.inference.worker import Worker

TINY = Path(__file__).resolve().parent.parent / "fixtures/tiny"
SMALL = {
    "voxceleb_campplus.onnx": "campplus/model.onnx",
    "clip-vit-b32-text-int8.onnx": "clip/text_model.onnx",
    "clip-vit-b32-vision-int8.onnx": "clip/vision_model.onnx",
    "siglip2-base-text.onnx": "siglip2/text_model.onnx",
    "siglip2-base-vision.onnx": "siglip2/vision_model.onnx",
    "dfine-n-coco.onnx": "dfine/model.onnx",
    "vision_encoder_quantized.onnx": "florence2/vision_encoder.onnx",
    "embed_tokens_quantized.onnx": "florence2/embed_tokens.onnx",
    "florence2-base/encoder_model_quantized.onnx": "florence2/encoder_model.onnx",
    "florence2-base/decoder_model_merged_quantized.onnx": "florence2/decoder_model_merged.onnx",
    "vit-gpt2/encoder_model_quantized.onnx": "vit-gpt2/encoder_model.onnx",
    "vit-gpt2/decoder_model_merged_quantized.onnx": "vit-gpt2/decoder_model_merged.onnx",
    "encoder_model.onnx": "moonshine/encoder_model.onnx",
    "decoder_model_merged_int8.onnx": "moonshine/decoder_model_merged.onnx",
}
"""Models of the same architecture with random weights, for those whose weights are not at hand: their contracts name
the sides in which the two may differ."""
NOWHERE = {"face_recognition_sface_2021dec.onnx", "minilm-int8.onnx"}
"""Not at hand as files; the first is never run here, the second is built, and loaded by its contract, where its weights
can be had (test_families)."""

MANIFESTS = read_manifests()
EVERY = [(manifest, graph) for manifest in MANIFESTS.values() for graph in manifest.graphs]


def told(path: Path) -> tuple[list[Tensor], list[Tensor]]:
    """What a file says of itself."""
    if path.suffix == ".tflite":
        from ai_edge_litert.interpreter import Interpreter

        graph = Interpreter(model_path=str(path))
        return of_lite(graph.get_input_details()), of_lite(graph.get_output_details())
    import onnxruntime as ort

    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return of_onnx(session.get_inputs()), of_onnx(session.get_outputs())


def at(manifest: Manifest, graph: Graph, mirror: Path, home: Path) -> Path:
    small = SMALL.get(graph.file) or SMALL.get(f"{manifest.name}/{graph.file}")
    if small is not None:
        return TINY / small
    (file,) = [each for each in manifest.files if each.name == graph.file]
    here = any(source.is_here for source in file.sources)
    return Models(home).path_of(manifest, file) if here else mirror / file.name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("manifest", "graph"),
    [pytest.param(*each, id=f"{each[0].name}-{each[1].file}") for each in EVERY if each[1].file not in NOWHERE],
)
def test_a_graph_is_as_its_manifest_says(
    manifest: Manifest, graph: Graph, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    needs = graph.file not in SMALL and f"{manifest.name}/{graph.file}" not in SMALL
    needs = needs and not any(source.is_here for each in manifest.files for source in each.sources)
    mirror = request.getfixturevalue("models_mirror") if needs else tmp_path
    path = at(manifest, graph, mirror, tmp_path)
    if not path.is_file() and path.parent.name == "models":  # a package of the system's own choice
        pytest.skip(f"{path.name} is not installed")
    graph.refuse_another(*told(path))


def test_every_graph_of_every_manifest_has_a_contract() -> None:
    for manifest in MANIFESTS.values():
        loaded = manifest.build.makes if manifest.build else [each.name for each in manifest.files]
        graphs = {name for name in loaded if name.endswith((".onnx", ".tflite"))}
        assert graphs == {each.file for each in manifest.graphs}, manifest.name


def test_no_two_graphs_pass_for_each_other(models_mirror: Path) -> None:
    files = [path for path in sorted(models_mirror.glob("*.*")) if path.suffix in (".onnx", ".tflite")]
    fitting = [(path.name, list(fit(path))) for path in files]
    assert fitting and all(names == [name] for name, names in fitting), fitting


def fit(path: Path) -> Iterator[str]:
    found = told(path)
    for manifest, graph in EVERY:
        if manifest.unchecked or graph.file in NOWHERE:
            continue
        try:
            graph.refuse_another(*found)
        except ModelBroken:
            continue
        yield graph.file


def asked(manifest: Manifest, path: Path) -> Json:
    """A request for a worker to load `path` as the first file of `manifest`."""
    name = manifest.graphs[0].file
    files = {each.name: [str(path), file_sha256(path)] for each in manifest.files} | {
        name: [str(path), file_sha256(path)]
    }
    return {
        "model": {
            "key": path.name,
            "family": manifest.family,
            "files": files,
            "threads": 1,
            "options": dict(manifest.options),
            "accelerator": "cpu",
            "kept": str(path.parent / "nowhere"),
            "graphs": {each.file: [list(each.inputs), list(each.outputs)] for each in manifest.graphs},
        },
        "blob": None,
        "params": {},
    }


@pytest.mark.parametrize(
    ("model", "file", "why"),
    [
        ("silero-vad", "yolox_nano.onnx", "silero_vad.onnx is another graph than its manifest describes"),
        ("mobilenet-v2", "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite", "MobilenetV2/Predictions/Softmax"),
    ],
)
def test_a_worker_runs_no_graph_but_the_one_that_is_described(
    model: str, file: str, why: str, models_mirror: Path, tmp_path: Path
) -> None:
    path = tmp_path / file
    path.write_bytes((models_mirror / file).read_bytes())
    with pytest.raises(ModelBroken) as refused:
        Worker().handle(asked(MANIFESTS[model], path))
    assert why in str(refused.value)


GRAPH = Graph("eyes.onnx", ("x float32[n, 3]", "past.*.key float32[n, said]", "mask? bool[n]"), ("y float32[n, 7]",))
X, PAST, Y = (
    Tensor("x", "float32", ("N", 3)),
    Tensor("past.0.key", "float32", (None, 4)),
    Tensor("y", "float32", (2, 7)),
)


@pytest.mark.parametrize(
    ("inputs", "outputs", "why"),
    [
        ([X, PAST], [Y], ""),
        ([X, PAST, Tensor("past.1.key", "float32", ("n", 4)), Tensor("mask", "bool", (2,))], [Y], ""),
        ([X, PAST], [Y, Tensor("more", "float32", ())], ""),
        ([X], [Y], "called past.*.key"),
        ([X, PAST], [], "gives is called y"),
        ([X, PAST, Tensor("z", "int64", ())], [Y], "takes z int64[], of which the manifest says nothing"),
        ([Tensor("x", "float16", ("N", 3)), PAST], [Y], "x float16[?, 3], where the manifest says x float32[n, 3]"),
        ([Tensor("x", "float32", ("N", 4)), PAST], [Y], "where the manifest says"),
        ([Tensor("x", "float32", ("N", "three")), PAST], [Y], "where the manifest says"),
        ([Tensor("x", "float32", (3,)), PAST], [Y], "where the manifest says"),
        ([Tensor("x", "float32", (5, 3)), PAST], [Y], "gives y"),
        ([X, PAST, Tensor("past.1.key", "float32", ("n", 9))], [Y], "past.1.key"),
        ([Tensor("x" * 5_000, "y" * 5_000, (1,) * 5_000), X, PAST], [Y], "says nothing"),
    ],
)
def test_another_graph_is_refused_by_the_first_difference(
    inputs: list[Tensor], outputs: list[Tensor], why: str
) -> None:
    if not why:
        GRAPH.refuse_another(inputs, outputs)
        return
    with pytest.raises(ModelBroken) as refused:
        GRAPH.refuse_another(inputs, outputs)
    assert why in str(refused.value) and "eyes.onnx" in str(refused.value) and len(str(refused.value)) < 600


@pytest.mark.parametrize(
    "line", ["x", "x float32", "x float8[1]", "x float32[1, -1]", "x float32[N]", "x y z[1]", "", 7]
)
def test_a_line_that_is_none_is_refused(line: Json) -> None:
    with pytest.raises((ValueError, TypeError)):
        tensor_of(line)  # type: ignore[arg-type]
