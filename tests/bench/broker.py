"""A real Mosquitto for benches and fault runs: started, killed and started again on the same port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.bench.ports import free_port

MOSQUITTO = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
_WAIT_S = 60


class Broker:
    """`with Broker(folder) as broker`. Its store lies in `folder`."""

    def __init__(self, folder: Path, *extra: str) -> None:
        if MOSQUITTO is None:
            raise FileNotFoundError("mosquitto is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._config = folder / "mosquitto.conf"
        self._process: subprocess.Popen[bytes] | None = None
        lines = [
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous true",
            *own_lines(folder),
            "set_tcp_nodelay true",
            "log_dest none",
            *extra,
        ]
        self._config.write_text("\n".join(lines) + "\n")

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGKILL)

    def start(self) -> None:
        """Start it and wait until it listens."""
        assert MOSQUITTO is not None
        self._process = started(Path(MOSQUITTO), self._config, self.port)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop or kill it."""
        if self._process is not None:
            ended(self._process, how)
            self._process = None


def started(program: Path, config: Path, port: int) -> subprocess.Popen[bytes]:
    """Mosquitto with this configuration, once it listens on the port."""
    process = subprocess.Popen([program, "-c", config], stdin=subprocess.DEVNULL)
    deadline_s = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline_s and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.01)  # another process: there is no event to wait on
    raise AssertionError(f"mosquitto did not take the configuration ({process.poll()})")


def ended(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
    """Stop or kill it, and wait until it is gone."""
    process.send_signal(how)
    process.wait(_WAIT_S)


def own_lines(folder: Path) -> list[str]:
    """What every configuration here says of the main process: its store, and who it runs as."""
    return [
        "persistence true",
        f"persistence_location {folder}/",
        *(["user root"] if os.geteuid() == 0 else []),
    ]
