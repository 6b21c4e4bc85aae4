"""What `hearthlog doctor` looks at: from outside, changing nothing, whether or not a gateway runs.

Each look is a function that gives lines; whoever sets a box up reads them from top to bottom, so what everything else
leans on comes first.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import aiomqtt
from cryptography import x509

from gateway.config import Settings, zone_name
from gateway.entities import Json
from gateway.errors import HearthlogError
from gateway.inference.board import this_board
from gateway.inference.models import Models, State
from gateway.ingest.broker import Refused, Session, connect, parse_address
from gateway.ingest.clock import synchronised
from gateway.ingest.reach import advice, place_of, without_number
from gateway.jobs import probes
from gateway.store import db, home, jobs
from gateway.web import serve

_TRY_S = 3.0
_COPIES = 5
_MAGIC = b"SQLite format 3\0"
_EXPIRES = timedelta(days=14)
"""A gateway that runs renews its certificate a month before the end."""
_SECRETS = ("installation.key", "mqtt.password", "tls/ca.key", "tls/leaf.pem")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str
    hint: str = ""
    """The next step; empty where none is needed."""


def look(settings: Settings, health: Json | HearthlogError | None) -> list[Line]:
    """Everything. `health` is what a running gateway says of itself, or why it says nothing; None without one."""
    found = [*_folder(settings.home), *_house(settings, health)]
    return [*found, *_disk(settings), *_clock(settings), *_certificate(settings), *_chroma()]


def _house(settings: Settings, health: Json | HearthlogError | None) -> Iterator[Line]:
    """The gateway, and what only those can look at who may read the data folder."""
    if settings.home.exists() and not os.access(settings.home, os.R_OK | os.X_OK):
        return
    if isinstance(health, HearthlogError):
        yield Line("Gateway", False, f"{health.what}.", health.hint)
    elif health is not None:
        yield from _told(health)
    else:
        yield _gateway(settings)
        yield from _database(settings.home / "hearthlog.db")
        yield asyncio.run(_broker(settings))
    yield from _secrets(settings.home)
    yield from _models(settings)


def _folder(folder: Path) -> Iterator[Line]:
    if not folder.exists():
        above = next(each for each in folder.absolute().parents if each.exists())
        if os.access(above, os.W_OK):
            yield Line("Data folder", True, f"{folder} is made at the first start.")
        else:
            yield _wrong("Data folder", home.explained(PermissionError(errno.EACCES, ""), folder))
        return
    try:
        empty = not any(folder.iterdir())
        code = probes.why_not_written(folder)
    except OSError as error:
        yield _wrong("Data folder", home.explained(error, folder))
        return
    if code:
        yield _wrong("Data folder", home.explained(OSError(_number(folder, code), code), folder))
        return
    open_to = folder.stat().st_mode & 0o077
    detail = f"{folder}, {'empty' if empty else 'can be written'}."
    if open_to:
        yield Line("Data folder", False, f"{folder} is open to other users of this box.", f"chmod 700 {folder}")
    else:
        yield Line("Data folder", True, detail)


def _number(folder: Path, code: str) -> int:
    """Why the folder cannot be written, as the kernel counts reasons."""
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return errno.EROFS
    return {"disk-full": errno.ENOSPC, "disk-read-only": errno.EACCES}.get(code, errno.EIO)


def _gateway(settings: Settings) -> Line:
    start = "hearthlog serve; as a service: sudo systemctl start hearthlog (why not: journalctl --unit hearthlog)"
    lock = settings.home / "lock"
    with contextlib.suppress(OSError):
        if lock.exists() and home.held(settings.home):
            return Line("Gateway", False, "One is starting or stopping.", "Ask again in a moment")
    try:
        for each in serve.bind(settings.http):
            each.sock.close()
    except HearthlogError as error:
        return Line("Gateway", False, f"None is running, and {error.what}.", error.hint)
    return Line("Gateway", False, "None is running: nothing is taken in, and nobody can look.", start)


def _told(health: Json) -> Iterator[Line]:
    """What a running gateway says of itself. The disk is looked at from here."""
    yield Line("Gateway", True, "It runs.")
    for part in health["parts"]:
        yield Line(part["name"], part["state"] != "look", part["detail"])
    for budget in health["budgets"]:
        if budget["name"] != "disk":
            used = f"{budget['used']:g} of {budget['limit']:g} {budget['unit']}."
            yield Line(budget["label"], not budget["over"], used)
    for aside in health["set_aside"][:10]:
        detail = f"{aside['what']}: {aside['reason']}."
        yield Line("Set aside", False, detail, aside["hint"] or "hearthlog jobs list")


def _database(path: Path) -> Iterator[Line]:
    if not path.exists():
        yield Line("Database", True, "None yet: it is made at the first start.")
        return
    try:
        with contextlib.closing(db.connect(path, read_only=True)) as connection:
            said = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            if said != "ok":
                raise sqlite3.DatabaseError(said)
            dead = sum(each.dead for each in jobs.backlogs(connection))
    except sqlite3.Error as error:
        told = db.explained(error, path)
        if told.code in ("database-damaged", "database"):
            yield Line("Database", False, f"{path} is damaged ({error}).", _rescue(path))
        else:
            yield _wrong("Database", told)
        return
    yield Line("Database", True, f"Whole, {path.stat().st_size / 1e6:,.0f} MB.")
    if dead:
        yield Line("Set aside", False, f"{dead} jobs failed for good.", "hearthlog jobs list says why")


def _rescue(path: Path) -> str:
    """What to do about a damaged database: nothing of it is deleted, here or by whoever follows this."""
    copies = _copies(path)
    others = f"{path.name}, {path.name}-wal and {path.name}-shm"
    steps = f"Stop the gateway and move {others} aside; delete nothing, the pictures and their keys are not in danger. "
    if copies:
        return f"{steps}Then put a copy in its place. What may be one: {', '.join(copies)}"
    return (
        f"{steps}Then put those of your last copy of the data folder in their place. Without a copy, `sqlite3 OLD"
        f" .recover | sqlite3 {path}` saves what can be read"
    )


def _copies(path: Path) -> list[str]:
    """Other databases in the data folder and in folders beside it, newest first."""
    found: list[tuple[float, str]] = []
    for pattern in (f"{path.parent.name}/{path.name}*", f"*/{path.name}"):
        for each in path.parent.parent.glob(pattern):
            with contextlib.suppress(OSError), each.open("rb") as file:
                if each != path and file.read(len(_MAGIC)) == _MAGIC:
                    found.append((each.stat().st_mtime, str(each)))
    return [f"{name} ({datetime.fromtimestamp(at):%Y-%m-%d})" for at, name in sorted(set(found), reverse=True)][
        :_COPIES
    ]


async def _broker(settings: Settings) -> Line:
    """Whether the broker takes our name and password: tried as a client of its own, which keeps no session."""
    address = parse_address(settings.mqtt)
    session = Session(
        identifier=f"{settings.mqtt.client_id}-doctor",
        persistent=False,
        receive_maximum=1,
        expiry_s=0,
        max_message_bytes=1 << 16,
    )
    why = ""
    for modern in (True, False):
        try:
            async with connect(address, session, modern=modern, take=lambda _: None, answer_s=_TRY_S):
                return Line("Broker", True, f"{place_of(address)} answers{'' if modern else ', MQTT 3.1.1 only'}.")
        except Refused as error:
            why = why or f"refuses us: {error}"
        except (aiomqtt.MqttError, OSError) as error:  # TimeoutError is one
            why = why or f"cannot be reached: {_reason(error)}"
    return Line("Broker", False, f"The broker at {place_of(address)} {why.rstrip('.')}.", advice(address))


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer"
    return without_number(str(error))


def _disk(settings: Settings) -> Iterator[Line]:
    folder = next(each for each in (settings.home, *settings.home.absolute().parents) if each.exists())
    disk, floor = probes.disk(folder), settings.storage.free_floor_mb * 1_000_000
    detail = f"{disk.free / 1e9:.1f} of {disk.total / 1e9:.1f} GB are free; below {floor / 1e9:g} GB originals go."
    if floor >= disk.total:
        yield Line(
            "Disk", False, detail, f"storage.free_floor_mb must be below the disk's {disk.total // 1_000_000} MB"
        )
    elif disk.free < floor:
        takes = "" if disk.free >= floor // 4 else " Nothing is taken in."
        yield Line("Disk", False, f"{detail}{takes}", "Make room, or set storage.keep_gb or storage.keep_days")
    else:
        yield Line("Disk", True, detail)


def _secrets(folder: Path) -> Iterator[Line]:
    there = [folder / name for name in _SECRETS if (folder / name).exists()]
    bad = [path for path in there if path.stat().st_mode & 0o077]
    if bad:
        names = " ".join(map(str, bad))
        yield Line("Keys", False, f"Other users of this box can read {names}.", f"chmod 600 {names}")
    elif (folder / "hearthlog.db").exists() and not (folder / "installation.key").exists() and not _credential():
        where = folder / "installation.key"
        yield Line(
            "Keys", False, f"{where} is gone: without it nothing here can be read.", "Put it back from your copy"
        )
    elif there:
        yield Line("Keys", True, "Only the gateway's user can read them.")


def _credential() -> bool:
    return (Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent")) / "hearthlog.key").is_file()


def _models(settings: Settings) -> Iterator[Line]:
    models = Models(settings.home, board=this_board(tier=settings.models.tier))
    wanted = [models.get(each.name) for each in models.wanted("all").chosen]
    missing = [each for each in wanted if each.state is State.MISSING]
    broken = [each for each in wanted if each.state is State.BROKEN]
    for each in broken:
        name = each.manifest.name
        yield Line("Models", False, f"{name} is broken: {each.reason}.", f"hearthlog models pull {name}")
    if missing:
        names = ", ".join(f"{each.manifest.name} ({each.manifest.task})" for each in missing)
        detail = f"{len(missing)} of {len(wanted)} are not here, and what they do is left out: {names}."
        yield Line("Models", False, detail, "hearthlog models pull all")
    elif not broken:
        yield Line("Models", True, f"All {len(wanted)} are here.")


def _clock(settings: Settings) -> Iterator[Line]:
    zone = zone_name(settings)
    if synchronised(settings.clock.trust):
        yield Line("Clock", True, f"Synchronised; the home's zone is {zone}.")
        return
    detail = f"Nobody keeps it: cameras are not given the time, and rules by age wait. The home's zone is {zone}."
    yield Line(
        "Clock", False, detail, 'sudo timedatectl set-ntp true; or clock.trust = "yes" where something else does'
    )


def _certificate(settings: Settings) -> Iterator[Line]:
    if settings.http.host in ("127.0.0.1", "::1", "localhost"):
        yield Line("HTTPS", True, 'Not needed: it answers on this box only. For the LAN: http.host = "0.0.0.0".')
        return
    leaf = settings.home / "tls" / "leaf.pem"
    try:
        ends = x509.load_pem_x509_certificate(leaf.read_bytes()).not_valid_after_utc
    except FileNotFoundError:
        yield Line("HTTPS", True, "Its certificate is made at the first start.")
    except OSError as error:
        yield _wrong("HTTPS", home.explained(error, leaf))
    except ValueError:
        yield Line("HTTPS", False, f"{leaf} is no certificate.", "Move it away: the next start makes a new one")
    else:
        late = ends < datetime.now(UTC) + _EXPIRES
        hint = "Restart the gateway: it renews it by itself, if the clock is right" if late else ""
        yield Line("HTTPS", not late, f"The certificate is good until {ends:%Y-%m-%d}.", hint)


def _chroma() -> Iterator[Line]:
    if find_spec("chromadb") is None:
        yield Line("Chroma", False, "It is not installed: a large home is searched slowly.", "pip install chromadb")
    else:
        yield Line("Chroma", True, "Installed. Its index is checked, and made anew, by the gateway itself.")


def _wrong(name: str, error: HearthlogError) -> Line:
    return Line(name, False, f"{error.what[0].upper()}{error.what[1:]} ({error.where}).", error.hint)
