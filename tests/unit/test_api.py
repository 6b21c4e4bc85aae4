"""The API over a real store: what it answers, to whom, and that it answers as its document says."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import jsonschema
import pytest
from aiohttp import ClientResponse

from gateway.entities import Kind, Priority, Privacy, Role
from gateway.errors import HearthlogError
from gateway.web.app import document_text
from gateway.web.openapi import template
from tests.web_house import WORDS, WebHouse, open_web_house, png

DAY_US = 1_700_000_000_000_000  # 14 November 2023, 23:13 in the home's zone
DOCUMENT = json.loads(document_text())


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[WebHouse]:
    async with open_web_house(tmp_path) as opened:
        yield opened


@pytest.fixture
async def real_house(tmp_path: Path) -> AsyncIterator[WebHouse]:
    async with open_web_house(tmp_path, real_workers=True) as opened:
        yield opened


async def fits(answer: ClientResponse, method: str, path: str) -> dict:
    """The answer's JSON, once it was found to be as the document says."""
    responses = DOCUMENT["paths"][path][method]["responses"]
    said = responses.get(str(answer.status)) or responses["default"]
    assert answer.content_type in said["content"], await answer.text()
    schema = {**said["content"][answer.content_type]["schema"], "components": DOCUMENT["components"]}
    value = await answer.json(content_type=None)
    jsonschema.validate(value, schema, cls=jsonschema.Draft202012Validator)
    return value


async def test_memory_is_read_as_promised(house: WebHouse) -> None:
    await house.nora()
    uid = await house.put(png(8, 6), media_type="image/png", caption="a red kite")
    client = await house.signed_in()
    memory = await fits(await client.get(f"/api/v1/memories/{uid}"), "get", "/memories/{id}")
    assert memory["id"] == uid
    assert memory["captured_at"] == "2023-11-14T22:13:20.000000Z"
    assert (memory["kind"], memory["device"], memory["privacy"]) == ("image", "porch", "private")
    assert (memory["time_source"], memory["time_confidence"]) == ("device-synced", "sure")
    assert (memory["caption"], memory["caption_source"]) == ("a red kite", "person:Nora")
    assert re.fullmatch("[0-9a-f]{64}", memory["sha256"])
    assert memory["duplicate"] is None


async def test_what_is_not_yours_is_not_there(house: WebHouse) -> None:
    nora = await house.nora()
    private = await house.put(b"private", owner=nora.user)
    shared = await house.put(b"shared", owner=nora.user, privacy=Privacy.CIRCLE)
    await house.parts.accounts.add(nora, "Ada", Role.MEMBER, WORDS)
    await house.parts.accounts.add(nora, "Gus", Role.GUEST, WORDS)
    ada, gus = await house.signed_in("Ada"), await house.signed_in("Gus")
    assert (await ada.get(f"/api/v1/memories/{shared}")).status == 200
    for client, uid in ((ada, private), (gus, private), (gus, shared), (ada, "0" * 24)):
        for method, path in (("GET", ""), ("GET", "/media"), ("DELETE", ""), ("POST", "/restore"), ("POST", "/again")):
            answer = await client.request(method, f"/api/v1/memories/{uid}{path}")
            assert (answer.status, (await answer.json())["code"]) == (404, "not-found"), (method, path)
    assert (await ada.delete(f"/api/v1/memories/{shared}")).status == 403


async def test_words_of_a_person_win_and_are_found(house: WebHouse) -> None:
    uid = await house.put(b"picture")
    client = await house.signed_in()
    change = {"caption": "Pepper on the sofa", "tags": ["cat", "sofa"], "privacy": "circle", "ai_usage": "none"}
    answer = await client.patch(f"/api/v1/memories/{uid}", json={**change, "pinned": True})
    memory = await fits(answer, "patch", "/memories/{id}")
    assert {key: memory[key] for key in change} == change
    assert memory["pinned"] is True
    answer = await client.patch(f"/api/v1/memories/{uid}", json={"tags": ["cat"], "add_tags": ["garden"]})
    assert (await answer.json())["tags"] == ["cat", "garden"]
    await house.index.catch_up()
    found = await fits(await client.get("/api/v1/search?q=pepper"), "get", "/search")
    assert [item["memory"]["id"] for item in found["items"]] == [uid]
    (why,) = [why for why in found["items"][0]["why"] if why["kind"] == "words"]
    assert (why["field"], why["marks"]) == ("caption", [[0, 6]])
    assert found["next"] is None


