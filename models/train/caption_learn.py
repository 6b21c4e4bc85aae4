"""`python -m models.train.caption_learn FOLDER [--homes N] [--steps N] [--begin FILE]`: learn to caption.

Reads what `caption_pictures` drew, writes `FOLDER/captioner.pt` every few hundred steps and prints how it does on homes
it does not learn from. Seeded, and on one thread: the same steps on the same pictures.
`--begin` goes on from a checkpoint's weights.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.train.caption_elsewhere import near_home
from models.train.caption_net import Eyes, Mouth, no_past
from models.train.caption_pictures import SIDE_PX, Pixels, Truth, read
from models.train.caption_words import MOST_WORDS, numbers, said_facts, sentence, true_facts, vocabulary

_HOME, _STORED, _NEAR = 28, 6, 4
"""Pictures of a batch: of homes, elsewhere, near homes."""
_RATE, _WARM = 1.5e-3, 150
_GATE = 0.5
_SHIFT_PX = 3
_SAVE_EVERY = 200
_IGNORED = -100
_SHEET_PX = 256
_GRAIN = np.random.default_rng(0).normal(0, 2.0, (_SHEET_PX, _SHEET_PX, 3)).astype(np.float32)
"""A sensor's noise, of which each picture gets another part."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """What is learnt from."""

    homes: Pixels
    words: list[list[int]]
    elsewhere: Pixels


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--homes", type=int, default=0, help="the first N homes; 0: all")
    parser.add_argument("--steps", type=int, default=2_000)
    parser.add_argument("--begin", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    lessons = lessons_of(given.folder, given.homes)
    eyes, mouth = Eyes(), Mouth(len(vocabulary()), MOST_WORDS)
    if given.begin is not None:
        load(given.begin, eyes, mouth)
    checked = read(given.folder, "check")
    learn(eyes, mouth, lessons, steps=given.steps, seed=given.seed, folder=given.folder, checked=checked)
    return 0


def lessons_of(folder: Path, homes: int) -> Lessons:
    """All that was drawn, or the first `homes` homes of it."""
    names = sorted(path.stem for path in folder.glob("homes-*.json"))[: homes or None]
    pairs = [read(folder, name) for name in names]
    words = [numbers(sentence(each)) for _, truths in pairs for each in truths]
    return Lessons(np.concatenate([pixels for pixels, _ in pairs]), words, np.load(folder / "elsewhere.npy"))


def learn(  # noqa: PLR0913  (one call, by name)
    eyes: Eyes,
    mouth: Mouth,
    lessons: Lessons,
    *,
    steps: int,
    seed: int,
    folder: Path,
    checked: tuple[Pixels, list[Truth]],
) -> None:
    """Adam with decay (Loshchilov and Hutter 2019), the rate warmed up and let down along a cosine."""
    chance = np.random.default_rng(seed)
    weights = [*eyes.parameters(), *mouth.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=_RATE, weight_decay=0.02)
    order: list[int] = []
    began_s, total = time.monotonic(), 0.0
    for step in range(steps):
        rate = _RATE * min((step + 1) / _WARM, 0.5 * (1 + math.cos(math.pi * step / steps)) + 0.01)
        for group in optimiser.param_groups:
            group["lr"] = rate
        if len(order) < _HOME:
            order += [int(n) for n in chance.permutation(len(lessons.homes))]
        chosen, order = order[:_HOME], order[_HOME:]
        pixels = _batch(lessons, chosen, chance)
        loss = _loss(eyes, mouth, pixels, [lessons.words[n] for n in chosen])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        total += float(loss.detach())
        if (step + 1) % _SAVE_EVERY == 0 or step + 1 == steps:
            save(folder / "captioner.pt", eyes, mouth)
            score, silent = check(eyes, mouth, checked, folder)
            took_s = time.monotonic() - began_s
            line = f"step {step + 1} loss {total / _SAVE_EVERY:.4f} F1 {score:.4f} gate {silent} {took_s:.0f} s"
            print(line, flush=True)  # noqa: T201
            total = 0.0


def _batch(lessons: Lessons, chosen: Sequence[int], chance: np.random.Generator) -> Tensor:
    """[n, 3, side, side]; homes first, each moved by a few pixels and lit a little otherwise."""
    others = chance.integers(len(lessons.elsewhere), size=_STORED)
    pairs = chance.integers(len(lessons.homes), size=(_NEAR, 2))
    pictures = [_moved(lessons.homes[n], chance) for n in chosen]
    pictures += [lessons.elsewhere[n] for n in others]
    pictures += [near_home(lessons.homes[one], lessons.homes[other], chance) for one, other in pairs]
    gain = chance.normal(1, 0.05, (len(pictures), 1, 1, 1)) * chance.normal(1, 0.02, (len(pictures), 1, 1, 3))
    values = np.stack(pictures) * gain.astype(np.float32)
    for n in range(len(values)):
        top, left = (int(n) for n in chance.integers(0, _SHEET_PX - SIDE_PX, 2))
        values[n] += _GRAIN[top : top + SIDE_PX, left : left + SIDE_PX]
    return scaled(np.clip(values, 0, 255, out=values))


def scaled(values: np.ndarray) -> Tensor:  # type: ignore[type-arg]
    """[n, side, side, 3] of 0..255 → [n, 3, side, side] of −1..1."""
    rows = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).permute(0, 3, 1, 2) / 127.5 - 1
    return rows.contiguous(memory_format=torch.channels_last)


