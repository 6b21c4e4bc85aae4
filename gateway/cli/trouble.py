"""What ended a command, in a line: what happened, where, what to do next."""

from __future__ import annotations

from gateway.errors import HearthlogError


def explained(error: BaseException) -> HearthlogError | None:
    """Our own errors as they are, those of files and of SQLite in our words; None for anything else, which is a fault
    of the program and keeps its traceback. Of several at once the first that can be told.
    """
    import os
    import sqlite3
    from pathlib import Path

    if isinstance(error, HearthlogError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((told for each in error.exceptions if (told := explained(each)) is not None), None)
    if isinstance(error, sqlite3.Error):
        from gateway.config import data_folder
        from gateway.store import db

        return db.explained(error, data_folder() / "hearthlog.db")
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes):
        from gateway.store import home

        return home.explained(error, Path(os.fsdecode(error.filename)))
    return None
