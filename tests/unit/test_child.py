"""A child process may do anything; its parent keeps working."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.child import Child, Limits, python_env
from gateway.errors import Unreadable, WorkerFailed
from gateway.inference.manifest import manifests_folder

pytestmark = pytest.mark.slow  # every one of them starts processes

QUALITY = manifests_folder() / "quality.onnx"

SCRIPT = """
import os, sys, time
from gateway.child import serve
from gateway.errors import Unreadable

def handle(request):
    match request["do"]:
        case "echo":
            return {"said": request["what"], "pid": os.getpid()}
        case "print":
            print("a library talks"); os.write(1, b"to the wrong place"); sys.stderr.write("and here\\n")
            return {"ok": True}
        case "die":
            os._exit(3)
        case "leave":
            os._exit(0)
        case "hang":
            time.sleep(60)
        case "raise":
            raise Unreadable("not a picture", code="animated")
        case "bug":
            return {"x": 1 // 0}
        case "big":
            return {"big": b"x" * request["size"]}
        case "eat":
            kept = [b"x" * (4 << 20) for _ in range(request["mb"] // 4)]
            time.sleep(5)
            return {"kept": len(kept)}
        case "allocate":
            return {"kept": len(bytearray(request["mb"] << 20))}
        case "rubbish":
            os.write(request["fd"], b"\\x00\\x00\\x00\\x02\\xff\\xff")
            time.sleep(60)
        case "limits":
            import resource
            return {"nice": os.nice(0), "core": list(resource.getrlimit(resource.RLIMIT_CORE)),
                    "secret": os.environ.get("HEARTHLOG_MQTT_URL", ""), "session": os.getsid(0)}
        case "group":
            with open("/proc/self/autogroup") as file:
                return {"group": file.read()}

serve(handle)
"""


@pytest.fixture
def argv(tmp_path: Path) -> Iterator[list[str]]:
    script = tmp_path / "worker.py"
    script.write_text(SCRIPT)
    yield [sys.executable, str(script)]


async def test_a_call_is_answered(argv: list[str]) -> None:
    async with Child(argv) as child:
        assert child.pid is None
        reply = await child.call({"do": "echo", "what": [1, b"two"]}, timeout_s=20)
        assert reply == {"said": [1, b"two"], "pid": child.pid}


async def test_calls_made_together_each_get_their_own_answer(argv: list[str]) -> None:
    async with Child(argv) as child:
        replies = await asyncio.gather(*(child.call({"do": "echo", "what": n}, timeout_s=20) for n in range(20)))
        assert [reply["said"] for reply in replies] == list(range(20))
        assert child.starts == 1


async def test_prints_of_libraries_do_not_reach_the_stream(argv: list[str]) -> None:
    async with Child(argv) as child:
        assert await child.call({"do": "print"}, timeout_s=20) == {"ok": True}
        assert (await child.call({"do": "echo", "what": 1}, timeout_s=20))["said"] == 1


@pytest.mark.parametrize(
    ("request_map", "code"),
    [
        ({"do": "die"}, "died"),
        ({"do": "hang"}, "deadline"),
        ({"do": "bug"}, "crashed"),
        ({"do": "big", "size": 2 << 20}, "bad-reply"),
        ({"do": "rubbish", "fd": 4}, "bad-reply"),
        ({"do": "leave"}, "died"),
    ],
)
async def test_a_failure_is_named_and_the_next_call_works(
    argv: list[str], request_map: dict[str, object], code: str
) -> None:
    async with Child(argv, limits=Limits(reply_bytes=1 << 20)) as child:
        await child.call({"do": "echo", "what": 0}, timeout_s=20)
        with pytest.raises(WorkerFailed) as failed:
            await child.call(request_map, timeout_s=0.5)
        assert failed.value.code == code
        assert (await child.call({"do": "echo", "what": "again"}, timeout_s=20))["said"] == "again"


async def test_an_error_of_ours_comes_back_as_itself(argv: list[str]) -> None:
    async with Child(argv) as child:
        with pytest.raises(Unreadable) as failed:
            await child.call({"do": "raise"}, timeout_s=20)
        assert failed.value.code == "animated"
        assert child.pid is not None


async def test_a_child_above_its_memory_is_killed(argv: list[str]) -> None:
    async with Child(argv, limits=Limits(memory_bytes=120 << 20)) as child:
        with pytest.raises(WorkerFailed) as failed:
            await child.call({"do": "eat", "mb": 160}, timeout_s=20)
        assert failed.value.code == "out-of-memory"


async def test_one_huge_allocation_fails_in_the_child(argv: list[str]) -> None:
    async with Child(argv, limits=Limits(memory_bytes=120 << 20)) as child:
        with pytest.raises(WorkerFailed) as failed:
            await child.call({"do": "allocate", "mb": 4096}, timeout_s=20)
        assert failed.value.code == "out-of-memory"
        assert child.pid is None


async def test_a_cancelled_call_never_answers_the_next_one(argv: list[str]) -> None:
    async with Child(argv) as child:
        await child.call({"do": "echo", "what": 0}, timeout_s=20)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await child.call({"do": "hang"}, timeout_s=20)
        assert (await child.call({"do": "echo", "what": 1}, timeout_s=20))["said"] == 1


async def test_a_child_killed_while_idle_is_started_again(argv: list[str]) -> None:
    async with Child(argv) as child:
        first = (await child.call({"do": "echo", "what": 0}, timeout_s=20))["pid"]
        os.kill(first, signal.SIGKILL)
        try:
            second = (await child.call({"do": "echo", "what": 1}, timeout_s=20))["pid"]
        except WorkerFailed:  # the kernel had not told us yet: that call fails, the next one does not
            second = (await child.call({"do": "echo", "what": 1}, timeout_s=20))["pid"]
        assert second != first


async def test_an_idle_child_leaves_by_itself_and_comes_back(argv: list[str]) -> None:
    async with Child(argv, limits=Limits(idle_s=0.05)) as child:
        for n in range(5):
            assert (await child.call({"do": "echo", "what": n}, timeout_s=20))["said"] == n
            link = child._link
            if link is not None and n < 2:
                await link.ended.wait()
                assert child.pid is None


async def test_a_child_is_confined(argv: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTHLOG_MQTT_URL", "mqtt://user:secret@host")
    async with Child(argv, env=python_env(), limits=Limits(nice=7, network=False)) as child:
        found = await child.call({"do": "limits"}, timeout_s=20)
        assert found == {"nice": os.nice(0) + 7, "core": [0, 0], "secret": "", "session": child.pid}


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel makes no groups of sessions")
async def test_a_child_gives_way_also_where_sessions_share_the_processors(argv: list[str]) -> None:
    async with Child(argv, env=python_env(), limits=Limits(nice=7, network=False)) as child:
        assert str((await child.call({"do": "group"}, timeout_s=20))["group"]).split()[-2:] == ["nice", "7"]
    async with Child(argv, env=python_env(), limits=Limits(nice=0, network=False)) as child:
        assert str((await child.call({"do": "group"}, timeout_s=20))["group"]).split()[-2:] == ["nice", "0"]


async def test_stop_ends_the_process(argv: list[str]) -> None:
    child = Child(argv)
    pid = (await child.call({"do": "echo", "what": 0}, timeout_s=20))["pid"]
    await child.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


PARENT = """
import asyncio, sys
from gateway.child import Child

async def main():
    async with Child([sys.executable, sys.argv[1]]) as child:
        reply = await child.call({"do": "echo", "what": 0}, timeout_s=20)
        print(reply["pid"], flush=True)
        await child.call({"do": "hang"}, timeout_s=60)

asyncio.run(main())
"""


async def test_a_busy_child_dies_with_its_parent(argv: list[str], tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = await asyncio.create_subprocess_exec(
        sys.executable, str(script), argv[1], stdout=asyncio.subprocess.PIPE, env=python_env()
    )
    assert parent.stdout is not None
    child = os.pidfd_open(int(await parent.stdout.readline()))
    try:
        parent.kill()
        await parent.wait()
        assert await asyncio.to_thread(select.select, [child], [], [], 20) != ([], [], [])
    finally:
        os.close(child)


def test_a_runtime_keeps_nothing_about_the_device(tmp_path: Path) -> None:
    env = {**python_env(), "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    code = f"import onnxruntime; onnxruntime.InferenceSession({str(QUALITY)!r})"
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=60)
    assert list(tmp_path.rglob("*")) == []