async def test_correction_that_cannot_be_is_refused_whole(house: WebHouse) -> None:
    uid = await house.put(b"picture")
    client = await house.signed_in()
    for body in ({"caption": "x" * 2_001}, {"tags": [""]}, {"tags": ["x" * 65]}, {"privacy": "all"}):
        answer = await client.patch(f"/api/v1/memories/{uid}", json={"ai_usage": "train", **body})
        assert answer.status in (400, 422), body
        assert answer.content_type == "application/problem+json"
    assert (await (await client.get(f"/api/v1/memories/{uid}")).json())["ai_usage"] == "chat"


async def test_forgotten_memory_comes_back(house: WebHouse) -> None:
    uid = await house.put(b"picture")
    client = await house.signed_in()
    assert (await client.delete(f"/api/v1/memories/{uid}")).status == 204
    assert (await client.get(f"/api/v1/memories/{uid}")).status == 404
    bin_ = await fits(await client.get("/api/v1/bin"), "get", "/bin")
    assert [(item["id"], item["deleted_at"] is not None) for item in bin_["items"]] == [(uid, True)]
    answer = await client.post(f"/api/v1/memories/{uid}/restore")
    assert (await fits(answer, "post", "/memories/{id}/restore"))["id"] == uid
    assert (await client.get(f"/api/v1/memories/{uid}")).status == 200


