"""Bad input over a real broker into a real gateway: refused or set aside with a code and a reason, counted in a
metric, and nothing else disturbed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sqlite3
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from PIL import Image

from tests.bench.broker import Broker
from tests.bench.children import ROOT, family, rss_mb
from tests.bench.frames import frame, record
from tests.bench.house import House, serving
from tests.fault.cuts import Disk, why_not

pytestmark = [pytest.mark.slow, pytest.mark.system("mosquitto"), pytest.mark.timeout(300)]

GOLDEN = Path(__file__).resolve().parents[1] / "fixtures" / "records"
BROKEN = {
    name: said["code"] for name, said in json.loads((GOLDEN / "index.json").read_text()).items() if "code" in said
}
AT_MOST_S = 5.0
CREDIT = 8
WORKER_MB = 90 + 256
"""An interpreter with NumPy, Pillow and a runtime, and 256 MB over its models: the cheap steps have none."""
READER_MB = 430
"""What the models for reading print need by themselves."""


def picture(form: str = "JPEG", size: tuple[int, int] = (160, 120), **options: Any) -> bytes:
    out = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(out, form, **options)
    return out.getvalue()


def animated(form: str) -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (64, 64), (level, 0, 0)) for level in (10, 90, 200)]
    frames[0].save(out, form, save_all=True, append_images=frames[1:])
    return out.getvalue()


def png(width_px: int, height_px: int) -> bytes:
    """Small as a file, whatever it is as a picture."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    packer = zlib.compressobj(9)
    row = b"\0" + bytes(3 * width_px)
    pixels = b"".join(packer.compress(row) for _ in range(height_px)) + packer.flush()
    head = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def huge_jpeg() -> bytes:
    """A header that claims 100 megapixels."""
    data = bytearray(picture())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 10_000, 10_000)
    return bytes(data)


REFUSED: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "truncated": ("jpeg", lambda: picture()[:-900], "truncated"),
    "empty": ("jpeg", lambda: b"", "empty"),
    "oversized": ("jpeg", lambda: frame(1, size_bytes=(32 << 20) + 1), "too-big"),
    "polyglot": ("jpeg", lambda: picture() + b"PK\x03\x04 and a zip", "trailing-data"),
    "animated": ("jpeg", lambda: animated("PNG"), "animated"),
    "100 megapixels": ("jpeg", huge_jpeg, "too-many-pixels"),
    "bomb": ("jpeg", lambda: png(10_000, 9_000), "too-many-pixels"),
    "gif": ("jpeg", lambda: picture("GIF"), "unsupported-image"),
    "text as jpeg": ("jpeg", lambda: b"hello there", "unknown-format"),
    "wav that is not": ("wav", lambda: b"ID3\x04" + bytes(100), "bad-wav"),
    "cut wav": ("wav", lambda: b"RIFF\x24\x00\x00\x00WAVE", "truncated"),
}


@dataclass
class Sender:
    """A camera of both lanes on a running house."""

    house: House
    client: Client
    acks: list[Any] = field(default_factory=list)
    fresh: int = 0

    def plain(self, voice: str, body: bytes, **options: Any) -> None:
        self.client.publish(f"hearthlog/v1/porch/up/{voice}", body, qos=1, **options).wait_for_publish(20)

    def rec(self, data: bytes, **options: Any) -> None:
        self.client.publish("hearthlog/v1/porch/up/rec", data, qos=0, **options).wait_for_publish(20)

    def good(self) -> bytes:
        self.fresh += 1
        return frame(self.fresh + 1_000_000, size_bytes=6_000)

    def rows(self, sql: str, *given: Any) -> list[Any]:
        uri = f"file:{self.house.home / 'hearthlog.db'}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            return connection.execute(sql, given).fetchall()

    def until(self, look: Callable[[], Any], limit_s: float = 120.0) -> Any:
        ends_s = time.monotonic() + limit_s
        while not (found := look()):
            assert time.monotonic() < ends_s, "it did not happen"
            time.sleep(0.01)  # another process: no event tells of it
        return found

    def until_nacked(self, data: bytes) -> Any:
        """Send a record until it is refused, as a device does that hears nothing: neither way is it QoS 1."""

        def refused() -> list[Any]:
            self.rec(data)
            time.sleep(0.5)
            return [nack for ack in self.acks for nack in ack["nack"]]

        return self.until(refused, limit_s=120)[0]

    def refusals(self) -> int:
        return int(self.rows("SELECT coalesce(max(id), 0) FROM refusal")[0][0])

    def counted(self, name: str, **labels: str) -> float:
        found = self.house.metrics()
        return sum(
            value
            for sample, value in found.items()
            if sample.startswith(name) and all(f'{key}="{each}"' in sample for key, each in labels.items())
        )

    def still_takes_in(self) -> None:
        """Nothing else is disturbed."""
        before = self.rows("SELECT count(*) FROM capture")[0][0]
        self.plain("jpeg", self.good())
        self.until(lambda: self.rows("SELECT count(*) FROM capture")[0][0] > before)


