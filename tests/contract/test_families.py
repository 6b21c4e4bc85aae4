"""Every model family on its real weights and real pictures and recordings, through the workers."""

from __future__ import annotations

import io
import os
import shutil
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image, ImageDraw, ImageFont

from gateway.entities import BlobRef
from gateway.errors import ModelMissing, Unreadable
from gateway.inference.fetch import pull
from gateway.inference.models import Models, State
from gateway.inference.workers import Budget, ProcessWorkers, open_workers
from tests.contract import inference_house as house

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("house")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers(home: Path, models_mirror: Path) -> AsyncIterator[ProcessWorkers]:
    models = Models(home)
    for name in (
        "yolox-nano",
        "mobilenet-v2",
        "mobilenet-v1-embed",
        "silero-vad",
        "yamnet",
        "rapidocr",
        "pocketsphinx",
    ):
        (look,) = await pull(models, name, mirror=models_mirror)
        assert look.state is State.READY
    # Seconds are measured as those of the processor: on a busy machine a deadline says nothing.
    async with open_workers(models, Budget(default_s=120, ocr_s=120)) as real:
        yield real


@pytest.fixture
def seal(home: Path) -> Callable[[bytes], BlobRef]:
    return lambda body: house.sealed(home, body)


def of_file(home: Path, path: Path) -> BlobRef:
    blob: BlobRef = house.sealed(home, path.read_bytes())
    return blob


async def test_things_are_found_where_they_are(workers: ProcessWorkers, home: Path, media: Path) -> None:
    expected = {
        "dog.jpg": {"dog", "bicycle"},
        "COCO_val2014_000000354533.jpg": {"motorcycle"},
        "COCO_val2014_000000579664.jpg": {"banana"},
        "cats_and_dogs.jpg": {"cat"},
        "COCO_val2014_000000060623.jpg": {"person", "dining table"},
    }
    for name, things in expected.items():
        reply = await workers.run("detect", of_file(home, media / "images" / name))
        boxes = reply.data["boxes"]
        assert things <= {box["label"] for box in boxes}, name
        assert all(0 <= box["x"] <= box["x"] + box["w"] <= 1.0001 and 0.35 <= box["score"] <= 1 for box in boxes)
        assert [box["score"] for box in boxes] == sorted((box["score"] for box in boxes), reverse=True)
    dog = await workers.run("detect", of_file(home, media / "images/dog.jpg"))
    (box,) = [box for box in dog.data["boxes"] if box["label"] == "dog"]
    assert box["x"] < 0.3 < box["x"] + box["w"] and box["y"] < 0.6 < box["y"] + box["h"]


async def test_pictures_are_named(workers: ProcessWorkers, home: Path, media: Path) -> None:
    expected = {
        "COCO_val2014_000000579664.jpg": "banana",
        "COCO_val2014_000000386164.jpg": "wooden spoon",
        "COCO_val2014_000000354533.jpg": "moped",
        "burger.jpg": "cheeseburger",
    }
    for name, label in expected.items():
        reply = await workers.run("classify", of_file(home, media / "images" / name))
        assert reply.data["labels"][0]["label"] == label, name
        assert reply.data["labels"][0]["score"] > 0.3


async def test_print_is_read_with_its_spaces(workers: ProcessWorkers, home: Path, media: Path) -> None:
    reply = await workers.run("ocr", of_file(home, media / "ocr/en.jpg"))
    text = "\n".join(line["text"] for line in reply.data["lines"])
    assert "To facilitate the shot type analysis in videos, we collect MovieShots, a large-scale" in text
    assert "shot type annotation set that contains 46K shots from 7858 movies. The details" in text
    assert "of this dataset are specified as follows." in text
    assert text.removeprefix("3\n").startswith("MovieShots Dataset")  # the section's number, where it is read
    reply = await workers.run("ocr", of_file(home, media / "ocr/return_word_debug.jpg"))
    assert "轻运动健" in {line["text"] for line in reply.data["lines"]}


async def test_similar_pictures_have_near_vectors(workers: ProcessWorkers, home: Path, media: Path) -> None:
    async def vector(name: str) -> np.ndarray:
        reply = await workers.run("embed-image", of_file(home, media / "near-dup" / name))
        found = np.frombuffer(reply.data["vector"], "<f4")
        assert len(found) == reply.data["dim"] == 1024 and abs(float(np.linalg.norm(found)) - 1) < 1e-5
        return found

    first, resized, other = (
        await vector("ukbench00120.jpg"),
        await vector("ukbench00120_resize.jpg"),
        await vector("ukbench09012.jpg"),
    )
    assert float(first @ resized) > 0.9
    assert float(first @ other) < 0.7


