"""`hearthlog devices`: the cameras of this home."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from gateway.cli.client import Request, ask, running
from gateway.errors import NotFound

if TYPE_CHECKING:
    from gateway.entities import Json

_LOOK_S = 1.0
_PRIVACY = "Who may see what it takes: its owner, admins and members, or guests as well."


@click.group()
def devices() -> None:
    """The cameras of this home."""


@devices.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """Show every camera and how it is."""
    found = ask(Request("GET", "/devices"))
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    for each in found["items"]:
        look = f"  {each['look']}" if each["look"] else ""
        click.echo(f"{each['id']:<16} {each['state']:<7} {each['frames_today']:>6} today  {each['name']}{look}")
    if not found["items"]:
        click.echo("No camera yet. `hearthlog devices pair` lets one in.")


@devices.command()
@click.argument("device")
@click.option("--name", default=None, help="What people call it.")
@click.option("--room", default=None, help="Where it is.")
@click.option("--privacy", type=click.Choice(["private", "circle", "public"]), default=None, help=_PRIVACY)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def add(device: str, name: str | None, room: str | None, privacy: str | None, as_json: bool) -> None:
    """Add another maker's camera. DEVICE is its id in MQTT topics: 3 to 32 of a-z, 0-9 and -."""
    given = {"id": device, "name": name, "room": room, "privacy": privacy}
    made = ask(Request("POST", "/devices", body={key: value for key, value in given.items() if value is not None}))
    click.echo(json.dumps(made, ensure_ascii=False) if as_json else f"{made['name']} publishes to {made['topic']}")


