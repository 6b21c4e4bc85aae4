"""The captioner as a PyTorch module: eyes (convolutions), a gate that says whether this is the home, and a mouth.

The mouth is a decoder of two layers after Vaswani et al. 2017, normalised before each part; the eyes are a residual
network (He et al. 2016) whose last grid of 8 × 8 places is what the mouth attends to.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH, HEADS, LAYERS, PLACES = 128, 4, 2, 64
FEATURES = 160
_HIDDEN = 256


class Eyes(nn.Module):
    """Pixels [n, 3, 128, 128], −1 to 1 → what was seen [n, 64, 128], what the gate looks at [n, 160], its logit [n]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv(3, 32, 7, stride=4)
        self.down1 = _conv(32, FEATURES // 2, 3, stride=2)
        self.block1 = _Block(FEATURES // 2)
        self.down2 = _conv(FEATURES // 2, FEATURES, 3, stride=2)
        self.block2 = _Block(FEATURES)
        self.to_width = nn.Conv2d(FEATURES, WIDTH, 1)
        self.places = nn.Parameter(torch.randn(1, PLACES, WIDTH) * 0.02)
        self.norm = nn.LayerNorm(WIDTH)
        self.gate = nn.Sequential(nn.Linear(2 * FEATURES, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        seen, pooled = self.look(pixels)
        return seen, pooled[:, :FEATURES], self.gate(pooled)[:, 0]

    def look(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """What was seen, and its means and maxima over the grid [n, 320]: what the gate is computed from."""
        grid = self.block2(self.down2(self.block1(self.down1(self.stem(pixels)))))
        seen = self.norm(self.to_width(grid).flatten(2).transpose(1, 2) + self.places)
        return seen, torch.cat([grid.mean((2, 3)), grid.amax((2, 3))], 1)


class Mouth(nn.Module):
    """Words [n, t] after those in the cache, and what was seen → logits [n, t, V], and the cache grown by t."""

    def __init__(self, words: int, most: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, WIDTH)
        self.order = nn.Parameter(torch.randn(most + 2, WIDTH) * 0.02)
        self.layers = nn.ModuleList(_Layer() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.out = nn.Linear(WIDTH, words)

    def forward(self, ids: Tensor, seen: Tensor, past: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, list[Tensor]]:
        before = past[0][0].shape[2]
        at = torch.arange(ids.shape[1]) + before
        hidden = self.words(ids) + self.order[at]
        visible = torch.arange(ids.shape[1] + before)[None] <= at[:, None]
        present: list[Tensor] = []
        for layer, cache in zip(self.layers, past, strict=True):
            hidden, key, value = layer(hidden, seen, cache, visible)
            present += [key, value]
        return self.out(self.norm(hidden)), present


class _Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(3))
        self.own = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.other = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.forth, self.back = nn.Linear(WIDTH, _HIDDEN), nn.Linear(_HIDDEN, WIDTH)

    def forward(
        self, hidden: Tensor, seen: Tensor, cache: tuple[Tensor, Tensor], visible: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        normed = self.norms[0](hidden)
        key = torch.cat([cache[0], _heads(self.own[1](normed))], 2)
        value = torch.cat([cache[1], _heads(self.own[2](normed))], 2)
        mask = torch.where(visible, 0.0, -1e4)
        hidden = hidden + self.own[3](_attend(_heads(self.own[0](normed)), key, value, mask))
        query = _heads(self.other[0](self.norms[1](hidden)))
        found = _attend(query, _heads(self.other[1](seen)), _heads(self.other[2](seen)), None)
        hidden = hidden + self.other[3](found)
        return hidden + self.back(functional.relu(self.forth(self.norms[2](hidden)))), key, value


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _conv(width, width, 3)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, grid: Tensor) -> Tensor:
        return functional.relu(grid + self.second(self.first(grid)))


def no_past(count: int) -> list[tuple[Tensor, Tensor]]:
    """The cache before the first word."""
    empty = torch.zeros(count, HEADS, 0, WIDTH // HEADS)
    return [(empty, empty) for _ in range(LAYERS)]


def _conv(given: int, made: int, side: int, *, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(given, made, side, stride, side // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(made), nn.ReLU())


def _heads(rows: Tensor) -> Tensor:
    return rows.reshape(rows.shape[0], rows.shape[1], HEADS, WIDTH // HEADS).transpose(1, 2)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    scores = query @ key.transpose(2, 3) * (WIDTH // HEADS) ** -0.5
    if mask is not None:
        scores = scores + mask
    found = torch.softmax(scores, 3) @ value
    return found.transpose(1, 2).reshape(found.shape[0], found.shape[2], WIDTH)
