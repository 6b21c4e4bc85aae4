"""Room is made by the rules and in their order; what was understood stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from gateway.config import Storage
from gateway.entities import Annotation, Embedding, Provenance, Stored
from gateway.jobs import probes, retention
from gateway.jobs.bin import Bin
from gateway.jobs.probes import Disk
from gateway.jobs.retention import Preview, Retention
from gateway.store import captures, understood
from tests.unit.conftest import SmallHouse

DAY_US = 86_400_000_000
NOW_US = 400 * DAY_US


@pytest.fixture(autouse=True)
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention.probes, "disk", lambda _: Disk(10**12, 10**12))


def _rules(house: SmallHouse, **rules: object) -> Retention:
    return Retention(house.db, house.folder, house.path, Storage(**rules), lambda: NOW_US)  # type: ignore[arg-type]


async def _originals(house: SmallHouse) -> list[str]:
    return await house.db.read(
        lambda c: [
            row["uid"] for row in c.execute("SELECT uid FROM capture WHERE blob IS NOT NULL ORDER BY id").fetchall()
        ]
    )


async def _days_ago(house: SmallHouse, *days: int) -> list[str]:
    return [(await house.put(b"picture %d" % n, at_us=NOW_US - day * DAY_US)).uid for n, day in enumerate(days)]


async def test_by_default_nothing_goes(house: SmallHouse) -> None:
    await _days_ago(house, 300, 1)
    assert await _rules(house).sweep() == 0


async def test_old_originals_go_and_their_memory_stays(house: SmallHouse) -> None:
    old, new = await _days_ago(house, 31, 29)
    rules = _rules(house, keep_days=30)
    assert await rules.preview() == Preview(1, len(b"picture 0"), "age")
    assert await _originals(house) == [old, new]
    assert await rules.sweep() == 1
    assert await _originals(house) == [new]
    assert await house.count("capture") == 2
    assert sum(1 for path in house.folder.root.rglob("*-*") if path.is_file()) == 1


async def test_rules_by_age_wait_for_the_clock_and_those_by_size_do_not(house: SmallHouse) -> None:
    await _days_ago(house, 300, 200, 1)
    rules = replace(_rules(house, keep_days=30, still_days=7), synchronised=lambda: False)
    assert await rules.sweep() == 0
    said = (await rules.preview()).sentence()
    assert said == ("By the rules set, no original is to go. Rules by age wait: the box's clock is not synchronised.")
    assert await replace(rules, rules=Storage(keep_days=30, keep_gb=1e-8)).sweep() == 2
    assert await replace(rules, synchronised=lambda: True).preview() == Preview(0, 0, "")


@pytest.mark.parametrize(
    "rules", [{"keep_days": -1}, {"still_days": -1}, {"keep_gb": -1.0}, {"keep_gb": float("nan")}, {"keep_gb": 1e999}]
)
async def test_a_rule_that_would_take_everything_takes_nothing(house: SmallHouse, rules: dict[str, float]) -> None:
    """No settings file gets this far; the sweep does not lean on that."""
    uids = await _days_ago(house, 300, 0)
    await house.db.write(lambda c: c.execute("UPDATE understood SET folded = 'static'"))
    sweeper = _rules(house, **rules)
    assert await sweeper.preview() == Preview(0, 0, "")
    assert await sweeper.sweep() == 0
    assert await _originals(house) == uids


async def test_a_floor_that_the_whole_disk_could_not_keep_takes_nothing(house: SmallHouse) -> None:
    """Somebody counted in the wrong unit: it would take all that comes, for ever."""
    uids = await _days_ago(house, 300, 0)
    assert await _rules(house, free_floor_mb=1_000_000).sweep() == 0
    assert await _originals(house) == uids


async def test_a_pinned_original_stays(house: SmallHouse) -> None:
    await _days_ago(house, 300)
    await house.db.write(lambda c: c.execute("UPDATE capture SET pinned = 1"))
    assert await _rules(house, keep_days=1).sweep() == 0


async def test_beyond_the_size_still_scenes_go_first_then_the_oldest(house: SmallHouse) -> None:
    uids = [(await house.put(bytes([n]) * 1_000, at_us=NOW_US - (9 - n) * DAY_US)).uid for n in range(4)]
    await house.db.write(
        lambda c: c.execute(
            "UPDATE understood SET folded = 'static' WHERE capture = (SELECT id FROM capture WHERE uid = ?)", (uids[2],)
        )
    )
    await _rules(house, keep_gb=2_000 / 1e9).sweep()
    assert await _originals(house) == [uids[1], uids[3]]


async def test_below_the_floor_as_much_goes_as_it_takes(house: SmallHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    uids = [(await house.put(bytes([n]) * 1_000, at_us=NOW_US - (9 - n) * DAY_US)).uid for n in range(4)]
    monkeypatch.setattr(retention.probes, "disk", lambda _: Disk(10**9, 1_000_000 - 1_500))
    await _rules(house, free_floor_mb=1).sweep()
    assert await _originals(house) == uids[2:]


async def test_a_shared_original_goes_only_with_its_newest_user(house: SmallHouse) -> None:
    await house.put(b"same", at_us=NOW_US - 300 * DAY_US, seq=1)
    await house.put(b"same", at_us=NOW_US - 1, seq=2)
    assert await _rules(house, keep_days=30).sweep() == 0


async def test_the_ledger_forgets_hashes_after_thirty_days_and_still_knows_the_number(house: SmallHouse) -> None:
    await house.put(b"one", at_us=NOW_US - 31 * DAY_US, seq=1)
    await _rules(house).sweep()
    line = await house.db.read(lambda c: c.execute("SELECT hash, verdict FROM ledger").fetchone())
    assert (line["hash"], line["verdict"]) == (None, "stored")


async def test_the_bin_is_emptied_when_its_time_is_over(house: SmallHouse) -> None:
    await _days_ago(house, 100, 99)
    await house.db.write(
        lambda c: c.execute("UPDATE capture SET deleted_at_us = ? WHERE id = 1", (NOW_US - 31 * DAY_US,))
    )
    await house.db.write(
        lambda c: c.execute("UPDATE capture SET deleted_at_us = ? WHERE id = 2", (NOW_US - 29 * DAY_US,))
    )
    assert await Bin(house.db, house.folder, 30, lambda: NOW_US).empty() == 1
    left = await house.db.read(lambda c: captures.get(c, 2, house.shelf))
    assert left is not None
    assert left.blob is not None
    assert Path(left.blob.path).exists()
    assert await house.count("blob") == 1


def test_a_box_without_sensors_says_nothing(tmp_path: Path) -> None:
    assert probes.temperature_c(tmp_path) is None
    (tmp_path / "thermal_zone0").mkdir()
    (tmp_path / "thermal_zone0" / "temp").write_text("64250\n")
    assert probes.temperature_c(tmp_path) == 64.25


def test_of_all_sensors_the_hottest_of_the_processor_counts(tmp_path: Path) -> None:
    for n, (kind, said) in enumerate(
        [("cpu-thermal", "61000"), ("gpu-thermal", "64000"), ("PMIC-Die", "100000"), ("iwlwifi_1", "90000"),
         ("acpitz", "-273200"), ("broken", "999999"), ("none", "")]
    ):  # fmt: skip
        zone = tmp_path / f"thermal_zone{n}"
        zone.mkdir()
        (zone / "type").write_text(kind + "\n")
        (zone / "temp").write_text(said)
    assert probes.temperature_c(tmp_path) == 64.0


async def test_what_is_pinned_after_it_was_chosen_stays(house: SmallHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    (uid,) = await _days_ago(house, 300)
    rules = _rules(house, keep_days=30)
    chosen = Retention._take

    async def pinned_meanwhile(self: Retention, doomed: Sequence[tuple[int, str, int]]) -> None:
        await house.db.write(lambda c: c.execute("UPDATE capture SET pinned = 1"))
        await chosen(self, doomed)

    monkeypatch.setattr(Retention, "_take", pinned_meanwhile)
    await rules.sweep()
    assert await _originals(house) == [uid]
    assert house.folder.names() == await house.db.read(captures.blob_names)


async def test_a_file_that_never_got_its_row_goes_at_the_second_look(house: SmallHouse) -> None:
    await house.put(b"kept", at_us=NOW_US)
    stray = house.folder.put(b"stray", owner_key=bytes(32), sha256=bytes(32))
    bin_ = Bin(house.db, house.folder, 30, lambda: NOW_US)
    first = await bin_.clear(set())
    assert first == {stray.name}
    assert stray.name in house.folder.names()
    assert await bin_.clear(first) == set()
    assert house.folder.names() == await house.db.read(captures.blob_names)
    assert len(house.folder.names()) == 1


async def test_what_was_said_again_goes_and_what_another_model_said_stays(house: SmallHouse) -> None:
    await house.put(b"a picture")

    def say(model: str, print_: str, at_us: int) -> Stored:
        used = Provenance(model=model, revision="1", preprocessing="p")
        vector = Embedding(f"{model}@1/p", b"\0" * 8)
        note = Annotation(text=print_, provenance=used, embedding=vector)
        return Stored(1, "ocr", 1, print_, at_us, 1.0, note, "", "", "")

    for at_us, (model, said) in enumerate([("old", "a"), ("old", "b"), ("new", "c"), ("new", "d"), ("new", "e")]):
        await house.db.write(partial(understood.put_annotation, stored=say(model, said, at_us)))
    assert await Bin(house.db, house.folder, 30, lambda: NOW_US).prune() == 3
    left = await house.db.read(lambda c: [tuple(row) for row in c.execute("SELECT text, current FROM annotation")])
    assert left == [("b", 0), ("e", 1)]
    assert await house.count("embedding") == 2


async def test_an_earlier_answer_that_stands_again_is_the_newest(house: SmallHouse) -> None:
    await house.put(b"a picture")
    for at_us, said in enumerate(["a", "b", "a"]):
        note = Stored(1, "note", 1, said, at_us, 1.0, Annotation(text=said), "", "", "")
        await house.db.write(partial(understood.put_annotation, stored=note))
    assert await Bin(house.db, house.folder, 30, lambda: NOW_US).prune() == 1
    assert await house.db.read(lambda c: c.execute("SELECT text FROM annotation").fetchone()[0]) == "a"
