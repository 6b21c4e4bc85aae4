"""A tier is chosen by what the machine says of itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from gateway.config import Models as ModelSettings
from gateway.config import load
from gateway.errors import ConfigError
from gateway.inference.board import CORE_WATTS, this_board
from gateway.inference.manifest import TIERS, read_manifests

ARM = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: {part}\n"
INTEL = "processor\t: 0\nmodel name\t: Intel(R) N100\n"


def root_of(folder: Path, *, name: str = "", processor: str = "", memory_mb: int = 4_000) -> Path:
    proc = folder / "proc"
    (proc / "device-tree").mkdir(parents=True)
    if name:
        (proc / "device-tree/model").write_bytes(name.encode() + b"\0")
    (proc / "cpuinfo").write_text(processor)
    (proc / "meminfo").write_text(f"MemTotal:       {memory_mb * 1024} kB\nMemFree: 1 kB\n")
    return folder


@pytest.mark.parametrize(
    ("name", "processor", "machine", "tier"),
    [
        ("Raspberry Pi 4 Model B Rev 1.5", ARM.format(part="0xd08"), "aarch64", "pi4"),
        ("Raspberry Pi 5 Model B Rev 1.0", ARM.format(part="0xd0b"), "aarch64", "pi5"),
        ("Raspberry Pi Compute Module 5 Rev 1.0", ARM.format(part="0xd0b"), "aarch64", "pi5"),
        ("Raspberry Pi Zero 2 W Rev 1.0", ARM.format(part="0xd03"), "aarch64", "pi4"),
        ("NVIDIA Jetson Orin Nano Developer Kit", ARM.format(part="0xd42"), "aarch64", "jetson"),
        ("Radxa ROCK 5B", ARM.format(part="0xd0b"), "aarch64", "pi5"),
        ("Some Board", ARM.format(part="0xd03"), "aarch64", "pi4"),
        ("", INTEL, "x86_64", "x86"),
        ("", "", "riscv64", "pi4"),
    ],
)
def test_the_tier_is_told_by_name_then_by_core(
    tmp_path: Path, name: str, processor: str, machine: str, tier: str
) -> None:
    board = this_board(root_of(tmp_path, name=name, processor=processor), machine)
    assert board.tier == tier and board.memory_mb == 4_000
    assert board.core_watts == CORE_WATTS[tier]


def test_the_board_is_named_as_it_calls_itself(tmp_path: Path) -> None:
    assert this_board(root_of(tmp_path, processor=INTEL), "x86_64").name == "Intel(R) N100"


def test_a_machine_that_says_nothing_is_the_smallest(tmp_path: Path) -> None:
    board = this_board(tmp_path, "")
    assert board.tier in TIERS and board.memory_mb == 1_024


def test_a_model_fits_by_its_tiers_and_by_the_memory(tmp_path: Path) -> None:
    manifests = read_manifests()
    board = this_board(root_of(tmp_path, name="Raspberry Pi 4 Model B", memory_mb=1_024), "aarch64")
    assert board.fits(manifests["yolox-nano"]) and not board.fits(manifests["florence2-base"])
    large = replace(manifests["florence2-base"], tiers=TIERS)
    assert not board.fits(large) and replace(board, memory_mb=4_000).fits(large)
    assert set(CORE_WATTS) == set(TIERS)


def test_what_a_person_knows_better_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = root_of(tmp_path, processor=INTEL)
    assert (
        this_board(root, "x86_64", tier="pi4").tier == "pi4" and this_board(root, "x86_64", tier="auto").tier == "x86"
    )
    monkeypatch.setenv("HEARTHLOG_HOME", str(tmp_path))
    assert set(get_args(get_type_hints(ModelSettings)["tier"])) == {"auto", *TIERS}
    monkeypatch.setenv("HEARTHLOG_MODELS_TIER", "pi3")
    with pytest.raises(ConfigError, match="tier"):
        load()
