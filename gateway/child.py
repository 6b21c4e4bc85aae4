"""A child process that answers one request at a time, and may die without taking anything along.

Frames go both ways over the child's stdin and stdout: a 4-byte big-endian length, then one CBOR map. The parent's
first frame sets the child's limits, the child's first frame says it is ready; after that each request has one reply.
Nothing that a child says is trusted: a reply is bounded, decoded as plain CBOR, and whatever is not a map is rubbish.

A child that dies, hangs past the deadline, outgrows its memory or answers rubbish is killed and that request alone
fails with WorkerFailed; the next request starts a new one. A child ends by itself when its parent is gone (EOF on
stdin, and PR_SET_PDEATHSIG for the case that it is busy) or when it was idle for `Limits.idle_s`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import io
import logging
import os
import resource
import select
import signal
import struct
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

import cbor2

from gateway.entities import Json
from gateway.errors import HearthlogError, ModelBroken, NotFound, Rejected, Retryable, Unreadable, WorkerFailed

log = logging.getLogger(__name__)

Handler: TypeAlias = Callable[[Json], Json]
"""The child's side: a request map to a reply map. A HearthlogError travels back as itself."""

_LENGTH = struct.Struct(">I")
_REQUEST_LIMIT_BYTES = 64 << 20
_TEXT_LIMIT = 500
_STDERR_LINES = 20
_START_S = 60.0
_WATCH_S = 0.1
_AUTOGROUP_TRIES = 10
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
"""Of linux/sched.h."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_RAISABLE: dict[str, type[HearthlogError]] = {
    kind.__name__: kind for kind in (HearthlogError, Unreadable, ModelBroken, Rejected, NotFound, WorkerFailed)
} | {"Retryable": Retryable}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use."""

    memory_bytes: int | None = None
    """Resident memory above which the child is killed while it works; twice that is the ceiling of its data
    segment (RLIMIT_DATA), so that one huge allocation fails in the child before the box swaps."""
    reply_bytes: int = 16 << 20
    nice: int = 5
    idle_s: float | None = None
    """The child ends by itself after so long without a request. None: it stays."""
    network: bool = True
    """False: the child tries to leave the network by a namespace of its own; where the kernel forbids, it stays."""


def python_argv(module: str, *arguments: str) -> tuple[str, ...]:
    """The command line of a module of this installation, run by this interpreter."""
    return (sys.executable, "-P", "-m", module, *arguments)


def python_env(*, threads: int = 1) -> dict[str, str]:
    """The few variables that a Python child needs: none of the gateway's own secrets."""
    package = str(Path(__file__).resolve().parent.parent)
    inherited = os.environ.get("PYTHONPATH", "")
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV") if name in os.environ}
    return kept | {
        "PYTHONPATH": f"{package}{os.pathsep}{inherited}" if inherited else package,
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "MALLOC_ARENA_MAX": "2",
        # Left to itself glibc raises both as tensors come and go, and the reader's peak is anything from 330 to 510 MB.
        # Like this it is 310, for a twelfth more of the processor.
        "MALLOC_MMAP_THRESHOLD_": str(8 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(16 << 20),
        # From 1.31 on ONNX Runtime else writes a number of this device to disk and tells its maker what runs.
        "ORT_DISABLE_TELEMETRY": "1",
        "PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", ""),
    }


def rss_bytes(pid: int) -> int:
    """Resident memory of a process; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0


def rss_peak_bytes(pid: int) -> int:
    """The most that a process ever had resident; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
        return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), 0)
    except (OSError, IndexError, ValueError):
        return 0