def _moved(home: Pixels, chance: np.random.Generator) -> Pixels:
    across, down = (int(n) for n in chance.integers(0, 2 * _SHIFT_PX + 1, 2))
    if across == down == _SHIFT_PX:
        return home
    padded = np.pad(home, ((_SHIFT_PX, _SHIFT_PX), (_SHIFT_PX, _SHIFT_PX), (0, 0)), mode="edge")
    return padded[down : down + home.shape[0], across : across + home.shape[1]]


def _loss(eyes: Eyes, mouth: Mouth, pixels: Tensor, words: Sequence[Sequence[int]]) -> Tensor:
    """Of words, and of the gate on all pictures alike."""
    seen, _, logit = eyes(pixels)
    home = torch.zeros(len(pixels))
    home[: len(words)] = 1
    longest = max(len(each) for each in words)
    given, wanted = torch.zeros(len(words), longest, dtype=torch.long), torch.full((len(words), longest), _IGNORED)
    for row, each in enumerate(words):
        given[row, 1 : len(each)] = torch.tensor(each[:-1])
        wanted[row, : len(each)] = torch.tensor(each)
    logits, _ = mouth(given, seen[: len(words)], no_past(len(words)))
    spoken = functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=_IGNORED)
    return spoken + _GATE * functional.binary_cross_entropy_with_logits(logit, home)


@torch.no_grad()
def check(eyes: Eyes, mouth: Mouth, checked: tuple[Pixels, list[Truth]], folder: Path) -> tuple[float, str]:
    """Micro F1 of facts on every third picture of the homes kept for it; and of the gate the lowest hundredth of logits
    of homes, and the highest of pictures elsewhere."""
    eyes.eval()
    mouth.eval()
    pictures, truths = checked[0][::3], checked[1][::3]
    away = np.load(folder / "elsewhere-check.npy", mmap_mode="r")[::4]
    right = named = true = 0
    logits = []
    for at in range(0, len(pictures), 64):
        seen, _, logit = eyes(scaled(pictures[at : at + 64]))
        logits.append(logit.numpy())
        for said, one in zip(spoken(mouth, seen), truths[at : at + 64], strict=True):
            facts, wanted = said_facts(said), true_facts(one)
            right, named, true = right + len(facts & wanted), named + len(facts), true + len(wanted)
    home = np.concatenate(logits)
    other = np.concatenate([eyes(scaled(away[at : at + 64]))[2].numpy() for at in range(0, len(away), 64)])
    eyes.train()
    mouth.train()
    return 2 * right / max(1, named + true), f"{np.quantile(home, 0.01):.1f} | {other.max():.1f}"


@torch.no_grad()
def spoken(mouth: Mouth, seen: Tensor) -> list[str]:
    """The likeliest word each time, of many pictures at once."""
    words = vocabulary()
    past, ids = no_past(len(seen)), torch.zeros(len(seen), 1, dtype=torch.long)
    said: list[list[int]] = [[] for _ in range(len(seen))]
    done = torch.zeros(len(seen), dtype=torch.bool)
    for _ in range(MOST_WORDS):
        logits, present = mouth(ids, seen, past)
        past = list(zip(present[::2], present[1::2], strict=True))
        ids = logits[:, -1:].argmax(2)
        done |= ids[:, 0] == 1
        if bool(done.all()):
            break
        for row in torch.nonzero(~done)[:, 0].tolist():
            said[row].append(int(ids[row, 0]))
    return [" ".join(words[n] for n in each).replace(" ,", ",") for each in said]


def save(path: Path, eyes: Eyes, mouth: Mouth) -> None:
    """Weights alone."""
    part = path.with_suffix(".part")
    torch.save({"eyes": eyes.state_dict(), "mouth": mouth.state_dict()}, part)
    part.replace(path)


def load(path: Path, eyes: Eyes, mouth: Mouth) -> None:
    """What `save` wrote."""
    kept = torch.load(path, weights_only=True)
    eyes.load_state_dict(kept["eyes"])
    mouth.load_state_dict(kept["mouth"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
