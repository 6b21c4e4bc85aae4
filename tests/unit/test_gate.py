"""The gate on a real store: what is taken in, refused, repeated, dated, and tried later."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import random
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import cbor2
import pytest
from PIL import Image

from gateway import spool
from gateway.decoders import image
from gateway.decoders.record import RecordKind, encode_record
from gateway.entities import AiUsage, Lane, Privacy, RecordKey, TimeSource
from gateway.errors import HearthlogError, NotFound
from gateway.ingest import folders
from gateway.ingest.accept import Gate, GateSettings, Outcome, Receipt, Sender
from gateway.ingest.dating import Dating
from gateway.store import boots, cameras, devices, paired
from gateway.store.boots import Tie
from gateway.store.db import Connection
from gateway.store.paired import Paired

from .conftest import SmallHouse

BOOT = bytes(range(8))
NOW = 1_790_000_000_000_000
SECOND = 1_000_000


class Clock:
    """A box's clock that a test turns."""

    def __init__(self) -> None:
        self.us = NOW

    def __call__(self) -> int:
        return self.us


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def dating(house: SmallHouse, clock: Clock) -> AsyncIterator[Dating]:
    dating = Dating(house.db, zone="UTC", now_us=clock)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(dating.run())
        yield dating
        running.cancel()


@pytest.fixture
def gate(house: SmallHouse, dating: Dating, clock: Clock) -> Gate:
    return Gate(house.spool, dating, GateSettings(zone="Europe/Berlin", accept_unknown=True), now_us=clock)


async def accept(gate: Gate, device: str, payload: bytes) -> Receipt:
    """One record by itself."""
    (receipt,) = await gate.accept_records([(device, payload)])
    return receipt


