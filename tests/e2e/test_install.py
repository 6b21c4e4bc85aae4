"""What `docs/install.md` puts on a box: units that systemd takes and scores, and a Mosquitto that keeps its rules."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.cli.broker import COMMAND as BROKER
from gateway.errors import Conflict
from gateway.ingest.dynsec import camera_rules
from gateway.web import broker_files, tls
from tests.bench.broker import ended, own_lines, started
from tests.bench.ports import free_port

pytestmark = pytest.mark.slow
SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"
WAIT_S = 60
PASSWORDS = {"gateway": "the house's own", "porch": "porch-secret", "attic": "attic-secret"}
NOT_ALLOWED = 0x87


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """A folder of units as the guide installs them, with this checkout's command in the place of /opt's."""
    command = Path(sys.executable).with_name("hearthlog")
    assert command.exists(), "the command hearthlog is not installed beside this Python"
    text = (SYSTEMD / "hearthlog.service").read_text()
    (tmp_path / "hearthlog.service").write_text(text.replace("/opt/hearthlog/bin/hearthlog", str(command)))
    _drop_in(tmp_path, "hearthlog.service", "hearthlog-lan-only.conf")
    debian = Path("/lib/systemd/system/mosquitto.service")
    if debian.exists():
        shutil.copy(debian, tmp_path / "mosquitto.service")
        _drop_in(tmp_path, "mosquitto.service", "mosquitto-hardening.conf")
    return tmp_path


def _drop_in(folder: Path, unit: str, name: str) -> None:
    target = folder / f"{unit}.d"
    target.mkdir()
    shutil.copy(SYSTEMD / name, target / "hearthlog.conf")


@pytest.mark.system("systemd-analyze", "mosquitto")
@pytest.mark.parametrize("unit", ["hearthlog.service", "mosquitto.service"])
def test_systemd_takes_the_unit_without_a_word(units: Path, unit: str) -> None:
    answer = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit],
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{units}:"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (answer.returncode, answer.stdout + answer.stderr) == (0, "")


@pytest.mark.system("systemd-analyze", "mosquitto")
@pytest.mark.parametrize("unit", ["hearthlog.service", "mosquitto.service"])
def test_the_exposure_of_the_unit_is_at_most_two(units: Path, unit: str) -> None:
    answer = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=20", str(units / unit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout[-2_000:] + answer.stderr


@pytest.mark.system("systemd-sysusers")
def test_the_gateways_user_is_made_and_cannot_sign_in(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", "-"],
        input=(SYSTEMD / "hearthlog.sysusers.conf").read_bytes(),
        check=True,
        timeout=60,
    )
    fields = (tmp_path / "etc/passwd").read_text().splitlines()[-1].split(":")
    assert (fields[0], fields[5:]) == ("hearthlog", ["/var/lib/hearthlog", "/usr/sbin/nologin"])


@dataclass
class Broker:
    """Mosquitto with the house's configuration, on a free port of loopback."""

    program: Path
    folder: Path
    port: int
    tls_port: int
    process: subprocess.Popen[bytes] | None = None

    def configure(self) -> None:
        """What `hearthlog broker setup` writes; only who runs it differs from the guide's, and who was paired since."""
        plan = broker_files.Plan(self.folder / "made", str(self.folder), self.port, self.tls_port)
        broker_files.write(self.folder, plan, names=tls.own_names(), now=datetime.now(UTC))
        for made in (self.folder / "made").iterdir():
            assert made.stat().st_mode & 0o077 == 0, made
            shutil.copy(made, self.folder)
        PASSWORDS["gateway"] = (self.folder / broker_files.PASSWORD_FILE).read_text()
        rules = self.folder / "dynamic-security.json"
        value = json.loads(rules.read_text())
        for name in ("porch", "attic"):
            client = json.loads(broker_files.first_rules(PASSWORDS[name]))["clients"][0]
            value["clients"].append({**client, "username": name, "roles": [{"rolename": name}]})
            value["roles"].append({"rolename": name, "acls": camera_rules(name)})
        rules.write_text(json.dumps(value))
        text = (self.folder / "hearthlog.conf").read_text()
        (self.folder / "mosquitto.conf").write_text("\n".join(own_lines(self.folder)) + "\n" + text)

    def start(self) -> None:
        self.process = started(self.program, self.folder / "mosquitto.conf", self.port)

    def stop(self) -> None:
        if self.process is not None:
            ended(self.process)
            self.process = None


@pytest.fixture
def broker(tmp_path: Path, mosquitto: Path) -> Iterator[Broker]:
    made = Broker(mosquitto, tmp_path, free_port(), free_port())
    made.configure()
    made.start()
    yield made
    made.stop()