class Child:
    """The parent's side: `async with Child(argv, name="read") as child: await child.call({...}, timeout_s=20)`.

    Nothing runs before the first call. Calls made at the same time wait for each other in order.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        name: str = "child",
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._argv = tuple(argv)
        self._name = name
        self._env = dict(env) if env is not None else python_env()
        self._limits = limits or Limits()
        self._lock = asyncio.Lock()
        self._link: _Link | None = None
        self._starts = 0
        self.idle_since = time.monotonic()
        """time.monotonic() when the last call ended."""

    async def __aenter__(self) -> Child:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """The running process, if one runs."""
        return self._link.pid if self._link is not None and self._link.alive else None

    @property
    def starts(self) -> int:
        """How many processes were started so far."""
        return self._starts

    @property
    def busy(self) -> bool:
        return self._lock.locked()

    async def call(self, request: Json, *, timeout_s: float) -> Json:
        """Send one request and wait for its reply, starting a process where none runs.

        Raises what the handler raised when that was one of ours; WorkerFailed with code `deadline`, `died`,
        `out-of-memory`, `bad-reply` or `crashed` otherwise. Only a `crashed` handler keeps its process.
        """
        frame = _frame(request)
        if len(frame) > _REQUEST_LIMIT_BYTES:
            raise Rejected(f"a request of {len(frame)} bytes is too large", code="too-large", where=self._name)
        async with self._lock:
            try:
                fresh = self.pid is None
                reply = await self._exchange(frame, timeout_s)
                if reply is None and not fresh:
                    reply = await self._exchange(frame, timeout_s)  # it had gone idle just as we wrote
                if reply is None:
                    raise self._failure("died", "ended without an answer")
            except BaseException:  # on cancellation too: a late reply must never answer the next request
                await self._discard()
                raise
            finally:
                self.idle_since = time.monotonic()
            error = reply.get("error")
            if error is None:
                return reply
            failure = self._from_child(error)
            if failure.code in ("out-of-memory", "bad-reply"):
                await self._discard()
            raise failure

    async def stop(self) -> None:
        """End the process: EOF first, SIGKILL after 2 s. Safe to call again; a later call starts a new one."""
        link, self._link = self._link, None
        if link is None:
            return
        link.close_stdin()
        try:
            async with asyncio.timeout(2):
                await link.ended.wait()
        except TimeoutError:
            link.kill()
            await link.ended.wait()
        link.close()

    async def _exchange(self, frame: bytes, timeout_s: float) -> Json | None:
        """The decoded reply, or None when the process ended cleanly without one."""
        link = await self._running()
        reply = await self._await_frame(link, link.send(frame), timeout_s)
        return None if reply is None else _decode(reply, self._name)

    async def _running(self) -> _Link:
        if self._link is not None and self._link.alive:
            return self._link
        if self._link is not None:
            self._link.close()
        self._starts += 1
        _, link = await asyncio.get_running_loop().subprocess_exec(
            lambda: _Link(self._name, self._limits.reply_bytes),
            *self._argv,
            env=self._env,
            cwd="/",
            start_new_session=True,
        )
        self._link = link
        setup = {
            "parent": os.getpid(),
            "nice": self._limits.nice,
            "idle_s": self._limits.idle_s,
            "data_bytes": None if self._limits.memory_bytes is None else 2 * self._limits.memory_bytes,
            "network": self._limits.network,
        }
        ready = await self._await_frame(link, link.send(_frame(setup)), _START_S)
        if ready is None:
            raise self._failure("died", "ended before it was ready")
        log.info("child started", extra={"child": self._name, "pid": link.pid, "starts": self._starts})
        return link

    async def _await_frame(self, link: _Link, reply: asyncio.Future[bytes | None], timeout_s: float) -> bytes | None:
        deadline = time.monotonic() + timeout_s
        while not reply.done():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise self._failure("deadline", f"gave no answer within {timeout_s:g} s")
            await asyncio.wait({reply}, timeout=min(left_s, _WATCH_S))
            ceiling = self._limits.memory_bytes
            if ceiling is not None and not reply.done() and rss_bytes(link.pid) > ceiling:
                raise self._failure("out-of-memory", f"needed more than {ceiling >> 20} MB")
        frame = reply.result()
        if frame is None and link.returncode != 0:
            raise self._failure("died", f"died with status {link.returncode}")
        return frame

    def _from_child(self, error: object) -> HearthlogError:
        if not isinstance(error, Mapping):
            return self._failure("bad-reply", "gave an answer that makes no sense")
        kind, what, code, hint = (str(error.get(key, ""))[:_TEXT_LIMIT] for key in ("kind", "what", "code", "hint"))
        if kind in _RAISABLE:
            return _RAISABLE[kind](what, code=code or None, hint=hint)
        return self._failure(code or "crashed", what)

    def _failure(self, code: str, what: str) -> WorkerFailed:
        return WorkerFailed(f"the worker {what}", code=code, where=self._name)

    async def _discard(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.kill()
            await link.ended.wait()
            link.close()


class _Link(asyncio.SubprocessProtocol):
    """One process's pipes: cuts stdout into frames, keeps stderr short, knows when the process ended."""

    def __init__(self, name: str, reply_limit_bytes: int) -> None:
        self._name = name
        self._reply_limit_bytes = reply_limit_bytes
        self._buffer = bytearray()
        self._reply: asyncio.Future[bytes | None] | None = None
        self._stderr_lines = 0
        self._transport: asyncio.SubprocessTransport | None = None
        self.ended = asyncio.Event()
        self.pid = 0

    @property
    def alive(self) -> bool:
        return self._transport is not None and not self.ended.is_set() and self.returncode is None

    @property
    def returncode(self) -> int | None:
        return self._transport.get_returncode() if self._transport is not None else None

    def send(self, frame: bytes) -> asyncio.Future[bytes | None]:
        """Write one frame; the future is its reply, or None once the process ended. One at a time."""
        self._stderr_lines = 0
        self._reply = asyncio.get_running_loop().create_future()
        stdin = self._pipe(0)
        if stdin is not None and not self.ended.is_set():
            stdin.write(frame)
        elif self.ended.is_set():
            self._answer(None)
        return self._reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport
        self.pid = transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        assert isinstance(data, bytes)
        if fd == 2:
            self._log_stderr(data)
            return
        self._buffer += data
        if len(self._buffer) < _LENGTH.size:
            return
        (length,) = _LENGTH.unpack_from(self._buffer)
        whole = _LENGTH.size + length
        if length > self._reply_limit_bytes or len(self._buffer) > whole or self._reply is None:
            self._buffer.clear()
            self._answer(b"")  # rubbish: decodes to nothing, and the caller kills the process
            self.kill()
        elif len(self._buffer) == whole:
            frame = bytes(self._buffer[_LENGTH.size :])
            self._buffer.clear()
            self._answer(frame)

    def process_exited(self) -> None:
        self.ended.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()
        self._answer(None)

    def close_stdin(self) -> None:
        stdin = self._pipe(0)
        if stdin is not None:
            stdin.close()

    def kill(self) -> None:
        if self._transport is not None and self.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _pipe(self, fd: int) -> asyncio.WriteTransport | None:
        pipe = self._transport.get_pipe_transport(fd) if self._transport is not None else None
        return pipe if isinstance(pipe, asyncio.WriteTransport) else None

    def _answer(self, frame: bytes | None) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(frame)

    def _log_stderr(self, data: bytes) -> None:
        for line in data.decode("utf-8", "replace").splitlines():
            self._stderr_lines += 1
            if self._stderr_lines <= _STDERR_LINES and line.strip():
                log.debug("child said", extra={"child": self._name, "pid": self.pid, "line": line[:_TEXT_LIMIT]})


