"""Pairing and owning a camera in a real Chromium, beside a real gateway, a real Mosquitto and a camera that pairs."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from gateway.entities import Role
from gateway.pairing import TRIES, WINDOW_S
from gateway.store import firmware, paired
from gateway.store.firmware import Image
from tests.e2e.browser import ARGUMENTS, CHROMIUM, PICTURES, WIDTHS
from tests.e2e.owned import OwnedHouse, Unit

pytestmark = [pytest.mark.slow, pytest.mark.system("chromium")]
WORDS = "three or four words"


@pytest.fixture
async def page(house: OwnedHouse) -> AsyncIterator[Page]:
    """Nora's window; at the end nothing may have gone wrong in it."""
    await house.gateway.parts.accounts.add(None, "Nora", Role.ADMIN, WORDS)
    troubles: list[str] = []
    async with async_playwright() as play:
        opened = await play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = await opened.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        made = await context.new_page()
        made.on("pageerror", lambda error: troubles.append(str(error)))
        made.on("console", lambda line: troubles.append(line.text) if line.type in ("error", "warning") else None)
        await made.goto(f"http://127.0.0.1:{house.settings.http.port}/devices")
        await made.get_by_label("Your name").fill("Nora")
        await made.get_by_label("Password", exact=True).fill(WORDS)
        await made.get_by_role("button", name="Sign in").click()
        await made.locator("html[data-ready]").wait_for(state="attached")
        yield made
        await opened.close()
    assert troubles == []


async def picture(page: Page, name: str) -> None:
    """In both themes and widths; nothing may be wider than the window."""
    for width, (wide, high) in WIDTHS.items():
        for scheme in ("light", "dark"):
            await page.set_viewport_size({"width": wide, "height": high})
            await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
            assert await page.evaluate("document.documentElement.scrollWidth") <= wide, (name, width)
            if PICTURES:
                Path(PICTURES).mkdir(parents=True, exist_ok=True)
                await page.screenshot(path=f"{PICTURES}/{name}-{width}-{scheme}.png", full_page=True)
    await page.set_viewport_size({"width": 1440, "height": 900})


async def read_qr(page: Page) -> str:
    """What a camera's own reader finds in the panel, in the dark theme."""
    import cv2
    import numpy as np
    from PIL import Image

    await page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    shot = await page.locator(".qr-ground").screenshot()
    picture = np.asarray(Image.open(io.BytesIO(shot)).convert("L").resize((800, 800)))
    found, _, _ = cv2.QRCodeDetector().detectAndDecode(picture)
    return str(found)


async def name_and_tune(house: OwnedHouse, page: Page, device: str) -> None:
    panel = page.locator("#pairing")
    await panel.get_by_label("Name").fill("Porch")
    await panel.get_by_label("Room").fill("Outside")
    await panel.get_by_role("button", name="Keep").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Porch")
    await page.locator("html[data-ready]").wait_for(state="attached")
    await page.get_by_label("Seconds between pictures").fill("60")
    await page.get_by_label("Only what moves").check()
    await page.get_by_label("Quiet from").fill("22:00")
    await page.get_by_label("to", exact=True).fill("06:00")
    await page.locator("form[data-api^=PUT]").get_by_role("button", name="Keep").click()
    await expect(page.get_by_text("Kept")).to_be_visible()
    tuning = (await house.admin("GET", f"/devices/{device}/camera"))["tuning"]
    assert (tuning["every_s"], tuning["motion"], tuning["quiet_from"]) == (60, True, "22:00")


