"""What benches need of a whole house: models installed once, `hearthlog serve` as a process, and its API."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.store.db import connect
from tests.bench.children import ROOT
from tests.bench.ports import free_port

_LAST_BYTES = 4_000
"""So much of what a gateway said is told when it ended by itself."""
_PASSWORD = "correct horse battery staple"


def models_mirror() -> Path | None:
    """HEARTHLOG_TEST_MODELS, else `shared/models` beside this checkout or above it."""
    given = os.environ.get("HEARTHLOG_TEST_MODELS")
    if given:
        return Path(given)
    return next((each / "shared" / "models" for each in ROOT.parents if (each / "shared" / "models").is_dir()), None)


@functools.cache
def installed_models() -> Path | None:
    """A `models` folder with everything that can be had here, made once a run; None without a mirror."""
    mirror = models_mirror()
    if mirror is None:
        return None
    home = Path(tempfile.mkdtemp(prefix="hearthlog-models-"))
    argv = [sys.executable, "-m", "gateway", "models", "pull", "all", "--mirror", str(mirror)]
    subprocess.run(
        argv, env={**os.environ, "HEARTHLOG_HOME": str(home)}, cwd=ROOT, capture_output=True, timeout=300, check=False
    )
    return home / "models"


def give_models(home: Path) -> bool:
    """Put the models into a data folder; False when there are none."""
    models = installed_models()
    if models is None:
        return False
    home.mkdir(parents=True, exist_ok=True)
    shutil.copytree(models, home / "models", dirs_exist_ok=True)
    return True


def jobs_left(home: Path) -> int:
    """Jobs that wait or run."""
    with closing(connect(home / "hearthlog.db", read_only=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM job WHERE state <> 'dead'").fetchone()[0])


def until_drained(home: Path, *, captures: int, limit_s: float) -> float:
    """Wait until so many captures are here and nothing is left to do; the monotonic second at which it was so."""
    ends_s = time.monotonic() + limit_s
    with closing(connect(home / "hearthlog.db", read_only=True)) as connection:
        while time.monotonic() < ends_s:
            here, left = connection.execute(
                "SELECT (SELECT count(*) FROM capture), (SELECT count(*) FROM job WHERE state <> 'dead')"
            ).fetchone()
            if here >= captures and left == 0:
                return time.monotonic()
            time.sleep(0.02)  # another process: no event tells of it
    raise TimeoutError(f"{left} jobs left of {here} captures")


@dataclass(frozen=True, slots=True)
class House:
    """A gateway that serves."""

    home: Path
    url: str
    pid: int
    ready_s: float
    """From the start of its process to the first 200 of /readyz."""
    environ: Mapping[str, str]

    def command(self, *words: str, stdin: str = "") -> str:
        """`hearthlog WORDS` beside it."""
        argv = [sys.executable, "-m", "gateway", *words]
        env = {**os.environ, **self.environ}
        done = subprocess.run(
            argv, env=env, cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode:
            raise AssertionError(f"hearthlog {' '.join(words)}: {done.stderr}")
        return done.stdout

    def token(self) -> str:
        """Of a first admin, who is made."""
        self.command("user", "add", "bench", "--role", "admin", "--password-stdin", stdin=_PASSWORD + "\n")
        made = json.loads(self.command("token", "create", "--user", "bench", "--scope", "read,write", "--json"))
        return str(made["token"])

    def until_connected(self, *, limit_s: float = 30.0) -> None:
        """Wait until both lanes stand: a broker drops what nobody has subscribed to yet."""
        ends_s = time.monotonic() + limit_s
        while time.monotonic() < ends_s:
            found = self.metrics()
            if all(found.get(f'hearthlog_broker_connected{{lane="{lane}"}}') == 1 for lane in ("record", "plain")):
                return
            time.sleep(0.05)  # another process: no event tells of it
        raise TimeoutError("the gateway does not reach the broker")

    def metrics(self) -> dict[str, float]:
        """Every sample by its name and labels, as the exposition writes them."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}

    def get(self, path: str, token: str = "") -> Any:  # Any: the API's JSON
        """The JSON of an address."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, headers=headers), timeout=30) as answer:
            return json.loads(answer.read())


@contextlib.contextmanager
def serving(home: Path, *, broker_url: str, limit_s: float = 120.0, **settings: str) -> Iterator[House]:
    """`hearthlog serve`, ended by SIGTERM. `settings` are environment variables without `HEARTHLOG_`."""
    port = free_port()
    environ = {
        "HEARTHLOG_HOME": str(home),
        "HEARTHLOG_MQTT_URL": broker_url,
        "HEARTHLOG_HTTP_PORT": str(port),
        "HEARTHLOG_STORAGE_FREE_FLOOR_MB": "0",
        **{f"HEARTHLOG_{name}": value for name, value in settings.items()},
    }
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as told:
        began_s = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve"],
            env={**os.environ, **environ},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=told,
        )
        try:
            while not _ready(url):
                if time.monotonic() - began_s > limit_s or process.poll() is not None:
                    raise AssertionError(f"the gateway is not ready ({process.poll()})")
                time.sleep(0.01)  # another process: no event tells of it
            yield House(home, url, process.pid, time.monotonic() - began_s, environ)
        finally:
            ended = process.poll()
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if ended is not None:
                told.seek(-min(told.seek(0, os.SEEK_END), _LAST_BYTES), os.SEEK_END)
                raise AssertionError(f"the gateway ended by itself: {ended}\n{told.read().decode(errors='replace')}")


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url + "/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def first_person(path: Path) -> str:
    """Whom a fresh database belongs to."""
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("SELECT id FROM person").fetchone()[0])
