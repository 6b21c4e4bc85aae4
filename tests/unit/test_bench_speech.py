"""What the benches of speech and of reading compare with, and how they count."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.bench import reading, shared, speech


def test_references_are_read_from_the_recordings_own_table(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    for name in ("one_01.wav", "who1.wav", "who2.wav", "silent.wav"):
        (tmp_path / "audio" / name).touch()
    (tmp_path / "README.md").write_text(
        '| file | truth |\n| --- | --- |\n| images/a.jpg | "a dog" |\n'
        '| audio/*_01.wav | "And SO, my friend\'s here." |\n'
        '| audio/who1.wav … 2 | one speaker: "yes", "no"|\n| audio/silent.wav | somebody |\n'
    )
    assert speech.references(tmp_path) == {"one_01.wav": "and so my friend's here", "who1.wav": "yes", "who2.wav": "no"}


def test_errors_are_the_fewest_changes() -> None:
    assert shared.errors(["a", "b", "d"], ["a", "b", "c", "d"]) == 1
    assert shared.errors("", "abc") == shared.errors("abc", "") == 3
    assert shared.errors("kitten", "sitting") == 3
    assert shared.errors([], []) == 0


def test_labels_are_the_same_in_every_run_and_differ_among_themselves() -> None:
    lines = [reading._lines(np.random.default_rng(seed)) for seed in range(12)]
    assert lines == [reading._lines(np.random.default_rng(seed)) for seed in range(12)]
    assert len({" ".join(each) for each in lines}) == 12
    assert reading.drawn(lines[0], reading.KINDS[0], np.random.default_rng(1))[:3] == b"\xff\xd8\xff"