def _sender(house: House, port: int) -> Sender:
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.max_queued_messages_set(0)
    sender = Sender(house, client)

    def heard(_: Any, __: Any, message: MQTTMessage) -> None:
        sender.acks.append(json.loads(message.payload))

    client.on_message = heard
    client.connect("127.0.0.1", port)
    client.subscribe("hearthlog/v1/+/dn/ack", qos=0)
    client.loop_start()
    return sender


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    folder = tmp_path_factory.mktemp("bad-input")
    with Broker(folder / "broker") as broker, serving(folder / "home", broker_url=broker.url) as house:
        house.until_connected()
        one = _sender(house, broker.port)
        one.still_takes_in()
        yield one
        one.client.loop_stop()
        one.client.disconnect()


@pytest.mark.parametrize("name", REFUSED)
def test_bad_file_is_refused_with_a_code_a_reason_and_a_count(sender: Sender, name: str) -> None:
    voice, make, code = REFUSED[name]
    body = make()
    last = sender.refusals()
    before = sender.counted("hearthlog_captures_rejected_total", lane="plain", code=code)
    began_s = time.monotonic()
    sender.plain(voice, body)
    sender.until(lambda: sender.refusals() > last)
    assert time.monotonic() - began_s <= AT_MOST_S
    found, reason, size = sender.rows("SELECT code, reason, body_bytes FROM refusal WHERE id = ?", last + 1)[0]
    assert (found, size) == (code, len(body))
    assert reason
    assert sender.counted("hearthlog_captures_rejected_total", lane="plain", code=code) == before + 1
    sender.still_takes_in()


def test_broken_records_are_refused_by_name_where_they_have_one(sender: Sender) -> None:
    last = sender.refusals()
    for number, name in enumerate(BROKEN, start=1):
        sender.rec((GOLDEN / name).read_bytes())
        if number % CREDIT == 0 or number == len(BROKEN):  # a camera that overruns its credit is not answered
            sender.until(lambda so_far=last + number: sender.refusals() >= so_far)  # type: ignore[misc]
    found = sender.rows("SELECT code, reason FROM refusal WHERE id > ? ORDER BY id", last)
    assert sorted(code for code, _ in found) == sorted(BROKEN.values())
    assert all(reason for _, reason in found)
    nacks = [nack for ack in sender.acks for nack in ack["nack"]]
    assert nacks
    assert all(nack["retry_ms"] is None for nack in nacks)
    sender.still_takes_in()


def test_conflicting_repeat_is_refused_and_the_first_stays(sender: Sender) -> None:
    boot = os.urandom(8)
    first, second = sender.good(), sender.good()
    before = sender.counted("hearthlog_captures_rejected_total", lane="record", code="conflict")
    for body in (first, first, second):
        sender.acks.clear()
        sender.rec(record(body, boot=boot, sequence=9))
        sender.until(lambda: sender.acks)
    assert sender.counted("hearthlog_captures_rejected_total", lane="record", code="conflict") == before + 1
    assert [nack["code"] for nack in sender.acks[0]["nack"]] == ["conflict"]
    assert sender.rows("SELECT count(*) FROM capture WHERE boot_id = ?", boot) == [(1,)]


def test_wrong_topics_are_counted_and_change_nothing(sender: Sender) -> None:
    before = sender.rows("SELECT count(*) FROM capture")
    wrong = sender.counted("hearthlog_messages_ignored_total", why="bad-topic")
    for topic in ("hearthlog/v1/UPPER/up/jpeg", "hearthlog/v1/gateway/up/jpeg", "hearthlog/v1/__/up/rec"):
        sender.client.publish(topic, sender.good(), qos=1).wait_for_publish(10)
    sender.until(lambda: sender.counted("hearthlog_messages_ignored_total", why="bad-topic") >= wrong + 3)
    assert sender.rows("SELECT count(*) FROM capture") == before
    sender.still_takes_in()


