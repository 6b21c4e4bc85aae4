"""A QR code as SVG: black on white in both themes, because a camera's reader wants it so."""

from __future__ import annotations

import segno
from markupsafe import Markup


def qr(text: str) -> Markup:
    """Error correction M, a quiet zone of four modules, no size of its own."""
    made = segno.make(text, error="m", micro=False)
    drawn = made.svg_inline(border=4, dark="#000", light="#fff", omitsize=True, svgclass="qr", lineclass=None)
    return Markup(drawn)  # noqa: S704  # numbers and two colours: the text is drawn, not written