async def test_search_pages_by_cursor_without_repeating(house: WebHouse) -> None:
    uids = {await house.put(b"%d" % n, at_us=DAY_US + n * 60_000_000) for n in range(7)}
    client = await house.signed_in()
    seen: list[str] = []
    cursor = ""
    while True:
        answer = await client.get("/api/v1/search", params={"limit": 3, "cursor": cursor})
        page = await fits(answer, "get", "/search")
        seen += [item["memory"]["id"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = page["next"]
    assert len(seen) == 7
    assert set(seen) == uids
    broken = await client.get("/api/v1/search", params={"cursor": "abc"})
    assert (await fits(broken, "get", "/search"))["code"] == "bad-cursor"


async def test_search_filters_by_day_of_the_home_device_and_kind(house: WebHouse) -> None:
    await house.put(b"picture", at_us=DAY_US)
    await house.put(b"sound", at_us=DAY_US, kind=Kind.AUDIO, media_type="audio/wav")
    client = await house.signed_in()

    async def total(**params: str | list[str]) -> int:
        answer = await client.get("/api/v1/search", params=params)
        assert answer.status == 200, await answer.text()
        return (await answer.json())["total"]

    assert await total(**{"from": "2023-11-14", "to": "2023-11-14"}) == 2
    assert await total(**{"from": "2023-11-15"}) == 0
    assert await total(**{"from": "2023-11-14T22:13:20Z", "to": "2023-11-14T22:13:21Z"}) == 2
    assert await total(kind="audio,image") == 2
    assert await total(kind=["audio", "video"]) == 1
    assert await total(device="porch") == 2
    assert await total(device="cellar") == 0


async def test_search_that_makes_no_sense_is_told(house: WebHouse) -> None:
    client = await house.signed_in()
    for query, status in (
        ("from=yesterday", 400),
        ("to=9999-12-31", 400),
        ("kind=hologram", 422),
        ("limit=0", 422),
        ("limit=201", 422),
        ("limit=many", 422),
        ("person=ada", 404),
        ("q=" + "x" * 501, 422),
    ):
        answer = await client.get(f"/api/v1/search?{query}")
        await fits(answer, "get", "/search")
        assert answer.status == status, query


async def test_day_adds_up(house: WebHouse) -> None:
    for n in range(3):
        await house.put(b"%d" % n, at_us=DAY_US - 3_600_000_000 + n * 1_000_000)
    client = await house.signed_in()
    day = await fits(await client.get("/api/v1/timeline?day=2023-11-14"), "get", "/timeline")
    assert day["day"] == "2023-11-14"
    assert day["zone"] == "Europe/Stockholm"
    moments = [row for row in day["items"] if row["row"] == "moment"]
    assert [moment["pictures"] for moment in moments] == [3]
    totals = day["totals"]
    assert totals["taken"] - totals["lost"] == totals["stored"]
    parts = ("folded_static", "folded_copies", "set_aside", "shown")
    assert totals["stored"] == sum(totals[part] for part in parts) == 3
    days = await fits(await client.get("/api/v1/days?until=2023-11-15&count=3"), "get", "/days")
    assert [each["memories"] for each in days["items"]] == [0, 3, 0]
    assert (await client.get("/api/v1/timeline?day=2023-13-01")).status == 400
    await fits(await client.get("/api/v1/timeline"), "get", "/timeline")


async def test_original_comes_back_byte_for_byte_and_harmless(house: WebHouse) -> None:
    body = png(8, 6)
    uid = await house.put(body, media_type="image/png")
    client = await house.signed_in()
    answer = await client.get(f"/api/v1/memories/{uid}/media")
    assert await answer.read() == body
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "private, max-age=86400"
    assert answer.headers["Content-Disposition"] == f'inline; filename="hearthlog-{uid}.png"'
    again = await client.get(f"/api/v1/memories/{uid}/media", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status == 304


async def test_kept_picture_is_not_shown_after_signing_out(house: WebHouse) -> None:
    uid = await house.put(png(8, 6), media_type="image/png")
    client = await house.signed_in()
    tag = (await client.get(f"/api/v1/memories/{uid}/media")).headers["ETag"]
    await client.delete("/api/v1/session")
    answer = await client.get(f"/api/v1/memories/{uid}/media", headers={"If-None-Match": tag})
    assert answer.status == 401


async def test_file_of_unknown_kind_is_never_shown(house: WebHouse) -> None:
    uid = await house.put(b"<script>alert(1)</script>", kind=Kind.TEXT, media_type="text/html")
    client = await house.signed_in()
    answer = await client.get(f"/api/v1/memories/{uid}/media")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment;")


async def test_sound_is_sent_in_ranges(house: WebHouse) -> None:
    uid = await house.put(b"0123456789", kind=Kind.AUDIO, media_type="audio/wav")
    client = await house.signed_in()
    for range_, status, expected in (
        ("bytes=0-3", 206, b"0123"),
        ("bytes=4-", 206, b"456789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=8-99", 206, b"89"),
        ("bytes=0-0,2-3", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
        ("bytes=10-", 416, None),
    ):
        answer = await client.get(f"/api/v1/memories/{uid}/media", headers={"Range": range_})
        assert answer.status == status, range_
        if expected is not None:
            assert await answer.read() == expected
        if status == 206:
            assert answer.headers["Content-Range"].endswith("/10")


async def test_small_picture_is_made_once_by_a_worker_and_left_nowhere_on_the_disk(real_house: WebHouse) -> None:
    house = real_house
    uid = await house.put(png(640, 480), media_type="image/png")
    client = await house.signed_in()
    thumb = await client.get(f"/api/v1/memories/{uid}/media?size=thumb")
    jpeg = await thumb.read()
    assert (thumb.status, thumb.headers["Content-Type"]) == (200, "image/jpeg")
    assert jpeg.startswith(b"\xff\xd8\xff")
    same = await client.get(f"/api/v1/memories/{uid}/media?size=300")
    assert await same.read() == jpeg, "sizes are rounded up, so that few are made"
    home = house.parts.settings.home
    assert not [path for path in home.rglob("*") if path.is_file() and jpeg[:64] in path.read_bytes()]
    assert (await client.get(f"/api/v1/memories/{uid}/media?size=huge")).status == 400
    sound = await house.put(b"sound", kind=Kind.AUDIO, media_type="audio/wav")
    assert (await client.get(f"/api/v1/memories/{sound}/media?size=thumb")).status == 404


async def test_picture_that_cannot_be_read_is_told(real_house: WebHouse) -> None:
    house = real_house
    uid = await house.put(b"\x89PNG\r\n\x1a\nbroken", media_type="image/png")
    client = await house.signed_in()
    answer = await client.get(f"/api/v1/memories/{uid}/media?size=thumb")
    assert answer.status == 422
    assert (await answer.json())["code"]


async def test_copy_is_kept_apart_and_a_step_done_again(house: WebHouse) -> None:
    uid = await house.put(b"picture")
    client = await house.signed_in()
    answer = await client.post(f"/api/v1/memories/{uid}/keep-apart")
    await fits(answer, "post", "/memories/{id}/keep-apart")
    await house.db.write(lambda c: c.execute("DELETE FROM job").rowcount)
    assert (await client.post(f"/api/v1/memories/{uid}/again", json={"step": "ocr"})).status == 204
    queued = await house.db.read(lambda c: [row[0] for row in c.execute("SELECT step FROM job ORDER BY step")])
    assert queued == ["ocr"]
    assert (await client.post(f"/api/v1/memories/{uid}/again", json={"step": "nothing"})).status == 404
    similar = await client.get(f"/api/v1/memories/{uid}/similar")
    assert (await fits(similar, "get", "/memories/{id}/similar"))["items"] == []


async def test_buried_job_is_told_with_its_reason_and_done_again(house: WebHouse) -> None:
    nora = await house.nora()
    await house.put(b"picture")
    now_us = house.parts.clock()
    (job,) = await house.spool.claim(["ocr"], lowest=Priority.BACKLOG, limit=1, now_us=now_us)
    await house.spool.bury(job, Kind.IMAGE, HearthlogError("it is torn", code="torn", hint="Look"), at_us=now_us)
    await house.parts.accounts.add(nora, "Gus", Role.GUEST, WORDS)
    client, guest = await house.signed_in(), await house.signed_in("Gus")
    (aside,) = (await fits(await client.get("/api/v1/jobs"), "get", "/jobs"))["set_aside"]
    assert (aside["code"], aside["reason"], aside["hint"], aside["can_retry"]) == ("torn", "it is torn", "Look", True)
    assert (await guest.post(f"/api/v1/jobs/{aside['id']}/retry")).status == 403
    assert (await client.post(f"/api/v1/jobs/{aside['id']}/retry")).status == 204
    assert (await client.post(f"/api/v1/jobs/{aside['id']}/retry")).status == 404
    retried = await fits(await client.post("/api/v1/jobs/retry", json={}), "post", "/jobs/retry")
    assert retried == {"retried": 0}
    await fits(await client.get("/api/v1/health"), "get", "/health")


async def test_camera_is_added_named_and_listed(house: WebHouse) -> None:
    nora = await house.nora()
    await house.parts.accounts.add(nora, "Ada", Role.MEMBER, WORDS)
    client, ada = await house.signed_in(), await house.signed_in("Ada")
    body = {"id": "cellar", "name": "Cellar", "room": "Cellar", "privacy": "circle", "ai_usage": "none"}
    assert (await ada.post("/api/v1/devices", json=body)).status == 403
    made = await client.post("/api/v1/devices", json=body)
    assert made.status == 201
    camera = await fits(made, "post", "/devices")
    assert camera["topic"] == "hearthlog/v1/cellar/up/jpeg"
    assert camera["battery_percent"] is None
    assert (await client.post("/api/v1/devices", json=body)).status == 409
    renamed = await client.patch("/api/v1/devices/cellar", json={"name": "Wine cellar"})
    assert (await fits(renamed, "patch", "/devices/{id}"))["name"] == "Wine cellar"
    listed = await fits(await client.get("/api/v1/devices"), "get", "/devices")
    assert {each["id"] for each in listed["items"]} == {"porch", "cellar"}
    assert (await client.post("/api/v1/devices", json={**body, "id": "Not An Id"})).status == 400
    assert (await client.get("/api/v1/devices/nothing-here")).status == 404


async def test_people_and_tokens_are_told_without_secrets(house: WebHouse) -> None:
    client = await house.signed_in()
    body = {"name": "Ada", "role": "member", "password": WORDS}
    assert (await client.post("/api/v1/people", json=body)).status == 201
    people = await fits(await client.get("/api/v1/people"), "get", "/people")
    assert [person["name"] for person in people["items"]] == ["Ada", "Nora"]
    made = await client.post("/api/v1/tokens", json={"scopes": ["read"], "name": "backup", "days": 30})
    secret = (await fits(made, "post", "/tokens"))["token"]
    listed = await client.get("/api/v1/tokens")
    (token,) = (await fits(listed, "get", "/tokens"))["items"]
    assert secret not in await listed.text()
    assert (await client.delete(f"/api/v1/tokens/{token['id']}")).status == 204
    assert (await client.get("/api/v1/people", headers={"Authorization": f"Bearer {secret}"})).status == 401


async def test_no_way_is_open_to_a_stranger(house: WebHouse) -> None:
    await house.nora()
    client = await house.client()
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            if operation.get("security") == []:
                continue
            answer = await client.request(method, "/api/v1" + template(path).replace("{id}", "1" * 16))
            assert answer.status in (401, 404), (method, path)
            if answer.status == 404:
                assert "{id}" in path
