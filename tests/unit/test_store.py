"""The database: group commit, readers, keys, blobs, the log of changes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.entities import BlobRef, Cursor
from gateway.errors import Conflict, HearthlogError, NotFound
from gateway.store import blobs, changes
from gateway.store.blobs import BlobFolder, read_blob
from gateway.store.db import Connection, Database
from gateway.store.home import hold
from gateway.store.keys import open_keyring, unwrap, wrap
from tests.unit.conftest import SmallHouse

KEY = bytes(range(32))


def _add(connection: Connection, name: str) -> None:
    connection.execute("INSERT INTO meta(key, value) VALUES (?, 'x')", (name,))


async def test_a_failing_piece_of_a_batch_is_rolled_back_alone(house: SmallHouse) -> None:
    def fails(connection: Connection) -> None:
        _add(connection, "half")
        raise ValueError("no")

    results = await asyncio.gather(
        *(house.db.write(lambda c, n=n: _add(c, f"whole-{n}")) for n in range(20)),
        house.db.write(fails),
        return_exceptions=True,
    )
    assert [type(each) for each in results if each is not None] == [ValueError]
    names = await house.db.read(lambda c: {row[0] for row in c.execute("SELECT key FROM meta").fetchall()})
    assert {f"whole-{n}" for n in range(20)} <= names
    assert "half" not in names


async def test_a_constraint_is_explained_and_the_writer_lives_on(house: SmallHouse) -> None:
    await house.db.write(lambda c: _add(c, "once"))
    with pytest.raises(HearthlogError, match="refused"):
        await house.db.write(lambda c: _add(c, "once"))
    await house.db.write(lambda c: _add(c, "twice"))


async def test_a_reader_cannot_write(house: SmallHouse) -> None:
    with pytest.raises(HearthlogError):
        await house.db.read(lambda c: _add(c, "sneaked"))


async def test_next_commit_wakes_who_waits(house: SmallHouse) -> None:
    waiter = asyncio.create_task(house.db.next_commit())
    await asyncio.sleep(0)
    await house.db.write(lambda c: _add(c, "bell"))
    await asyncio.wait_for(waiter, 5)


async def test_writing_that_changes_nothing_wakes_nobody(house: SmallHouse) -> None:
    before = house.db.commits
    await house.db.write(lambda c: c.execute("DELETE FROM meta WHERE key = 'not there'"))
    assert house.db.commits == before
    await house.db.write(lambda c: _add(c, "there"))
    assert house.db.commits == before + 1


async def test_commits_are_full_and_in_a_wal(tmp_path: Path) -> None:
    async with Database(tmp_path / "hearthlog.db") as db:
        mode, full = await db.write(
            lambda c: (
                c.execute("PRAGMA journal_mode").fetchone()[0],
                c.execute("PRAGMA synchronous").fetchone()[0],
            )
        )
    assert (mode, full) == ("wal", 2)


async def test_opening_twice_applies_the_schema_once(tmp_path: Path) -> None:
    for _ in range(2):
        async with Database(tmp_path / "hearthlog.db") as db:
            people = await db.read(lambda c: c.execute("SELECT count(*) FROM person").fetchone()[0])
            assert people == 1


async def test_a_disk_that_fails_is_not_told_as_a_damaged_database(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(_: Connection) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    with pytest.raises(HearthlogError) as told:
        await house.db.write(damaged)
    assert told.value.code == "database-damaged"
    monkeypatch.setattr(house.db, "path", house.path / "gone")  # as a disk that is pulled out
    with pytest.raises(HearthlogError) as told:
        await house.db.write(damaged)
    assert told.value.code == "disk-error"


async def test_a_commit_that_fails_wakes_nobody(house: SmallHouse) -> None:
    commits = house.db.commits

    def never_there(connection: Connection) -> None:
        _add(connection, "lost")
        connection.execute("PRAGMA defer_foreign_keys = ON")
        connection.execute("INSERT INTO segment(capture, n, start_us, end_us) VALUES (999, 0, 0, 0)")

    with pytest.raises(HearthlogError):
        await house.db.write(never_there)
    assert house.db.commits == commits
    assert await house.db.read(lambda c: c.execute("SELECT 1 FROM meta WHERE key = 'lost'").fetchone()) is None


async def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "hearthlog.db").write_bytes(b"not a database at all" * 400)
    with pytest.raises(HearthlogError, match="the database is damaged") as caught:
        async with Database(tmp_path / "hearthlog.db"):
            pass
    assert caught.value.code == "database-damaged"


def test_a_second_program_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    with hold(tmp_path / "home"):
        assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
        with pytest.raises(Conflict, match="another hearthlog"), hold(tmp_path / "home"):
            pass
    with hold(tmp_path / "home"):
        pass


def test_the_installation_key_is_made_once_and_private(tmp_path: Path) -> None:
    first = open_keyring(tmp_path, environ={})
    assert stat.S_IMODE((tmp_path / "installation.key").stat().st_mode) == 0o600
    assert open_keyring(tmp_path, environ={}).secret("x") == first.secret("x")


def test_a_lost_key_is_not_quietly_replaced(tmp_path: Path) -> None:
    (tmp_path / "hearthlog.db").touch()
    with pytest.raises(HearthlogError, match="cannot be read without it"):
        open_keyring(tmp_path, environ={})


def test_a_credential_of_systemd_is_used_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "hearthlog.key").write_bytes(KEY)
    ring = open_keyring(tmp_path / "home", environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert not (tmp_path / "home" / "installation.key").exists()
    assert ring.secret("a") != ring.secret("b")


async def test_an_owners_key_that_was_never_committed_is_not_remembered(house: SmallHouse) -> None:
    def asked_twice_in_a_batch_that_fails(connection: Connection) -> None:
        house.keyring.owner(connection, house.owner)
        house.keyring.owner(connection, house.owner)
        raise ValueError("the commit fails")

    with pytest.raises(ValueError, match="fails"):
        await house.db.write(asked_twice_in_a_batch_that_fails)
    assert house.keyring.remembered(house.owner) is None


def test_a_wrapped_key_fits_only_its_own_name() -> None:
    wrapped = wrap(KEY, b"secret", "nora")
    assert unwrap(KEY, wrapped, "nora") == b"secret"
    for key, bytes_, name in ((KEY, wrapped, "tomas"), (KEY[::-1], wrapped, "nora"), (KEY, wrapped[:-1], "nora")):
        with pytest.raises(HearthlogError, match="does not fit"):
            unwrap(key, bytes_, name)


def _stored(folder: BlobFolder, body: bytes) -> BlobRef:
    sha256 = hashlib.sha256(body).digest()
    sealed = folder.put(body, owner_key=KEY, sha256=sha256)
    return BlobRef(str(folder.root / sealed.name), sealed.key, sha256, len(body), "image/jpeg")


def test_a_blob_comes_back_and_is_sealed_on_the_disk(tmp_path: Path) -> None:
    folder = BlobFolder(tmp_path)
    body = b"a picture of the porch" * 1_000
    ref = _stored(folder, body)
    raw = Path(ref.path).read_bytes()
    assert read_blob(ref) == body
    assert b"porch" not in raw
    assert raw[:4] == b"HLB1"
    assert ref.sha256.hex() not in ref.path
    assert stat.S_IMODE(Path(ref.path).stat().st_mode) == 0o600


def test_no_folder_is_made_when_a_blob_comes_that_a_power_cut_could_take_away(tmp_path: Path) -> None:
    root = BlobFolder(tmp_path).root
    assert sum(1 for each in root.iterdir() if len(each.name) == 2) == blobs.FOLDERS
    (root / "00").rmdir()
    BlobFolder(tmp_path)
    assert (root / "00").is_dir()


def test_equal_files_of_two_owners_do_not_look_equal(tmp_path: Path) -> None:
    folder = BlobFolder(tmp_path)
    sha256 = hashlib.sha256(b"x").digest()
    one = folder.put(b"x", owner_key=KEY, sha256=sha256)
    two = folder.put(b"x", owner_key=KEY[::-1], sha256=sha256)
    assert one.name[:20] != two.name[:20]


@pytest.mark.parametrize("cut", [0, 5, 23, 24, 39, -1])
def test_a_cut_blob_is_damaged_not_half_read(tmp_path: Path, cut: int) -> None:
    ref = _stored(BlobFolder(tmp_path), b"y" * 100)
    path = Path(ref.path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(HearthlogError) as caught:
        read_blob(ref)
    assert caught.value.code == "blob-damaged"


def test_every_flipped_byte_of_a_blob_is_noticed(tmp_path: Path) -> None:
    ref = _stored(BlobFolder(tmp_path), b"z" * 40)
    path = Path(ref.path)
    whole = path.read_bytes()
    for offset in range(len(whole)):
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
        with pytest.raises(HearthlogError):
            read_blob(ref)


def test_another_key_or_a_missing_file_is_an_error_of_its_own(tmp_path: Path) -> None:
    ref = _stored(BlobFolder(tmp_path), b"w")
    with pytest.raises(HearthlogError, match="damaged"):
        read_blob(replace(ref, key=os.urandom(32)))
    Path(ref.path).unlink()
    with pytest.raises(NotFound):
        read_blob(ref)


def test_the_key_of_a_blob_never_shows_in_its_repr(tmp_path: Path) -> None:
    ref = _stored(BlobFolder(tmp_path), b"v")
    assert repr(ref.key) not in repr(ref)


async def test_a_cursor_reads_every_change_once(house: SmallHouse) -> None:
    async def add(name: str) -> None:
        await house.db.write(lambda c: changes.append(c, entity="memory", entity_id=name, operation="put", at_us=1))

    start = await house.db.read(changes.head)
    for name in ("a", "b", "c"):
        await add(name)
    first, cursor = await house.db.read(lambda c: changes.after(c, start, limit=2))
    second, cursor = await house.db.read(lambda c: changes.after(c, cursor))
    assert [each.entity_id for each in first + second] == ["a", "b", "c"]
    assert (await house.db.read(lambda c: changes.after(c, cursor)))[0] == []


async def test_a_cursor_of_another_epoch_starts_over(house: SmallHouse) -> None:
    found, cursor = await house.db.read(lambda c: changes.after(c, Cursor("other", 0)))
    assert (found, cursor) == ([], None)


async def test_compaction_loses_no_entity_for_any_cursor(house: SmallHouse) -> None:
    start = await house.db.read(changes.head)

    def busy(connection: Connection) -> None:
        for n in range(50):
            changes.append(connection, entity="memory", entity_id=f"m{n % 5}", operation="put", at_us=n)

    await house.db.write(busy)
    dropped = await house.db.write(lambda c: changes.compact(c, keep=10))
    for offset in range(45):
        behind = Cursor(start.epoch, start.sequence + offset)
        found, _ = await house.db.read(lambda c, behind=behind: changes.after(c, behind))
        assert {each.entity_id for each in found} == {f"m{n}" for n in range(5)}
    assert dropped > 0
