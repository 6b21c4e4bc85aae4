"""What comes to the gateway's third connection: anything may, and only what is as it should be counts."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import Mqtt
from gateway.errors import Rejected, Retryable
from gateway.ingest.desk import CameraDesk, Denial, Heard, Result, read_result
from gateway.ingest.dynsec import DynSec, camera_rules

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_subnormal=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
NOISE = st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode())
RESPONSES = st.builds(
    lambda each: json.dumps({"responses": each}).encode(),
    st.lists(JSON | st.fixed_dictionaries({"correlationData": JSON, "command": JSON, "data": JSON}), max_size=3),
)


@given(NOISE)
def test_a_result_is_read_or_refused(payload: bytes) -> None:
    try:
        result = read_result(payload)
    except Rejected:
        return
    assert len(result.command) == 16
    assert len(result.code) <= 32


def test_a_result_is_what_a_camera_answers() -> None:
    assert read_result(b'{"id":"0123456789abcdef","ok":true,"code":"x"}') == Result("0123456789abcdef", True, "")
    assert read_result(b'{"id":"0123456789abcdef","ok":false}') == Result("0123456789abcdef", False, "failed")
    for wrong in (b'{"id":"0123456789ABCDEF","ok":true}', b'{"id":"0123456789abcdef","ok":1}', b'{"ok":true}', b"[]"):
        with pytest.raises(Rejected):
            read_result(wrong)


@given(NOISE | RESPONSES)
def test_what_is_no_answer_of_the_plugin_answers_nothing(payload: bytes) -> None:
    async def scene() -> None:
        asked = asyncio.Event()

        async def publish(_: bytes) -> None:
            asked.set()

        dynsec = DynSec(publish)
        dynsec.take(payload)
        task = asyncio.create_task(dynsec.ask([{"command": "listClients"}]))
        await asked.wait()
        dynsec.take(payload)
        await asyncio.sleep(0)
        assert not task.done()
        task.cancel()

    asyncio.run(scene())


async def test_an_answer_is_known_by_its_correlation() -> None:
    sent: list[dict] = []

    async def publish(payload: bytes) -> None:
        sent.append(json.loads(payload))
        mark = sent[-1]["commands"][0]["correlationData"]
        stranger = {"responses": [{"command": "listRoles", "correlationData": "another", "data": {"roles": ["x"]}}]}
        mine = {"responses": [{"command": "listRoles", "correlationData": mark, "data": {"roles": ["x", 3, _ROLE]}}]}
        dynsec.take(json.dumps(stranger).encode())
        dynsec.take(json.dumps(mine).encode())

    dynsec = DynSec(publish)
    assert await dynsec.admitted() == {"porch"}


async def test_a_broker_that_does_not_answer_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ingest.dynsec.ANSWER_S", 0.0)

    async def publish(_: bytes) -> None:
        await asyncio.Event().wait()

    with pytest.raises(Retryable) as error:
        await DynSec(publish).defaults()
    assert error.value.code == "pairing-later"


def test_a_camera_may_speak_below_its_own_name_and_nothing_has_a_wildcard_for_another() -> None:
    rules = camera_rules("porch")
    assert {(rule["acltype"], rule["topic"]) for rule in rules} == {
        ("publishClientSend", "hearthlog/v1/porch/up/#"),
        ("subscribePattern", "hearthlog/v1/porch/dn/#"),
        ("publishClientReceive", "hearthlog/v1/porch/dn/#"),
        ("subscribeLiteral", "hearthlog/v1/gateway/status"),
        ("publishClientReceive", "hearthlog/v1/gateway/status"),
    }


LINES = st.text(max_size=120).map(str.encode) | st.binary(max_size=400)


@given(st.lists(LINES, max_size=6))
def test_no_line_of_the_brokers_log_does_harm(lines: list[bytes]) -> None:
    async def scene() -> None:
        desk, told = _desk()
        for line in lines:
            await desk._logged(line)
        assert all(len(denial.place) <= 45 and len(denial.wanted) <= 80 for denial in told)

    asyncio.run(scene())


async def test_a_refused_connection_is_told_with_the_address_it_came_from() -> None:
    desk, told = _desk()
    await desk._logged(b"1795228838: New connection from 192.168.1.31:34199 on port 8883.")
    await desk._logged(b"1795228838: Client <unknown> disconnected, not authorised.")
    await desk._logged(b"1795228839: Client <unknown> disconnected, not authorised.")
    await desk._logged(b"1795228840: hearthlog-audit: denied publish porch 192.168.1.31 x/not authorised")
    await desk._logged(
        b"1795228841: New client connected from 192.168.1.31:5 as hearthcam-porch (p5, c1, k60, u'porch')."
    )
    assert told == [
        Denial("192.168.1.31"),
        Denial(""),
        Denial("192.168.1.31", "porch", "publish x/not authorised"),
    ]


_ROLE = "hearthlog-camera-porch"


def _desk() -> tuple[CameraDesk, list[Denial]]:
    told: list[Denial] = []

    async def denied(denial: Denial) -> None:
        told.append(denial)

    async def nothing(*_: object) -> None:
        raise AssertionError("nobody was to be told")

    desk = CameraDesk(Mqtt())
    desk._heard = Heard(nothing, nothing, nothing, denied)
    return desk, told
