"""Faces: found as the reference implementation finds them, and turned into vectors that stay with the face."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageOps

from gateway.entities import BlobRef, Json
from gateway.errors import ModelBroken, Rejected
from gateway.inference import faces
from gateway.inference.families import mobilefacenet, sface, yunet
from gateway.inference.family import Options, Request, Runner
from gateway.inference.fetch import pull
from gateway.inference.manifest import manifests_folder, read_manifest
from gateway.inference.models import Models, State
from gateway.inference.workers import open_workers
from tests.contract import inference_house as house

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


WITH_A_FACE = ("images/COCO_val2014_000000060623.jpg", "near-dup/ukbench01380.jpg")
WITHOUT = ("images/dog.jpg", "images/burger.jpg", "images/COCO_val2014_000000386164.jpg", "near-dup/ukbench00120.jpg")
DETECTOR = "yunet_n_dynamic.onnx"


@pytest.fixture(scope="module")
def find(models_mirror: Path) -> Runner:
    options = Options(1, read_manifest(manifests_folder() / "yunet.toml").options)
    return yunet.load({DETECTOR: models_mirror / DETECTOR}, options)


@pytest.fixture(scope="module")
def embed(models_mirror: Path) -> Runner:
    return mobilefacenet.load({"mobilefacenet.onnx": models_mirror / "mobilefacenet.onnx"}, Options(1, {}))


@pytest.fixture(scope="module")
def seal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bytes], BlobRef]]:
    home = tmp_path_factory.mktemp("house")
    yield lambda body: house.sealed(home, body)


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def faces_in(find: Runner, blob: BlobRef) -> list[Json]:
    faces: list[Json] = find(Request(blob, {}))["faces"]
    return faces


def vector_of(embed: Runner, blob: BlobRef, face: Json) -> np.ndarray:
    data = embed(Request(blob, {"points": face["points"]}))
    vector = np.frombuffer(data["vector"], "<f4")
    assert len(vector) == data["dim"] == faces.DIM
    assert abs(float(np.linalg.norm(vector)) - 1) < 1e-5
    return vector


def test_faces_are_those_of_the_reference_implementation(
    find: Runner, seal: Callable[[bytes], BlobRef], media: Path, models_mirror: Path
) -> None:
    """OpenCV's own reader of the same weights, on the same pixels: boxes, points and scores."""
    import cv2

    for name in (*WITH_A_FACE, *WITHOUT):
        with Image.open(media / name) as opened:
            image = opened.convert("RGB")
        image.thumbnail((640, 640))
        theirs = cv2.FaceDetectorYN.create(str(models_mirror / DETECTOR), "", image.size, 0.7, 0.3, 1000)
        _, rows = theirs.detect(np.ascontiguousarray(np.asarray(image)[:, :, ::-1]))
        expected = [] if rows is None else sorted(rows.tolist(), key=lambda row: -row[14])
        ours = faces_in(find, seal(png(image)))
        assert len(ours) == len(expected) == (1 if name in WITH_A_FACE else 0), name
        for face, row in zip(ours, expected, strict=True):
            size = np.array(image.size)
            box = np.array([face["x"], face["y"], face["w"], face["h"]]) * np.tile(size, 2)
            assert np.abs(box - row[:4]).max() < 0.5, name
            assert np.abs((np.array(face["points"]) * size).ravel() - row[4:14]).max() < 0.5, name
            assert abs(face["score"] - row[14]) < 0.005, name


def test_a_face_is_found_at_the_same_place_in_any_format_of_picture(
    find: Runner, seal: Callable[[bytes], BlobRef], media: Path
) -> None:
    with Image.open(media / WITH_A_FACE[0]) as opened:
        image = opened.convert("RGB")
    (face,) = faces_in(find, seal(png(image)))
    tall = Image.new("RGB", (image.width, 3 * image.height))
    tall.paste(image, (0, image.height))
    (moved,) = faces_in(find, seal(png(tall)))
    assert abs(moved["x"] - face["x"]) < 0.03 and abs(3 * moved["y"] - 1 - face["y"]) < 0.05
    (mirrored,) = faces_in(find, seal(png(ImageOps.mirror(image))))
    assert abs(1 - mirrored["x"] - mirrored["w"] - face["x"]) < 0.03
    (large,) = faces_in(find, seal(png(image.resize((image.width * 3, image.height * 3)))))
    assert abs(large["x"] - face["x"]) < 0.02 and abs(large["h"] - face["h"]) < 0.03
    for name in ("x", "y", "w", "h"):
        assert 0 <= face[name] <= 1


