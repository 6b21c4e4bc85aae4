"""Who may come in to the web, how, and what every answer carries."""

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from gateway.config import Http
from gateway.entities import Role
from gateway.shapes import MemoryOut
from gateway.web import tls
from gateway.web.app import CSP
from gateway.web.serve import open_web
from tests.web_house import WORDS, WebHouse, open_web_house, with_demo_user


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[WebHouse]:
    async with open_web_house(tmp_path) as opened:
        yield opened


async def code_of(answer: aiohttp.ClientResponse) -> tuple[int, str]:
    assert answer.content_type == "application/problem+json", await answer.text()
    problem = await answer.json()
    assert problem["status"] == answer.status
    assert problem["type"] == f"urn:hearthlog:{problem['code']}"
    return answer.status, problem["code"]


async def test_first_run_then_sign_out_and_in(house: WebHouse) -> None:
    client = await house.client()
    assert (await (await client.get("/api/v1/setup")).json())["first_run"] is True
    body = {"code": house.parts.accounts.setup_code(), "name": "Nora", "password": WORDS}
    assert (await client.post("/api/v1/setup", json={**body, "code": "WRONG"})).status == 403
    answer = await client.post("/api/v1/setup", json=body)
    assert (await answer.json())["name"] == "Nora"
    assert (await (await client.get("/api/v1/session")).json())["role"] == "admin"
    assert (await client.delete("/api/v1/session")).status == 204
    assert await code_of(await client.get("/api/v1/session")) == (401, "signed-out")
    again = await client.post("/api/v1/session", json={"name": "Nora", "password": WORDS})
    assert again.status == 200
    assert await code_of(await client.post("/api/v1/setup", json=body)) == (409, "claimed")


async def test_cookie_on_plain_loopback_is_http_only_lax_and_rotated(house: WebHouse) -> None:
    client = await house.signed_in()
    first = client.session.cookie_jar.filter_cookies(client.make_url("/"))
    ((name, cookie),) = first.items()
    assert name == f"hearthlog-{client.port}"
    answer = await client.post("/api/v1/session", json={"name": "Nora", "password": WORDS})
    header = answer.headers["Set-Cookie"]
    assert "HttpOnly" in header
    assert "SameSite=Lax" in header
    assert "Path=/" in header
    assert "Domain" not in header
    ((_, rotated),) = client.session.cookie_jar.filter_cookies(client.make_url("/")).items()
    assert rotated.value != cookie.value
    assert await house.parts.accounts.session(cookie.value) is None


async def test_plain_forms_are_answered_with_redirects(house: WebHouse) -> None:
    await house.nora()
    client = await house.client()
    fields = {"name": "Nora", "password": "not the right words"}
    wrong = await client.post("/api/v1/session", data=fields, allow_redirects=False)
    assert (wrong.status, wrong.headers["Location"]) == (303, "/sign-in?error=wrong-password")
    right = await client.post(
        "/api/v1/session", data={**fields, "password": WORDS, "next": "/search?q=cat"}, allow_redirects=False
    )
    assert (right.status, right.headers["Location"]) == (303, "/search?q=cat")
    out = await client.post("/api/v1/session/end", data={}, allow_redirects=False)
    assert (out.status, out.headers["Location"]) == (303, "/sign-in")


async def test_next_never_leads_to_another_site(house: WebHouse) -> None:
    await house.nora()
    client = await house.client()
    for go_on in ("//evil.example", "/\\evil.example", "https://evil.example", "/\r\nX: y"):
        answer = await client.post(
            "/api/v1/session", data={"name": "Nora", "password": WORDS, "next": go_on}, allow_redirects=False
        )
        assert answer.headers["Location"] == "/", go_on


async def test_too_many_wrong_passwords_say_how_long_to_wait(house: WebHouse) -> None:
    await house.nora()
    client = await house.client()
    for _ in range(5):
        await client.post("/api/v1/session", json={"name": "Nora", "password": "not the right words"})
    answer = await client.post("/api/v1/session", json={"name": "Nora", "password": WORDS})
    assert await code_of(answer) == (429, "too-many-tries")
    assert int(answer.headers["Retry-After"]) >= 1


