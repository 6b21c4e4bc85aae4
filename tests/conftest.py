"""What every test may ask for: system programs, a mirror of the weights, pictures and recordings; and CI's rule.

The rule: with CI=true a skip is a failure, so that nothing is green because it did not run. Two exceptions, of what no
package manager can install: the weights and the media, which are not part of the repository, and what the machine
itself does not give. A reason of the latter kind begins with "this machine" or "this kernel" and says what that is.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import shutil
import sqlite3
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest

MODELS = "HEARTHLOG_TEST_MODELS"
MEDIA = "HEARTHLOG_TEST_MEDIA"
_EXCUSED = re.compile(rf"{MODELS}|{MEDIA}|^(Skipped: )?this (machine|kernel)\b")
_IN_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 512 << 20
_FAST = "not slow"
_SLOW_FOLDERS = {"e2e", "fault"}
_BLOB_FOLDERS = 8
_SYSTEM_PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
"""Debian keeps daemons where an ordinary PATH does not look."""

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hearthlog")
    group.addoption("--fuzz", action="store_true", help="only the property tests, with many examples")
    group.addoption("--examples", type=int, default=2_000, help="examples for each property test under --fuzz")


def pytest_configure(config: pytest.Config) -> None:
    # In CI the same examples each time: what chance finds there would stop somebody else's work. --fuzz looks for new.
    # How long a busy machine takes to draw examples says nothing either.
    hypothesis.settings.register_profile(
        "check",
        deadline=None,
        derandomize=os.environ.get("CI") == "true",
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.register_profile(
        "fuzz",
        deadline=None,
        max_examples=config.getoption("--examples"),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("fuzz" if config.getoption("--fuzz") else "check")
    if config.option.markexpr == _FAST and _has_room(_IN_MEMORY):
        # Each house makes 257 folders and syncs what it writes. What that costs says nothing about the code, and what
        # survives a cut is tested on a real disk, by the slow tests and `make fault`.
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_IN_MEMORY))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Folders where all is slow, with what they import (a browser's driver), are no part of the fast run."""
    return True if config.option.markexpr == _FAST and collection_path.name in _SLOW_FOLDERS else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Under --fuzz nothing but property tests."""
    if not config.getoption("--fuzz"):
        return
    chosen = [item for item in items if getattr(getattr(item, "obj", None), "is_hypothesis_test", False)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def pytest_collection_finish() -> None:
    """What collecting made stays to the end: nobody need look through it for garbage, again and again."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`@pytest.mark.system("ffmpeg")`: skipped where that program is not."""
    for mark in item.iter_markers("system"):
        for program in mark.args:
            _program(program)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _strict((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _strict((yield))


def _strict(report: Report) -> Report:
    """Turn a skip into a failure in CI, see above."""
    if os.environ.get("CI") != "true" or report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return report
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not _EXCUSED.search(reason):
        report.outcome = "failed"
        report.longrepr = f"{reason}\nCI=true: a skip is a failure"
    return report


def _has_room(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > _ROOM_BYTES


def _program(name: str) -> Path:
    found = shutil.which(name, path=_SYSTEM_PATH)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return Path(found)


def _beside(folder: str, variable: str) -> Path:
    """The folder that `variable` names, else `shared/<folder>` next to this checkout or above it."""
    given = os.environ.get(variable)
    if given:
        path = Path(given)
        assert path.is_dir(), f"{variable} names no folder: {path}"
        return path
    for parent in Path(__file__).resolve().parents:
        path = parent / "shared" / folder
        if path.is_dir():
            return path
    pytest.skip(f"no {folder} here: set {variable} to a folder of them")


@pytest.fixture(scope="session", autouse=True)
def _new_houses_are_cheap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """In this process a new database is a copy of one that the migrations made, and a new house has few folders of
    blobs: together they cost more than most tests that open one. Migrations of what is not new, and all that other
    processes do, are as they are."""
    from gateway.store import blobs, db, migrations  # not for the process that only hands tests out

    apply = migrations.apply
    made = tmp_path_factory.mktemp("made") / "hearthlog.db"
    with contextlib.closing(db.connect(made, read_only=False)) as connection:
        apply(connection)

    def copied(connection: sqlite3.Connection) -> None:
        if connection.execute("PRAGMA page_count").fetchone()[0] <= 1:
            with contextlib.closing(sqlite3.connect(made)) as whole:
                whole.backup(connection)
        apply(connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "apply", copied)
        patch.setattr(blobs, "FOLDERS", _BLOB_FOLDERS)
        yield


@pytest.fixture(scope="session")
def models_mirror() -> Path:
    """A folder with the weights that upstream publishes, as `hearthlog models pull --mirror` takes it."""
    return _beside("models", MODELS)


@pytest.fixture(scope="session")
def media() -> Path:
    """A folder with real pictures and recordings."""
    return _beside("media", MEDIA)


@pytest.fixture(scope="session")
def mosquitto() -> Path:
    """The broker's program."""
    return _program("mosquitto")


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser's program."""
    return _program("chromium")
