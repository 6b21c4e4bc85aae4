"""Discovery by constant."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.discover import discover
from gateway.errors import ConfigError

THING = "from tests_things import Thing\nTHING = Thing({name!r})\n"


@dataclass(frozen=True)
class Thing:
    name: str


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "things_to_find"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "helper.py").write_text("x = 1\n")
    (folder / "b.py").write_text(THING.format(name="pear"))
    (folder / "a.py").write_text(THING.format(name="plum"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "tests_things", sys.modules[__name__])
    yield folder
    for name in [each for each in sys.modules if each.startswith("things_to_find")]:
        del sys.modules[name]


def test_what_modules_hold_is_found_in_the_order_of_names(package: Path) -> None:
    assert list(discover("things_to_find", "THING", Thing)) == ["pear", "plum"]


def test_two_of_one_name_are_refused(package: Path) -> None:
    (package / "c.py").write_text(THING.format(name="plum"))
    with pytest.raises(ConfigError, match="plum"):
        discover("things_to_find", "THING", Thing)


def test_another_kind_of_thing_is_refused(package: Path) -> None:
    (package / "c.py").write_text("THING = 3\n")
    with pytest.raises(ConfigError, match="Thing"):
        discover("things_to_find", "THING", Thing)