def jpeg(shade: int = 0) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 8), (shade % 256, 90, shade // 256)).save(out, "JPEG")
    return out.getvalue()


def record(
    sequence: int,
    body: bytes | None = None,
    *,
    kind: RecordKind = RecordKind.JPEG,
    boot: tuple[bytes, int] = (BOOT, 1),
) -> bytes:
    key = RecordKey(*boot, sequence, sequence * SECOND)
    return encode_record(kind=kind, key=key, meta={}, body=jpeg(sequence) if body is None else body)


def anchor(sequence: int, *, utc_us: int, boot: bytes = BOOT, counter: int = 1) -> bytes:
    body = cbor2.dumps({"boot": boot, "mono_us": sequence * SECOND, "utc_us": utc_us, "err_us": 900})
    return record(sequence, body, kind=RecordKind.ANCHOR, boot=(boot, counter))


def dates(connection: Connection) -> list[tuple[int, int, str]]:
    rows = connection.execute("SELECT seq, captured_at_us, time_source FROM capture ORDER BY boot_counter, seq")
    return [(row[0], row[1], row[2]) for row in rows.fetchall()]


async def settled(house: SmallHouse) -> None:
    """Wait until nothing is left to be dated again."""
    async with asyncio.timeout(10):
        while True:
            committed = asyncio.ensure_future(house.db.next_commit())
            await asyncio.sleep(0)
            if not await house.db.read(lambda c: c.execute("SELECT 1 FROM undated").fetchone()):
                committed.cancel()
                return
            await committed


async def test_a_camera_made_private_is_private_from_the_next_frame_on(house: SmallHouse, gate: Gate) -> None:
    await accept(gate, "porch", record(1))
    for sequence, privacy in ((2, Privacy.CIRCLE), (3, Privacy.PRIVATE)):
        setting = cameras.Setting(privacy=privacy, ai_usage=AiUsage.NONE)
        await house.db.write(partial(cameras.change, device="porch", setting=setting, at_us=NOW))
        await accept(gate, "porch", record(sequence))
    rows = await house.db.read(lambda c: c.execute("SELECT privacy, ai_usage FROM capture ORDER BY seq").fetchall())
    assert [tuple(row) for row in rows] == [("private", "chat"), ("circle", "none"), ("private", "none")]


async def test_a_camera_that_was_put_out_and_strangers_from_the_first_pairing_on_are_refused(
    house: SmallHouse, gate: Gate, clock: Clock
) -> None:
    camera = Paired("porch", "board", "xiao", "1.0.0", b"s" * 32, house.owner, 1, None, {})
    await house.db.write(lambda c: paired.put(c, camera))
    assert (await accept(gate, "porch", record(1))).outcome is Outcome.STORED
    await house.db.write(lambda c: paired.revoke(c, "porch", at_us=2))
    fresh = Gate(house.spool, Dating(house.db, zone="UTC", now_us=clock), GateSettings("UTC", accept_unknown=True))
    answer = await accept(fresh, "porch", record(2))
    assert (answer.outcome, answer.code) == (Outcome.LATER, "unknown-device")
    assert (await accept(fresh, "hall", record(1))).outcome is Outcome.STORED
    fresh.refuse_unknown()
    assert (await accept(fresh, "garden", record(1))).code == "unknown-device"


async def test_device_that_nobody_added_is_refused_where_it_must_be(
    house: SmallHouse, dating: Dating, clock: Clock
) -> None:
    gate = Gate(house.spool, dating, GateSettings(zone="UTC", accept_unknown=False), now_us=clock)
    answer = await accept(gate, "stranger", record(1))
    assert (answer.outcome, answer.code, answer.retry_ms) == (Outcome.LATER, "unknown-device", 300_000)
    assert answer.key is not None
    assert await house.count("capture") == 0
    assert (await accept(gate, "porch", record(1))).outcome is Outcome.STORED


async def test_erased_record_is_acknowledged_again_and_not_stored_again(house: SmallHouse, gate: Gate) -> None:
    assert (await accept(gate, "porch", record(5))).outcome is Outcome.STORED
    await house.db.write(lambda c: c.execute("DELETE FROM capture"))
    await house.db.write(lambda c: c.execute("UPDATE ledger SET hash = NULL"))
    assert (await accept(gate, "porch", record(5))).outcome is Outcome.REPEATED
    assert await house.count("capture") == 0


async def test_refused_record_that_comes_again_whole_is_stored(house: SmallHouse, gate: Gate) -> None:
    whole = record(5)
    damaged = whole[:-1] + bytes([whole[-1] ^ 1])
    refused = await accept(gate, "porch", damaged)
    assert (refused.outcome, refused.code) == (Outcome.REFUSED, "bad-crc")
    assert (await accept(gate, "porch", whole)).outcome is Outcome.STORED
    assert (await accept(gate, "porch", damaged)).outcome is Outcome.REFUSED
    verdict = await house.db.read(lambda c: c.execute("SELECT verdict FROM ledger").fetchone()[0])
    assert verdict == "stored"


async def test_records_may_come_in_any_order_and_often(house: SmallHouse, gate: Gate) -> None:
    draw = random.Random(3)
    sent = [record(n) for n in range(20)] + [anchor(20, utc_us=NOW - 100 * SECOND)]
    for _ in range(3):
        draw.shuffle(sent)
        answers = [await accept(gate, "porch", payload) for payload in sent]
        assert {answer.outcome for answer in answers} <= {Outcome.STORED, Outcome.REPEATED}
    await settled(house)
    found = await house.db.read(dates)
    assert found == [(n, NOW - 120 * SECOND + n * SECOND, "device-synced") for n in range(20)]


async def test_boot_never_synced_is_dated_between_its_neighbours(house: SmallHouse, gate: Gate, clock: Clock) -> None:
    silent, later = bytes(8), bytes([9] * 8)
    for payload in (
        record(1),
        anchor(2, utc_us=NOW - 10_000 * SECOND),
        record(11, boot=(silent, 2)),
        record(12, boot=(silent, 2)),
        record(21, boot=(later, 3)),
        anchor(22, utc_us=NOW - 1_000 * SECOND, boot=later, counter=3),
    ):
        assert (await accept(gate, "porch", payload)).outcome is Outcome.STORED
        await settled(house)
    before, first, second, after = await house.db.read(dates)
    assert before[1] < first[1] < second[1] < after[1]
    assert second[1] - first[1] == SECOND
    assert first[2] == "arrival"
    errors = await house.db.read(
        lambda c: [row[0] for row in c.execute("SELECT time_error_us FROM capture ORDER BY boot_counter, seq")]
    )
    assert errors[1] > 120 * SECOND


async def test_gap_lies_between_the_captures_around_it(house: SmallHouse, gate: Gate) -> None:
    lost = cbor2.dumps({"ranges": [[3, 6]], "why": "card-full"})
    for payload in (record(2), record(7), record(8, lost, kind=RecordKind.GAP), anchor(9, utc_us=NOW - 50 * SECOND)):
        assert (await accept(gate, "porch", payload)).outcome is Outcome.STORED
    await settled(house)
    row = await house.db.read(lambda c: tuple(c.execute("SELECT first, last, from_us, to_us FROM gap").fetchone()))
    assert row == (3, 6, NOW - 57 * SECOND, NOW - 52 * SECOND)


async def test_hello_ties_a_known_camera_once_in_ten_minutes(house: SmallHouse, gate: Gate) -> None:
    for device, mono_us in (("stranger", 0), ("porch", 0), ("porch", 599 * SECOND), ("porch", 600 * SECOND)):
        await gate.tie(device, BOOT, Tie(mono_us, NOW + mono_us, 2 * SECOND, TimeSource.DEVICE_ESTIMATE))
    kept = await house.db.read(lambda c: boots.ties(c, device="porch", boot_id=BOOT))
    assert [each.mono_us for each in kept] == [0, 600 * SECOND]
    assert await house.count("anchor") == 2


async def test_flood_of_invented_cameras_ends_somewhere(
    house: SmallHouse, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ingest.accept.MAX_DEVICES", 3)
    answers = [(await accept(gate, f"cam-{n}", record(1))).outcome for n in range(5)]
    assert answers == [Outcome.STORED] * 2 + [Outcome.LATER] * 3
    assert await house.count("device") == 3


async def test_later_telemetry_wins_whatever_the_order(house: SmallHouse, gate: Gate) -> None:
    for sequence in (5, 9, 7):
        body = cbor2.dumps({"battery_mv": sequence})
        await accept(gate, "porch", record(sequence, body, kind=RecordKind.TELEMETRY))
    device = await house.db.read(lambda c: devices.get(c, "porch"))
    assert device is not None
    assert device.status["telemetry"] == {"battery_mv": 9}


async def test_same_plain_frame_counts_once_within_ten_seconds_or_when_redelivered(
    house: SmallHouse, gate: Gate, clock: Clock
) -> None:
    from gateway.decoders.image import DECODER

    async def send(*, redelivered: bool = False) -> Outcome:
        answer = await gate.accept_plain("porch", jpeg(), decoder=DECODER, source_name="t", redelivered=redelivered)
        return answer.outcome

    assert await send() is Outcome.STORED
    clock.us += 9 * SECOND
    assert await send() is Outcome.REPEATED
    clock.us += 30 * SECOND
    assert await send(redelivered=True) is Outcome.REPEATED
    assert await send() is Outcome.STORED


async def test_full_disk_is_told_as_later_and_nothing_is_written_down_as_refused(house: SmallHouse, gate: Gate) -> None:
    house.spool.free_floor_bytes = 1 << 60
    answer = await accept(gate, "porch", record(1))
    assert (answer.outcome, answer.code, answer.retry_ms) == (Outcome.LATER, "disk-full", 5_000)
    assert await house.count("ledger") == 0
    assert await house.count("refusal") == 0
    house.spool.free_floor_bytes = 0
    assert (await accept(gate, "porch", record(1))).outcome is Outcome.STORED


async def test_read_only_folder_is_told_as_later(
    house: SmallHouse, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        answer = await accept(gate, "porch", record(1))
    assert (answer.outcome, answer.code) == (Outcome.LATER, "disk-read-only")
    assert (await accept(gate, "porch", record(1))).outcome is Outcome.STORED


def fill(folder: Path) -> None:
    folder.mkdir()
    (folder / "IMG_20260924_110642.jpg").write_bytes(jpeg(1))
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "deep" / "deeper" / "again.jpg").write_bytes(jpeg(1))
    (folder / "note.txt").write_text("The boiler man came.\n")
    (folder / "broken.jpg").write_bytes(jpeg(2)[:-9])
    (folder / "renamed.jpg").write_bytes(b"hello")
    (folder / "empty.png").touch()
    (folder / "program.bin").write_bytes(bytes(99))
    (folder / ".hidden.jpg").write_bytes(jpeg(3))
    (folder / "link.txt").symlink_to("/etc/passwd")
    (folder / "loop").symlink_to("..")
    (folder / "inner.txt").symlink_to("note.txt")
    os.mkfifo(folder / "pipe.jpg")
    name = os.fsencode(folder) + b"/\xff\x1b[31m<b>.jpg"
    with open(name, "wb") as file:  # noqa: PTH123  a name that is no text
        file.write(jpeg(4))


async def test_folder_is_taken_in_once_with_a_reason_for_each_refusal(
    house: SmallHouse, gate: Gate, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    fill(folder)
    sender = Sender(owner=house.owner)
    tally = await folders.take_in(gate, [folder], sender=sender, zone="Europe/Berlin")
    assert (tally.stored, tally.repeated) == (3, 2)
    assert {taken.name: taken.receipt.code for taken in tally.refused} == {
        "broken.jpg": "truncated",
        "renamed.jpg": "unknown-format",
        "empty.png": "empty",
    }
    assert all(taken.receipt.reason for taken in tally.refused)
    assert tally.passed_over == 2
    again = await folders.take_in(gate, [folder], sender=sender, zone="Europe/Berlin")
    assert (again.stored, again.repeated) == (0, 5)

    rows = await house.db.read(lambda c: c.execute("SELECT source_name, captured_at_us, time_source FROM capture"))
    names = {row[0]: (row[1], row[2]) for row in rows}
    named = [when for when in names.values() if when[1] == "file-name"]
    assert named in ([(1_790_240_802_000_000, "file-name")], [])  # of two equal files either may come first
    assert any("\N{REPLACEMENT CHARACTER}" in name for name in names)
    refusals = await house.db.read(lambda c: {row[0] for row in c.execute("SELECT DISTINCT lane FROM refusal")})
    assert refusals == {Lane.FOLDER.value}


async def test_path_that_is_not_there_is_said(house: SmallHouse, gate: Gate, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await folders.take_in(gate, [tmp_path / "gone"], sender=Sender(owner=house.owner), zone="UTC")


@pytest.mark.parametrize("year", ["0001:01:01 00:00:00", "9999:12:31 23:59:59"])
async def test_a_year_that_cannot_be_is_not_believed_of_a_file(house: SmallHouse, gate: Gate, year: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = year
    out = io.BytesIO()
    Image.new("RGB", (16, 8)).save(out, "JPEG", exif=exif)
    data = out.getvalue()
    assert image.decode(data).captured_at is not None
    receipt = await gate.accept_file(data, decoder=image.DECODER, sender=Sender(house.owner), name="mad.jpg")
    assert receipt.outcome is Outcome.STORED
    assert await house.db.read(lambda c: c.execute("SELECT captured_at_us FROM capture").fetchone()[0]) == NOW


async def test_dating_that_broke_off_is_taken_up_again_by_itself(house: SmallHouse, clock: Clock) -> None:
    dating = Dating(house.db, zone="UTC", now_us=clock)
    gate = Gate(house.spool, dating, GateSettings(zone="UTC", accept_unknown=True), now_us=clock)
    await accept(gate, "porch", record(1))
    await accept(gate, "porch", anchor(2, utc_us=NOW - 100 * SECOND))
    await house.db.write(
        lambda c: c.execute("CREATE TRIGGER full BEFORE UPDATE ON capture BEGIN SELECT RAISE(ABORT, 'full'); END")
    )
    with pytest.raises(HearthlogError):
        await dating.run()
    await house.db.write(lambda c: c.execute("DROP TRIGGER full"))
    task = asyncio.create_task(dating.run())
    await settled(house)
    task.cancel()
    assert await house.db.read(dates) == [(1, NOW - 101 * SECOND, TimeSource.DEVICE_SYNCED.value)]


async def test_a_record_that_meets_a_bug_is_asked_for_again_later(
    house: SmallHouse, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(spool, "look_up", breaks)
    answer = await accept(gate, "porch", record(2))
    assert (answer.outcome, answer.code, answer.retry_ms) == (Outcome.LATER, "internal-error", 300_000)
    assert answer.key is not None
    monkeypatch.undo()
    assert (await accept(gate, "porch", record(2))).outcome is Outcome.STORED
