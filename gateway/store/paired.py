"""Rows of paired cameras: which board is which device, what it was told to do, and what it was commanded.

A credential is kept as the SHA-256 of its password: that has 256 random bits, so a slow hash would protect nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.entities import Json, Lane
from gateway.pairing import Claim
from gateway.store import changes, devices
from gateway.store.db import Connection, Row

BY_HAND = Claim("", "", "", "", "")
"""Of another maker's camera, whose password a person typed."""
KEPT_COMMANDS = 20
"""Of one camera; older ones go."""


@dataclass(frozen=True, slots=True)
class Paired:
    """A camera that came in by a code."""

    device: str
    hardware: str
    board: str
    firmware: str
    """As it said when it was paired; what it runs now is in its status."""
    secret: bytes | None
    """SHA-256 of its password; absent once it was revoked."""
    paired_by: str
    paired_at_us: int
    revoked_at_us: int | None
    tuning: Json
    """What was set on it (`dn/cfg`); {} while nothing was."""


@dataclass(frozen=True, slots=True)
class Command:
    """Something a camera was asked to do."""

    id: str
    device: str
    cmd: str
    args: Json
    person: str
    at_us: int
    expires_us: int
    answered_at_us: int | None = None
    ok: bool | None = None
    """Absent until it answered."""
    code: str = ""
    """Why it failed; empty when it did not."""


def made(claim: Claim, device: str, password: str, *, person: str, at_us: int) -> Paired:
    """A camera that comes in now."""
    return Paired(
        device=device,
        hardware=claim.hardware,
        board=claim.board,
        firmware=claim.firmware,
        secret=hashlib.sha256(password.encode()).digest(),
        paired_by=person,
        paired_at_us=at_us,
        revoked_at_us=None,
        tuning={},
    )


def id_for(connection: Connection, hardware: str) -> str:
    """The id that this board had before, else one made of its serial that nobody has."""
    before = of_hardware(connection, hardware)
    if before is not None:
        return before.device
    digest = hashlib.sha256(hardware.encode()).hexdigest()
    names = (f"cam-{digest[:length]}" for length in (6, 8, 12, 16, 24))
    return next(name for name in names if devices.get(connection, name) is None)


def get(connection: Connection, device: str) -> Paired | None:
    """A camera by its device's id; None when it never was paired."""
    row = connection.execute("SELECT * FROM camera WHERE device = ?", (device,)).fetchone()
    return _paired(row) if row else None


def all_of(connection: Connection) -> list[Paired]:
    """Every camera that was ever paired, the revoked ones too."""
    return [_paired(row) for row in connection.execute("SELECT * FROM camera ORDER BY device").fetchall()]


def of_hardware(connection: Connection, hardware: str) -> Paired | None:
    """The camera that this board was paired as last; None when it never was."""
    row = connection.execute(
        "SELECT * FROM camera WHERE hardware = ? ORDER BY paired_at_us DESC LIMIT 1", (hardware,)
    ).fetchone()
    return _paired(row) if row else None


def is_out(connection: Connection, device: str) -> bool:
    """Whether it was paired and then revoked."""
    found = get(connection, device)
    return found is not None and found.secret is None


def any_paired(connection: Connection) -> bool:
    """Whether a camera was ever paired here, also one that was revoked since."""
    return connection.execute("SELECT 1 FROM camera LIMIT 1").fetchone() is not None


def put(connection: Connection, camera: Paired) -> None:
    """A camera is paired, or paired again. Its device's row is made if need be; who paired it is its owner."""
    if devices.get(connection, camera.device) is None:
        devices.add(connection, camera.device, lane=Lane.RECORD, at_us=camera.paired_at_us, added=True)
    connection.execute("UPDATE device SET added = 1, owner = ? WHERE id = ?", (camera.paired_by, camera.device))
    connection.execute(
        "INSERT INTO camera(device, hardware, board, firmware, secret, paired_by, paired_at_us)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT(device) DO UPDATE SET hardware = excluded.hardware,"
        " board = excluded.board, firmware = excluded.firmware, secret = excluded.secret,"
        " paired_by = excluded.paired_by, paired_at_us = excluded.paired_at_us, revoked_at_us = NULL",
        (
            camera.device,
            camera.hardware,
            camera.board,
            camera.firmware,
            camera.secret,
            camera.paired_by,
            camera.paired_at_us,
        ),
    )
    changes.append(connection, entity="device", entity_id=camera.device, operation="put", at_us=camera.paired_at_us)


