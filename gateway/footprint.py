"""How this process asks for memory, threads and turns: small, as one that runs for months beside others."""

from __future__ import annotations

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of malloc.h, glibc."""
_MMAP_BYTES = 1 << 20
_TRIM_BYTES = 2 << 20
_TURN_S = 0.001
"""A search gives the interpreter away at every row that SQLite reads; at Python's 5 ms it waits long to get it back."""


def keep_small() -> None:
    """Give freed memory back, and let NumPy compute in the thread that asks. Call it before NumPy is loaded.

    glibc raises both its thresholds as large pieces come and go, and then keeps tens of megabytes for ever; NumPy's
    BLAS would wake a helper for a product of 100,000 numbers, and wait for it behind whatever runs on that core. Other
    C libraries have no such thresholds and are left alone; an environment that says otherwise wins.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.setswitchinterval(_TURN_S)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for name, option, size in (
        ("MALLOC_MMAP_THRESHOLD_", _M_MMAP_THRESHOLD, _MMAP_BYTES),
        ("MALLOC_TRIM_THRESHOLD_", _M_TRIM_THRESHOLD, _TRIM_BYTES),
    ):
        if name not in os.environ:
            mallopt(option, size)
