"""A house that owns its cameras, for fault runs: Mosquitto as `hearthlog broker setup` makes it, the gateway with its
doors open, and its admin. Broker and gateway can be killed; both come back as they were.
"""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from gateway.cli.client import Request, call
from gateway.errors import HearthlogError, NotFound
from gateway.store.db import connect
from tests.bench.broker import MOSQUITTO
from tests.bench.children import Child
from tests.bench.ports import free_port
from tests.e2e.owned import OUTSIDE, OwnBroker


class OwningHouse:
    """`with OwningHouse(folder) as house`. Everything it keeps lies in the folder."""

    def __init__(self, folder: Path) -> None:
        if MOSQUITTO is None:
            raise FileNotFoundError("mosquitto is not installed")
        folder.mkdir()
        self.home = folder / "home"
        self.broker = OwnBroker(Path(MOSQUITTO), self.home, folder / "broker")
        self._port = free_port()
        self._gateway: Child | None = None

    def __enter__(self) -> OwningHouse:
        self.broker.configure()
        self.broker.start()
        self._start_gateway()
        assert self._gateway is not None
        self._gateway.wait_for("ready")
        return self

    def __exit__(self, *_: object) -> None:
        if self._gateway is not None:
            self._gateway.kill()
        self.broker.stop(signal.SIGKILL)

    def strike(self, what: str) -> None:
        """Kill `gateway` or `broker`, and start it again; the gateway is not waited for."""
        if what == "broker":
            self.broker.stop(signal.SIGKILL)
            self.broker.start()
            return
        assert self._gateway is not None
        self._gateway.kill()
        self._start_gateway()

    def password(self, device: str) -> str:
        """For a camera that is known by a password; empty when that cannot be had now."""
        if self._ask("POST", "/devices", {"id": device}) is None and not self.knows(device):
            return ""
        given = self._ask("POST", f"/devices/{device}/password")
        return str(given["password"]) if given else ""

    def open_window(self) -> str:
        """A pairing text; empty when there can be none now."""
        window = self._ask("POST", "/devices/pair", {"address": f"{OUTSIDE}:{self._port}"})
        return str(window["text"]) if window else ""

    def put_out(self, device: str) -> bool:
        """Revoke a camera. False: nobody answers now."""
        try:
            return call(self.home, Request("POST", f"/devices/{device}/revoke")) is not None
        except NotFound:
            return True  # it was done, and the gateway was killed before it could say so
        except HearthlogError:
            return False

    def knows(self, device: str) -> bool:
        """Whether it has a row for this camera."""
        return bool(self._look("SELECT count(*) FROM device WHERE id = ?", device))

    def decided(self, device: str) -> int:
        """How many records of this camera were decided on."""
        return self._look("SELECT count(*) FROM ledger WHERE device = ?", device)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """None when it does not do it now."""
        try:
            return call(self.home, Request(method, path, body=body))
        except HearthlogError:
            return None

    def _look(self, query: str, device: str) -> int:
        try:
            with closing(connect(self.home / "hearthlog.db", read_only=True)) as connection:
                return int(connection.execute(query, (device,)).fetchone()[0])
        except (sqlite3.Error, HearthlogError):
            return 0

    def _start_gateway(self) -> None:
        settings = self.broker.settings()
        environ = {
            "HEARTHLOG_HOME": str(self.home),
            "HEARTHLOG_MQTT_URL": settings.mqtt.url,
            "HEARTHLOG_MQTT_PASSWORD_FILE": settings.mqtt.password_file,
            "HEARTHLOG_MQTT_DEVICE_URL": settings.mqtt.device_url,
            "HEARTHLOG_HTTP_HOST": "0.0.0.0",
            "HEARTHLOG_HTTP_PORT": str(self._port),
            "HEARTHLOG_STORAGE_FREE_FLOOR_MB": "0",
        }
        self._gateway = Child("tests.bench.gateway_child", "--steps=none", "--web", environ=environ)
