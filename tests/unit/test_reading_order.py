"""Lines of print are told in the order in which a person reads them."""

from __future__ import annotations

from typing import Any

from gateway.inference.families.rapidocr import in_reading_order


def line(text: str, x: float, y: float, w: float, h: float) -> dict[str, Any]:
    return {"text": text, "x": x, "y": y, "w": w, "h": h}


def read(*lines: dict[str, Any]) -> list[str]:
    return [each["text"] for each in in_reading_order(lines)]


def test_what_stands_beside_each_other_is_a_row() -> None:
    cells = [line("b", 0.5, 0.11, 0.3, 0.05), line("c", 0.1, 0.2, 0.3, 0.05), line("a", 0.1, 0.1, 0.3, 0.05)]
    assert read(*cells) == ["a", "b", "c"]


def test_a_tilted_labels_lines_are_no_row_although_their_boxes_share_heights() -> None:
    tilted = [
        line("name", 0.22, 0.33, 0.3, 0.17),
        line("order", 0.2, 0.52, 0.45, 0.22),
        line("street", 0.24, 0.42, 0.42, 0.2),
    ]
    assert read(*tilted) == ["name", "street", "order"]
