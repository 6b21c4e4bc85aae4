"""A real Mosquitto for each test that asks, on a free loopback port, gone afterwards."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.broker import MOSQUITTO
from tests.bench.broker import Broker as Mosquitto

__all__ = ["MOSQUITTO", "Mosquitto"]


@pytest.fixture
def idle_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that is not running yet."""
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    broker = Mosquitto(tmp_path / "broker")
    yield broker
    broker.end(signal.SIGKILL)


@pytest.fixture
def broker(idle_broker: Mosquitto) -> Mosquitto:
    """A broker that is running."""
    idle_broker.start()
    return idle_broker
