"""Duplicates in a real Chromium: looked through by kind, kept, kept apart, and every one of these taken back."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from PIL import Image, ImageDraw, ImageOps
from playwright.sync_api import Browser, Page, expect

from gateway.entities import Annotation, Duplicate, DuplicateKind, Privacy, Provenance, Role, Stored, Viewer
from gateway.store import reading, understood
from gateway.store.blobs import read_blob
from gateway.store.db import Connection
from tests.e2e.browser import NAMELESS, SMALL, WIDTHS, Visit, picture, sign_in
from tests.e2e.screens_home import NOW_US, WORDS, Screens, open_screens, us

pytestmark = [pytest.mark.slow, pytest.mark.system("chromium")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screens]:
    """A house with a day in it."""
    with open_screens(tmp_path_factory.mktemp("duplicates")) as screens:
        yield screens


def bring(home: Screens, kind: DuplicateKind, *, copies: int = 1, privacy: Privacy = Privacy.CIRCLE) -> list[str]:
    """The parcel's picture, brought as a file, and what repeats it in one way; the first is the front."""
    house, nora = home.house, home.do(home.house.nora)
    blob = home.do(lambda: house.parts.memories.blob(nora, home.uids["parcel"]))
    drawn = Image.open(io.BytesIO(read_blob(blob))).convert("RGB")
    made = []
    for n in range(copies + 1):
        out = io.BytesIO()
        _changed(drawn, kind if n else None).save(out, "JPEG", quality=90 if n == 0 else 60 + n)
        body, at_us = out.getvalue(), us(11, 6, n) - bring.count * 60_000_000
        made.append(home.do(lambda body=body, at_us=at_us: house.put(body, at_us=at_us, privacy=privacy)))
    bring.count += 1

    def repeat(connection: Connection) -> None:
        front, *others = (reading.number_of(connection, uid) for uid in made)
        for n, number in enumerate(others, start=1):
            evidence = {"distance": 2 if kind is not DuplicateKind.EXACT else 0, "apart_us": n * 1_000_000}
            if kind is DuplicateKind.EDITED:
                evidence |= {"overlap": 0.64, "mirrored": True}
            note = Annotation(
                duplicate=Duplicate(kind, front, evidence), provenance=Provenance("hearth-copy", "1", "p")
            )
            stored = Stored(number, "dedupe", 2, "f", NOW_US, 12.0, note, "", "", "")
            understood.put_annotation(connection, stored)

    home.do(lambda: home.house.db.write(repeat))
    return made


bring.count = 0  # type: ignore[attr-defined]  # so that no two groups have the same times


