"""In-memory twins of the parts with a process or a network behind them, for tests of what stands above. Shipped, so
that who extends the house can test without it."""

from __future__ import annotations

from gateway.inference.twin import TwinWorkers

__all__ = ["TwinWorkers"]
