"""Live events: what changed, to whom, from where on, and until when."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientResponse

from gateway.entities import Privacy, Role
from gateway.errors import Rejected
from gateway.web import sse
from tests.web_house import WORDS, Client, WebHouse, open_web_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[WebHouse]:
    async with open_web_house(tmp_path) as opened:
        yield opened


@dataclass
class Event:
    id: str = ""
    name: str = ""
    data: str = ""
    comment: str = ""


async def next_event(answer: ClientResponse) -> Event:
    """The next block of the stream."""
    event = Event()
    async with asyncio.timeout(20):
        while line := (await answer.content.readline()).decode().rstrip("\n"):
            key, _, value = line.partition(": ")
            match key:
                case "id":
                    event.id = value
                case "event":
                    event.name = value
                case "data":
                    event.data = value
                case "":
                    event.comment = value
    return event


async def next_change(answer: ClientResponse, entity: str) -> tuple[Event, dict]:
    """The next change of that kind."""
    while True:
        event = await next_event(answer)
        assert event.name != "over"
        if event.name == "change" and (data := json.loads(event.data))["entity"] == entity:
            return event, data


async def follow(client: Client, after: str = "") -> ClientResponse:
    """A stream that has begun."""
    answer = await client.get("/api/v1/events", headers={"Last-Event-ID": after} if after else {})
    assert answer.status == 200
    assert answer.content_type == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    await next_event(answer)  # how long to wait before coming back
    return answer


async def test_new_memory_is_told_with_ids_and_no_content(house: WebHouse) -> None:
    client = await house.signed_in()
    stream = await follow(client)
    assert (await next_event(stream)).comment == "beat"
    uid = await house.put(b"picture", caption="a red kite")
    event, data = await next_change(stream, "memory")
    assert data == {"entity": "memory", "id": uid, "operation": "put"}
    assert event.id


async def test_browser_that_comes_back_misses_nothing(house: WebHouse) -> None:
    client = await house.signed_in()
    stream = await follow(client)
    await next_event(stream)
    first = await house.put(b"one")
    event, data = await next_change(stream, "memory")
    assert data["id"] == first
    stream.close()
    missed = {await house.put(b"two"), await house.put(b"three")}
    again = await follow(client, event.id)
    told = {(await next_change(again, "memory"))[1]["id"], (await next_change(again, "memory"))[1]["id"]}
    assert told == missed


@pytest.mark.parametrize("after", ["0123456789abcdef-5", "0123456789abcdef-0"])
async def test_cursor_of_another_epoch_is_told_to_start_over(house: WebHouse, after: str) -> None:
    client = await house.signed_in()
    stream = await follow(client, after)
    assert (await next_event(stream)).name == "reset"


async def test_nobody_hears_of_what_they_may_not_see(house: WebHouse) -> None:
    nora = await house.nora()
    await house.parts.accounts.add(nora, "Ada", Role.MEMBER, WORDS)
    ada = await house.signed_in("Ada")
    stream = await follow(ada)
    await next_event(stream)
    await house.put(b"private", owner=nora.user)
    shared = await house.put(b"shared", owner=nora.user, privacy=Privacy.CIRCLE)
    assert (await next_change(stream, "memory"))[1]["id"] == shared


async def test_stream_ends_when_its_browser_signs_out(house: WebHouse) -> None:
    client = await house.signed_in()
    stream = await follow(client)
    await next_event(stream)
    await client.delete("/api/v1/session")
    while (event := await next_event(stream)).name != "over":
        assert event.name != "change" or json.loads(event.data)["entity"] != "memory"
    assert await stream.content.read() == b""


async def test_stream_of_a_token_ends_with_the_token(house: WebHouse) -> None:
    header = await house.token("read")
    client = await house.client()
    stream = await client.get("/api/v1/events", headers=header)
    await next_event(stream)
    nora = await house.nora()
    (token,) = await house.parts.accounts.tokens(nora)
    await house.parts.accounts.end_token(nora, token.id)
    while (await next_event(stream)).name != "over":
        pass


async def test_quiet_stream_beats(house: WebHouse) -> None:
    client = await house.signed_in()
    client.app[sse.STREAMS].pace = sse.Pace(heartbeat_s=0.02, least_s=0.0)
    stream = await follow(client)
    for _ in range(3):
        assert (await next_event(stream)).comment == "beat"


async def test_streams_of_one_person_are_bounded_and_their_ends_counted(house: WebHouse) -> None:
    client = await house.signed_in()
    streams = [await follow(client) for _ in range(12)]
    refused = await client.get("/api/v1/events")
    assert (refused.status, (await refused.json())["code"]) == (429, "too-many-streams")
    await client.delete("/api/v1/session")
    for stream in streams:
        while (await next_event(stream)).name != "over":
            pass
        assert await stream.content.read() == b""
    assert not client.app[sse.STREAMS].open
    other = await house.signed_in()
    await follow(other)


async def test_shutdown_does_not_wait_for_streams(house: WebHouse) -> None:
    client = await house.signed_in()
    await follow(client)
    async with asyncio.timeout(10):
        await client.server.close()
    assert not client.app[sse.STREAMS].open


@pytest.mark.parametrize("text", ["abc", "-5", "ab cd-5", "abc-x", "abc-5\n", "abc-" + "9" * 40, "abc-٣"])
def test_event_id_that_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(Rejected):
        sse.cursor_from(text)