async def test_cookie_alone_does_not_let_another_site_write(house: WebHouse) -> None:
    client = await house.signed_in(tells_site=False)
    own = f"127.0.0.1:{client.port}"
    for headers, status in (
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "none"}, 201),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": f"http://{own}"}, 201),
        ({"Origin": f"https://{own}"}, 403),
        ({}, 403),
    ):
        answer = await client.post("/api/v1/tokens", json={"scopes": ["read"]}, headers=headers)
        assert answer.status == status, headers
        if status == 403:
            assert await code_of(answer) == (403, "cross-site")


async def test_another_site_cannot_sign_a_visitor_in(house: WebHouse) -> None:
    await house.nora()
    client = await house.client()
    answer = await client.post(
        "/api/v1/session", data={"name": "Nora", "password": WORDS}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert await code_of(answer) == (403, "cross-site")


async def test_name_that_is_not_this_box_is_misdirected(house: WebHouse) -> None:
    client = await house.client()
    for host, status in (
        ("localhost:8480", 200),
        ("127.0.0.1", 200),
        ("[::1]:8480", 200),
        ("192.168.1.20:8480", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
        ("localhost:99999", 421),
        ("localhost:x", 421),
        ("[::1", 421),
        ("user@localhost@evil.example", 421),
    ):
        answer = await client.get("/livez", headers={"Host": host})
        assert answer.status == status, host
        if status == 421:
            assert await code_of(answer) == (421, "wrong-host")


async def test_named_host_of_the_settings_is_allowed(tmp_path: Path) -> None:
    async with open_web_house(tmp_path, http=Http(names=("Hearth.Example",))) as house:
        client = await house.client()
        assert (await client.get("/livez", headers={"Host": "hearth.example:8480"})).status == 200


async def test_token_reads_but_does_not_write_without_the_scope(house: WebHouse) -> None:
    client = await house.client()
    reader = await house.token("read")
    assert (await client.get("/api/v1/session", headers=reader)).status == 200
    made = await client.post("/api/v1/tokens", json={"scopes": ["read"]}, headers=reader)
    assert await code_of(made) == (403, "scope")
    writer = await house.token("write")
    assert await code_of(await client.get("/api/v1/session", headers=writer)) == (403, "scope")


async def test_lost_token_makes_nothing_that_outlives_it(house: WebHouse) -> None:
    client = await house.client()
    headers = await house.token("read", "write")
    for method, path, body in (
        ("POST", "/tokens", {"scopes": ["read"]}),
        ("DELETE", "/tokens/t1", None),
        ("POST", "/people", {"name": "Mallory", "role": "admin", "password": WORDS}),
        ("POST", "/password", {"old": WORDS, "new": "five quite other words"}),
        ("DELETE", "/sessions/0123456789abcdef", None),
    ):
        answer = await client.request(method, "/api/v1" + path, json=body, headers=headers)
        assert await code_of(answer) == (403, "scope"), path


async def test_token_that_opens_nothing_is_told_even_beside_a_good_cookie(house: WebHouse) -> None:
    client = await house.signed_in()
    for header in ("Bearer hl_wrong", "Bearer ", "Basic bm9yYTp4"):
        answer = await client.get("/api/v1/session", headers={"Authorization": header})
        assert await code_of(answer) == (401, "bad-token")
        assert "Bearer" in answer.headers["WWW-Authenticate"]


async def test_token_in_an_address_opens_nothing(house: WebHouse) -> None:
    client = await house.client()
    header = await house.token("read")
    secret = header["Authorization"].removeprefix("Bearer ")
    answer = await client.get(f"/api/v1/session?token={secret}&access_token={secret}")
    assert answer.status in (401, 422)


async def test_sessions_are_listed_and_one_browser_signs_another_out(house: WebHouse) -> None:
    here, there = await house.signed_in(), await house.signed_in()
    found = (await (await here.get("/api/v1/sessions")).json())["items"]
    assert sorted(each["current"] for each in found) == [False, True]
    other = next(each["id"] for each in found if not each["current"])
    assert (await here.delete(f"/api/v1/sessions/{other}")).status == 204
    assert (await there.get("/api/v1/session")).status == 401
    assert (await here.get("/api/v1/session")).status == 200


async def test_new_password_keeps_only_this_browser_signed_in(house: WebHouse) -> None:
    here, there = await house.signed_in(), await house.signed_in()
    body = {"old": WORDS, "new": "five quite other words"}
    answer = await here.post("/api/v1/password", json=body)
    assert answer.status == 204
    assert (await here.get("/api/v1/session")).status == 200
    assert (await there.get("/api/v1/session")).status == 401


async def test_every_answer_carries_the_headers_that_protect(house: WebHouse) -> None:
    client = await house.client()
    for path in ("/livez", "/api/v1/session", "/api/v1/openapi.json", "/nothing/here", "/sign-in"):
        headers = (await client.get(path, allow_redirects=False)).headers
        assert headers["Content-Security-Policy"] == CSP
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert "Permissions-Policy" in headers
        assert "Strict-Transport-Security" not in headers
    assert "unsafe" not in CSP


async def test_every_page_but_the_public_ones_sends_strangers_to_sign_in(house: WebHouse) -> None:
    client = await house.client()
    first = await client.get("/", allow_redirects=False)
    assert (first.status, first.headers["Location"]) == (303, "/first-run")
    await house.nora()
    assert (await client.get("/", allow_redirects=False)).headers["Location"] == "/sign-in"
    answer = await client.get("/search?q=red+cat", allow_redirects=False)
    assert answer.headers["Location"] == "/sign-in?next=%2Fsearch%3Fq%3Dred%2Bcat"


async def test_wrong_requests_are_told_as_problems(house: WebHouse) -> None:
    client = await house.signed_in()
    assert await code_of(await client.get("/api/v1/nothing")) == (404, "not-found")
    assert await code_of(await client.put("/api/v1/session")) == (405, "not-allowed")
    assert await code_of(await client.post("/api/v1/tokens", data=b"{")) == (415, "wrong-media-type")
    unread = await client.post("/api/v1/tokens", data=b"{", headers={"Content-Type": "application/json"})
    assert await code_of(unread) == (422, "invalid")
    unknown = await client.post("/api/v1/tokens", json={"scopes": ["read"], "extra": 1})
    assert (await unknown.json())["faults"][0]["field"] == "extra"
    large = await client.post("/api/v1/tokens", json={"name": "x" * 70_000})
    assert await code_of(large) == (413, "too-large")
    query = await client.get("/api/v1/search?lmit=3")
    assert (await query.json())["faults"][0]["field"] == "lmit"


async def test_fault_of_ours_is_told_without_its_inside(
    house: WebHouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        MemoryOut.model_validate({"caption": "Pep" + "per on the sofa"})

    monkeypatch.setattr(house.parts.memories, "search", broken)
    client = await house.signed_in()
    answer = await client.get("/api/v1/search")
    assert await code_of(answer) == (500, "fault")
    assert "Pepper" not in await answer.text()
    assert "request failed" in caplog.text
    assert "Pepper" not in caplog.text


async def test_answers_about_wrong_fields_never_repeat_a_secret(house: WebHouse) -> None:
    client = await house.client()
    answer = await client.post("/api/v1/session", json={"name": "Nora", "password": ["sesame"]})
    assert answer.status == 422
    assert "sesame" not in await answer.text()


async def test_ready_only_without_reasons(house: WebHouse) -> None:
    client = await house.client()
    assert (await client.get("/readyz")).status == 200
    house.reasons.append("The index is loading.")
    answer = await client.get("/readyz")
    assert (answer.status, await answer.json()) == (503, {"ready": False, "reasons": ["The index is loading."]})


async def test_metrics_are_for_loopback_and_never_name_a_person(house: WebHouse) -> None:
    await house.nora()
    client = await house.client()
    answer = await client.get("/metrics")
    text = await answer.text()
    assert answer.content_type == "text/plain"
    assert "hearthlog_captures_stored" in text
    assert "Nora" not in text


async def test_demo_visitor_on_loopback_is_signed_in(house: WebHouse) -> None:
    await house.nora()
    client = await with_demo_user(house, "Nora").client()
    assert (await (await client.get("/api/v1/session")).json())["name"] == "Nora"
    assert "Set-Cookie" not in (await client.get("/api/v1/session")).headers
    page = await client.get("/", allow_redirects=False)
    assert page.headers.get("Location") is None
    assert "Set-Cookie" in page.headers
    crossing = await client.post("/api/v1/tokens", json={"scopes": ["read"]}, headers={"Sec-Fetch-Site": "cross-site"})
    assert await code_of(crossing) == (403, "cross-site")


async def test_demo_user_that_does_not_exist_lets_nobody_in(house: WebHouse) -> None:
    client = await with_demo_user(house, "Nobody").client()
    assert await code_of(await client.get("/api/v1/session")) == (401, "signed-out")


async def test_socket_acts_as_its_owner_or_as_whom_it_says(tmp_path: Path) -> None:
    async with open_web_house(tmp_path, http=Http(port=0)) as house, open_web(house.parts):
        await house.nora()
        await house.parts.accounts.add(None, "Zoë", Role.GUEST, WORDS)
        path = house.parts.settings.home / "run" / "gateway.sock"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session:
            async with session.get("http://localhost/api/v1/session") as answer:
                assert (await answer.json())["name"] == "Nora"
            headers = {"X-Hearthlog-User": "Zo%C3%AB"}
            async with session.get("http://localhost/api/v1/session", headers=headers) as answer:
                assert (await answer.json())["role"] == "guest"


async def test_admin_in_a_browser_cannot_set_the_password_of_another(house: WebHouse) -> None:
    await house.parts.accounts.add(await house.nora(), "Ada", Role.MEMBER, WORDS)
    client = await house.signed_in()
    body = {"name": "Ada", "password": "five quite other words"}
    assert await code_of(await client.post("/api/v1/people/password", json=body)) == (403, "forbidden")


async def test_header_of_the_socket_means_nothing_elsewhere(house: WebHouse) -> None:
    await house.nora()
    client = await house.client()
    answer = await client.get("/api/v1/session", headers={"X-Hearthlog-User": "Nora"})
    assert await code_of(answer) == (401, "signed-out")


async def test_lan_speaks_https_with_a_host_cookie_and_loopback_stays_plain(tmp_path: Path) -> None:
    async with open_web_house(tmp_path, http=Http(host="0.0.0.0", port=0, demo_user="Nora")) as house:
        await house.nora()
        lan = [each for each in tls.own_names().addresses if ":" not in each and not each.startswith("127.")]
        async with open_web(house.parts) as listening, aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{listening.port}/livez") as answer:
                assert answer.status == 200
            async with session.get(f"http://127.0.0.1:{listening.port}/ca.pem") as answer:
                assert (await answer.read()).startswith(b"-----BEGIN CERTIFICATE-----")
            async with session.get(f"http://127.0.0.1:{listening.port}/trust") as answer:
                assert listening.fingerprint[:23].replace(":", " ") in await answer.text()
            if not lan:
                pytest.skip("this machine has no address but loopback")
            url = URL(f"https://{lan[0]}:{listening.port}")
            body = {"name": "Nora", "password": WORDS}
            async with session.post(url / "api/v1/session", json=body, ssl=False) as answer:
                header = answer.headers["Set-Cookie"]
            assert header.startswith("__Host-hearthlog=")
            assert "Secure" in header
            async with session.get(url / "metrics", ssl=False) as answer:
                assert answer.status == 401
            async with session.get(url / "api/v1/session", ssl=False) as answer:
                assert answer.status == 401, "the demo visitor is for loopback only"