def _changed(drawn: Image.Image, kind: DuplicateKind | None) -> Image.Image:
    if kind is DuplicateKind.REENCODED:
        return drawn.resize((drawn.width // 2, drawn.height // 2))
    if kind is DuplicateKind.EDITED:
        cut = ImageOps.mirror(drawn.crop((80, 40, 720, 560)))
        ImageDraw.Draw(cut).text((20, 20), "for Ada", fill="white")
        return cut
    return drawn


def of(home: Screens, uid: str) -> str:
    """What it repeats now."""
    nora = home.do(home.house.nora)
    return home.do(lambda: home.house.parts.memories.get(nora, uid)).duplicate_of_uid


def binned(home: Screens) -> set[str]:
    """What lies in Nora's bin."""
    nora = home.do(home.house.nora)
    return {each.capture.uid for each in home.do(lambda: home.house.parts.memories.bin(nora))}


def group(page: Page, front: str) -> object:
    return page.locator(f'[data-group="{front}"]')


def test_a_group_is_looked_through_by_kind_with_its_evidence_beside_it(home: Screens, visit: Visit) -> None:
    front, edited = bring(home, DuplicateKind.EDITED)
    page = visit.go("/duplicates?kind=edited")
    expect(page.get_by_role("heading", level=1)).to_have_text("Duplicates")
    expect(page.locator('.kinds [aria-current="page"]')).to_contain_text("Edited 1")
    card = page.locator(f'[data-group="{front}"]')
    expect(card).to_contain_text("1 duplicate of this picture")
    member = card.locator(f'.face-card[data-uid="{edited}"]')
    expect(member).to_contain_text("Picture distance 2 of 64, 64% of it lies in the other, mirrored, 1.0 s later")
    expect(card.locator("img").first).to_be_visible()
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0 || !image.complete)")


def test_not_the_same_outlives_the_step_and_can_be_undone(home: Screens, visit: Visit) -> None:
    front, copy = bring(home, DuplicateKind.REENCODED)
    page = visit.go("/duplicates?kind=reencoded")
    page.locator(f'[data-uid="{copy}"]').get_by_role("button", name="Not the same").click()
    expect(page.get_by_text("Kept apart from now on")).to_be_visible()
    expect(page.locator(f'[data-group="{front}"]')).to_have_count(0)
    assert of(home, copy) == ""

    def again(connection: Connection) -> None:
        number, behind = reading.number_of(connection, copy), reading.number_of(connection, front)
        claim = Duplicate(DuplicateKind.EXACT, behind, {})
        understood.put_annotation(
            connection, Stored(number, "dedupe", 9, "f9", NOW_US, 1.0, Annotation(duplicate=claim), "", "", "")
        )

    home.do(lambda: home.house.db.write(again))
    assert of(home, copy) == "", "a new version of the step changes nothing"
    with page.expect_response("**/duplicates/decisions"):
        page.get_by_role("button", name="Undo").click()
    assert of(home, copy) == front
    page = visit.go("/duplicates?kind=exact")
    expect(page.locator(f'[data-group="{front}"]')).to_be_visible()


def test_keeping_one_puts_the_others_into_the_bin_and_undo_brings_them_back(home: Screens, visit: Visit) -> None:
    front, first, second = bring(home, DuplicateKind.BURST, copies=2)
    page = visit.go("/duplicates?kind=burst")
    card = page.locator(f'[data-group="{front}"]')
    card.locator(f'[data-uid="{second}"]').get_by_role("button", name="Keep only this").click()
    expect(page.get_by_text("2 pictures in the bin")).to_be_visible()
    expect(card).to_have_count(0)
    assert binned(home) == {front, first}
    picture(page, "duplicates-kept-one")
    page.get_by_role("button", name="Undo").click()
    expect(card).to_be_visible()
    assert (binned(home), of(home, first), of(home, second)) == (set(), front, front)


def test_keeping_all_asks_no_more_and_is_listed_with_who_said_it(home: Screens, visit: Visit) -> None:
    front, copy = bring(home, DuplicateKind.BURST)
    page = visit.go("/duplicates?kind=burst")
    page.locator(f'[data-group="{front}"]').get_by_role("button", name="Keep all").click()
    expect(page.get_by_text("All kept: 1 duplicate said to be the same")).to_be_visible()
    expect(page.locator(f'[data-group="{front}"]')).to_have_count(0)
    assert (of(home, copy), binned(home)) == (front, set())
    page.get_by_role("link", name="Decided").click()
    line = page.locator(f'[data-memory="{copy}"]')
    expect(line).to_contain_text("The same")
    expect(line).to_contain_text("Nora, ")
    picture(page, "duplicates-decided-one")
    page.locator("html[data-ready]").wait_for(state="attached")
    line.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Taken back", exact=True)).to_be_visible()
    expect(line).to_have_count(0)
    page = visit.go("/duplicates?kind=burst")
    expect(page.locator(f'[data-group="{front}"]')).to_be_visible()


def test_a_memorys_page_says_which_picture_it_repeats_and_disagrees_with_a_way_back(
    home: Screens, visit: Visit
) -> None:
    front, copy = bring(home, DuplicateKind.REENCODED)
    page = visit.go(f"/memory/{copy}")
    box = page.locator("#copies")
    expect(box).to_contain_text("The same picture as the one at")
    expect(box).to_contain_text("Re-encoded")
    expect(box).to_contain_text("Picture distance 2 of 64, 1.0 s later")
    picture(page, "memory-duplicate")
    box.get_by_role("button", name="Not the same").click()
    expect(box).to_contain_text("Nothing here repeats it.")
    expect(page.locator("#decided")).to_contain_text("Said it is not the same as the one at")
    picture(page, "memory-kept-apart")
    page.locator("#toasts").get_by_role("button", name="Undo").click()
    expect(box).to_contain_text("The same picture as the one at")
    box.get_by_role("button", name="Not the same").click()
    page.locator("#decided").get_by_role("button", name="Undo").click()
    expect(box).to_contain_text("The same picture as the one at")
    assert of(home, copy) == front
    page.get_by_role("link", name="All duplicates").click()
    page.wait_for_url("**/duplicates")


def test_many_of_a_kind_are_shown_whole_from_the_memory_in_front(home: Screens, visit: Visit) -> None:
    nora = home.do(home.house.nora)
    found = home.do(lambda: home.house.parts.memories.duplicates.groups(nora, DuplicateKind.STATIC))
    most = max(found.items, key=lambda each: each.count)
    page = visit.go(f"/memory/{most.front.capture.uid}")
    page.locator("#copies").get_by_role("link", name="Show all").click()
    page.wait_for_url("**/duplicates?kind=static&of=**")
    expect(page.locator(".group")).to_have_count(1)
    assert page.locator(".face-card").count() == most.count + 1 >= 3
    expect(page.locator(".face-card").nth(1)).to_contain_text("Nothing moved, picture distance 2 of 64")
    expect(page.locator(".face-card").nth(1)).to_contain_text("later, same camera")


def test_keys_walk_groups_and_pictures_and_decide(home: Screens, visit: Visit) -> None:
    fronts = [bring(home, DuplicateKind.EXACT) for _ in range(2)]
    page = visit.go("/duplicates?kind=exact")
    page.keyboard.press("j")
    page.keyboard.press("j")
    first, copy = fronts[0]
    while page.evaluate("document.activeElement.closest('[data-group]').dataset.group") != first:
        page.keyboard.press("j")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.closest('[data-uid].face-card').dataset.uid") == copy
    page.keyboard.press("x")
    expect(page.get_by_text("Kept apart from now on")).to_be_visible()
    expect(page.locator(f'[data-group="{first}"]')).to_have_count(0)
    assert page.evaluate("document.activeElement.closest('#duplicates, #kinds, #toasts') !== null")
    page.keyboard.press("k")
    page.keyboard.press("l")
    expect(page.get_by_text("All kept")).to_be_visible()


def test_a_box_that_refuses_is_said_so_and_nothing_is_gone(home: Screens, visit: Visit) -> None:
    front, copy = bring(home, DuplicateKind.BURST)
    page = visit.go("/duplicates?kind=burst")
    card = page.locator(f'[data-group="{front}"]')
    page.route("**/api/v1/duplicates/**", lambda route: route.abort())
    card.locator(f'[data-uid="{copy}"]').get_by_role("button", name="Keep only this").click()
    expect(page.get_by_text("The box does not answer. Nothing was changed.")).to_be_visible()
    expect(card).to_be_visible()
    assert not card.evaluate("(each) => each.inert")
    page.unroute("**/api/v1/duplicates/**")
    nora = home.do(home.house.nora)
    home.do(lambda: home.house.parts.memories.forget(nora, copy))
    card.get_by_role("button", name="Keep all").click()
    expect(page.locator(".toast")).to_contain_text("Nothing repeats this picture in that way")
    home.do(lambda: home.house.parts.memories.restore(nora, copy))
    visit.troubles.clear()  # the browser's own lines about what was refused


def test_another_persons_private_pictures_are_on_nobodys_page(home: Screens, browser: Browser, visit: Visit) -> None:
    private = bring(home, DuplicateKind.EXACT, privacy=Privacy.PRIVATE)
    shared = bring(home, DuplicateKind.EXACT)
    expect(visit.go("/duplicates?kind=exact").locator(f'[data-group="{private[0]}"]')).to_be_visible()

    async def tomas() -> Viewer:
        return await home.house.parts.accounts.add(await home.house.nora(), "Tomas", Role.MEMBER, WORDS)

    home.do(tomas)
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, home.url, "Tomas")
    page.goto(f"{home.url}/duplicates?kind=exact")
    card = page.locator(f'[data-group="{shared[0]}"]')
    expect(card).to_contain_text("Only their owner decides")
    assert card.get_by_role("button").count() == 0
    for path in ("/duplicates?kind=exact", "/duplicates?show=decided", f"/duplicates?kind=exact&of={private[0]}"):
        page.goto(home.url + path)
        assert not [uid for uid in private if uid in page.content()]
    context.close()