@devices.command(short_help="Let one camera in, by a code for five minutes.")
@click.option("--address", default="", help="HOST or HOST:PORT under which cameras reach this box.")
@click.option("--wait/--no-wait", default=True, help="Stay until the camera came in or the code is over.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def pair(address: str, wait: bool, as_json: bool) -> None:
    """Let one camera in: shows a code for five minutes, as text and as a QR code."""
    window = running(Request("POST", "/devices/pair", body={"address": address} if address else {}))
    if as_json:
        click.echo(json.dumps(window, ensure_ascii=False))
    else:
        _show(window)
    if not wait:
        return
    try:
        while window["state"] == "open":
            time.sleep(_LOOK_S)
            window = running(Request("GET", "/devices/pair"))
    except KeyboardInterrupt:
        running(Request("DELETE", "/devices/pair"))
        raise
    if as_json:
        click.echo(json.dumps(window, ensure_ascii=False))
    elif window["state"] == "paired":
        click.echo(f"{window['device']} is in. Name it: hearthlog devices change {window['device']} --name NAME")
    if window["state"] != "paired":
        raise NotFound("no camera came in and this code is over", hint="hearthlog devices pair makes a new one")


@devices.command()
@click.argument("device")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def password(device: str, as_json: bool) -> None:
    """Give another maker's camera a password. It is shown this once, and the one before opens nothing any more."""
    given = running(Request("POST", f"/devices/{device}/password"))
    if as_json:
        click.echo(json.dumps(given))
        return
    click.echo(f"User       {given['user']}")
    click.echo(f"Password   {given['password']}")
    click.echo(f"Client id  {given['client_id']}  (no other is let in)")
    click.echo(f"Topic      {given['topic']}")


@devices.command()
@click.argument("device")
@click.option("--yes", is_flag=True, help="Do not ask.")
def revoke(device: str, yes: bool) -> None:
    """Put a camera out. It is disconnected at once and its password opens nothing; what it took stays."""
    if not yes:
        click.confirm(f"Put {device} out? To come back it has to be paired again.", abort=True)
    done = ask(Request("POST", f"/devices/{device}/revoke"))
    if done["disconnected"]:
        click.echo(f"{device} is out, and disconnected.")
    else:
        click.echo(f"{device} is out. The broker hears of it once the gateway reaches it.")


@devices.command()
@click.argument("device")
@click.option("--name", default=None, help="What people call it.")
@click.option("--room", default=None, help="Where it is.")
@click.option("--privacy", type=click.Choice(["private", "circle", "public"]), default=None, help=_PRIVACY)
def change(device: str, name: str | None, room: str | None, privacy: str | None) -> None:
    """Change a camera's name, its room, or who may see what it takes."""
    given = {"name": name, "room": room, "privacy": privacy}
    body = {key: value for key, value in given.items() if value is not None}
    made = ask(Request("PATCH", f"/devices/{device}", body=body))
    click.echo(f"{made['name']} in {made['room']}, {made['privacy']}")


@devices.command()
@click.argument("device")
@click.option("--version", default="", help="Which version; else the newest that was added.")
@click.option("--allow-downgrade", is_flag=True, help="Also one that is no newer than what the camera runs.")
def update(device: str, version: str, allow_downgrade: bool) -> None:
    """Have a camera fetch new firmware. It goes back by itself if the new one does not work."""
    body = {"cmd": "update", "version": version, "allow_downgrade": allow_downgrade}
    made = running(Request("POST", f"/devices/{device}/commands", body=body))
    click.echo(f"{device} was asked; it has until {made['expires_at']}. Its page tells what became of it.")


@devices.group()
def firmware() -> None:
    """Firmware for paired cameras, over the air."""


@firmware.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def firmware_list(as_json: bool) -> None:
    """Show what was added, the newest of each board first."""
    found = ask(Request("GET", "/firmware"))
    if as_json:
        click.echo(json.dumps(found))
        return
    for each in found["items"]:
        click.echo(f"{each['board']:<24} {each['version']:<10} {each['size']:>9} bytes  {each['sha256'][:16]}")


@firmware.command("add")
@click.argument("image", type=click.Path(exists=True, dir_okay=False))
def firmware_add(image: str) -> None:
    """Offer IMAGE to cameras. Beside it lie IMAGE.manifest and IMAGE.sig, as `sign` writes them."""
    from pathlib import Path

    from gateway import releases
    from gateway.config import load

    path = Path(image)
    if path.stat().st_size > releases.MAX_IMAGE_BYTES:
        raise click.UsageError(f"an image has at most {releases.MAX_IMAGE_BYTES >> 20} MiB")
    body = path.read_bytes()
    manifest = releases.read_manifest(Path(f"{image}.manifest").read_bytes())
    releases.keep(load().home / "firmware", body)
    given = {
        "board": manifest.board,
        "version": manifest.version,
        "size": manifest.size_bytes,
        "sha256": manifest.sha256,
        "signature": Path(f"{image}.sig").read_text("ascii").strip(),
    }
    made = ask(Request("POST", "/firmware", body=given))
    click.echo(f"{made['version']} for {made['board']}: cameras of this kind can be updated under Devices")


@firmware.command("sign")
@click.argument("image", type=click.Path(exists=True, dir_okay=False))
@click.option("--board", required=True, help="For which board, as its cameras call it.")
@click.option("--version", required=True, help="Such as 1.4.2.")
@click.option(
    "--key", required=True, type=click.Path(exists=True, dir_okay=False), help="The maker's private key, PEM."
)
def firmware_sign(image: str, board: str, version: str, key: str) -> None:
    """For makers of firmware: write IMAGE.manifest and IMAGE.sig."""
    from pathlib import Path

    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    from gateway import releases

    try:
        loaded = serialization.load_pem_private_key(Path(key).read_bytes(), password=None)
    except (ValueError, TypeError) as error:  # no PEM, or one with a password
        raise click.UsageError(f"{key} is no PEM file of a private key without a password") from error
    if not isinstance(loaded, ec.EllipticCurvePrivateKey) or loaded.curve.name != "secp256r1":
        raise click.UsageError("the release key is an ECDSA key on P-256")
    manifest = releases.manifest_of(Path(image).read_bytes(), board=board, version=version)
    Path(f"{image}.manifest").write_bytes(manifest.text())
    Path(f"{image}.sig").write_text(releases.sign(manifest, loaded) + "\n", "ascii")
    click.echo(f"{image}.manifest and {image}.sig")


def _show(window: Json) -> None:
    import segno

    code = window["code"]
    segno.make(window["text"], error="m").terminal(compact=True, border=2)
    click.echo(f"Code         {code[:4]}-{code[4:]}")
    click.echo(f"Address      {window['address']}")
    if window["fingerprint"]:
        click.echo(f"Fingerprint  {window['fingerprint']}")
    click.echo(f"Text         {window['text']}")
    click.echo("One camera, once. The code stops working after 5 minutes or 5 wrong tries. Ctrl-C stops pairing.")


COMMAND = devices
