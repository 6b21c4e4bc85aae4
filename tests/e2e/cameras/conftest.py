"""A house that owns its cameras: Mosquitto as `hearthlog broker setup` makes it, a whole gateway beside it, and a
camera that is paired. A module that wants the house otherwise has `settings` of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.config import Settings
from tests.e2e.owned import OwnBroker, OwnedHouse, Unit, own_broker, owned_house


@pytest.fixture
def broker(tmp_path: Path, mosquitto: Path) -> Iterator[OwnBroker]:
    """Running."""
    with own_broker(mosquitto, tmp_path) as made:
        yield made


@pytest.fixture
def settings(broker: OwnBroker) -> Settings:
    """The gateway's."""
    return broker.settings()


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[OwnedHouse]:
    """Running, and with its desk at the broker."""
    async with owned_house(settings) as made:
        yield made


@pytest.fixture
async def unit(house: OwnedHouse) -> Unit:
    """A camera that is paired."""
    made = Unit()
    await made.pair((await house.open_window())["text"])
    return made