@dataclass
class Peer:
    """Somebody who speaks MQTT 5 to the broker."""

    broker: Broker
    user: str
    password: str | None = None
    stay: bool = False
    """Keep a session in the broker while away."""
    answer: ReasonCode | None = None
    told: Properties | None = None
    published: list[int] = field(default_factory=list)
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @contextlib.contextmanager
    def connected(self) -> Iterator[Peer]:
        client = Client(CallbackAPIVersion.VERSION2, self.user, protocol=MQTTProtocolVersion.MQTTv5)
        if self.user:
            client.username_pw_set(self.user, self.password or PASSWORDS.get(self.user))
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = lambda _c, _u, _mid, code, _p: self._note(self.published, code.value)
        client.on_subscribe = lambda _c, _u, _mid, codes, _p: self._note(self.published, codes[0].value)
        client.on_message = lambda _c, _u, message: self._on_message(message)
        self._client = client
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 3_600 if self.stay else 0
        self.answer = None
        client.connect("127.0.0.1", self.broker.port, clean_start=not self.stay, properties=session)
        client.loop_start()
        try:
            self.until(lambda: self.answer is not None)
            yield self
        finally:
            client.disconnect()
            client.loop_stop()

    def publish(self, topic: str, body: bytes = b"x") -> int:
        """The broker's reason code."""
        count = len(self.published)
        self._client.publish(topic, body, qos=1)
        self.until(lambda: len(self.published) > count)
        return self.published[-1]

    def subscribe(self, topic_filter: str) -> int:
        """The broker's reason code."""
        count = len(self.published)
        self._client.subscribe(topic_filter, qos=1)
        self.until(lambda: len(self.published) > count)
        return self.published[-1]

    def send(self, topic: str, body: bytes) -> None:
        self._client.publish(topic, body, qos=1)

    def until(self, true: Any) -> None:
        with self._changed:
            assert self._changed.wait_for(true, WAIT_S), f"{self.user} waited in vain"

    def _note(self, where: list[Any], what: Any) -> None:
        with self._changed:
            where.append(what)
            self._changed.notify_all()

    def _on_message(self, message: MQTTMessage) -> None:
        self._note(self.heard, (message.topic, message.payload))

    def _on_connect(
        self, _client: Client, _data: object, _flags: ConnectFlags, code: ReasonCode, told: Properties | None
    ) -> None:
        with self._changed:
            self.answer, self.told = code, told
            self._changed.notify_all()

    def _on_disconnect(
        self, client: Client, _data: object, _flags: DisconnectFlags, _code: ReasonCode, _told: Properties | None
    ) -> None:
        client.reconnect_delay_set(3_600, 3_600)
        self.gone.set()


def test_the_brokers_files_are_written_once_and_never_over_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTHLOG_HOME", str(tmp_path / "home"))
    arguments = [
        "setup",
        str(tmp_path / "made"),
        "--audit",
        "/usr/local/lib/hearthlog_audit.so",
        "--plain-port",
        "1884",
    ]
    ran = CliRunner().invoke(BROKER, arguments)
    assert ran.exit_code == 0, (ran.output, ran.exception)
    password = (tmp_path / "home" / "mqtt.password").read_text()
    assert password not in ran.output
    made = {path.name: path.read_text() for path in (tmp_path / "made").iterdir()}
    assert set(made) == {"broker.key", "broker.crt", "dynamic-security.json", "hearthlog.conf"}
    assert password not in "".join(made.values())
    for line in ("plugin /usr/local/lib/hearthlog_audit.so", "listener 1883 127.0.0.1", "listener 1884"):
        assert line in made["hearthlog.conf"].splitlines()
    again = CliRunner().invoke(BROKER, arguments)
    assert isinstance(again.exception, Conflict)
    assert (tmp_path / "home" / "mqtt.password").read_text() == password


@pytest.mark.parametrize(
    ("user", "password"), [("", None), ("porch", "wrong"), ("gateway", "porch-secret"), ("nobody", "x")]
)
def test_without_the_right_password_nobody_comes_in(broker: Broker, user: str, password: str | None) -> None:
    with Peer(broker, user, password).connected() as peer:
        assert peer.answer is not None
        assert peer.answer.is_failure


