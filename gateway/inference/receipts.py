"""The note beside a model's files: what was hashed, how large it was and when it was written, so that a start does not
read every file again. It may be lost: then everything is hashed again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

from gateway.files import write_whole


def read_receipt(path: Path) -> dict[str, dict[str, object]]:
    """{} when there is none or it is damaged: then everything is hashed again."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(loaded, dict):
        return {}
    return {str(name): entry for name, entry in loaded.items() if isinstance(entry, dict)}


def write_receipt(path: Path, entries: Mapping[str, Mapping[str, object]]) -> None:
    """A receipt that cannot be written only costs hashing again."""
    note_down(path, json.dumps(entries, indent=1))


def note_down(path: Path, text: str) -> None:
    """Whole or not at all; nothing where it says this already, or cannot be written. The gateway and a command may
    both do so at once: one of them gives up."""
    content = text.encode()
    with contextlib.suppress(OSError):
        if path.exists() and path.read_bytes() == content:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content, mode=0o644)
