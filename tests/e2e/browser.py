"""What tests of screens share: a real Chromium, a window of it that hears what goes wrong, and what to look for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from playwright.sync_api import BrowserContext, Page

from tests.web_house import WORDS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PICTURES = os.environ.get("HEARTHLOG_TEST_SCREENSHOTS", "")
"""A folder for pictures of every screen, for whoever wants to look."""
WIDTHS = {"wide": (1440, 900), "phone": (390, 844)}


class Visit:
    """A browser's window, and everything that went wrong in it."""

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.page = context.new_page()
        self.base = base
        self.troubles: list[str] = []
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("console", lambda line: self._heard(line.type, line.text))

    def go(self, path: str) -> Page:
        self.page.goto(self.base + path)
        self.page.locator("html[data-ready]").wait_for(state="attached")
        return self.page

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.troubles.append(f"{kind}: {text}")


def sign_in(page: Page, base: str, name: str = "Nora") -> None:
    """By the form, with the words that everybody of the tests has."""
    page.goto(f"{base}/sign-in")
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Password", exact=True).fill(WORDS)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{base}/")


SMALL = """() => [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')]
  .filter((each) => each.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
  .filter((each) => !each.closest('.unseen, [inert]'))
  .filter((each) => {
    const words = each.matches('a, summary') && getComputedStyle(each).display === 'inline'
      && [...each.parentNode.childNodes].some((beside) => beside.nodeType === 3 && beside.textContent.trim());
    if (words) return false;
    const box = (each.closest('label') ?? each).getBoundingClientRect();
    const after = getComputedStyle(each, '::after');  // a target may reach beyond what is drawn
    const reach = after.content !== 'none' && after.position === 'absolute';
    const wide = Math.max(box.width, reach ? parseFloat(after.width) || 0 : 0);
    const high = Math.max(box.height, reach ? parseFloat(after.height) || 0 : 0);
    return box.width > 1 && (wide < 43.5 || high < 43.5);
  })
  .map((each) => { const box = each.getBoundingClientRect();
    const size = `${Math.round(box.width)}x${Math.round(box.height)}`;
    return `${size} ${each.outerHTML.replace(/\\s+/g, ' ').slice(0, 110)}`; })"""


NAMELESS = """() => [...document.querySelectorAll('a, button, input:not([type=hidden]), select, textarea, img')]
  .filter((each) => each.checkVisibility() && !(each.getAttribute('aria-label') || each.textContent.trim()
    || each.alt || each.alt === '' || each.labels?.length || each.title
    || each.querySelector('img[alt]:not([alt=""])')))
  .map((each) => each.outerHTML.slice(0, 120))"""


def picture(page: Page, name: str) -> None:
    if PICTURES:
        folder = Path(PICTURES)
        folder.mkdir(parents=True, exist_ok=True)
        page.evaluate("for (const image of document.images) image.loading = 'eager'")
        page.evaluate("Promise.all([...document.images].map((image) => image.decode().catch(() => {})))")
        page.screenshot(path=folder / f"{name}.png", full_page=True)