async def test_pixels_are_measured(
    workers: ProcessWorkers, home: Path, media: Path, seal: Callable[[bytes], BlobRef]
) -> None:
    def distance(one: str, two: str) -> int:
        return (int(one, 16) ^ int(two, 16)).bit_count()

    day, resized, grey, flipped = [
        (await workers.run("pixels", of_file(home, media / f"near-dup/ukbench00120{kind}.jpg"))).data
        for kind in ("", "_resize", "_gray", "_hflip")
    ]
    assert distance(day["phash"], resized["phash"]) <= 2
    assert distance(day["phash"], flipped["phash"]) > 20
    assert grey["colourfulness"] < 1 < day["colourfulness"]
    night = (await workers.run("pixels", seal(flat(4)))).data
    assert night["dark_share"] > 0.99 and night["luma_mean"] < 10 and night["sharpness"] < 1


def flat(level: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), (level, level, level)).save(out, "PNG")
    return out.getvalue()


async def test_speech_is_heard_where_it_is(
    workers: ProcessWorkers, home: Path, media: Path, seal: Callable[[bytes], BlobRef]
) -> None:
    for path in sorted((media / "audio").glob("*.wav")):
        reply = await workers.run("vad", of_file(home, path))
        spoken = sum(span["end_us"] - span["start_us"] for span in reply.data["speech"])
        assert spoken > 0.6 * reply.data["duration_us"], path.name
        sound = await workers.run("sound", of_file(home, path))
        assert "Speech" in {event["label"] for event in sound.data["events"]}, path.name
    silence = seal(house.recording(np.zeros(3 * 16_000)))
    assert (await workers.run("vad", silence)).data["speech"] == []
    assert (await workers.run("sound", silence)).data["events"] == []
    hiss = seal(house.recording(np.random.default_rng(1).normal(0, 0.01, 96_000), 48_000))
    assert (await workers.run("vad", hiss)).data["speech"] == []


async def test_a_draft_has_right_words_and_says_it_is_a_draft(workers: ProcessWorkers, home: Path, media: Path) -> None:
    blob = of_file(home, media / "audio/spk1_snt1.wav")
    speech = (await workers.run("vad", blob)).data["speech"]
    reply = await workers.run("asr-draft", blob, params={"speech": speech})
    truth = {"the", "child", "almost", "hurt", "small", "dog"}
    assert len(truth & set(reply.data["text"].split())) >= 4
    assert 0 < reply.data["confidence"] <= 0.3
    starts = [word["start_us"] for word in reply.data["words"]]
    assert starts == sorted(starts) and all(word["end_us"] > word["start_us"] for word in reply.data["words"])
    with pytest.raises(ModelMissing, match="asr"):
        await workers.run("asr", blob)


async def test_speech_survives_another_rate_and_two_channels(
    workers: ProcessWorkers, home: Path, media: Path, seal: Callable[[bytes], BlobRef]
) -> None:
    body = (media / "audio/spk1_snt1.wav").read_bytes()
    mono = np.frombuffer(body[44:], "<i2").astype(np.float64) / 32768
    at = np.arange(int(len(mono) * 44_100 / 16_000)) * 16_000 / 44_100
    fast = np.interp(at, np.arange(len(mono)), mono)
    stereo = np.stack([fast, fast], axis=1).ravel()
    reply = await workers.run("vad", seal(house.recording(stereo, 44_100, 2)))
    plain = await workers.run("vad", of_file(home, media / "audio/spk1_snt1.wav"))
    assert abs(reply.data["duration_us"] - plain.data["duration_us"]) < 1_000
    assert len(reply.data["speech"]) == len(plain.data["speech"])


async def test_a_thumbnail_is_small_upright_and_bare(workers: ProcessWorkers, seal: Callable[[bytes], BlobRef]) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a secret description"
    turned = seal(house.picture(800, 400, exif=exif))
    reply = await workers.run("thumbnail", turned, params={"width_px": 100})
    with Image.open(io.BytesIO(reply.data["jpeg"])) as small:
        assert small.size == (100, 200) and not small.getexif()
    assert (await workers.run("pixels", turned)).data["height_px"] == 800