def test_the_same_frame_twice_is_one_memory(sender: Sender) -> None:
    body = sender.good()
    again = sender.counted("hearthlog_captures_repeated_total", lane="plain")
    for _ in range(3):
        sender.plain("jpeg", body)
    sender.until(lambda: sender.counted("hearthlog_captures_repeated_total", lane="plain") >= again + 2)
    assert sender.rows("SELECT count(*) FROM capture WHERE body_bytes = ? AND sha256 = ?", len(body), _sha(body)) == [
        (1,)
    ]


@pytest.mark.parametrize(
    "make",
    [
        lambda: png(5_900, 4_000),
        lambda: picture(size=(6_000, 4_000), quality=30),
        lambda: _spoilt(picture(size=(800, 600))),
    ],
    ids=["24 megapixels in a small file", "24 megapixels", "pixels that cannot be decoded"],
)
def test_worker_stays_small_whatever_passes_the_gate(sender: Sender, make: Callable[[], bytes]) -> None:
    body = make()
    sender.plain("jpeg", body)
    (capture,) = sender.until(lambda: sender.rows("SELECT id FROM capture WHERE sha256 = ?", _sha(body)))[0]
    most_mb = 0.0

    def settled() -> bool:
        nonlocal most_mb
        most_mb = max([most_mb, *(rss_mb(pid) - _reads_mb(pid) for pid in _workers(sender.house.pid))])
        return not sender.rows("SELECT 1 FROM job WHERE capture = ? AND step = 'quality' AND state <> 'dead'", capture)

    sender.until(settled, limit_s=200)
    assert most_mb <= WORKER_MB
    for code, reason in sender.rows("SELECT code, reason FROM job WHERE capture = ? AND state = 'dead'", capture):
        assert code
        assert reason
    sender.still_takes_in()


def test_file_names_with_anything_in_them_are_only_names(sender: Sender, tmp_path: Path) -> None:
    names = {
        b"a\nb.jpg": "a\N{REPLACEMENT CHARACTER}b.jpg",
        b"<script>alert(1).jpg": "<script>alert(1).jpg",
        b"' OR 1=1 --.jpg": "' OR 1=1 --.jpg",
        b"\xff\xfe.jpg": "\\xff\\xfe.jpg",
        "猫 🐈.jpg".encode(): "猫 🐈.jpg",
        b"-rf.jpg": "-rf.jpg",
    }
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(sender.good())
    argv = [sys.executable, "-m", "gateway", "ingest", str(tmp_path)]
    done = subprocess.run(
        argv, env={**os.environ, **sender.house.environ}, cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    kept = sender.rows("SELECT source_name FROM capture WHERE lane = 'folder'")
    assert sorted(name for (name,) in kept) == sorted(names.values())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")
def test_full_disk_is_told_and_the_record_is_stored_once_there_is_room(tmp_path: Path) -> None:
    home = tmp_path / "small"
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(home)], check=True)
    try:
        with Broker(tmp_path / "broker") as broker, serving(home / "home", broker_url=broker.url) as house:
            house.until_connected()
            one = _sender(house, broker.port)
            one.still_takes_in()
            ballast = home / "ballast"
            with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
                while file.write(bytes(1 << 12)):
                    continue
            data = record(one.good(), boot=bytes(8), sequence=1)
            one.rec(data)
            nack = one.until(lambda: [nack for ack in one.acks for nack in ack["nack"]])[0]
            assert (nack["code"], nack["seq"]) == ("disk-full", 1)
            assert nack["retry_ms"]
            assert not one.rows("SELECT 1 FROM ledger")
            assert one.counted("hearthlog_captures_rejected_total", lane="record", code="disk-full") >= 1
            ballast.unlink()
            one.acks.clear()
            one.rec(data)
            one.until(lambda: one.acks)
            assert one.acks[0]["ranges"] == [[1, 1]]
            one.client.loop_stop()
    finally:
        subprocess.run(["umount", "-l", str(home)], check=True)


