"""What every test may ask for: system programs, a mirror of the weights, pictures and recordings; and CI's rule.

The rule: with CI=true a skip is a failure, so that nothing is green because it did not run. Two exceptions, of what no
package manager can install: the weights and the media, which are not part of the repository, and what the machine
itself does not give. A reason of the latter kind begins with "this machine" or "this kernel" and says what that is.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest

MODELS = "HEARTHLOG_TEST_MODELS"
MEDIA = "HEARTHLOG_TEST_MEDIA"
_EXCUSED = re.compile(rf"{MODELS}|{MEDIA}|^(Skipped: )?this (machine|kernel)\b")
_IN_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 512 << 20
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
    if config.option.markexpr == "not slow" and _has_room(_IN_MEMORY):
        # Each house makes 257 folders and syncs what it writes. What that costs says nothing about the code, and what
        # survives a cut is tested on a real disk, by the slow tests and `make fault`.
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_IN_MEMORY))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Under --fuzz nothing but property tests."""
    if not config.getoption("--fuzz"):
        return
    chosen = [item for item in items if getattr(getattr(item, "obj", None), "is_hypothesis_test", False)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


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
