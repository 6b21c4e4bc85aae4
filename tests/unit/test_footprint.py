"""A process that serves gives freed memory back."""

from __future__ import annotations

import subprocess
import sys

_CHURN = """
import sys
from gateway import config, footprint, logs
assert "numpy" not in sys.modules
if {small}:
    footprint.keep_small()
from gateway.child import rss_bytes
import os
def churn(size, count=12):
    for _ in range(3):
        pieces = [bytearray(size) for _ in range(count)]
        keep.append(bytearray(64_000))
        del pieces
keep = []
churn(24_000_000, 1)
before = rss_bytes(os.getpid())
churn(3_000_000)
print((rss_bytes(os.getpid()) - before) >> 20, os.environ.get("OPENBLAS_NUM_THREADS"))
"""


def test_what_was_freed_is_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CHURN.format(small=True)], capture_output=True, text=True, check=True, timeout=30
    )
    kept_mb, threads = done.stdout.split()
    assert int(kept_mb) <= 4
    assert threads == "1"
