"""`python -m models.train.caption_export FOLDER`: weights → `models/onnx/hearth-caption-*`, float32 and int8 measured.

The eyes become int8 by channel, calibrated on pictures of homes; the mouth's weights alone. Both must keep what the
manifest's gate says, or nothing is written. Prints what to put into the manifest.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from gateway.inference import quantise
from gateway.inference.manifest import Gate
from gateway.inference.quantise import Feeds, Outcome
from models.train.caption_learn import lessons_of, load, scaled
from models.train.caption_net import FEATURES, HEADS, LAYERS, PLACES, WIDTH, Eyes, Mouth, no_past
from models.train.caption_pictures import SIDE_PX, Pixels, Truth, read
from models.train.caption_words import MOST_WORDS, numbers, sentence, vocabulary, write_tokenizer

EXACT = Path(__file__).resolve().parent
"""Where the float32 forms lie, so that the gate can be asked again."""
OUT = EXACT.parent / "onnx"
NAMES = ("hearth-caption-encoder.onnx", "hearth-caption-decoder.onnx", "hearth-caption-tokenizer.json")
_GATES = (Gate("per-channel", "cosine", 0.98), Gate("dynamic", "cosine", 0.98))
_OPSET = 17
_SHRINK = 0.05
"""Of the covariance towards its mean diagonal, so that it can be inverted (after Ledoit and Wolf 2004)."""


class Gated(nn.Module):
    """The eyes, with what they say of whether this is the home: the logit, and how far the features are from those of
    the nearest kind of place (Mahalanobis, one covariance for all; Lee et al. 2018).

    All of it is multiplied and summed without a matrix product, which would become int8 with the rest: a range that is
    set by pictures of homes would make everything else look alike.
    """

    def __init__(self, eyes: Eyes, middles: Tensor, whiten: Tensor) -> None:
        super().__init__()
        self.eyes = eyes
        self.register_buffer("whiten", whiten)
        self.register_buffer("middles", middles @ whiten.T)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        seen, pooled = self.eyes.look(pixels)
        white = _times(pooled[:, :FEATURES], self.whiten)
        far = ((white[:, None, :] - self.middles[None]) ** 2).mean(2).amin(1).sqrt()
        first, _, last = self.eyes.gate
        hidden = torch.relu(_times(pooled, first.weight) + first.bias)
        logit = (_times(hidden, last.weight) + last.bias)[:, 0]
        return seen, torch.stack([logit, far], 1)


def _times(rows: Tensor, weights: Tensor) -> Tensor:
    return (rows[:, None, :] * weights[None]).sum(2)


class Spoken(nn.Module):
    """The mouth with the names that `gateway.inference.generate` asks for."""

    def __init__(self, mouth: Mouth) -> None:
        super().__init__()
        self.mouth = mouth

    def forward(self, ids: Tensor, seen: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        logits, present = self.mouth(ids, seen, list(zip(past[::2], past[1::2], strict=True)))
        return logits, *present


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    eyes, mouth = Eyes(), Mouth(len(vocabulary()), MOST_WORDS)
    load(given.folder / "captioner.pt", eyes, mouth)
    eyes.eval()
    mouth.eval()
    gated = Gated(eyes, *places(eyes, given.folder)).eval()
    exact = [EXACT / f"{Path(name).stem}-fp32.onnx" for name in NAMES[:2]]
    small = [given.out / name for name in NAMES[:2]]
    write_eyes(gated, exact[0])
    write_mouth(mouth, exact[1])
    checked = read(given.folder, "check")
    outcomes = [as_int8(exact[0], small[0], given.folder), weights_int8(exact[1], small[1], eyes, checked)]
    write_tokenizer(given.out / NAMES[2])
    sys.stdout.write(quantise.table(outcomes) + "\n")
    for each in outcomes:
        quantise.refuse_what_fails(each.model, each.gate, each.quality)
    for name in NAMES:
        body = (given.out / name).read_bytes()
        sys.stdout.write(f"{name} sha256 {hashlib.sha256(body).hexdigest()} bytes {len(body)}\n")
    return 0


@torch.no_grad()
def places(eyes: Eyes, folder: Path) -> tuple[Tensor, Tensor]:
    """(middles [kinds, FEATURES], whitening [FEATURES, FEATURES]) of what the gate looks at, by room and light."""
    lessons = lessons_of(folder, 0)
    truths: list[Truth] = []
    for path in sorted(folder.glob("homes-*.json")):
        truths += read(folder, path.stem)[1]
    parts = [eyes(scaled(lessons.homes[at : at + 64]))[1] for at in range(0, len(lessons.homes), 64)]
    features = torch.cat(parts).double().numpy()
    kinds = [(one.camera, one.night, one.lamp) for one in truths]
    names = sorted(set(kinds))
    rows = np.array([names.index(kind) for kind in kinds])
    middles = np.stack([features[rows == n].mean(0) for n in range(len(names))])
    spread = np.cov((features - middles[rows]).T)
    spread = (1 - _SHRINK) * spread + _SHRINK * np.eye(FEATURES) * np.trace(spread) / FEATURES
    values, vectors = np.linalg.eigh(spread)
    whiten = (vectors / np.sqrt(values)) @ vectors.T
    return torch.from_numpy(middles).float(), torch.from_numpy(whiten).float()


def write_eyes(gated: Gated, path: Path) -> None:
    """`pixel_values` [1, 3, S, S] → `last_hidden_state` [1, E, D], `gate` [1, 2]: logit, distance."""
    names = ["last_hidden_state", "gate"]
    example = torch.zeros(1, 3, SIDE_PX, SIDE_PX)
    _export(gated, (example,), ["pixel_values"], names, {}, path)


def write_mouth(mouth: Mouth, path: Path) -> None:
    """A decoder as `gateway.inference.generate` describes it. Its first pass is one with an empty cache, so that there
    is nothing to choose: `use_cache_branch` is taken and not looked at."""
    caches = [f"{n}.{part}" for n in range(LAYERS) for part in ("key", "value")]
    past = [torch.zeros(1, HEADS, 3, WIDTH // HEADS) for _ in caches]
    inputs = ["input_ids", "encoder_hidden_states", *(f"past_key_values.{name}" for name in caches)]
    outputs = ["logits", *(f"present.{name}" for name in caches)]
    axes = {"input_ids": {1: "n"}, "logits": {1: "n"}}
    axes |= {name: {2: "said"} for name in inputs[2:]} | {name: {2: "grown"} for name in outputs[1:]}
    example = (torch.zeros(1, 1, dtype=torch.long), torch.zeros(1, PLACES, WIDTH), *past)
    _export(Spoken(mouth), example, inputs, outputs, axes, path)
    model = onnx.load(str(path))
    model.graph.input.append(onnx.helper.make_tensor_value_info("use_cache_branch", onnx.TensorProto.BOOL, [1]))
    onnx.save(model, str(path))


def _export(
    module: nn.Module,
    example: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    axes: dict[str, dict[int, str]],
    path: Path,
) -> None:
    out = io.BytesIO()
    torch.onnx.export(
        module,
        example,
        out,
        input_names=inputs,
        output_names=outputs,
        dynamic_axes=axes,
        opset_version=_OPSET,
        dynamo=False,
    )
    model = onnx.load_from_string(out.getvalue())
    for node in model.graph.node:
        node.doc_string = ""
        node.ClearField("metadata_props")  # traces name the folders of whoever trained
    onnx.save(model, str(path))


def as_int8(exact: Path, small: Path, folder: Path) -> Outcome:
    """The eyes: calibrated on homes and on pictures of anything else, measured on homes that are kept for checking."""
    lessons = lessons_of(folder, 2)
    homes = read(folder, "check")[0]
    calibrating = np.concatenate([lessons.homes[::5], lessons.elsewhere[::40]])
    quantise.per_channel(exact, small, _feeds(calibrating))
    measured = _feeds(homes[5::20])
    quality = quantise.cosine(exact, small, measured)
    return quantise.compared("hearth-caption eyes", _GATES[0], (exact, small), measured, quality)


def _feeds(pictures: Pixels) -> list[Feeds]:
    return [{"pixel_values": scaled(picture[None]).contiguous().numpy()} for picture in pictures]


@torch.no_grad()
def weights_int8(exact: Path, small: Path, eyes: Eyes, checked: tuple[Pixels, list[Truth]]) -> Outcome:
    """The mouth: measured at whole sentences, said after what the float32 eyes saw."""
    quantise.dynamic(exact, small)
    feeds: list[Feeds] = []
    for n in range(5, len(checked[0]), 40):
        seen = eyes(scaled(checked[0][n : n + 1]))[0].numpy()
        said = np.array([[0, *numbers(sentence(checked[1][n]))[:-1]]])
        empty = {
            f"past_key_values.{layer}.{part}": cache.numpy()
            for layer, pair in enumerate(no_past(1))
            for part, cache in zip(("key", "value"), pair, strict=True)
        }
        fixed = {"encoder_hidden_states": seen, "use_cache_branch": np.array([False])}
        feeds.append({"input_ids": said, **fixed, **empty})
    quality = quantise.cosine(exact, small, feeds)
    return quantise.compared("hearth-caption mouth", _GATES[1], (exact, small), feeds, quality)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
