"""Which lines of a page are print, and which a shape that was taken for a sign."""

from __future__ import annotations

import pytest

from gateway.pipeline.steps.ocr import believed


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["BACK AT", "FIVE", "业"], [True, True, False]),
        (["口", "7", "业"], [False, True, False]),
        (["目 "], [False]),
        (["出口", "业"], [True, True]),
        (["한국", "한"], [True, True]),
        (["7", "é", "A"], [True, True, True]),
        ([], []),
    ],
)
def test_a_sign_that_stands_alone_is_a_shape(texts: list[str], told: list[bool]) -> None:
    assert believed(texts) == told
