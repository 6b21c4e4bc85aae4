"""Where cameras find the broker, and as whom they may come."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.config import Mqtt
from gateway.errors import ConfigError
from gateway.ingest.broker import Address

PORT = 8883


@dataclass(frozen=True, slots=True)
class Reach:
    """The broker as a camera is told of it."""

    host: str
    port: int
    tls: bool


def client_id_of(device: str) -> str:
    """The one MQTT client id that a paired camera's credential opens with: with any other it could take over the
    gateway's sessions, and what waits in them would be lost.
    """
    return f"hearthcam-{device}"


def reach_of(settings: Mqtt, place: str) -> Reach:
    """`mqtt.device_url`; else the host of `place` (`host:port` of this box), port 8883, TLS, when the gateway's own
    broker is on this box; else the gateway's own. Raises ConfigError for a URL that names no broker.
    """
    try:
        url, host = urlsplit(settings.device_url or settings.url), urlsplit(f"//{place}").hostname or ""
        port = url.port
    except ValueError as error:
        raise ConfigError(f"mqtt.device_url cannot be read: {error}") from error
    if url.scheme not in ("mqtt", "mqtts") or not url.hostname:
        raise ConfigError("mqtt.device_url must look like mqtts://host:8883")
    if not settings.device_url and _is_loopback(url.hostname) and host and not _is_loopback(host):
        return Reach(host, PORT, tls=True)
    tls = url.scheme == "mqtts"
    return Reach(url.hostname, port or (PORT if tls else 1883), tls)


def place_of(address: Address) -> str:
    """`host:port` of the gateway's own broker, for people."""
    return f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"


def without_number(why: str) -> str:
    """A reason of the system without `[Errno 111]`, and without a full stop."""
    return re.sub(r"^\[Errno -?\d+\] ", "", why).rstrip(".")


def advice(address: Address) -> str:
    """What helps when the gateway's own broker does not answer, or says no."""
    if address.loopback:
        return "sudo systemctl status mosquitto; its address and password here: mqtt.url and mqtt.password_file"
    ours = "its address and password here: mqtt.url and mqtt.password_file"
    return f"Does it run, and does a firewall let {address.port} through? And {ours}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
