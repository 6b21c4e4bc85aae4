"""`hearthlog broker`: the house's own Mosquitto."""

from __future__ import annotations

import click

_AUDIT = "/usr/local/lib/hearthlog_audit.so"


@click.group()
def broker() -> None:
    """The house's own Mosquitto."""


@broker.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option(
    "--at",
    default="/var/lib/mosquitto/hearthlog",
    show_default=True,
    help="Where Mosquitto will find the files; it must be able to write there.",
)
@click.option("--port", default=1883, show_default=True, help="For the gateway, on this box only.")
@click.option("--tls-port", default=8883, show_default=True, help="For cameras.")
@click.option("--plain-port", default=0, help="Also without encryption, for firmware that has no TLS.")
@click.option("--audit", default="", help=f"Path of hearthlog_audit.so, which notes what was denied; else {_AUDIT}.")
def setup(folder: str, at: str, port: int, tls_port: int, plain_port: int, audit: str) -> None:
    """Write Mosquitto's files into FOLDER: configuration, certificate, and the gateway's password, which also goes into
    the data folder. Cameras are added by pairing."""
    from datetime import UTC, datetime
    from pathlib import Path

    from gateway.config import load
    from gateway.web import broker_files, tls

    settings = load()
    audit = audit or (_AUDIT if Path(_AUDIT).is_file() else "")
    plan = broker_files.Plan(Path(folder), at, port, tls_port, plain_port, audit)
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    broker_files.write(settings.home, plan, names=tls.own_names(settings.http.names), now=datetime.now(UTC))
    click.echo(f"Written to {folder}; Mosquitto needs them in {at}, its own and mode 600.")
    click.echo(f"hearthlog.toml: mqtt.url = mqtt://{broker_files.USER}@127.0.0.1:{port}")
    click.echo(f"                mqtt.password_file = {settings.home / broker_files.PASSWORD_FILE}")
    if not audit:
        click.echo("Who speaks where it may not is denied, without a line in the audit: that takes hearthlog_audit.so,")
        click.echo("which step 3 of docs/install.md builds. Who is not let in at all has one.")


@broker.command("home-assistant")
def home_assistant() -> None:
    """Give Home Assistant a name and a password at the broker, shown this once. The ones before open nothing more."""
    from gateway.cli.client import Request, running

    given = running(Request("POST", "/broker/home-assistant"))
    click.echo(f"User       {given['user']}")
    click.echo(f"Password   {given['password']}")
    click.echo(f"Client id  {given['client_id']}  (no other is let in; in Home Assistant, under advanced options)")


COMMAND = broker
