"""The ruler for near-duplicates measures what it says."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.bench import copies, copy_suite
from tests.bench.copy_suite import Query, Suite

NEVER = -np.inf


def suite_of(*queries: Query, gallery: int) -> Suite:
    return Suite((b"",) * gallery, (None,) * gallery, queries, ())


def test_the_limit_is_the_lowest_at_which_the_named_pairs_are_right() -> None:
    found = suite_of(*(Query("jpeg", b"", 0) for _ in range(4)), gallery=2)
    table = np.array([[9.0, 1.0], [8.0, 1.0], [5.0, 6.0], [NEVER, NEVER]])
    measured = copies.measure(found, table)
    assert (measured.limit, measured.recall, measured.precision) == (8.0, 0.5, 1.0)
    loose = copies.measure(found, table, limit=5.0)
    assert (loose.recall, loose.precision) == (0.75, 0.75)


def test_equal_scores_stand_or_fall_together() -> None:
    found = suite_of(Query("crop", b"", 0), Query("flip", b"", 0), gallery=2)
    measured = copies.measure(found, np.array([[3.0, 3.0], [NEVER, 2.0]]))
    assert measured.recall == 0.0 and measured.by_axis == {"crop": 0.0, "flip": 0.0}


def test_a_hard_negative_counts_against_precision_and_not_with_itself() -> None:
    found = suite_of(Query("jpeg", b"", 0), Query("burst of change", b"", None, itself=1), gallery=2)
    table = np.array([[9.0, 0.0], [0.0, 10.0]])
    assert copies.measure(found, table).recall == 1.0
    table[1, 0] = 9.5
    assert copies.measure(found, table).recall == 0.0


@pytest.mark.timeout(60)
def test_rendered_pictures_are_the_same_each_time_and_their_other_moments_are_others() -> None:
    one, again = (list(copy_suite._frames(copy_suite.SEEDS[0], each=1)) for _ in range(2))
    assert one == again and len(one) >= 4
    for shot, others in one:
        assert others and all(copy_suite._changed(shot, other) for other in others)
        assert all(other.camera == shot.camera for other in others)


def test_every_axis_changes_a_picture_and_leaves_one() -> None:
    out = io.BytesIO()
    grain = np.random.default_rng(3).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(grain).resize((160, 120)).save(out, "JPEG")
    made = list(copy_suite._copies(out.getvalue(), quick=False))
    assert len({body for _, body in made}) == len(made)
    assert {"jpeg", "crop", "resize", "flip", "rotation", "borders", "text", "grey", "screenshot"} <= {
        a for a, _ in made
    }
    for _, body in made:
        with Image.open(io.BytesIO(body)) as opened:
            assert min(opened.size) >= 8