def png(width_px: int, height_px: int, *, channels: int) -> bytes:
    """A PNG of one colour that is small as a file whatever it is as a picture."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    packer = zlib.compressobj(9)
    row = b"\0" + b"\x55" * (width_px * channels)
    pixels = b"".join(packer.compress(row) for _ in range(height_px)) + packer.flush()
    head = struct.pack(">IIBBBBB", width_px, height_px, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def blown_up(width_px: int, height_px: int, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    grain = np.random.default_rng(0).integers(0, 255, (height_px // 16, width_px // 16, 3), dtype=np.uint8)
    Image.fromarray(grain).resize((width_px, height_px), Image.Resampling.NEAREST).save(out, form, **options)  # type: ignore[arg-type]
    return out.getvalue()


def animated() -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (64, 64), (level, 0, 0)) for level in (10, 200)]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    return out.getvalue()


HOSTILE = {
    "png100mp": (lambda: png(10_000, 10_000, channels=1), "too-many-pixels"),
    "jpeg100mp": (lambda: blown_up(10_000, 10_000, "JPEG", quality=20), "too-many-pixels"),
    "animated": (animated, "animated"),
    "truncated": (lambda: house.picture()[:3000], "not-a-picture"),
    "polyglot": (lambda: house.picture() + b"PK\x03\x04 and a zip", ""),
    "gif": (lambda: b"GIF89a" + bytes(100), "not-a-picture"),
    "empty": (lambda: b"", "not-a-picture"),
    "jpeg64mp": (lambda: blown_up(8_000, 8_000, "JPEG", quality=60), ""),
    "progressive": (lambda: blown_up(6_000, 4_000, "JPEG", quality=90, progressive=True, subsampling=0), ""),
    "rgba": (lambda: png(6_000, 4_000, channels=4), ""),
    "webp": (lambda: blown_up(4_000, 4_000, "WEBP", quality=50), ""),
    "noise": (lambda: noise(1_920, 1_440), ""),
    "small print": (lambda: full_of_print(1_920, 1_920, 24), ""),
    "large print": (lambda: full_of_print(4_000, 4_000, 60), ""),
}
TASKS = {
    "pixels": "look",
    "detect": "look",
    "classify": "look",
    "embed-image": "look",
    "thumbnail": "thumb",
    "ocr": "read",
}
AT_MOST_S = 5.0


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_picture_is_refused_or_seen_within_its_memory_and_seconds(
    workers: ProcessWorkers, seal: Callable[[bytes], BlobRef], name: str
) -> None:
    """Every task that sees pictures, each as if it were the first: the seconds hold its own decoding."""
    make, code = HOSTILE[name]
    body = make()
    for task, slot in TASKS.items():
        for seed in range(2):  # so that none of what is kept of earlier pictures is this one
            await workers.run(task, seal(house.picture(640, 480, seed=seed)))
        pid = slot_of(workers, slot)
        forget_peak(pid)
        before_kb, before_s = peak_kb(pid), cpu_s(pid)
        if code:
            with pytest.raises(Unreadable) as failed:
                await workers.run(task, seal(body))
            assert failed.value.code == code
        else:
            await workers.run(task, seal(body))
        assert cpu_s(pid) - before_s <= AT_MOST_S, task
        assert peak_kb(pid) - before_kb <= 256 * 1024, task
        assert slot_of(workers, slot) == pid, task


async def test_a_page_full_of_print_is_read_from_the_largest_down_and_says_so(
    workers: ProcessWorkers, seal: Callable[[bytes], BlobRef]
) -> None:
    page = (await workers.run("ocr", seal(full_of_print(1_920, 1_920, 24, heading="SHUT THE GATE")))).data
    assert page["partial"] is True
    assert "SHUT THE GATE" in {line["text"] for line in page["lines"]}
    label = (await workers.run("ocr", seal(full_of_print(640, 120, 40, heading="SHUT THE GATE")))).data
    assert label["partial"] is False


def noise(width_px: int, height_px: int) -> bytes:
    out = io.BytesIO()
    grain = np.random.default_rng(0).integers(0, 255, (height_px, width_px, 3), dtype=np.uint8)
    Image.fromarray(grain).save(out, "JPEG", quality=80)
    return out.getvalue()


def full_of_print(width_px: int, height_px: int, letter_px: int, *, heading: str = "") -> bytes:
    """A page of made-up words from edge to edge, under a heading three times as large."""
    image = Image.new("RGB", (width_px, height_px), "white")
    draw = ImageDraw.Draw(image)
    chance = np.random.default_rng(1)
    top = letter_px // 2
    if heading:
        draw.text((20, top), heading, fill="black", font=ImageFont.load_default(min(3 * letter_px, 72)))
        top += 4 * letter_px
    for y in range(top, height_px - letter_px, int(letter_px * 1.4)):
        words = ("".join(chr(97 + chance.integers(26)) for _ in range(chance.integers(2, 9))) for _ in range(80))
        draw.text((2, y), " ".join(words), fill="black", font=ImageFont.load_default(letter_px))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()


def slot_of(workers: ProcessWorkers, slot: str) -> int:
    (pid,) = [each.pid for each in workers.status() if each.slot == slot]
    assert pid is not None
    return pid


def cpu_s(pid: int) -> float:
    """What a process used of the processor so far: the same on a busy machine."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_kb(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0])
