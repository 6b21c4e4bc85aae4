"""Today shortly after midnight."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from gateway.web.pages import words
from tests.web_house import open_web_house


async def test_a_day_that_has_hardly_begun_leads_to_yesterday(tmp_path: Path) -> None:
    async with open_web_house(tmp_path) as house:
        client = await house.signed_in()
        yesterday = words.local(house.parts.clock(), "Europe/Stockholm").date() - timedelta(days=1)
        link = f'href="/day/{yesterday}">See yesterday</a>'
        assert link in await (await client.get("/")).text()
        assert "See yesterday" not in await (await client.get(f"/day/{yesterday}")).text()