def test_failing_disk_stops_acknowledgements_and_not_the_house(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(reason)
    with (
        Broker(tmp_path / "broker") as broker,
        Disk(tmp_path) as disk,
        serving(disk.at / "home", broker_url=broker.url) as house,
    ):
        house.until_connected()
        one = _sender(house, broker.port)
        one.still_takes_in()
        disk.cut()
        nack = one.until_nacked(record(one.good(), boot=bytes(8), sequence=1))
        assert nack["code"].startswith(("disk-", "database-"))
        assert nack["retry_ms"]
        assert not [each for ack in one.acks for each in ack["ranges"]]
        assert one.counted("hearthlog_captures_rejected_total", lane="record", code=nack["code"]) >= 1
        one.client.loop_stop()


@pytest.mark.parametrize("how", ["while it runs", "until it is mounted anew"])
def test_read_only_disk_is_told_and_nothing_is_lost_by_it(tmp_path: Path, how: str) -> None:
    if reason := why_not():
        pytest.skip(reason)
    with Broker(tmp_path / "broker") as broker, Disk(tmp_path) as disk, contextlib.ExitStack() as stack:
        live = how == "while it runs"
        house = stack.enter_context(serving(disk.at / "home", broker_url=broker.url))
        house.until_connected()
        token = house.token()
        one = _sender(house, broker.port)
        stack.callback(one.client.loop_stop)
        one.still_takes_in()
        (_protect if live else disk.give_up)(*([disk.at] if live else []))
        data, plain = record(one.good(), boot=bytes(8), sequence=1), one.good()
        one.plain("jpeg", plain)
        one.rec(data)
        nack = one.until_nacked(data)
        assert nack["code"] in ("disk-read-only", "disk-error")
        assert nack["retry_ms"]
        # The box tries its disk once a minute.
        one.until(lambda: "disk takes nothing" in house.get("/api/v1/health", token)["sentence"], limit_s=90)
        assert not [each for ack in one.acks for each in ack["ranges"]]
        if live:
            _protect(disk.at, on=False)
        else:
            stack.close()
            disk.unmount()
            disk.mount()
            house = stack.enter_context(serving(disk.at / "home", broker_url=broker.url))
            house.until_connected()
            one = _sender(house, broker.port)
            stack.callback(one.client.loop_stop)
        one.until(lambda: one.rows("SELECT 1 FROM capture WHERE sha256 = ?", _sha(plain)), limit_s=90)
        one.acks.clear()
        one.rec(data)
        one.until(lambda: [each for ack in one.acks for each in ack["ranges"]])
        one.until(lambda: "disk takes nothing" not in house.get("/api/v1/health", token)["sentence"])
        assert one.rows("SELECT count(*), count(DISTINCT sha256) FROM capture") == [(3, 3)]


def _protect(folder: Path, *, on: bool = True) -> None:
    """Whoever writes there is refused, also into files that are open. Sockets cannot be marked, and need not be; nor
    may the index of SQLite's log be: a write into a mapped page of a marked file is SIGBUS, which no file system that
    is mounted read-only answers with.
    """
    found = [path for path in (folder, *folder.rglob("*")) if not path.is_socket() and not path.name.endswith("-shm")]
    subprocess.run(["chattr", "+i" if on else "-i", *map(str, found)], capture_output=True, check=False)
    with contextlib.suppress(PermissionError) if on else contextlib.nullcontext():
        (folder / "home" / "tried").touch()
        assert not on, "the folder still takes files"


def _spoilt(data: bytes) -> bytes:
    """Markers in order, and nonsense where the picture should be."""
    at = data.index(b"\xff\xda") + 12
    return data[:at] + bytes([0x55]) * (len(data) - at - 2) + data[-2:]


def _sha(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def _reads_mb(pid: int) -> int:
    """What a worker may hold for its models beyond the small ones: the one that reads print has OpenCV loaded."""
    try:
        return READER_MB if "cv2" in Path(f"/proc/{pid}/maps").read_text() else 0
    except OSError:
        return 0


def _workers(pid: int) -> list[int]:
    found = []
    for each in family(pid)[1:]:
        try:
            command = Path(f"/proc/{each}/cmdline").read_bytes()
        except OSError:
            continue
        if b"inference.worker" in command:
            found.append(each)
    return found
