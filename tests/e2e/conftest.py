"""A real Mosquitto for each test that asks, on a free loopback port, and a real Chromium for each module; both gone
afterwards. `cookies` and `visit` are of the house that a module's own `home` opens."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import expect as async_expect
from playwright.sync_api import Browser, expect, sync_playwright

from tests.bench.broker import MOSQUITTO
from tests.bench.broker import Broker as Mosquitto
from tests.e2e.browser import ARGUMENTS, CHROMIUM, Visit, sign_in
from tests.e2e.screens_home import Screens

__all__ = ["MOSQUITTO", "Mosquitto"]

for each in (expect, async_expect):
    each.set_options(timeout=30_000)  # ms; its own five seconds are few on a small box that does other things too


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def cookies(home: Screens, browser: Browser) -> list[dict[str, object]]:
    """What a browser has once Nora signed in with it."""
    context = browser.new_context()
    sign_in(context.new_page(), home.url)
    kept = context.cookies()
    context.close()
    return [dict(cookie) for cookie in kept]


@pytest.fixture
def visit(home: Screens, browser: Browser, cookies: list[dict[str, object]]) -> Iterator[Visit]:
    """A signed-in window of a desk; at the end nothing may have gone wrong in it."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    context.add_cookies(cookies)  # type: ignore[arg-type]  # what `cookies()` gave
    visit = Visit(context, home.url)
    yield visit
    context.close()
    assert visit.troubles == []
