"""The fast tests on the next Python: 3.13, in a Debian 13 that debootstrap makes and that is kept for the next time.

It lies in `$XDG_CACHE_HOME/hearthlog/trixie` (about 1.5 GB). Making it takes some three minutes on two cores.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[2]
PACKAGES = "python3,python3-venv,ca-certificates"
MAKE_S, INSTALL_S, RUN_S = 900, 900, 900
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PASSED_ON = ("PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")

# In a mount namespace of its own, so that nothing stays mounted, however it ends. The checkout is read-only in there.
_ENTER = """
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/tmp"
mount -o "bind$4" "$2" "$1/source"
exec chroot "$1" /bin/sh -euc "$3"
"""
_INSTALL = """
python3 -m venv --clear /venv
pip --disable-pip-version-check install --quiet --progress-bar off --requirement /requirements.txt
pip --disable-pip-version-check install --quiet --progress-bar off --no-deps --ignore-requires-python {reader}
"""


@pytest.mark.slow
@pytest.mark.system("debootstrap", "unshare", "chroot")
@pytest.mark.timeout(MAKE_S + INSTALL_S + RUN_S)
def test_the_fast_tests_pass_on_python_3_13() -> None:
    if sys.version_info >= (3, 13):
        return  # they run on it anyway
    root = debian_13()
    _install(root)
    done = _inside(root, "cd /source; python --version; exec pytest -m 'not slow'", limit_s=RUN_S)
    assert "Python 3.13" in done.stdout
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]
    assert re.search(r"^\d{2,} passed", done.stdout, re.MULTILINE), done.stdout[-2_000:]


def debian_13() -> Path:
    """Where it lies; made if need be. Skips where none can be made."""
    if os.geteuid() != 0:
        pytest.skip("this machine's user is not root: no Debian 13 can be made to run in")
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hearthlog/trixie"
    root.parent.mkdir(parents=True, exist_ok=True)
    with root.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests of two processes want it
        if not root.exists():
            _make(root)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    if CERTIFICATES.exists():
        shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
    return root


def enter(root: Path, source: Path, script: str, *, writable: bool = False) -> list[str]:
    """The command that runs a shell script inside, with `source` at /source."""
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    return [*command, "sh", "-euc", _ENTER, "sh", str(root), str(source), script, "" if writable else ",ro"]


def _make(root: Path) -> None:
    part = root.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "trixie", str(part)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=MAKE_S, check=False)
    if made.returncode != 0:
        pytest.skip(f"debootstrap could not make a Debian 13: {made.stdout.splitlines()[-1:]}")
    (part / "source").mkdir()
    part.rename(root)


def _install(root: Path) -> None:
    """The packages of pyproject.toml, when they are not those that are there already."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    setup = re.search(r"^reader=(\S+)$", (HERE / ".ci/setup").read_text(), re.MULTILINE)
    assert setup is not None
    requirements = "\n".join(wanted) + "\n"
    stamp = root / "installed"
    digest = hashlib.sha256((requirements + setup[1]).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    (root / "requirements.txt").write_text(requirements)
    done = _inside(root, _INSTALL.format(reader=setup[1]), limit_s=INSTALL_S)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-4_000:]
    stamp.write_text(digest)


def _inside(root: Path, script: str, *, limit_s: int) -> subprocess.CompletedProcess[str]:
    environ = {
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "PATH": "/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PIP_CERT": str(CERTIFICATES),
        "PYTHONPYCACHEPREFIX": "/tmp/compiled",  # the checkout cannot be written to, and many processes read it
        "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/hypothesis",
    } | {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return subprocess.run(
        enter(root, HERE, script), env=environ, capture_output=True, text=True, timeout=limit_s, check=False
    )
