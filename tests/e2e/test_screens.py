"""The dashboard in a real Chromium, over the real application with a drawn day in it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Route, expect

from tests.e2e.browser import NAMELESS, SMALL, WIDTHS, Visit, picture, sign_in
from tests.e2e.screens_home import NOW_US, WORDS, Screens, open_screens

pytestmark = [pytest.mark.slow, pytest.mark.system("chromium")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screens]:
    """A house with a day in it."""
    with open_screens(tmp_path_factory.mktemp("screens")) as screens:
        yield screens


def screens_of(home: Screens) -> dict[str, str]:
    """Every screen by its name."""
    return {
        "today": "/",
        "day-open": "/day/2026-09-24?show=all",
        "day-part": "/day/2026-09-24?from=11:00&to=13:00",
        "day-empty": "/day/2026-09-23",
        "search": "/search?q=parcel+on+the+porch+today",
        "search-empty": "/search?q=kite+on+the+porch",
        "search-start": "/search",
        "memory": f"/memory/{home.uids['parcel']}",
        "memory-sound": f"/memory/{home.uids['sound']}",
        "memory-note": f"/memory/{home.uids['note']}",
        "memory-copy": f"/memory/{home.uids['still']}",
        "devices": "/devices",
        "devices-add": "/devices?add=1",
        "health": "/health",
        "sessions": "/sessions",
        "bin": "/bin",
        "duplicates-whole": "/duplicates?kind=static&of=" + home.uids["front"],
        "duplicates-empty": "/duplicates?kind=edited",
        "duplicates-decided": "/duplicates?show=decided",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", ["wide", "phone"])
def test_every_screen_fits_has_one_heading_and_breaks_no_rule(
    home: Screens, browser: Browser, cookies: list[dict[str, object]], width: str, scheme: str
) -> None:
    wide, high = WIDTHS[width]
    context = browser.new_context(
        viewport={"width": wide, "height": high},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    context.add_cookies(cookies)  # type: ignore[arg-type]  # what `cookies()` gave
    faults: list[str] = []
    for name, path in screens_of(home).items():
        visit = Visit(context, home.url)
        page = visit.go(path)
        faults += [f"{name}: {trouble}" for trouble in visit.troubles]
        if page.locator("h1").count() != 1:
            faults.append(f"{name}: {page.locator('h1').count()} headings of the first order")
        across = page.evaluate("document.documentElement.scrollWidth")
        if across > wide:
            faults.append(f"{name}: {across} px wide in {wide}")
        faults += [f"{name}: no name: {each}" for each in page.evaluate(NAMELESS)]
        picture(page, f"{name}-{width}-{scheme}")
        page.close()
    context.close()
    assert faults == []


def test_nothing_is_lost_at_twice_the_size(home: Screens, browser: Browser, cookies: list[dict[str, object]]) -> None:
    """A window of 1440 px at 200 %: half as many CSS pixels. (WCAG 2.2, 1.4.10: no scrolling in two directions.)"""
    context = browser.new_context(
        viewport={"width": 720, "height": 450}, device_scale_factor=2, reduced_motion="reduce"
    )
    context.add_cookies(cookies)  # type: ignore[arg-type]  # what `cookies()` gave
    faults: list[str] = []
    for name, path in screens_of(home).items():
        page = Visit(context, home.url).go(path)
        across = page.evaluate("document.documentElement.scrollWidth")
        if across > 720:
            faults.append(f"{name}: {across} px wide")
        faults += [f"{name}: cut off: {each}" for each in page.evaluate(_CUT_OFF)]
        page.close()
    context.close()
    assert faults == []


def test_targets_are_large_enough_for_a_thumb(
    home: Screens, browser: Browser, cookies: list[dict[str, object]]
) -> None:
    """44 × 44 at the width of a phone, padding counted. Excepted, as in WCAG 2.2, 2.5.8: links within a sentence, and
    what is not shown until it has the focus. A control within a label is as large as the label.
    """
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, reduced_motion="reduce")
    context.add_cookies(cookies)  # type: ignore[arg-type]  # what `cookies()` gave
    faults: list[str] = []
    for name, path in screens_of(home).items():
        page = Visit(context, home.url).go(path)
        faults += [f"{name}: {each}" for each in page.evaluate(SMALL)]
        page.close()
    context.close()
    assert faults == []


_CUT_OFF = """() => [...document.querySelectorAll('main a, main button, main input, main h1, main h2, main p')]
  .filter((each) => each.checkVisibility({ visibilityProperty: true }) && !each.closest('.unseen'))
  .filter((each) => { for (let at = each; at; at = at.parentElement)
    if (/auto|scroll/.test(getComputedStyle(at).overflowX)) return false;  // a strip that scrolls by itself
    return true; })
  .filter((each) => { const box = each.getBoundingClientRect(); return box.width > 1 && box.right > innerWidth + 1; })
  .map((each) => each.outerHTML.slice(0, 100))"""


def test_the_first_run_asks_for_the_code_then_a_camera_then_tells_of_models(tmp_path: Path, browser: Browser) -> None:
    with open_screens(tmp_path, seeded=False) as fresh:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        visit = Visit(context, fresh.url)
        page = visit.go("/")
        expect(page.get_by_role("heading", level=1)).to_have_text("Who looks after this home?")
        picture(page, "first-run-1")
        code = page.get_by_label("The code of this box")
        code.fill("AAAA-AAAA")
        page.get_by_label("Your name").fill("Nora")
        page.get_by_label("Password", exact=True).fill("too short")
        expect(page.get_by_text("9 characters so far.")).to_be_visible()
        page.get_by_label("Password", exact=True).fill(WORDS)
        page.get_by_label("Same again").fill(WORDS)
        page.get_by_role("button", name="Create and go on").click()
        expect(page.get_by_text("That is not the code.")).to_be_visible()
        page.get_by_label("The code of this box").fill(fresh.house.parts.accounts.setup_code())
        page.get_by_label("Your name").fill("Nora")
        page.get_by_label("Password", exact=True).fill(WORDS)
        page.get_by_label("Same again").fill(WORDS)
        page.get_by_role("button", name="Create and go on").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Add the first camera")
        page.locator("html[data-ready]").wait_for(state="attached")
        picture(page, "first-run-2")
        page.get_by_label("Name", exact=True).fill("Front door")
        expect(page.get_by_text("-t hearthlog/v1/front-door/up/jpeg -f photo.jpg")).to_be_visible()
        page.get_by_role("button", name="Keep and go on").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("What should it understand?")
        expect(page.get_by_text("hearthlog models pull yolox-nano")).to_be_visible()
        picture(page, "first-run-3")
        page.get_by_role("link", name="Go to Today").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Thursday 24 September")
        expect(page.get_by_text("Front door").first).to_be_visible()
        context.close()
        assert visit.troubles == []


def test_a_wrong_password_is_told_and_where_one_wanted_to_go_is_kept(home: Screens, browser: Browser) -> None:
    page = browser.new_context().new_page()
    page.goto(f"{home.url}/devices")
    page.get_by_label("Your name").fill("Nora")
    page.get_by_label("Password", exact=True).fill("not the right words")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Name and password do not go together.")).to_be_visible()
    picture(page, "sign-in")
    page.goto(f"{home.url}/devices")
    page.get_by_label("Your name").fill("Nora")
    page.get_by_label("Password", exact=True).fill(WORDS)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Devices")
    page.context.close()


def test_where_every_frame_went_adds_up(visit: Visit) -> None:
    page = visit.go("/")
    lines = page.locator("#other .ledger > div").all_inner_texts()
    told = {line.split("\n")[0]: int(line.split("\n")[-1].replace(",", "").replace("−", "-")) for line in lines}
    parts = sum(n for name, n in told.items() if name not in ("Taken by the cameras", "Lost", "Stored here"))
    assert told["Taken by the cameras"] + told.get("Lost", 0) == told["Stored here"] == parts


def test_a_part_of_the_day_is_chosen_by_dragging_and_left_by_its_chip(visit: Visit) -> None:
    page = visit.go("/")
    box = page.locator(".strip-svg").first.bounding_box()
    assert box is not None
    y = box["y"] + 10
    page.mouse.move(box["x"] + box["width"] * 11 / 24, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 12.9 / 24, y, steps=4)
    page.mouse.up()
    page.wait_for_url("**/day/2026-09-24?from=11:00&to=13:00")
    expect(page.get_by_text("11:00 to 13:00")).to_be_visible()
    times = page.locator(".log .moment").count()
    page.get_by_text("11:00 to 13:00").click()
    page.wait_for_url("**/day/2026-09-24")
    assert page.locator(".log .moment").count() > times


def test_the_strip_is_a_grid_that_arrow_keys_walk(visit: Visit) -> None:
    page = visit.go("/")
    page.locator('.strip-svg [role="gridcell"][tabindex="0"]').first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused.startswith("Hall, 00:15 to 00:30, ")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url("**/day/2026-09-24?from=00:15&to=00:45")


def test_a_quiet_stretch_shows_its_still_frames_and_folds_again_in_place(visit: Visit) -> None:
    page = visit.go("/")
    row = page.locator(".log .quiet").first
    page.evaluate("window.stayed = true")
    row.get_by_role("button", name="Show").click()
    expect(row.locator(".stills img").first).to_be_visible()
    row.get_by_role("button", name="Fold").click()
    expect(row.locator(".stills")).to_have_count(0)
    assert page.evaluate("window.stayed")


def test_what_takes_long_shows_that_it_is_on_its_way(visit: Visit) -> None:
    page = visit.go("/")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/*fragment=1*", hold)
    expect(page.locator("#log .skeleton")).to_be_hidden()
    page.locator(".log .quiet").first.get_by_role("button", name="Show").click()
    expect(page.locator("#log[aria-busy=true] .skeleton")).to_be_visible()
    for route in held:
        route.continue_()
    page.unroute("**/*fragment=1*")
    expect(page.locator("#log .skeleton")).to_be_hidden()
    expect(page.locator(".log .quiet .stills img").first).to_be_visible()


def test_a_new_picture_comes_into_the_log_without_a_reload(home: Screens, visit: Visit) -> None:
    page = visit.go("/")
    page.evaluate("window.stayed = true")
    before = page.locator(".log > li").count()
    house = home.house
    drawn = io.BytesIO()
    Image.new("RGB", (64, 48), (120, 150, 90)).save(drawn, "JPEG")
    body = drawn.getvalue()
    home.do(lambda: house.put(body, at_us=NOW_US - 1_000_000, caption="A heron by the pond", owner=house.owner))
    expect(page.get_by_text("A heron by the pond").first).to_be_visible(timeout=15_000)
    assert page.locator(".log > li").count() >= before
    assert page.evaluate("window.stayed")


def test_removing_a_chip_gives_the_word_back(visit: Visit) -> None:
    page = visit.go("/search?q=parcel+on+the+porch")
    expect(page.locator(".ask-under u")).to_have_text("on the porch")
    page.locator(".understood .chip", has_text="Porch").click()
    expect(page.locator(".understood .chip", has_text="porch")).to_be_visible()
    assert page.locator('input[name="q"]').first.input_value() == "parcel on the porch"
    expect(page.locator(".ask-under u")).to_have_count(0)
    assert "parse=0" in page.url


def test_a_filter_is_chosen_by_its_box_and_counted(visit: Visit) -> None:
    page = visit.go("/search?q=potted+plant")
    page.get_by_role("checkbox", name="Porch").check()
    page.wait_for_url("**device=porch**")
    expect(page.get_by_role("checkbox", name="Porch")).to_be_checked()
    expect(page.locator(".result").first).to_contain_text("Porch")
    expect(page.locator(".result .why").first).to_contain_text("in the caption")


def test_nothing_found_names_the_filter_to_drop(visit: Visit) -> None:
    page = visit.go("/search?q=kite+on+the+porch")
    expect(page.get_by_role("heading", name="Nothing for “kite on the porch”")).to_be_visible()
    page.get_by_role("link", name="Drop “Porch”").click()
    expect(page.locator(".result")).to_have_count(1)


def test_arrows_walk_the_results_and_enter_opens_one(home: Screens, visit: Visit) -> None:
    page = visit.go("/search?q=potted+plant")
    page.keyboard.press("j")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.closest('.result').id") == "r2"
    page.keyboard.press("Enter")
    page.wait_for_url("**/memory/**")
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_a_corrected_caption_stays_and_says_who_wrote_it(home: Screens, visit: Visit) -> None:
    page = visit.go(f"/memory/{home.uids['breakfast']}")
    expect(page.locator("#caption")).to_contain_text("Put together from objects")
    page.keyboard.press("e")
    page.get_by_label("Caption", exact=True).fill("All three at breakfast")
    page.locator("#correct").get_by_role("button", name="Keep").click()
    expect(page.locator("#caption .says")).to_have_text("All three at breakfast")
    expect(page.locator("#caption")).to_contain_text("Written by Nora")
    expect(page.locator("#decided")).to_contain_text("Wrote the caption")


def test_tags_are_added_and_taken_away(home: Screens, visit: Visit) -> None:
    page = visit.go(f"/memory/{home.uids['breakfast']}")
    page.get_by_label("A tag").fill("porridge")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".tags .chip.on")).to_contain_text("porridge")
    page.get_by_role("button", name="Take away the tag porridge").click()
    expect(page.locator(".tags")).not_to_contain_text("porridge")


def test_deleting_can_be_undone(home: Screens, visit: Visit) -> None:
    uid = home.uids["parcel"]
    page = visit.go(f"/memory/{uid}")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Deleted", exact=True)).to_be_visible()
    nora = home.do(home.house.nora)
    assert [each.capture.uid for each in home.do(lambda: home.house.parts.memories.bin(nora))] == [uid]
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#toasts")).to_be_empty()
    expect(page.locator("#memory.forgotten")).to_have_count(0)
    visit.troubles.clear()  # the browser's own line when the page asked for what was deleted
    assert home.do(lambda: home.house.parts.memories.bin(nora)) == []


def test_the_bin_gives_back_what_was_deleted(home: Screens, visit: Visit) -> None:
    nora = home.do(home.house.nora)
    home.do(lambda: home.house.parts.memories.forget(nora, home.uids["note"]))
    page = visit.go("/bin")
    expect(page.locator(".sessions li")).to_have_count(1)
    page.get_by_role("button", name="Bring it back").click()
    expect(page.get_by_role("heading", name="Nothing in the bin")).to_be_visible()
    assert home.do(lambda: home.house.parts.memories.bin(nora)) == []


def test_who_can_see_it_is_changed_with_a_word_and_taken_back(home: Screens, visit: Visit) -> None:
    page = visit.go(f"/memory/{home.uids['parcel']}")
    page.get_by_role("button", name="Only me").click()
    expect(page.get_by_role("button", name="Only me")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#who")).to_contain_text("was chosen by Nora for this memory alone")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Circle")).to_have_attribute("aria-pressed", "true")


def test_boxes_and_print_are_drawn_and_can_be_put_away(home: Screens, visit: Visit) -> None:
    page = visit.go(f"/memory/{home.uids['parcel']}")
    expect(page.locator(".outlines .object .over").first).to_be_visible()
    page.keyboard.press("b")
    expect(page.locator(".outlines .object .over").first).to_be_hidden()
    page.get_by_label("Boxes").check()
    expect(page.locator(".outlines .object .over").first).to_be_visible()


def test_a_sound_shows_its_own_levels_and_what_was_said(home: Screens, visit: Visit) -> None:
    page = visit.go(f"/memory/{home.uids['sound']}")
    expect(page.locator(".wave rect")).to_have_count(110)
    expect(page.locator(".heard")).to_contain_text("Doorbell")
    expect(page.locator(".heard li", has_text="The books came.").locator(".who")).to_have_text("S1")
    expect(page.locator(".heard li", has_text="yours is on the kitchen table").locator(".who")).to_have_text("S2")
    expect(page.locator(".player")).to_contain_text("2 voices, told apart by how they sound")


def test_a_turned_camera_is_told_and_leads_to_the_picture_that_shows_it(home: Screens, visit: Visit) -> None:
    page = visit.go("/devices")
    expect(page.locator("#kitchen .card-note")).to_contain_text("Looks another way since 0")
    page.locator("#kitchen .card-note a").click()
    page.wait_for_url(f"**/memory/{home.uids['breakfast']}")
    expect(page.locator("#flaws")).to_contain_text("Turned")
    page.get_by_role("link", name="The one before").click()
    expect(page.locator("h1")).to_contain_text("Kitchen")


def test_a_memory_that_is_not_there_says_no_more_than_that(visit: Visit) -> None:
    page = visit.go("/memory/nosuchthing")
    expect(page.get_by_text("There is no such memory, or it is not yours to see.")).to_be_visible()
    picture(page, "not-there")
    visit.troubles.clear()  # the browser's own line about the 404


def test_what_was_set_aside_can_be_tried_again(home: Screens, visit: Visit) -> None:
    page = visit.go("/health")
    expect(page.locator("#set-aside")).to_contain_text("Ran out of memory 3 times")
    expect(page.locator("#set-aside")).to_contain_text("The picture ends too early")
    page.get_by_role("button", name="Try again").first.click()
    expect(page.get_by_text("Being tried again")).to_be_visible()
    expect(page.locator("#set-aside")).not_to_contain_text("Ran out of memory 3 times")


def test_keys_lead_through_the_house_and_can_be_turned_off(visit: Visit) -> None:
    page = visit.go("/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    picture(page, "keys")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("h")
    page.wait_for_url("**/health")
    page.get_by_role("button", name="Settings").first.click()
    page.get_by_label("Single-letter keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("t")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    assert page.url.endswith("/health")


def test_a_chosen_theme_is_kept(visit: Visit) -> None:
    page = visit.go("/devices")
    page.get_by_role("button", name="Settings").first.click()
    page.get_by_text("Dark", exact=True).click()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(20, 20, 18)"
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground


def test_a_box_that_does_not_answer_is_said_so_and_the_page_stays(visit: Visit) -> None:
    page = visit.go("/")
    page.wait_for_function(
        "performance.getEntriesByType('resource').some((each) => each.name.includes('events')) || true"
    )
    page.route("**/api/v1/events*", lambda route: route.abort())
    page.evaluate("window.dispatchEvent(new Event('hearthlog-reconnect'))")
    expect(page.get_by_text("The box has not answered since")).to_be_visible(timeout=15_000)
    expect(page.get_by_text("What you see is from then.")).to_be_visible()
    expect(page.locator(".log > li").first).to_be_visible()
    picture(page, "away")
    page.unroute("**/api/v1/events*")
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("#away")).to_be_hidden()
    visit.troubles.clear()  # the browser's own lines about the connection


def test_signing_out_closes_the_door(home: Screens, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, home.url)
    page.get_by_role("button", name="Settings").first.click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in**")
    page.goto(home.url)
    assert "/sign-in" in page.url
    context.close()
