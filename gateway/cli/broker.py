"""`hearthlog broker`: the house's own Mosquitto."""

from __future__ import annotations

import click

_PORT = click.IntRange(1, 65_535)
_AUDIT = "/usr/local/lib/hearthlog_audit.so"


@click.group()
def broker() -> None:
    """Set up Mosquitto, the broker that cameras send to."""


@broker.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option(
    "--at",
    default="/var/lib/mosquitto/hearthlog",
    show_default=True,
    help="Folder in which Mosquitto will find the files; it must be able to write there.",
)
@click.option("--port", default=1883, show_default=True, type=_PORT, help="For the gateway, on this box only.")
@click.option("--tls-port", default=8883, show_default=True, type=_PORT, help="For cameras, encrypted.")
@click.option(
    "--plain-port",
    default=0,
    type=click.IntRange(0, 65_535),
    help="Also without encryption, for firmware that has no TLS; 0 for none.",
)
@click.option("--audit", default="", help=f"Path of hearthlog_audit.so, which notes what was denied; else {_AUDIT}.")
def setup(folder: str, at: str, port: int, tls_port: int, plain_port: int, audit: str) -> None:
    """Write Mosquitto's files into FOLDER.

    They are its configuration, its certificate and who may come in; the gateway's own password goes into the data
    folder as well. Nothing is installed: docs/install.md, step 3, says where each file belongs. Cameras come in later,
    by pairing.
    """
    from datetime import UTC, datetime
    from pathlib import Path

    from gateway.config import load
    from gateway.store.home import prepare
    from gateway.web import broker_files, tls

    settings = load()
    audit = audit or (_AUDIT if Path(_AUDIT).is_file() else "")
    plan = broker_files.Plan(Path(folder), at, port, tls_port, plain_port, audit)
    prepare(settings.home)
    broker_files.write(settings.home, plan, names=tls.own_names(settings.http.names), now=datetime.now(UTC))
    click.echo(f"Written to {folder}; Mosquitto needs them in {at}, its own and mode 600.")
    click.echo(f"hearthlog.toml: mqtt.url = mqtt://{broker_files.USER}@127.0.0.1:{port}")
    click.echo(f"                mqtt.password_file = {settings.home / broker_files.PASSWORD_FILE}")
    if not audit:
        click.echo("Who speaks where it may not is denied, without a line in the audit: that takes hearthlog_audit.so,")
        click.echo("which step 3 of docs/install.md builds. Who is not let in at all has one.")


@broker.command("home-assistant")
def home_assistant() -> None:
    """Let Home Assistant in at the broker.

    Its name and password are shown this once; those before open nothing any more.
    """
    from gateway.cli.client import Request, running

    given = running(Request("POST", "/broker/home-assistant"))
    click.echo(f"User       {given['user']}")
    click.echo(f"Password   {given['password']}")
    click.echo(f"Client id  {given['client_id']}  (no other is let in; in Home Assistant, under advanced options)")


COMMAND = broker