def test_a_camera_speaks_below_its_own_name_only(broker: Broker) -> None:
    with Peer(broker, "gateway").connected() as gateway, Peer(broker, "porch").connected() as porch:
        gateway.subscribe("hearthlog/v1/+/up/#")
        assert porch.publish("hearthlog/v1/porch/up/jpeg", b"mine") == 0
        assert porch.publish("hearthlog/v1/attic/up/jpeg", b"not mine") == NOT_ALLOWED
        assert porch.publish("hearthlog/v1/porch/dn/ack", b"forged") == NOT_ALLOWED
        assert porch.publish("hearthlog/v1/gateway/status", b"forged") == NOT_ALLOWED
        assert porch.publish("something/else") == NOT_ALLOWED
        porch.publish("hearthlog/v1/porch/up/status", b"last")
        gateway.until(lambda: any(body == b"last" for _, body in gateway.heard))
        assert [body for _, body in gateway.heard] == [b"mine", b"last"]


def test_a_camera_hears_what_is_meant_for_it_only(broker: Broker) -> None:
    with Peer(broker, "gateway").connected() as gateway, Peer(broker, "porch").connected() as porch:
        assert porch.subscribe("hearthlog/v1/#") == NOT_ALLOWED
        assert porch.subscribe("hearthlog/v1/attic/dn/#") == NOT_ALLOWED
        porch.subscribe("hearthlog/v1/porch/dn/#")
        porch.subscribe("hearthlog/v1/gateway/status")
        with Peer(broker, "attic").connected() as attic:
            attic.publish("hearthlog/v1/attic/up/jpeg", b"another's picture")
        gateway.publish("hearthlog/v1/attic/dn/cmd", b"for another")
        gateway.publish("hearthlog/v1/porch/dn/ack", b"for porch")
        gateway.publish("hearthlog/v1/gateway/status", b"online")
        porch.until(lambda: len(porch.heard) >= 2)
        assert {body for _, body in porch.heard} == {b"for porch", b"online"}


def test_the_gateway_writes_what_is_its_own_only(broker: Broker) -> None:
    with Peer(broker, "gateway").connected() as gateway:
        assert gateway.publish("hearthlog/v1/porch/dn/ack") in (0, 0x10)
        assert gateway.publish("hearthlog/v1/gateway/status") in (0, 0x10)
        assert gateway.publish("hearthlog/v1/porch/up/jpeg") == NOT_ALLOWED
        assert gateway.publish("anything/else") == NOT_ALLOWED
        assert gateway.subscribe("#") == NOT_ALLOWED


def test_a_message_above_the_limit_ends_the_connection_and_one_below_comes_through(broker: Broker) -> None:
    with Peer(broker, "gateway").connected() as gateway, Peer(broker, "porch").connected() as porch:
        assert porch.told is not None
        assert porch.told.MaximumPacketSize == 2 << 20
        gateway.subscribe("hearthlog/v1/+/up/jpeg")
        assert porch.publish("hearthlog/v1/porch/up/jpeg", bytes(1_500_000)) == 0
        gateway.until(lambda: [len(body) for _, body in gateway.heard] == [1_500_000])
        porch.send("hearthlog/v1/porch/up/jpeg", bytes(3 << 20))
        assert porch.gone.wait(WAIT_S)


def test_what_comes_while_the_gateway_is_away_waits_even_through_a_restart_of_the_broker(broker: Broker) -> None:
    gateway = Peer(broker, "gateway", stay=True)
    with gateway.connected():
        gateway.subscribe("hearthlog/v1/+/up/jpeg")
    with Peer(broker, "porch").connected() as porch:
        assert porch.publish("hearthlog/v1/porch/up/jpeg", b"before") == 0
    broker.stop()
    broker.start()
    with Peer(broker, "porch").connected() as porch:
        assert porch.publish("hearthlog/v1/porch/up/jpeg", b"after") == 0
    with gateway.connected():
        gateway.until(lambda: len(gateway.heard) >= 2)
    assert [body for _, body in gateway.heard] == [b"before", b"after"]


def test_what_waits_for_the_gateway_is_limited(broker: Broker) -> None:
    gateway = Peer(broker, "gateway", stay=True)
    with gateway.connected():
        gateway.subscribe("hearthlog/v1/+/up/jpeg")
    with Peer(broker, "porch").connected() as porch:
        for n in range(2_100):
            porch.send("hearthlog/v1/porch/up/jpeg", b"%d" % n)
        porch.until(lambda: len(porch.published) == 2_100)
    with gateway.connected():
        gateway.subscribe("hearthlog/v1/gateway/status")
        with Peer(broker, "porch").connected() as porch:
            gateway.until(lambda: len(gateway.heard) >= 2_000)
            porch.publish("hearthlog/v1/porch/up/jpeg", b"last")
        gateway.until(lambda: gateway.heard[-1][1] == b"last")
    assert 2_000 <= len(gateway.heard) - 1 <= 2_020