def test_nothing_to_look_through_says_so(home: Screens, visit: Visit) -> None:
    page = visit.go("/duplicates?kind=static&of=nosuchpicture")
    expect(page.get_by_role("heading", name="Nothing repeats this picture any more")).to_be_visible()
    picture(page, "duplicates-gone")
    nora = home.do(home.house.nora)
    door = home.house.parts.memories.duplicates
    for kind in DuplicateKind:
        while items := home.do(lambda kind=kind: door.groups(nora, kind)).items:
            for each in items:
                home.do(lambda each=each, kind=kind: door.keep_all(nora, each.front.capture.uid, kind))
    page = visit.go("/duplicates")
    expect(page.get_by_role("heading", name="No duplicates to look through")).to_be_visible()
    picture(page, "duplicates-none")
    for kind in DuplicateKind:
        for each in home.do(lambda kind=kind: door.groups(nora, kind, undecided=False, limit=100)).items:
            home.do(lambda each=each, kind=kind: door.undo_all(nora, each.front.capture.uid, kind))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", ["wide", "phone"])
def test_every_kind_fits_and_breaks_no_rule(
    home: Screens, browser: Browser, cookies: list[dict[str, object]], width: str, scheme: str
) -> None:
    wide, high = WIDTHS[width]
    if width == "wide" and scheme == "light":
        for kind in DuplicateKind:
            if kind is not DuplicateKind.STATIC:
                bring(home, kind, copies=1 if kind is DuplicateKind.EDITED else 3)
    context = browser.new_context(
        viewport={"width": wide, "height": high},
        color_scheme="dark" if scheme == "dark" else "light",
        has_touch=width == "phone",
        reduced_motion="reduce",
    )
    context.add_cookies(cookies)  # type: ignore[arg-type]  # what `cookies()` gave
    faults: list[str] = []
    for kind in DuplicateKind:
        visit = Visit(context, home.url)
        page = visit.go(f"/duplicates?kind={kind.value}")
        across = page.evaluate("document.documentElement.scrollWidth")
        faults += [f"{kind.value}: {trouble}" for trouble in visit.troubles]
        faults += [f"{kind.value}: {across} px wide in {wide}"] if across > wide else []
        faults += [f"{kind.value}: no name: {each}" for each in page.evaluate(NAMELESS)]
        if width == "phone":
            faults += [f"{kind.value}: {each}" for each in page.evaluate(SMALL)]
        picture(page, f"duplicates-{kind.value}-{width}-{scheme}")
        page.close()
    context.close()
    assert faults == []
