"""`python -m models.train.quality --work FOLDER`: train the network that judges what `inference.faults` measures.

Draws the pictures, measures them, trains (NumPy alone, one thread, seeded), writes the network in float32 into the
folder, and its int8 form to `models/onnx/quality.onnx` where it passes the manifest's gate. What was measured of the
pictures is kept in the folder, so that training again takes a minute.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from gateway.inference import quantise
from gateway.inference.families.pixels import SIDE_PX
from gateway.inference.faults import COUNT, FAULTS, features
from gateway.inference.manifest import manifests_folder, read_manifest
from gateway.inference.pictures import shrunk
from gateway.inference.quantise import Feeds
from models.train import fault_pictures as pictures
from models.train.fault_pictures import Lens

EXACT = Path(__file__).with_name("quality-fp32.onnx")
"""Kept beside the script, so that the gate can be asked again."""
SEED = 4_100
_CHECK_SEED = 4_190
_MAKERS = (pictures.taken, pictures.dark, pictures.blurred, pictures.covered, pictures.overexposed)
_EACH = (3, 1, 2, 3, 1)
"""How many are made of every sound picture, by FAULTS."""
_WIDTHS = (COUNT, 48, 32, len(FAULTS))
_CLIP = 3.0
_CALIBRATE = 400
_MEMBERS = 6
"""Networks whose answers are averaged: one alone is better or worse by its seed."""
_EPOCHS = 60
_BATCH = 64

Floats = npt.NDArray[np.float32]
Layers = list[tuple[Floats, Floats]]


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of many pictures."""

    numbers: Floats
    """[n, COUNT]"""
    faults: npt.NDArray[np.int64]
    """[n], places in FAULTS."""
    kinds: npt.NDArray[np.int64]
    """[n], places in `pictures.KINDS`, of the sound picture."""