async def test_a_camera_is_paired_named_told_what_to_do_and_put_out(house: OwnedHouse, page: Page) -> None:
    await page.get_by_role("button", name="Pair a camera").first.click()
    panel = page.locator("#pairing")
    await expect(panel.get_by_text("5 tries left")).to_be_visible()
    await expect(page.get_by_text("Waiting for a camera")).to_be_visible()
    await page.locator("html[data-ready]").wait_for(state="attached")
    window = await house.admin("GET", "/devices/pair")
    assert (await panel.locator(".pair-code").inner_text()).replace("-", "") == window["code"]
    await picture(page, "pair-open")
    assert await read_qr(page) == window["text"]

    opened = await house.open_window()
    await page.reload()
    unit = Unit()
    code = await unit.trust(opened["text"])
    assert (await unit.ask("00000000"))[0] == 403
    await expect(panel.get_by_text("4 tries left")).to_be_visible()
    fingerprint = (await panel.locator(".pair-facts dd").last.inner_text()).replace(" ", "").replace("\n", "").lower()
    assert fingerprint == opened["fingerprint"]
    status, unit.told = await unit.ask(code)
    assert status == 200
    device = unit.told["device"]
    await expect(page.locator(f"#{device}")).to_be_visible()
    await expect(panel.get_by_text("is in.")).to_be_visible()
    assert unit.told["password"] not in await page.content()
    await picture(page, "pair-in")

    await name_and_tune(house, page, device)
    await page.get_by_role("button", name="Show where it is").click()
    await expect(page.locator("#device-asked")).to_contain_text("Waiting for its answer")
    commands = (await house.admin("GET", f"/devices/{device}/camera"))["commands"]
    async with unit.connected() as client:
        answer = f'{{"id":"{commands[0]["id"]}","ok":true,"code":""}}'
        await client.publish(f"hearthlog/v1/{device}/up/result", answer, qos=1)
        status_now = '{"state":"asleep","wakes_in_s":600,"quarantined":3,"rssi_dbm":-61}'
        await client.publish(f"hearthlog/v1/{device}/up/status", status_now, qos=1, retain=True)
        await expect(page.locator("#device-asked")).to_contain_text("Done")
        await expect(page.locator("#device-line")).to_contain_text("Asleep until")
    await expect(page.locator(".more")).to_contain_text("3 records")
    await picture(page, "device")

    await page.locator("summary", has_text="Put it out").click()
    await page.get_by_role("button", name="Put Porch out now").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Devices")
    await expect(page.locator(f"#{device}")).to_contain_text("Put out of this home")
    assert not await unit.is_let_in()
    await page.get_by_text("Who came to the door").click(force=True)
    await expect(page.locator("#door")).to_contain_text("Denied: a wrong code")
    await expect(page.locator("#door")).to_contain_text("Put out")
    await picture(page, "door")


async def test_an_older_firmware_is_asked_for_with_a_tick(house: OwnedHouse, page: Page) -> None:
    unit = Unit()  # it runs 1.4.2
    device = (await unit.pair((await house.open_window())["text"]))["device"]
    for version in ("1.4.1", "1.4.0"):
        image = Image("xiao-esp32s3-sense", version, 1_000, version[-1] * 64, "c2ln", 1)
        await house.gateway.db.write(lambda c, image=image: firmware.put(c, image))
    await page.goto(f"http://127.0.0.1:{house.settings.http.port}/devices/{device}")
    await page.locator("html[data-ready]").wait_for(state="attached")
    await expect(page.get_by_role("button", name="Update to")).to_have_count(0)
    await page.locator("summary", has_text="Give it an older firmware").click()
    await page.get_by_label("Version").select_option("1.4.0")
    give = page.get_by_role("button", name="Give it this one")
    await give.click()
    assert (await house.admin("GET", f"/devices/{device}/camera"))["commands"] == []  # the box was not ticked
    await page.get_by_label("Yes, though it is no newer").check()
    await picture(page, "device-older-firmware")
    await give.click()
    await expect(page.locator("#device-asked")).to_contain_text("Update")
    (command,) = await house.gateway.db.read(lambda c: paired.commands(c, device))
    assert (command.args["version"], command.args["allow_downgrade"]) == ("1.4.0", True)


async def test_a_code_that_is_over_is_said_so_and_a_new_one_is_a_click_away(house: OwnedHouse, page: Page) -> None:
    await page.get_by_role("button", name="Pair a camera").first.click()
    panel = page.locator("#pairing")
    await expect(panel.get_by_text(f"{TRIES} tries left")).to_be_visible()
    first = await panel.locator(".pair-code").inner_text()
    clock = house.gateway.cameras.pairing._clock_s
    house.gateway.cameras.pairing._clock_s = lambda: clock() + WINDOW_S
    await expect(panel.get_by_text("This code is over.")).to_be_visible()
    await picture(page, "pair-over")
    house.gateway.cameras.pairing._clock_s = clock
    await panel.get_by_role("button", name="New code").click()
    await expect(panel.get_by_text(f"{TRIES} tries left")).to_be_visible()
    assert await panel.locator(".pair-code").inner_text() != first
    await panel.get_by_role("button", name="Stop pairing").click()
    await expect(page.locator("#pairing")).to_be_hidden()
    assert (await house.admin("GET", "/devices/pair"))["state"] == "closed"