def test_a_faces_vector_survives_what_happens_to_pictures_and_differs_from_another_faces(
    find: Runner, embed: Runner, seal: Callable[[bytes], BlobRef], media: Path
) -> None:
    vectors = []
    for name, least in zip(WITH_A_FACE, (0.8, 0.5), strict=True):  # the second is painted, and 23 px wide
        with Image.open(media / name) as opened:
            image = opened.convert("RGB")
        versions = {
            "same": image,
            "grey": image.convert("L").convert("RGB"),
            "turned": image.rotate(8, Image.Resampling.BICUBIC),
            "larger": image.resize((image.width * 3 // 2, image.height * 3 // 2)),
        }
        found = {}
        for kind, version in versions.items():
            blob = seal(png(version))
            (face,) = faces_in(find, blob)
            found[kind] = vector_of(embed, blob, face)
        cosines = {kind: round(float(found["same"] @ other), 3) for kind, other in found.items()}
        assert min(cosines.values()) > least, (name, cosines)
        vectors.append(found["same"])
    assert float(vectors[0] @ vectors[1]) < 0.4


@pytest.mark.parametrize("seed", range(8))
def test_a_similarity_is_recovered_from_its_points(seed: int) -> None:
    chance = np.random.default_rng(seed)
    angle, scale = chance.uniform(-3, 3), chance.uniform(0.1, 9)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = chance.uniform(-500, 500, 2)
    points = np.array(faces.TEMPLATE)
    found = faces.similarity(points @ turn.T + shift, points)
    back = np.linalg.inv(np.vstack([found, [0, 0, 1]]))
    assert np.allclose(back[:2], np.column_stack([turn, shift]), atol=1e-6)
    mirrored = faces.similarity(points * (-1, 1), points)
    assert np.linalg.det(mirrored[:, :2]) > 0  # a face is never mirrored into its place


def test_alignment_puts_the_points_where_the_template_has_them() -> None:
    points = (np.array(faces.TEMPLATE) - 56) @ np.array([[2.4, 1.8], [-1.8, 2.4]]) + (300, 240)
    image = Image.new("L", (640, 480))
    for x, y in points:
        for dx in range(-6, 7):
            for dy in range(-6, 7):
                if dx * dx + dy * dy <= 30:
                    image.putpixel((round(x) + dx, round(y) + dy), 255)
    face = np.asarray(faces.aligned(image.convert("RGB"), points))[:, :, 0].astype(float)
    for x, y in faces.TEMPLATE:
        column, row = round(x), round(y)
        patch = face[row - 5 : row + 6, column - 5 : column + 6]
        rows, columns = np.mgrid[row - 5 : row + 6, column - 5 : column + 6]
        assert abs((columns * patch).sum() / patch.sum() - x) < 0.4
        assert abs((rows * patch).sum() / patch.sum() - y) < 0.4


BAD_POINTS: dict[str, object] = {
    "none": None,
    "four": [[0.1, 0.1]] * 4,
    "of three": [[0.1, 0.1, 0.1]] * 5,
    "words": [["a", "b"]] * 5,
    "booleans": [[True, False]] * 5,
    "one spot": [[0.5, 0.5]] * 5,
    "no number": [[float("nan"), 0.1]] * 5,
    "far out": [[900.0, 0.1], [0.1, 0.1], [0.2, 0.3], [0.4, 0.1], [0.5, 0.5]],
    "a speck": [[0.1 + n * 1e-5, 0.1 + n * n * 1e-5] for n in range(5)],
}


@pytest.mark.parametrize("kind", BAD_POINTS)
def test_points_that_span_no_face_are_refused(embed: Runner, seal: Callable[[bytes], BlobRef], kind: str) -> None:
    with pytest.raises(Rejected) as refused:
        embed(Request(seal(house.picture()), {"points": BAD_POINTS[kind]}))
    assert refused.value.code in ("bad-points", "bad-params")


def contract_model(path: Path, *, takes: str = "data", dim: int = 128) -> Path:
    """A graph that takes and gives what SFace does, with weights by chance."""
    chance = np.random.default_rng(3)
    weights = {
        "middle": np.array(127.5, np.float32),
        "scale": np.array(1 / 128, np.float32),
        "weight": chance.normal(0, 0.1, (3 * 14 * 14, dim)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Sub", [takes, "middle"], ["a"]),
        helper.make_node("Mul", ["a", "scale"], ["b"]),
        helper.make_node("AveragePool", ["b"], ["c"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("MatMul", ["d", "weight"], ["fc1"]),
    ]
    graph = helper.make_graph(
        nodes,
        "contract",
        [helper.make_tensor_value_info(takes, TensorProto.FLOAT, [1, 3, 112, 112])],
        [helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [1, dim])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_sface_aligns_and_reads_a_face_as_the_reference_implementation(
    find: Runner, seal: Callable[[bytes], BlobRef], media: Path, tmp_path: Path
) -> None:
    """OpenCV's own reader of SFace, with the same graph on the same pixels and points."""
    import cv2

    path = contract_model(tmp_path / "face_recognition_sface_2021dec.onnx")
    theirs = cv2.FaceRecognizerSF.create(str(path), "")
    ours = sface.load({path.name: path}, Options(1, {}))
    for name in WITH_A_FACE:
        with Image.open(media / name) as opened:
            image = opened.convert("RGB")
        blob = seal(png(image))
        (face,) = faces_in(find, blob)
        points = np.array(face["points"]) * image.size
        pixels = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])
        row = np.concatenate([np.zeros(4), points.ravel(), [1.0]]).astype(np.float32)
        crop = theirs.alignCrop(pixels, row)
        laid = np.asarray(faces.aligned(image, points))[:, :, ::-1]
        assert np.abs(laid.astype(float) - crop).mean() < 3.0, name  # resampled once more where a face is large
        own = vector_of(ours, blob, face)
        same = theirs.feature(np.ascontiguousarray(laid))[0]  # of our own crop: what follows is to be equal
        assert float(own @ same / np.linalg.norm(same)) > 0.999999, name
        whole = theirs.feature(crop)[0]
        assert float(own @ whole / np.linalg.norm(whole)) > 0.999, name


def test_a_face_model_of_another_shape_is_refused(tmp_path: Path, seal: Callable[[bytes], BlobRef]) -> None:
    path = contract_model(tmp_path / "other.onnx", takes="image")
    with pytest.raises(ModelBroken, match="something else"):
        sface.load({path.name: path}, Options(1, {}))
    path = contract_model(tmp_path / "wide.onnx", dim=256)
    upright = [[x / 112, y / 112] for x, y in faces.TEMPLATE]
    with pytest.raises(ModelBroken, match="size"):
        sface.load({path.name: path}, Options(1, {}))(Request(seal(house.picture()), {"points": upright}))


def test_another_graph_is_not_taken_for_a_face_detector(models_mirror: Path, seal: Callable[[bytes], BlobRef]) -> None:
    with pytest.raises(ModelBroken):
        yunet.load({"a": models_mirror / DETECTOR, "b": models_mirror / DETECTOR}, Options(1, {}))
    with pytest.raises(ModelBroken):
        yunet.load({"a": models_mirror / "coco_labels.txt"}, Options(1, {}))


async def test_faces_go_through_the_workers(tmp_path: Path, models_mirror: Path, media: Path) -> None:
    models = Models(tmp_path)
    for name in ("yunet", "mobilefacenet"):
        (look,) = await pull(models, name, mirror=models_mirror)
        assert look.state is State.READY
    blob = house.sealed(tmp_path, (media / WITH_A_FACE[0]).read_bytes())
    async with open_workers(models) as workers:
        seen = await workers.run("detect-faces", blob)
        assert seen.provenance.model == "yunet"
        (face,) = seen.data["faces"]
        reply = await workers.run("embed-face", blob, params={"points": face["points"]})
        assert len(reply.data["vector"]) == 4 * reply.data["dim"]
        with pytest.raises(Rejected):
            await workers.run("embed-face", blob, params={"points": "everything"})
