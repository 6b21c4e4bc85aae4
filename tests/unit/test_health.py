"""Health tells the truth: what waits, what was set aside and why, and what can be done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway import metrics
from gateway.entities import Kind, Lane, Priority, Privacy, Role, Viewer
from gateway.errors import Forbidden, NotFound, Rejected, Unreadable
from gateway.health import Part
from gateway.index.indexer import Index
from gateway.jobs import probes
from gateway.jobs.health import Watch, Watched
from gateway.jobs.heat import Heat
from gateway.pipeline.plan import find_steps
from gateway.pipeline.runner import House, Runner
from gateway.store import changes, refusals
from gateway.store.db import Connection
from gateway.testing import TwinWorkers
from tests.unit.conftest import SmallHouse

NOW_US = 10**15


async def _nothing_to_go() -> str:
    return "By the rules set, no original is to go."


def _watch(house: SmallHouse, *, parts: tuple[Part, ...] = ()) -> Watch:
    workers = TwinWorkers()
    return Watch(
        Watched(
            db=house.db,
            spool=house.spool,
            runner=Runner(House(house.db, house.spool, house.shelf, workers, find_steps(), lambda: NOW_US)),
            workers=workers,
            home=Path(house.path),
            memory_mb=100_000,
            heat=Heat(75, 82),
            now_us=lambda: NOW_US,
            parts=lambda: parts,
            next_to_go=_nothing_to_go,
        )
    )


def _viewer(house: SmallHouse, role: Role = Role.ADMIN, *, other: bool = False) -> Viewer:
    return Viewer("somebody-else" if other else house.owner, "Nora", role)


async def _buried(house: SmallHouse) -> int:
    await house.put(b"broken", seq=1, at_us=NOW_US, privacy=Privacy.PRIVATE, source_name="secret.jpg")
    (job,) = await house.spool.claim(["quality"], lowest=Priority.BACKLOG, limit=1, now_us=NOW_US)
    error = Unreadable("The picture ends too early", hint="Trying again will not help this one")
    await house.spool.bury(job, Kind.IMAGE, error, at_us=NOW_US, alone=False)
    return job.id


async def test_an_idle_house_says_that_all_is_well(house: SmallHouse) -> None:
    health = await _watch(house).look(_viewer(house))
    assert health.sentence == "Everything is stored. All caught up."
    assert [node.waiting for node in health.nodes] == [0] * len(health.nodes)


async def test_what_waits_is_counted_with_its_age(house: SmallHouse) -> None:
    await house.put(b"one", seq=1, at_us=NOW_US - 120_000_000)
    watch = _watch(house)
    health = await watch.look(_viewer(house))
    quality = next(node for node in health.nodes if node.name == "quality")
    assert (quality.waiting, quality.oldest_s) == (1, 120)
    assert health.priorities[Priority.LIVE] == 1
    assert "about 2 minutes behind" in health.sentence
    assert (await watch.busy()).waiting == 1


async def test_a_broken_part_is_the_headline(house: SmallHouse) -> None:
    lost = Part("Broker, record lane", "look", "The broker cannot be reached: refused.")
    health = await _watch(house, parts=(lost,)).look(_viewer(house))
    assert health.sentence.startswith("The broker cannot be reached")


async def test_a_dead_letter_has_its_reason_and_can_be_tried_again(house: SmallHouse) -> None:
    job = await _buried(house)
    watch = _watch(house)
    (aside,) = (await watch.look(_viewer(house))).set_aside
    assert (aside.what, aside.code, aside.reason, aside.source_name, aside.can_retry) == (
        "quality", "unreadable", "The picture ends too early", "secret.jpg", True,
    )  # fmt: skip
    await watch.retry(_viewer(house), job)
    health = await watch.look(_viewer(house))
    assert health.set_aside == ()
    assert health.priorities[Priority.PERSON] == 1


async def test_someone_elses_private_file_is_told_without_its_name(house: SmallHouse) -> None:
    await _buried(house)
    (aside,) = (await _watch(house).look(_viewer(house, Role.MEMBER, other=True))).set_aside
    assert (aside.source_name, aside.memory) == ("", "")


async def test_what_was_refused_is_told_to_those_who_may_know_the_camera(house: SmallHouse) -> None:
    error = Rejected("this is no picture", code="bad-jpeg")

    def refused(connection: Connection) -> None:
        for device, lane, name in (("porch", Lane.RECORD, "record 7"), ("", Lane.FOLDER, "diary.jpg")):
            refusals.put(connection, lane=lane, device=device, error=error, about={"source_name": name}, at_us=NOW_US)

    await house.db.write(refused)
    told = (await _watch(house).look(_viewer(house))).set_aside
    assert {(each.device, each.source_name) for each in told} == {("porch", "record 7"), ("", "diary.jpg")}
    other = (await _watch(house).look(_viewer(house, Role.MEMBER, other=True))).set_aside
    assert [(each.device, each.source_name, each.code) for each in other] == [("", "", "bad-jpeg")] * 2


async def test_a_guest_tries_nothing_again(house: SmallHouse) -> None:
    job = await _buried(house)
    guest = _viewer(house, Role.GUEST, other=True)
    with pytest.raises(Forbidden):
        await _watch(house).retry(guest, job)
    with pytest.raises(Forbidden):
        await _watch(house).retry_all(guest)


async def test_a_job_that_is_not_set_aside_is_not_found(house: SmallHouse) -> None:
    with pytest.raises(NotFound):
        await _watch(house).retry(_viewer(house), 4711)


async def test_all_of_one_step_are_tried_again(house: SmallHouse) -> None:
    await _buried(house)
    assert await _watch(house).retry_all(_viewer(house), step="ocr") == 0
    assert await _watch(house).retry_all(_viewer(house), step="quality") == 1


async def test_rates_come_from_what_was_done_each_minute(house: SmallHouse) -> None:
    watch = _watch(house)
    await watch.sample()
    watch.on.runner.done["quality"] = 10
    health = await watch.look(_viewer(house))
    quality = next(node for node in health.nodes if node.name == "quality")
    assert (quality.per_minute, quality.line) == (10, (10,))


async def test_a_disk_that_takes_nothing_is_told_until_it_takes_something_again(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = _watch(house)
    assert not [part for part in (await watch.look(_viewer(house))).parts if part.name == "Disk"]
    watch = _watch(house)
    monkeypatch.setattr(probes, "why_not_written", lambda _: "disk-read-only")
    found = await watch.look(_viewer(house))
    assert [part.state for part in found.parts if part.name == "Disk"] == ["look"]
    assert found.sentence.startswith("The disk takes nothing")
    monkeypatch.undo()
    assert not [part for part in (await watch.look(_viewer(house))).parts if part.name == "Disk"]


async def test_a_warm_box_says_why_it_is_behind(house: SmallHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = _watch(house)
    for celsius, said, waits in (
        (81.2, "Too warm: backlog waits, 81 °C.", 1),
        (82.4, "Too warm: all waits but what people ask for, 82 °C.", 2),
        (74.0, "Too warm: backlog waits, 74 °C.", 1),
    ):
        monkeypatch.setattr(probes, "temperature_c", lambda celsius=celsius: celsius)
        found = await watch.look(_viewer(house))
        assert found.sentence == said
        assert [each.over for each in found.budgets if each.name == "temperature"] == [True]
        assert metrics.temperature_waits._value.get() == waits
    monkeypatch.setattr(probes, "temperature_c", lambda: None)
    found = await watch.look(_viewer(house))
    assert found.sentence == "Everything is stored. All caught up."
    assert not [each for each in found.budgets if each.name == "temperature"]


def test_a_folder_that_cannot_be_written_is_named_and_nothing_is_left_in_one_that_can(tmp_path: Path) -> None:
    assert probes.why_not_written(tmp_path) == ""
    assert list(tmp_path.iterdir()) == []
    assert probes.why_not_written(tmp_path / "none") == "disk-error"
    assert probes.why_not_written(Path("/proc/self")) in ("disk-read-only", "disk-error")


async def test_the_lag_of_an_index_is_what_it_has_not_followed(house: SmallHouse) -> None:
    async with Index(house.db) as index:
        await house.put(b"one")
        await index.catch_up()
        for body in (b"two", b"three"):
            await house.put(body)
        await _watch(house).sample()
        behind = await house.db.read(lambda c: changes.head(c).sequence) - index._cursor.sequence  # type: ignore[union-attr]
        assert metrics.index_lag.labels("words")._value.get() == behind >= 2
        await index.catch_up()
        await _watch(house).sample()
        assert metrics.index_lag.labels("words")._value.get() == 0


async def test_a_day_of_readings_is_kept_and_outlives_the_process(house: SmallHouse) -> None:
    now_us = NOW_US
    on = replace(_watch(house).on, now_us=lambda: now_us)
    watch = Watch(on)
    for minute in range(26 * 60):  # sampled each minute, kept each fifth
        now_us = NOW_US + minute * 60_000_000
        watch._pss_bytes = (100 + minute % 5) * 10**6
        await watch._remember(now_us)
    (memory,) = [each for each in (await Watch(on).look(_viewer(house))).budgets if each.name == "memory"]
    assert len(memory.past) in (288, 289)
    assert {value for _, value in memory.past[:-1]} == {104.0}
    assert memory.past[0][0] > now_us - 86_400_000_000
    assert await house.count("reading") <= 2 * 289