def revoke(connection: Connection, device: str, *, at_us: int) -> None:
    """It is a camera of this home no more; its memories stay."""
    connection.execute("UPDATE camera SET secret = NULL, revoked_at_us = ? WHERE device = ?", (at_us, device))
    connection.execute("DELETE FROM command WHERE device = ?", (device,))
    changes.append(connection, entity="device", entity_id=device, operation="put", at_us=at_us)


def tune(connection: Connection, device: str, tuning: Json, *, at_us: int) -> None:
    """Keep what a camera is told to do."""
    connection.execute(
        "UPDATE camera SET tuning = ? WHERE device = ?", (json.dumps(tuning, separators=(",", ":")), device)
    )
    changes.append(connection, entity="device", entity_id=device, operation="put", at_us=at_us)


def put_command(connection: Connection, command: Command) -> None:
    """Keep a command until it is answered, and a while after."""
    connection.execute(
        "INSERT INTO command(id, device, cmd, args, person, at_us, expires_us) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            command.id,
            command.device,
            command.cmd,
            json.dumps(command.args, separators=(",", ":")),
            command.person,
            command.at_us,
            command.expires_us,
        ),
    )
    connection.execute(
        "DELETE FROM command WHERE device = ? AND id NOT IN"
        " (SELECT id FROM command WHERE device = ? ORDER BY at_us DESC, id LIMIT ?)",
        (command.device, command.device, KEPT_COMMANDS),
    )
    changes.append(connection, entity="device", entity_id=command.device, operation="put", at_us=command.at_us)


def answer_command(
    connection: Connection, device: str, command_id: str, *, result: tuple[bool, str], at_us: int
) -> bool:
    """A camera's answer, (ok, code). False when it was asked nothing like it, or has answered before."""
    done = connection.execute(
        "UPDATE command SET answered_at_us = ?, ok = ?, code = ?"
        " WHERE id = ? AND device = ? AND answered_at_us IS NULL",
        (at_us, int(result[0]), result[1], command_id, device),
    ).rowcount
    if done:
        changes.append(connection, entity="device", entity_id=device, operation="put", at_us=at_us)
    return bool(done)


def commands(connection: Connection, device: str) -> list[Command]:
    """The newest first."""
    rows = connection.execute("SELECT * FROM command WHERE device = ? ORDER BY at_us DESC, id", (device,)).fetchall()
    return [_command(row) for row in rows]


def open_commands(connection: Connection, device: str, *, now_us: int) -> Sequence[Command]:
    """Those that were neither answered nor have expired, in their order."""
    found = [each for each in commands(connection, device) if each.answered_at_us is None and each.expires_us > now_us]
    return found[::-1]


def _paired(row: Row) -> Paired:
    return Paired(
        device=row["device"],
        hardware=row["hardware"],
        board=row["board"],
        firmware=row["firmware"],
        secret=row["secret"],
        paired_by=row["paired_by"],
        paired_at_us=row["paired_at_us"],
        revoked_at_us=row["revoked_at_us"],
        tuning=json.loads(row["tuning"]) if row["tuning"] else {},
    )


def _command(row: Row) -> Command:
    return Command(
        id=row["id"],
        device=row["device"],
        cmd=row["cmd"],
        args=json.loads(row["args"]),
        person=row["person"],
        at_us=row["at_us"],
        expires_us=row["expires_us"],
        answered_at_us=row["answered_at_us"],
        ok=None if row["ok"] is None else bool(row["ok"]),
        code=row["code"],
    )
