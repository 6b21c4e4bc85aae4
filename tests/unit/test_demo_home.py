"""The simulated home: seeded, whole at any hour, readable, and silent about its own truth."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import aiomqtt
import numpy as np
import pytest
from PIL import Image

from gateway.decoders.notes import decode_anchor, decode_gap, decode_telemetry
from gateway.decoders.record import RecordKind, decode_record
from gateway.demo import broker, voice
from gateway.demo.card import Card
from gateway.demo.home import SECOND_US, Home, sharp_labels
from gateway.demo.render import Item, Light, Scene, jpeg, render, size_px, sprite
from gateway.demo.roll import Entry, Roll
from gateway.demo.rooms import CAMERAS, Theme
from gateway.entities import RecordKey

ENDS_US = int(datetime(2026, 9, 24, 18, 42, tzinfo=UTC).timestamp()) * SECOND_US
BOOT = b"\x01" * 8


@pytest.fixture(scope="module")
def home() -> Home:
    return Home(1, ends_at_us=ENDS_US, zone="Europe/Stockholm")


@pytest.fixture(scope="module")
def driveway(home: Home) -> Roll:
    return Roll(home, "driveway")


@pytest.fixture(scope="module")
def porch(home: Home) -> Roll:
    return Roll(home, "porch")


def test_one_seed_draws_the_same_picture_each_time(home: Home) -> None:
    shot = next(shot for shot in home.shots if shot.camera == "porch")
    again = next(shot for shot in Home(1, ends_at_us=ENDS_US, zone="Europe/Stockholm").shots if shot.camera == "porch")
    first, second = (jpeg(render(one.scene, one.camera, one.at_us)) for one in (shot, again))
    assert first == second
    assert Image.open(io.BytesIO(first)).size == (800, 600)


def test_another_seed_is_another_family_and_another_day() -> None:
    one, other = Home(1, ends_at_us=ENDS_US), Home(2, ends_at_us=ENDS_US)
    assert one.cast.parcel != other.cast.parcel
    assert [shot.at_us for shot in one.shots] != [shot.at_us for shot in other.shots]


def test_two_instants_of_a_still_scene_differ_by_noise_and_little_more() -> None:
    scene = Scene(Theme(), Light(1, 0))
    first, second = (np.asarray(render(scene, "porch", at), np.float32) for at in (10**15, 10**15 + 10**6))
    assert (first != second).any()
    assert abs(first - second).mean() < 6


def test_no_drift_of_the_light_turns_white_into_black() -> None:
    scene = Scene(Theme(wall=(255, 255, 255)), Light(1, 0), (Item("note", 400, 300, 1.5, lines=("A", "B")),))
    for at_ms in range(12):
        pixels = np.asarray(render(scene, "kitchen", 10**15 + at_ms * 1000), np.int16)
        assert abs(pixels[:, :, 0] - pixels[:, :, 1]).max() < 240
        assert pixels[250, 360:370].mean() > 120


def test_night_without_a_lamp_is_grey() -> None:
    pixels = np.asarray(render(Scene(Theme(), Light(0, 0)), "porch", 10**15), np.int16)
    assert abs(pixels[..., 0] - pixels[..., 2]).max() == 0


@pytest.mark.parametrize("hour", [0, 3, 9, 12, 18, 23])
def test_every_event_of_the_day_is_in_the_last_24_hours_at_any_hour(hour: int) -> None:
    home = Home(1, ends_at_us=int(datetime(2026, 9, 24, hour, 5, tzinfo=UTC).timestamp()) * SECOND_US)
    assert len({shot.event for shot in home.shots if shot.event}) >= 24
    assert 260 <= len(home.shots) <= 400
    assert all(home.starts_at_us <= shot.at_us < home.ends_at_us for shot in home.shots)
    assert {shot.camera for shot in home.shots} == set(CAMERAS)
    assert home.losses


def test_most_frames_are_still_and_events_are_not(home: Home) -> None:
    truth = home.truth()
    assert sum(frame.still for frame in truth) / len(truth) > 0.5
    assert not any(frame.still and frame.event for frame in truth)


def test_a_burst_is_three_frames_within_a_second(home: Home) -> None:
    times = [shot.at_us for shot in home.shots if shot.event == "a parcel is left"]
    assert any(third - first <= SECOND_US for first, third in zip(times, times[2:], strict=False))


def test_each_printed_thing_is_seen_sharply_by_some_camera(home: Home) -> None:
    seen = {label for frame in home.truth() for label in frame.labels}
    who = home.cast
    for lines in (who.parcel, who.shopping, who.door_note, who.hall_note, who.street, who.van_lines, who.book):
        assert " ".join(lines) in seen


def test_a_covered_or_dark_label_is_not_promised() -> None:
    note = Item("note", 400, 300, 1.0, 5, lines=("MILK",))
    scene = Scene(Theme(), Light(1, 0), (note,))
    assert sharp_labels(scene) == ("MILK",)
    assert sharp_labels(replace(scene, light=Light(0, 0))) == ()
    assert sharp_labels(replace(scene, items=(note, Item("person", 400, 500, depth=20)))) == ()
    assert sharp_labels(replace(scene, items=(replace(note, scale=0.5),))) == ()


def test_the_size_of_a_thing_is_known_without_drawing_it() -> None:
    for item in (
        Item("parcel", 0, 0, 0.9, lines=("N. LINDQVIST", "12 ALDER LANE")),
        Item("note", 0, 0, lines=("MILK", "EGGS")),
        Item("sign", 0, 0, lines=("MILL ROAD",)),
        Item("cat", 0, 0, 1.2, pose="sleep"),
        Item("fox", 0, 0),
        Item("van", 0, 0, lines=("SWIFT",)),
        Item("person", 0, 0, 0.5, pose="carry"),
    ):
        assert sprite(item).size == size_px(item)


def test_no_truth_travels_in_a_record(porch: Roll, home: Home) -> None:
    frame = next(entry for entry in porch.entries if entry.kind is RecordKind.JPEG)
    data = frame.encode()
    record = decode_record(data)
    assert record.key == frame.key
    assert record.meta.keys() <= {"utc_us", "utc_err_us", "exposure_us", "gain"}
    for word in (home.cast.parcel[0], home.cast.first, "parcel", "still"):
        assert word.encode() not in data


def test_a_record_is_the_same_bytes_when_it_is_made_again(porch: Roll) -> None:
    frame = next(entry for entry in porch.entries if entry.again)
    assert frame.encode() == frame.once_more().encode()


def test_a_gap_names_sequences_that_no_record_has(porch: Roll, home: Home) -> None:
    gap = next(entry for entry in porch.entries if entry.kind is RecordKind.GAP)
    lost = decode_gap(gap.body())
    (first, last), numbers = lost.ranges[0], [entry.key.sequence for entry in porch.entries]
    assert lost.why == "card-full"
    assert last - first + 1 == gap.lost == home.losses[0].frames
    assert not set(range(first, last + 1)) & set(numbers)
    assert numbers == sorted(set(numbers))


def test_a_boot_without_a_clock_says_no_time_until_its_anchor(driveway: Roll) -> None:
    untold, late = driveway.boots[1:]
    for entry in driveway.entries:
        if entry.key.boot_id == untold.boot_id or (entry.key.boot_id == late.boot_id and entry.at_us < _told(late)):
            assert "utc_us" not in entry.meta
    anchor = next(entry for entry in driveway.entries if entry.kind is RecordKind.ANCHOR)
    pair = decode_anchor(anchor.body())
    assert pair.boot_id == late.boot_id
    assert pair.utc_us - pair.mono_us == late.from_us
    assert any(entry.key.boot_id == untold.boot_id and entry.kind is RecordKind.JPEG for entry in driveway.entries)


def _told(boot: object) -> int:
    told = getattr(boot, "clock_from_us", None)
    assert isinstance(told, int)
    return told


def test_telemetry_is_what_the_gateway_reads(driveway: Roll) -> None:
    entry = next(entry for entry in driveway.entries if entry.kind is RecordKind.TELEMETRY)
    assert {"battery_mv", "rssi_dbm", "spool_fill"} <= decode_telemetry(entry.body()).keys()


def test_two_runs_do_not_use_one_name_for_two_records(home: Home, driveway: Roll) -> None:
    later = Roll(Home(1, ends_at_us=ENDS_US + 3_600 * SECOND_US, zone="Europe/Stockholm"), "driveway")
    assert not {boot.boot_id for boot in later.boots} & {boot.boot_id for boot in driveway.boots}
    assert later.boots[0].counter > driveway.boots[-1].counter


def _entry(sequence: int, *, live: bool = False) -> Entry:
    return Entry(RecordKey(BOOT, 1, sequence, 0), 0, RecordKind.JPEG, {}, lambda: b"", live=live)


def test_a_card_keeps_within_its_credit() -> None:
    card = Card()
    for n in range(4):
        card.add(_entry(n))
    assert card.next(0) is not None
    assert card.next(0) is None
    card.credit = 3
    assert card.next(0) is not None
    assert card.next(0) is not None
    assert card.next(0) is None


def test_live_goes_before_backlog_three_to_one() -> None:
    card = Card()
    card.credit = 64
    for n in range(8):
        card.add(_entry(n))
        card.add(_entry(100 + n, live=True))
    sent = [card.next(0) for _ in range(8)]
    assert [entry is not None and entry.live for entry in sent] == [True, True, True, False] * 2


def test_only_an_acknowledgement_frees_a_record() -> None:
    card = Card()
    card.add(_entry(7))
    assert card.next(0) is not None
    assert card.acknowledged(b"\x02" * 8, [(0, 99)]) == []
    assert len(card) == 1
    assert [entry.key.sequence for entry in card.acknowledged(BOOT, [(0, 99)])] == [7]
    assert len(card) == 0


def test_an_unanswered_record_is_sent_again_with_growing_pauses() -> None:
    card = Card()
    card.add(_entry(7))
    pauses, now_s = [], 0.0
    for _ in range(8):
        assert card.next(now_s) is not None
        assert card.next(now_s + 1) is None
        due_s = card.wakes_at()
        assert due_s is not None
        pauses.append(due_s - now_s)
        now_s = due_s
    assert 4 <= pauses[0] <= 6
    assert pauses[0] < pauses[2] < pauses[4]
    assert pauses[-1] <= 360


def test_a_refusal_for_ever_goes_into_quarantine_and_a_later_comes_back() -> None:
    card = Card()
    card.credit = 2
    card.add(_entry(1))
    card.add(_entry(2))
    assert card.next(0) and card.next(0)
    card.refused((BOOT, 1), "bad-jpeg", None, 0)
    card.refused((BOOT, 2), "disk-full", 5_000, 0)
    assert card.quarantine == {(BOOT, 1): "bad-jpeg"}
    assert card.next(1) is None
    again = card.next(400)
    assert again is not None
    assert again.key.sequence == 2


def test_a_lost_connection_sends_what_was_on_its_way_first_and_one_at_a_time() -> None:
    card = Card()
    card.credit = 8
    for n in range(5):
        card.add(_entry(n))
    for _ in range(3):
        card.next(0)
    card.lost_connection()
    assert card.credit == 1
    assert card.spans() == [(BOOT, 0, 4)]
    first = card.next(1)
    assert first is not None
    assert first.key.sequence == 0


def test_sounds_come_in_pieces_of_one_to_two_seconds() -> None:
    for what in ("doorbell", "knock", "rain"):
        heard = voice.listen(what, "")
        assert heard.pieces
        assert all(voice.RATE_HZ <= len(piece) // 2 <= 2 * voice.RATE_HZ for piece in heard.pieces)
        loudest = max(int(abs(np.frombuffer(piece, "<i2").astype(int)).max()) for piece in heard.pieces)
        assert loudest > 2_000


def test_without_a_speaking_program_there_is_a_reason_instead_of_a_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice.shutil, "which", lambda _: None)
    heard = voice.speak("The books came.")
    assert heard.pieces == ()
    assert "espeak-ng" in heard.missing


async def test_a_broker_that_ends_at_once_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(broker.NoBroker):
        async with broker.demo_broker(tmp_path, program="/bin/false"):
            raise AssertionError("there is no broker")


async def test_without_mosquitto_there_is_a_broker_inside(tmp_path: Path) -> None:
    pytest.importorskip("amqtt.broker", reason="the embedded broker is not installed")
    async with broker.demo_broker(tmp_path, program="") as inside:
        assert (inside.name, inside.durable) == ("embedded", False)
        async with aiomqtt.Client("127.0.0.1", int(inside.url.rpartition(":")[2])) as one:
            await one.subscribe("hearthlog/v1/porch/up/jpeg")
            await one.publish("hearthlog/v1/porch/up/jpeg", b"a frame", qos=1)
            async with asyncio.timeout(10):
                message = await anext(aiter(one.messages))
    assert message.payload == b"a frame"