def _frame(message: Json) -> bytes:
    body = cbor2.dumps(dict(message))
    return _LENGTH.pack(len(body)) + body


def _decode(body: bytes, name: str) -> Json:
    try:
        message = cbor2.loads(body)
    except (cbor2.CBORError, ValueError, TypeError, RecursionError, OverflowError, MemoryError, EOFError) as error:
        raise WorkerFailed("the worker gave rubbish", code="bad-reply", where=name) from error
    if not isinstance(message, dict) or not all(isinstance(key, str) for key in message):
        raise WorkerFailed("the worker gave rubbish", code="bad-reply", where=name)
    return message


# The child's side.


def serve(handler: Handler) -> None:
    """Answer requests with `handler` until stdin ends or the child was idle for too long.

    Called first thing in the child's `main`, before anything heavy is imported by `handler`. From here on fd 1 is
    stderr, so that a library's print cannot corrupt the stream.
    """
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123  (an fd is wanted, not a path)
        os.dup2(nothing.fileno(), 0)
    sys.stdout = io.TextIOWrapper(os.fdopen(os.dup(1), "wb"), line_buffering=True)
    setup = _receive(requests, None)
    if setup is None:
        return
    _confine(setup)
    _reply(replies, {"ready": os.getpid()})
    idle_s = setup.get("idle_s")
    while (request := _receive(requests, idle_s)) is not None:
        _reply(replies, _handle(handler, request))


