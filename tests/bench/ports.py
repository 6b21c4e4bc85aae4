"""Ports to listen on."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path

_FIRST = 10_000


def free_port() -> int:
    """A port of loopback that nobody listens on, below those that the kernel gives to whoever connects: one of these
    may be taken before the program that is to listen has begun.
    """
    outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    draw = random.SystemRandom()
    while True:
        port = draw.randrange(_FIRST, max(outgoing, 2 * _FIRST))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
