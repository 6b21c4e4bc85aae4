"""The audit: bounded, printable, the newest first."""

from __future__ import annotations

import pytest

from gateway.store import audit
from gateway.store.audit import Line
from tests.unit.conftest import SmallHouse


async def test_what_strangers_say_is_cut_short_and_printable(house: SmallHouse) -> None:
    line = Line("pairing", "pairing-code", 1, place="1.2.3.4", about="x\x1b[31m\n" + "y" * 500)
    await house.db.write(lambda c: audit.write(c, line))
    found = (await house.db.read(audit.newest))[0]
    assert (len(found.about), found.about.isprintable(), found.at_us) == (120, True, 1)


async def test_who_knocks_for_ever_does_not_fill_the_disk(house: SmallHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "KEPT", 100)
    for n in range(400):
        await house.db.write(lambda c, n=n: audit.write(c, Line("broker", "not-authorised", n)))
    count = await house.db.read(lambda c: c.execute("SELECT count(*) FROM audit").fetchone()[0])
    assert 100 <= count < 100 + 64
    assert (await house.db.read(audit.newest))[0].at_us == 399