@dataclass(frozen=True, slots=True)
class Net:
    """A small network: numbers are centred, scaled and clipped, then go through layers with ReLU between them."""

    centre: Floats
    scale: Floats
    layers: Layers

    def shares(self, numbers: Floats) -> Floats:
        """[n, len(FAULTS)], each row adds up to 1."""
        return _softmax(_forward(self.layers, self.ready(numbers))[-1])

    def ready(self, numbers: Floats) -> Floats:
        ready: Floats = np.clip((numbers - self.centre) / self.scale, -_CLIP, _CLIP)
        return ready


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="a folder for what is made on the way")
    parser.add_argument("--count", type=int, default=450, help="sound pictures to draw; a fifth more are for checks")
    parser.add_argument("--soft", type=int, default=129, help="so many more, through soft lenses; they count twice")
    given = parser.parse_args(argv)
    given.work.mkdir(parents=True, exist_ok=True)
    check = _joined(
        _measured(given.work / "check.npz", _CHECK_SEED, given.count // 5, pictures.SHARP),
        _measured(given.work / "check-soft.npz", _CHECK_SEED, given.soft // 2, pictures.SOFT),
    )
    soft = _measured(given.work / "known-soft.npz", SEED, given.soft, pictures.SOFT)
    known = _joined(_measured(given.work / "known.npz", SEED, given.count, pictures.SHARP), soft, soft)
    _say(f"{len(known.faults)} to learn from, {len(check.faults)} to check by")
    net = train(known)
    _say(report(net, check))
    exact, small = given.work / EXACT.name, given.work / "quality.onnx"
    export(net, exact)
    quantise.per_channel(exact, small, _feeds(known, _CALIBRATE))
    manifest = read_manifest(manifests_folder() / "quality.toml")
    assert manifest.gate is not None
    feeds = _feeds(check, len(check.numbers))
    kept = quantise.agreement(exact, small, feeds)
    _say(quantise.table([quantise.compared("quality", manifest.gate, (exact, small), feeds, kept)]))
    quantise.refuse_what_fails("quality", manifest.gate, kept)
    shutil.copyfile(exact, EXACT)
    shutil.copyfile(small, manifests_folder() / "quality.onnx")
    body = small.read_bytes()
    _say(f'sha256 = "{hashlib.sha256(body).hexdigest()}"\nbytes = {len(body)}')
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _feeds(measured: Measured, count: int) -> list[Feeds]:
    """One picture's numbers each, spread over all."""
    chosen = np.linspace(0, len(measured.numbers) - 1, count).astype(int)
    return [{"numbers": measured.numbers[n : n + 1]} for n in chosen]


def _joined(*parts: Measured) -> Measured:
    return Measured(
        np.concatenate([each.numbers for each in parts]),
        np.concatenate([each.faults for each in parts]),
        np.concatenate([each.kinds for each in parts]),
    )


def _measured(path: Path, seed: int, count: int, lens: Lens) -> Measured:
    if not path.exists():
        chance = np.random.default_rng(seed)
        rows, faults, kinds = [], [], []
        for _ in range(count):
            kind, whole = pictures.sound(chance, lens)
            for fault, (make, each) in enumerate(zip(_MAKERS, _EACH, strict=True)):
                for _ in range(each):
                    made = pictures.blurred(chance, whole, lens) if make is pictures.blurred else make(chance, whole)
                    rows.append(numbers_of(made))
                    faults.append(fault)
                    kinds.append(pictures.KINDS.index(kind))
        np.savez(path, numbers=np.stack(rows), faults=np.array(faults), kinds=np.array(kinds))
    with np.load(path) as kept:
        return Measured(kept["numbers"], kept["faults"], kept["kinds"])


def numbers_of(picture: Image.Image) -> Floats:
    """As the product measures it."""
    small = shrunk(picture, SIDE_PX)
    return features(np.asarray(small), np.asarray(small.convert("L")))


def train(known: Measured) -> Net:
    """Several networks side by side as one, whose answer is the mean of theirs before the softmax."""
    centre, scale = known.numbers.mean(axis=0), known.numbers.std(axis=0) + 1e-3
    ready = Net(centre, scale, []).ready(known.numbers)
    members = [_learned(ready, known.faults, np.random.default_rng((SEED, n))) for n in range(_MEMBERS)]
    return Net(centre, scale, _side_by_side(members))


def _learned(ready: Floats, faults: npt.NDArray[np.int64], chance: np.random.Generator) -> Layers:
    """Adam with decay, classes weighed alike, numbers shaken a little so that no single one is trusted."""
    layers = _fresh(chance)
    weights = (1 / np.bincount(faults, minlength=len(FAULTS)))[faults]
    weights = (weights / weights.mean()).astype(np.float32)
    values = [each for layer in layers for each in layer]
    moments = [np.zeros((2, *each.shape), np.float32) for each in values]
    steps = _EPOCHS * (len(ready) // _BATCH)
    for step in range(steps):
        chosen = chance.integers(0, len(ready), _BATCH)
        batch = ready[chosen] + 0.2 * chance.standard_normal((_BATCH, COUNT), np.float32)
        batch *= chance.random((_BATCH, COUNT)) > 0.05
        slopes = _backward(layers, batch.astype(np.float32), faults[chosen], weights[chosen])
        rate = 3e-3 * 0.5 * (1 + np.cos(np.pi * step / steps))
        for n, slope in enumerate(slopes):
            value, moment = values[n], moments[n]
            moment[0] += 0.1 * (slope - moment[0])
            moment[1] += 0.001 * (slope * slope - moment[1])
            size = np.sqrt(moment[1] / (1 - 0.999 ** (step + 1))) + 1e-8
            decay = 0.02 * value if value.ndim == 2 else np.float32(0)
            value -= (rate * (moment[0] / (1 - 0.9 ** (step + 1)) / size + decay)).astype(np.float32)
    return layers


def _side_by_side(members: Sequence[Layers]) -> Layers:
    """The first layers beside each other, those between in blocks, the last ones averaged."""
    first = (np.hstack([each[0][0] for each in members]), np.hstack([each[0][1] for each in members]))
    rows, columns = members[0][1][0].shape
    block = np.zeros((rows * len(members), columns * len(members)), np.float32)
    for n, each in enumerate(members):
        block[n * rows : (n + 1) * rows, n * columns : (n + 1) * columns] = each[1][0]
    last = (
        np.vstack([each[2][0] for each in members]) / np.float32(len(members)),
        np.mean([each[2][1] for each in members], axis=0, dtype=np.float32),
    )
    return [first, (block, np.hstack([each[1][1] for each in members])), last]


def report(net: Net, check: Measured) -> str:
    """Recall by fault, all told and by kind of picture."""
    said = net.shares(check.numbers).argmax(axis=1)
    lines = []
    for kind in (None, *range(len(pictures.KINDS))):
        chosen = check.kinds == kind if kind is not None else np.ones(len(said), dtype=bool)
        recalls = [float((said[chosen & (check.faults == n)] == n).mean()) for n in range(len(FAULTS))]
        name = "all" if kind is None else pictures.KINDS[kind]
        told = ", ".join(f"{fault or 'sound'} {value:.3f}" for fault, value in zip(FAULTS, recalls, strict=True))
        lines.append(f"{name}: balanced {np.mean(recalls):.3f} ({told})")
    return "\n".join(lines)


def export(net: Net, path: Path) -> None:
    """The network as ONNX: `numbers` [n, COUNT] to `shares` [n, faults], float32."""
    values = {"centre": net.centre, "scale": net.scale, "low": np.float32(-_CLIP), "high": np.float32(_CLIP)}
    nodes = [
        helper.make_node("Sub", ["numbers", "centre"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["x0"]),
    ]
    for n, (weight, bias) in enumerate(net.layers):
        values |= {f"w{n}": weight, f"b{n}": bias}
        last = n == len(net.layers) - 1
        nodes.append(helper.make_node("Gemm", [f"x{n}", f"w{n}", f"b{n}"], ["told" if last else f"y{n}"]))
        if not last:
            nodes.append(helper.make_node("Relu", [f"y{n}"], [f"x{n + 1}"]))
    nodes.append(helper.make_node("Softmax", ["told"], ["shares"], axis=1))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])
        for name, width in (("numbers", COUNT), ("shares", len(FAULTS)))
    ]
    held = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "quality", ends[:1], ends[1:], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _fresh(chance: np.random.Generator) -> Layers:
    return [
        (
            (chance.standard_normal((before, after)) * np.sqrt(2 / before)).astype(np.float32),
            np.zeros(after, np.float32),
        )
        for before, after in itertools.pairwise(_WIDTHS)
    ]


def _forward(layers: Layers, values: Floats) -> list[Floats]:
    """The input and what comes out of each layer."""
    found = [values]
    for n, (weight, bias) in enumerate(layers):
        values = values @ weight + bias
        if n < len(layers) - 1:
            values = np.maximum(values, 0)
        found.append(values)
    return found


def _backward(layers: Layers, values: Floats, faults: npt.NDArray[np.int64], weights: Floats) -> list[Floats]:
    """Slopes of the weighed cross entropy (with a twentieth spread over all faults), in the order of the layers."""
    found = _forward(layers, values)
    wanted = np.full(found[-1].shape, 0.05 / len(FAULTS), np.float32)
    wanted[np.arange(len(faults)), faults] += 0.95
    slope = (_softmax(found[-1]) - wanted) * weights[:, None] / len(faults)
    slopes: list[Floats] = []
    for n in range(len(layers) - 1, -1, -1):
        slopes = [found[n].T @ slope, slope.sum(axis=0), *slopes]
        if n:
            slope = (slope @ layers[n][0].T) * (found[n] > 0)
    return slopes


def _softmax(values: Floats) -> Floats:
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    shares: Floats = raised / raised.sum(axis=1, keepdims=True)
    return shares


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
