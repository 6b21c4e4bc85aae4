"""Logs as events: one line, the event first, then `key=value`. Never content, never a secret."""

from __future__ import annotations

import logging
import sys

_PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class Events(logging.Formatter):
    """`12:00:00 info gateway.spool: job buried step=ocr code=unreadable`."""

    def format(self, record: logging.LogRecord) -> str:
        said = {key: value for key, value in record.__dict__.items() if key not in _PLAIN}
        line = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower()} {record.name}: {record.getMessage()}"
        line += "".join(f" {key}={_short(value)}" for key, value in sorted(said.items()))
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def set_up(*, verbose: bool) -> None:
    """Log to standard error: warnings and worse of everyone, our own events too, debugging if `verbose`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Events())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("gateway").setLevel(logging.DEBUG if verbose else logging.INFO)


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 120 else text[:117] + "..."
