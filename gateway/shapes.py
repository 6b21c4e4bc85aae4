"""What leaves the house as JSON: the same in the API, in `--json` and for a model's client."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(at_us: int) -> str:
    """RFC 3339 in UTC with microseconds: `2026-11-20T23:48:35.000001Z`."""
    return (_EPOCH + timedelta(microseconds=at_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
