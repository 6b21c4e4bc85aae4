"""How this process asks for memory and threads: small, as one that runs for months beside others on a small box."""

from __future__ import annotations

import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of malloc.h, glibc."""
_MMAP_BYTES = 1 << 20
_TRIM_BYTES = 2 << 20


def keep_small() -> None:
    """Give freed memory back, and let NumPy compute in the thread that asks. Call it before NumPy is loaded.

    glibc raises both its thresholds as large pieces come and go, and then keeps tens of megabytes for ever; NumPy's
    BLAS would wake a helper for a product of 100,000 numbers, and wait for it behind whatever runs on that core. Other
    C libraries have no such thresholds and are left alone; an environment that says otherwise wins.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for name, option, size in (
        ("MALLOC_MMAP_THRESHOLD_", _M_MMAP_THRESHOLD, _MMAP_BYTES),
        ("MALLOC_TRIM_THRESHOLD_", _M_TRIM_THRESHOLD, _TRIM_BYTES),
    ):
        if name not in os.environ:
            mallopt(option, size)
