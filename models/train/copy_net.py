"""`python -m models.train.copy_net --cache FOLDER [--steps N]`: learn the copy vector, write copy-fp32.onnx.

A small convolutional network after SSCD (Pizzi et al. 2022): two views of each picture are drawn to one another and
all pictures of a batch apart (InfoNCE), and the vectors are spread over the sphere (KoLeo). One thread, one seed; it
goes on from the last checkpoint in the folder. What is kept is the mean over the eight flips and quarter turns of the
picture, in its colours and in even light: neither need be learnt, they are a part of the graph.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from models.train.copy_pictures import TRAIN_SEEDS, frames, procedural
from models.train.copy_views import view

SIDE_PX = 128
DIM = 64
_BATCH = 32
_TEMPERATURE = 0.1
_SPREAD = 0.1
_SEED = 4
_PROCEDURAL = 1_200


class CopyNet(nn.Module):
    """[n, 3, 128, 128] RGB 0..255 → [n, 64], of length 1."""

    def __init__(self) -> None:
        super().__init__()
        widths = (24, 48, 96, 128, 192)
        layers: list[nn.Module] = []
        before = 3
        for n, width in enumerate(widths):
            size = 5 if n == 0 else 3
            layers += [
                nn.Conv2d(before, width, size, 2 if n < 4 else 1, size // 2, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            before = width
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(2 * before, DIM)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        grid = self.body((pixels - 118.0) / 64.0)
        # Mean and generalised mean (Radenović et al. 2018): what is there at all, and what stands out.
        raised = grid.clamp(min=1e-3).pow(3).mean((2, 3)).pow(1 / 3)
        return functional.normalize(self.head(torch.cat([grid.mean((2, 3)), raised], 1)), dim=1)


class Turned(nn.Module):
    """[1, 3, 128, 128] RGB 0..255 → [2, 64]: the mean over its flips and quarter turns, as it is and in even light.

    The first half knows colours and puts up with frames and screens; the second, of the light alone with its mean and
    deviation made even, puts up with whatever was done to light and colours. A copy is near in at least one.
    """

    def __init__(self, net: CopyNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        light = (pixels * torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)).sum(1, keepdim=True)
        apart = light - light.mean((2, 3), keepdim=True)
        deviation = (apart * apart).mean((2, 3), keepdim=True).sqrt().clamp(min=8.0)
        even = (apart / deviation * 58.0 + 118.0).clamp(-60.0, 320.0)
        halves = torch.cat([pixels, torch.cat([even, even, even], 1)])
        both = torch.cat([halves, halves.flip(3)])
        half = torch.cat([both, both.flip(2)])
        found = self.net(torch.cat([half, half.transpose(2, 3)]))
        return functional.normalize(found.reshape(8, 2, DIM).mean(0), dim=1)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="pictures, checkpoints and the result lie here")
    parser.add_argument("--steps", type=int, default=1_200)
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    torch.manual_seed(_SEED)
    given.cache.mkdir(parents=True, exist_ok=True)
    pictures = _pictures(given.cache)
    net = CopyNet()
    _train(net, pictures, given.cache / "copy.pt", steps=given.steps)
    net.eval()
    torch.onnx.export(
        Turned(net),
        (torch.zeros(1, 3, SIDE_PX, SIDE_PX),),
        str(given.cache / "copy-fp32.onnx"),
        input_names=["pixels"],
        output_names=["vector"],
        opset_version=17,
        dynamo=False,
    )
    return 0


def _pictures(cache: Path) -> list[npt.NDArray[np.uint8]]:
    found = []
    for name, made in (
        ("frames", lambda: frames(TRAIN_SEEDS[:30], each=4)),
        ("procedural", lambda: procedural(_PROCEDURAL, seed=_SEED)),
    ):
        path = cache / f"{name}.npy"
        if not path.exists():
            np.save(path, np.stack([np.asarray(each) for each in made()]))
        found.append(np.load(path))
        sys.stdout.write(f"{name}: {len(found[-1])}\n")
    return found


def _batch(pictures: list[npt.NDArray[np.uint8]], step: int) -> torch.Tensor:
    """[2 n, 3, side, side]: the first views, then the second ones, in the same order."""
    chance = np.random.default_rng((_SEED, step))
    views: tuple[list[npt.NDArray[np.uint8]], ...] = ([], [])
    for n in range(_BATCH):
        kind = pictures[n % 2]
        picture = Image.fromarray(kind[int(chance.integers(len(kind)))])
        # Half of the firsts are as they were taken: that is what a gallery holds.
        pair = (picture if chance.random() < 0.5 else view(picture, chance)), view(picture, chance)
        for views_, one in zip(views, pair, strict=True):
            small = one.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR, reducing_gap=2.0)
            views_.append(np.asarray(small.convert("RGB")))
    return torch.from_numpy(np.stack(views[0] + views[1])).permute(0, 3, 1, 2).float()


def _loss(vectors: torch.Tensor) -> torch.Tensor:
    alike = vectors @ vectors.T
    mask = torch.eye(len(alike), dtype=torch.bool)
    alike = alike.masked_fill(mask, -1.0)
    partner = torch.arange(len(alike)).roll(len(alike) // 2)
    others = alike.masked_fill(functional.one_hot(partner, len(alike)).bool(), -1.0)
    spread = -torch.log((2 - 2 * others.max(1).values).clamp(min=1e-4)).mean() / 2
    return functional.cross_entropy(alike.masked_fill(mask, -9.0) / _TEMPERATURE, partner) + _SPREAD * spread


def _train(net: CopyNet, pictures: list[npt.NDArray[np.uint8]], checkpoint: Path, *, steps: int) -> None:
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps + 1, pct_start=0.2)
    done = 0
    if checkpoint.exists():
        kept = torch.load(checkpoint, weights_only=True)
        if kept["steps"] == steps:
            net.load_state_dict(kept["net"])
            optimizer.load_state_dict(kept["optimizer"])
            schedule.load_state_dict(kept["schedule"])
            done = int(kept["done"])
    began_s, recent = time.monotonic(), []
    for step in range(done, steps):
        net.train()
        loss = _loss(net(_batch(pictures, step)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        recent.append(loss.item())
        if (step + 1) % 50 == 0 or step + 1 == steps:
            spent_s = time.monotonic() - began_s
            sys.stdout.write(f"step {step + 1}: loss {np.mean(recent):.3f}, {spent_s:.0f} s\n")
            sys.stdout.flush()
            recent.clear()
            state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
            torch.save(state | {"done": step + 1, "steps": steps}, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").replace(checkpoint)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
