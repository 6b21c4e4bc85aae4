"""Duplicates over the API and on the command line: as the document says, for whoever may, and with a way back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import jsonschema
import pytest
from aiohttp import ClientResponse
from click.testing import CliRunner, Result

from gateway.cli import root
from gateway.config import Http
from gateway.entities import Annotation, Duplicate, DuplicateKind, Privacy, Role, Stored
from gateway.store import reading, understood
from gateway.store.db import Connection
from gateway.store.home import hold
from gateway.web.app import document_text
from gateway.web.serve import open_web
from tests.web_house import WORDS, WebHouse, open_web_house, png

DOCUMENT = json.loads(document_text())
BASE = "/api/v1/duplicates"


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WebHouse]:
    """A house that commands reach as well."""
    monkeypatch.setenv("HEARTHLOG_HOME", str(tmp_path))
    with hold(tmp_path):
        async with open_web_house(tmp_path, http=Http(port=0)) as opened, open_web(opened.parts):
            yield opened


async def burst(house: WebHouse, *, copies: int = 2, privacy: Privacy = Privacy.CIRCLE) -> list[str]:
    """A picture and what repeats it; the first is the front."""
    await house.nora()
    made = [await house.put(png(8, 6 + n), media_type="image/png", privacy=privacy) for n in range(copies + 1)]

    def repeat(connection: Connection) -> None:
        front, *others = (reading.number_of(connection, uid) for uid in made)
        for number in others:
            copy = Duplicate(
                DuplicateKind.BURST, front, {"distance": 2, "apart_us": 1_000_000, "compared_with": made[0]}
            )
            stored = Stored(number, "dedupe", 1, "f", 5, 1.0, Annotation(duplicate=copy), "", "", "")
            understood.put_annotation(connection, stored)

    await house.db.write(repeat)
    return made


async def fits(answer: ClientResponse, method: str, path: str) -> dict:
    """The answer's JSON, once it was found to be as the document says."""
    said = DOCUMENT["paths"][path][method]["responses"][str(answer.status)]
    value = await answer.json()
    schema = {**said["content"]["application/json"]["schema"], "components": DOCUMENT["components"]}
    jsonschema.validate(value, schema, cls=jsonschema.Draft202012Validator)
    return value


async def test_groups_and_decisions_are_answered_as_promised(house: WebHouse) -> None:
    front, first, second = await burst(house)
    client = await house.signed_in()
    page = await fits(await client.get(BASE), "get", "/duplicates")
    assert (page["kind"], page["counts"]["burst"], page["next"]) == ("burst", 1, None)
    (group,) = page["items"]
    assert (group["id"], group["count"], group["undecided"], group["mine"]) == (front, 2, 2, True)
    assert [each["memory"]["id"] for each in group["members"]] == [first, second]
    said = await client.post(f"{BASE}/decisions", json={"memory": first, "other": front, "verdict": "apart"})
    assert said.status == 204
    assert (await (await client.get(f"/api/v1/memories/{first}")).json())["duplicate"] is None
    whole = await fits(await client.get(f"{BASE}/{front}?kind=burst"), "get", "/duplicates/{id}")
    assert [each["memory"]["id"] for each in whole["members"]] == [second]
    path = "/duplicates/decisions"
    (decision,) = (await fits(await client.get(f"{BASE}/decisions?memory={front}"), "get", path))["items"]
    assert (decision["memory"]["id"], decision["front"]["id"]) == (first, front)
    assert (decision["verdict"], decision["person"], decision["mine"]) == ("apart", "Nora", True)


async def test_what_was_kept_one_of_comes_back_at_once(house: WebHouse) -> None:
    front, first, second = await burst(house)
    client = await house.signed_in()
    answer = await client.post(f"{BASE}/{front}/keep-one", json={"kind": "burst", "keep": second})
    done = await fits(answer, "post", "/duplicates/{id}/keep-one")
    assert (set(done["binned"]), done["left"]) == ({front, first}, 0)
    binned = (await (await client.get("/api/v1/bin")).json())["items"]
    assert {each["id"] for each in binned} == {front, first}
    back = await client.post("/api/v1/bin/restore", json={"memories": done["binned"]})
    assert (await fits(back, "post", "/bin/restore")) == {"pictures": 2}
    group = (await (await client.get(BASE)).json())["items"][0]
    assert (group["id"], group["count"]) == (front, 2)


