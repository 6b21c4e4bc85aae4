"""A profile by sampling: which lines the threads of this process stand on, written to a file every two seconds."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

EVERY_S = 0.002


def sample(path: Path) -> None:
    """For ever. Waiting threads are counted too: look at what is running by its last frame."""
    leaves: Counter[str] = Counter()
    stacks: Counter[str] = Counter()
    own = threading.get_ident()
    written_s = time.monotonic()
    while True:
        time.sleep(EVERY_S)
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        for ident, frame in sys._current_frames().items():
            if ident == own:
                continue
            thread = (names.get(ident) or "?").split("_")[0]
            at: FrameType | None = frame
            trail: list[str] = []
            while at is not None and len(trail) < 12:
                trail.append(f"{at.f_code.co_filename.rsplit('/', 1)[-1]}:{at.f_code.co_name}:{at.f_lineno}")
                at = at.f_back
            leaves[f"{thread} {trail[0]}"] += 1
            stacks[f"{thread} {' < '.join(trail)}"] += 1
        if time.monotonic() - written_s > 2:
            written_s = time.monotonic()
            lines = [f"{count:6} {what}" for what, count in leaves.most_common(60)]
            lines += ["", *(f"{count:6} {what}" for what, count in stacks.most_common(60))]
            path.write_text("\n".join(lines))