def _handle(handler: Handler, request: Json) -> Json:
    try:
        return handler(request)
    except HearthlogError as error:
        kind = "Retryable" if isinstance(error, Retryable) else type(error).__name__
        return _error(kind, error.what, error.code, error.hint)
    except MemoryError:
        return _error("MemoryError", "ran out of memory", "out-of-memory")
    except Exception as error:  # noqa: BLE001  (a library met hostile bytes: that request fails, the process goes on)
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place is not None else ""
        return _error(type(error).__name__, f"failed with {type(error).__name__} at {where}", "crashed")


def _error(kind: str, what: str, code: str, hint: str = "") -> Json:
    return {"error": {"kind": kind, "what": what[:_TEXT_LIMIT], "code": code, "hint": hint[:_TEXT_LIMIT]}}


def _receive(stream: BinaryIO, idle_s: float | None) -> Json | None:
    """The next request; None at the end of the stream or after `idle_s` without one."""
    if idle_s is not None and not select.select([stream], [], [], idle_s)[0]:
        return None
    head = _read_exactly(stream, _LENGTH.size)
    if head is None:
        return None
    (length,) = _LENGTH.unpack(head)
    body = _read_exactly(stream, length) if length <= _REQUEST_LIMIT_BYTES else None
    return None if body is None else cbor2.loads(body)


def _read_exactly(stream: BinaryIO, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = stream.read(size - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _reply(stream: BinaryIO, message: Json) -> None:
    view = memoryview(_frame(message))
    while view:
        view = view[stream.write(view) :]


def _confine(setup: Json) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if not setup.get("network", True):
        # Root may leave alone; others need a user namespace for it, which some kernels refuse: then we stay.
        _ = libc.unshare(_NEW_NETWORK) == 0 or libc.unshare(_NEW_NETWORK | _NEW_USER)
    libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: a new namespace cleared it, and Health reads our memory use
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG; after unshare, which would clear it
    if os.getppid() != setup.get("parent"):
        raise SystemExit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    data_bytes = setup.get("data_bytes")
    if data_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, data_bytes))
    nice = int(setup.get("nice", 0))
    with contextlib.suppress(OSError):
        os.nice(nice)
    if nice:
        _lower_session(nice)


def _lower_session(nice: int) -> None:
    """Give the child's session the same nice value: to the kernel it may be a group that shares the processors evenly
    with the gateway's (sched_autogroup, man 7 sched), and inside it a nice value says nothing to those outside."""
    for _ in range(_AUTOGROUP_TRIES):
        try:
            Path("/proc/self/autogroup").write_text(str(nice))
        except BlockingIOError:  # without privileges it may be set once in a tenth of a second, by all of them together
            time.sleep(0.11)
        except OSError:  # there are no such groups here
            return
        else:
            return
