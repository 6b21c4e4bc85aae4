"""What ends a command is a line with a next step, never a traceback. The real command line, on real folders."""

from __future__ import annotations

import errno
import getpass
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.cli.trouble import explained
from gateway.errors import Conflict

ROOT = Path(__file__).resolve().parents[2]
ASKS = ("search dog", "user list", "jobs list", "devices list", "token list --user Nora")
LOOKS = ("models list", "reindex --status")
_EACH = """
import sys
from gateway.cli import main
for line in sys.argv[1:]:
    sys.argv = ["hearthlog", *line.split()]
    try:
        main()
    except SystemExit as ended:
        print(f"= {ended.code}", file=sys.stderr, flush=True)
"""
"""Many commands in one process: starting Python costs more than all of them."""
_READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """`serve` has its process log to the standard error of that moment, which is gone when the next test logs."""
    root, ours = logging.getLogger(), logging.getLogger("gateway")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def run(*words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Exit status, and the last line that was said."""
    monkeypatch.setattr(sys, "argv", ["hearthlog", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    lines = capsys.readouterr().err.splitlines()
    return int(str(ended.value.code)), lines[-1] if lines else ""


def told(done: subprocess.CompletedProcess[str]) -> list[tuple[str, str]]:
    """Of each command its last line, and its status."""
    assert "Traceback" not in done.stderr, done.stderr
    lines = done.stderr.splitlines()
    return [(lines[at - 1], line) for at, line in enumerate(lines) if line.startswith("= ")]


@pytest.mark.parametrize("command", [*ASKS, *LOOKS])
def test_a_damaged_database_is_named_and_left_as_it_is(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "hearthlog.db"
    database.write_bytes(b"no database at all. " * 500)
    (tmp_path / "installation.key").write_bytes(bytes(32))
    monkeypatch.setenv("HEARTHLOG_HOME", str(tmp_path))
    status, line = run(*command.split(), capsys=capsys, monkeypatch=monkeypatch)
    assert (status, line) == (
        1,
        f"hearthlog: the database is damaged ({database}). Nothing was changed. hearthlog doctor says what can be done",
    )
    assert database.read_bytes() == b"no database at all. " * 500


@pytest.mark.parametrize("below", ["", "deep/home"])
@pytest.mark.parametrize("command", ["search dog", *LOOKS, "serve", "demo --once"])
def test_a_data_folder_that_is_a_file_is_wrong_usage(
    command: str, below: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("HEARTHLOG_HOME", str(tmp_path / "file" / below))
    status, line = run(*command.split(), capsys=capsys, monkeypatch=monkeypatch)
    assert status == 2
    assert line.startswith("hearthlog: HEARTHLOG_HOME must be a folder")
    assert str(tmp_path / "file") in line
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.system("unshare")
def test_a_disk_that_is_mounted_read_only_is_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "models" / "minilm").mkdir(parents=True)  # where a receipt would be written
    mapped = [] if os.geteuid() == 0 else ["--map-root-user"]
    inside = ["unshare", *mapped, "--mount", "sh", "-c", _READ_ONLY, "sh", str(home)]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this kernel lets nobody mount")
    commands = [*ASKS, "serve", "demo --once", f"broker setup {home}/broker", "models list", "models verify all"]
    ended = told(_run([*inside, sys.executable, "-c", _EACH, *commands], home))
    assert len(ended) == len(commands)
    assert [status for _, status in ended] == ["= 1"] * (len(commands) - 2) + ["= 0"] * 2
    for line, _ in ended[:-2]:
        assert line.startswith("hearthlog: the disk is mounted read-only (")
        assert "Mount it for writing" in line


@pytest.mark.slow
def test_a_folder_of_somebody_else_is_named() -> None:
    as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] if os.geteuid() == 0 else []
    python = [*as_nobody, sys.executable]
    if subprocess.run([*python, "-c", "import gateway"], cwd=ROOT, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine keeps Python from other users")
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to everybody else
        Path(folder).chmod(0o711)
        home = Path(folder) / "home"
        home.mkdir(mode=0o500)
        commands = [*ASKS, "serve"]
        ended = told(_run([*python, "-c", _EACH, *commands], home))
    owner = "root" if as_nobody else getpass.getuser()
    assert [status for _, status in ended] == ["= 1"] * len(commands)
    for line, _ in ended:
        assert line.startswith(f"hearthlog: this user may not read or write here ({home}")
        assert f"It belongs to {owner}: run this as {owner}" in line


def test_of_several_errors_the_first_that_can_be_told_counts_and_a_fault_of_ours_keeps_its_traceback() -> None:
    several = BaseExceptionGroup("tasks", [ValueError("ours"), OSError(errno.ENOSPC, "No space left", "/data/x")])
    said = explained(several)
    assert said is not None
    assert str(said) == "the disk is full (/data/x). Make room"
    assert explained(ValueError("ours")) is None
    assert explained(OSError("without a number")) is None
    conflict = Conflict("held")
    assert explained(conflict) is conflict


def _run(command: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "HEARTHLOG_HOME": str(home), "HEARTHLOG_HTTP_PORT": "0", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