async def test_a_whole_group_is_said_to_be_the_same_and_taken_back(house: WebHouse) -> None:
    front, *_ = await burst(house)
    client = await house.signed_in()
    done = await client.post(f"{BASE}/{front}/keep-all", json={"kind": "burst"})
    assert (await fits(done, "post", "/duplicates/{id}/keep-all")) == {"pictures": 2}
    assert (await (await client.get(BASE)).json())["items"] == []
    assert len((await (await client.get(f"{BASE}?undecided=false&kind=burst")).json())["items"]) == 1
    await client.post(f"{BASE}/{front}/undo", json={"kind": "burst"})
    assert (await (await client.get(BASE)).json())["counts"]["burst"] == 1


WRITES = (
    ("decisions", {"memory": "a", "other": "b", "verdict": "same"}),
    ("a/keep-all", {"kind": "burst"}),
    ("a/undo", {"kind": "burst"}),
    ("a/keep-one", {"kind": "burst", "keep": "a"}),
    ("../bin/restore", {"memories": ["a"]}),
)


@pytest.mark.parametrize(("path", "body"), WRITES)
async def test_changing_needs_the_scope_and_our_own_pages(house: WebHouse, path: str, body: dict[str, object]) -> None:
    reader = await house.token("read")
    program = await house.client(tells_site=False)
    refused = await program.post(f"{BASE}/{path}", json=body, headers=reader)
    assert (refused.status, (await refused.json())["code"]) == (403, "scope")
    assert (await program.post(f"{BASE}/{path}", json=body)).status == 401
    browser = await house.signed_in(tells_site=False)
    crossing = await browser.post(f"{BASE}/{path}", json=body, headers={"Sec-Fetch-Site": "cross-site"})
    assert (crossing.status, (await crossing.json())["code"]) == (403, "cross-site")


async def test_another_persons_pictures_are_neither_listed_nor_decided(house: WebHouse) -> None:
    front, first, _ = await burst(house, privacy=Privacy.PRIVATE)
    shown, *others = await burst(house)
    await house.parts.accounts.add(await house.nora(), "Tomas", Role.MEMBER, WORDS)
    client = await house.signed_in("Tomas")
    page = await (await client.get(BASE)).json()
    assert ([group["id"] for group in page["items"]], page["counts"]["burst"]) == ([shown], 1)
    assert page["items"][0]["mine"] is False
    for path, body, code in (
        ("decisions", {"memory": first, "other": front, "verdict": "apart"}, 404),
        (f"{front}/keep-all", {"kind": "burst"}, 404),
        ("decisions", {"memory": others[0], "other": shown, "verdict": "apart"}, 403),
        (f"{shown}/keep-one", {"kind": "burst", "keep": shown}, 403),
    ):
        assert (await client.post(f"{BASE}/{path}", json=body)).status == code
    assert (await client.get(f"{BASE}/{front}?kind=burst")).status == 404
    assert await (await client.post("/api/v1/bin/restore", json={"memories": [front]})).json() == {"pictures": 0}


@pytest.mark.parametrize("query", ["kind=copies", "limit=0", "limit=101", "cursor=" + "x" * 65, "what=1", "cursor=zz"])
async def test_what_makes_no_sense_is_refused(house: WebHouse, query: str) -> None:
    client = await house.signed_in()
    answer = await client.get(f"{BASE}?{query}")
    assert answer.status in (400, 422), await answer.text()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(root, ["duplicates", *arguments])


async def test_the_command_lists_keeps_and_takes_back(house: WebHouse) -> None:
    front, first, second = await burst(house)

    async def said(*arguments: str) -> str:
        result = await asyncio.to_thread(run, *arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    assert json.loads(await said("list", "--json"))["items"][0]["id"] == front
    assert first in await said("list", "--kind", "burst")
    assert await said("apart", first, front) == "They are kept apart from now on.\n"
    decided = json.loads(await said("list", "--decided", "--json"))["items"]
    assert [(each["memory"]["id"], each["verdict"]) for each in decided] == [(first, "apart")]
    assert "not the same, Nora" in await said("list", "--decided")
    assert await said("undo", front, first) == "It was taken back.\n"
    assert await said("same", first, front) == "They are the same from now on.\n"
    assert await said("keep", front, "--kind", "burst") == "2 are the same; all are kept.\n"
    assert json.loads(await said("list", "--json"))["items"] == []
    kept = json.loads(await said("keep", front, "--kind", "burst", "--only", second, "--json"))
    assert set(kept["binned"]) == {front, first}


async def test_a_command_about_what_is_not_there_fails(house: WebHouse) -> None:
    await house.nora()
    for arguments in (("keep", "../x", "--kind", "burst"), ("apart", "a", "b"), ("list", "--cursor", "nothing")):
        result = await asyncio.to_thread(run, *arguments)
        assert result.exit_code == 1
