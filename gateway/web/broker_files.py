"""What Mosquitto needs to be the house's broker: its configuration, its certificate, and who may come in at first.

The dynamic security file is written as the plugin itself writes it (PBKDF2-HMAC-SHA512), so that no password passes
over a command line and the broker need not run yet. https://mosquitto.org/documentation/dynamic-security/
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.errors import Conflict, NotFound
from gateway.files import write_whole
from gateway.ingest.dynsec import GATEWAY_ROLE, gateway_rules
from gateway.web import tls

USER = "gateway"
PASSWORD_FILE = "mqtt.password"  # noqa: S105  a file's name
_ITERATIONS = 1_000
"""The password has 256 random bits: more would only make each connection slower."""
_PLUGINS = "*-linux-gnu*/mosquitto_dynamic_security.so"
_LIBRARIES = (Path("/usr/lib"), Path("/usr/local/lib"), Path("/lib"))


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the broker's files go and where it listens."""

    folder: Path
    """Where they are written now."""
    at: str
    """The folder in which Mosquitto will find them; it must be able to write there."""
    port: int = 1883
    """For the gateway, loopback only."""
    tls_port: int = 8883
    """For cameras, everywhere."""
    plain_port: int = 0
    """Everywhere and unencrypted, for firmware without TLS; 0: none."""
    audit: str = ""
    """Path of the plugin that notes what was denied (systemd/mosquitto-audit.c); empty: none."""


def write(home: Path, plan: Plan, *, names: tls.Names, now: datetime) -> None:
    """Write the files into a new or empty folder, and the gateway's password into the data folder. Blocks.

    Raises Conflict when files are there already, NotFound when the plugin is not installed.
    """
    plugin = find_plugin()
    plan.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(plan.folder.iterdir()):
        raise Conflict(
            "the folder is not empty",
            code="broker-there",
            where=str(plan.folder),
            hint="A broker that runs keeps its cameras' passwords in dynamic-security.json: do not write over it",
        )
    key, chain = tls.broker_pem(home, names, now)
    password = secrets.token_urlsafe(32)
    write_whole(plan.folder / "broker.key", key)
    write_whole(plan.folder / "broker.crt", chain)
    write_whole(plan.folder / "dynamic-security.json", first_rules(password))
    write_whole(plan.folder / "hearthlog.conf", configuration(plan, plugin).encode())
    write_whole(home / PASSWORD_FILE, password.encode())


def find_plugin() -> Path:
    """Mosquitto's dynamic security plugin. Raises NotFound with what to install."""
    for library in _LIBRARIES:
        for found in sorted(library.glob(_PLUGINS)) + sorted(library.glob("mosquitto_dynamic_security.so")):
            return found
    raise NotFound(
        "Mosquitto's dynamic security plugin is not installed", code="no-plugin", hint="sudo apt install mosquitto"
    )


def first_rules(password: str) -> bytes:
    """The plugin's file with the gateway alone in it: all else is denied."""
    salt = secrets.token_bytes(12)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS, dklen=64)
    value = {
        "clients": [
            {
                "username": USER,
                "textName": "The gateway",
                "password": base64.b64encode(key).decode(),
                "salt": base64.b64encode(salt).decode(),
                "iterations": _ITERATIONS,
                "roles": [{"rolename": GATEWAY_ROLE}],
            }
        ],
        "roles": [{"rolename": GATEWAY_ROLE, "acls": gateway_rules()}],
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": False,
            "subscribe": False,
            "unsubscribe": True,
        },
    }
    return json.dumps(value, indent=1).encode()


def configuration(plan: Plan, plugin: Path) -> str:
    """For `conf.d`; Debian's own mosquitto.conf turns persistence on and reads it."""
    plain = f"\n{_PLAIN}listener {plan.plain_port}\n{_LISTENER}" if plan.plain_port else ""
    audit = f"# Asked after it: notes what was denied.\nplugin {plan.audit}\n" if plan.audit else ""
    return _CONFIGURATION.format(
        audit=audit, plugin=plugin, at=plan.at, port=plan.port, tls_port=plan.tls_port, plain=plain, listener=_LISTENER
    )


_LISTENER = """\
set_tcp_nodelay true
max_connections 100
"""
_PLAIN = """\
# For cameras whose firmware has no TLS: what they send, and their passwords, can be read in this network.
"""
_CONFIGURATION = """\
# Mosquitto as the house's broker, made by `hearthlog broker setup`. Everybody gives a name and a password. Who may come
# in and speak where is in dynamic-security.json, which the gateway keeps: what is not allowed there is refused.
per_listener_settings false
allow_anonymous false
plugin {plugin}
plugin_opt_config_file {at}/dynamic-security.json
{audit}
# The gateway, from this box only.
listener {port} 127.0.0.1
{listener}
# Cameras. They know the authority that signed this certificate by its fingerprint.
listener {tls_port}
certfile {at}/broker.crt
keyfile {at}/broker.key
tls_version tlsv1.2
{listener}{plain}
# Larger messages end the connection. A record is at most 1 MiB; a foreign camera's picture may be larger. Of
# Mosquitto's limits this is the one that a client is told of when it connects.
max_packet_size 2097152
# In flight to one client, and waiting for one that is away (the gateway, while it restarts), in memory.
max_inflight_messages 20
max_queued_messages 2000
max_queued_bytes 134217728
# A client that is away for longer is forgotten, and what waits for it.
persistent_client_expiration 7d
# A camera that went without a word is noticed after one and a half times this.
max_keepalive 300

# The whole store is written at each save; once a minute spares a card. What is lost with the power is sent again: a
# camera keeps a record until the gateway, not the broker, says that it is stored.
autosave_interval 60
autosave_on_changes false

# Refused connections are notices: the gateway hears of them and writes them into its audit.
log_dest topic
log_type error
log_type warning
log_type notice
"""
