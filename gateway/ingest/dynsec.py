"""Mosquitto's dynamic security plugin: one credential and one set of rules a camera, changed while the broker runs.

Commands go to `$CONTROL/dynamic-security/v1` as JSON and are answered, to their sender alone, on `…/response`. The
broker answers in order, one message for one message; each is recognised by the correlation of its first command.
https://mosquitto.org/documentation/dynamic-security/
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.errors import Retryable
from gateway.ingest.topics import ROOT, STATUS, valid_device

TOPIC = "$CONTROL/dynamic-security/v1"
RESPONSE = f"{TOPIC}/response"
LOG = "$SYS/broker/log/N"
"""Where Mosquitto tells of connections that it refused (`log_dest topic`)."""
ANSWER_S = 5.0
GATEWAY_ROLE = "hearthlog-gateway"
HOME_ASSISTANT = "home-assistant"
"""Its user name, its client id and the end of its role's name."""
_ROLE = "hearthlog-camera-"
_NOT_THERE = ("Client not found", "Role not found")

Command = dict[str, Any]  # Any: JSON, made in this module and read by the broker


@dataclass(frozen=True, slots=True)
class Answer:
    """What the broker said to one command."""

    command: str
    error: str
    """Empty when it did it."""
    data: Mapping[str, Any]  # Any: JSON of the broker, checked where it is read


class DynSec:
    """The plugin, over one connection. `publish` sends to `TOPIC`; what comes on `RESPONSE` goes to `take`."""

    def __init__(self, publish: Callable[[bytes], Awaitable[None]]) -> None:
        self._publish = publish
        self._turn = asyncio.Lock()
        self._waiting: tuple[str, asyncio.Future[list[Answer]]] | None = None

    async def ask(self, commands: Sequence[Command]) -> list[Answer]:
        """One answer a command. Raises Retryable (`pairing-later`) when none comes in `ANSWER_S`."""
        async with self._turn:
            mark = secrets.token_hex(8)
            future: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
            self._waiting = (mark, future)
            marked = [{**commands[0], "correlationData": mark}, *commands[1:]]
            try:
                async with asyncio.timeout(ANSWER_S):
                    await self._publish(json.dumps({"commands": marked}, separators=(",", ":")).encode())
                    return await future
            except TimeoutError:
                raise Retryable("the broker does not answer", code="pairing-later", retry_ms=2_000) from None
            finally:
                self._waiting = None

    def take(self, payload: bytes) -> None:
        """A message that came on `RESPONSE`. Anything that is not the answer awaited is passed over."""
        if self._waiting is None:
            return
        mark, future = self._waiting
        answers = _answers(payload, mark)
        if answers is not None and not future.done():
            future.set_result(answers)

    async def defaults(self) -> Mapping[str, bool]:
        """What is allowed where no rule says anything: ACL type → allowed. Raises as `ask`."""
        answer = (await self.ask([{"command": "getDefaultACLAccess"}]))[0]
        rules = answer.data.get("acls", [])
        return {
            str(each.get("acltype")): each.get("allow") is True
            for each in (rules if isinstance(rules, list) else [])
            if isinstance(each, Mapping)
        }

    async def admit(self, device: str, *, password: str, client_id: str) -> None:
        """A credential with its rules; one of the same name is replaced, and who is connected by it is put out.

        Raises as `ask`; also Retryable when the broker refuses a command.
        """
        assert valid_device(device)
        await self.expel(device)
        await self._come(device, _ROLE + device, camera_rules(device), {"password": password, "clientid": client_id})

    async def admit_home_assistant(self, password: str) -> None:
        """A credential for Home Assistant, by its user name as client id alone: with another it could take over the
        gateway's sessions, and what waits in them would be lost. The one before is void. Raises as `admit`.
        """
        role = f"hearthlog-{HOME_ASSISTANT}"
        await self._go(HOME_ASSISTANT, role)
        await self._come(
            HOME_ASSISTANT, role, home_assistant_rules(), {"password": password, "clientid": HOME_ASSISTANT}
        )

    async def expel(self, device: str) -> None:
        """No credential, no rules, and who is connected by it is put out. Nothing there is fine. Raises as `admit`."""
        await self._go(device, _ROLE + device)

    async def admitted(self) -> frozenset[str]:
        """Devices that have rules of ours. Raises as `admit`."""
        answer = (await self.ask([{"command": "listRoles", "verbose": False, "count": -1, "offset": 0}]))[0]
        _check(answer)
        roles = answer.data.get("roles", [])
        names = [each for each in (roles if isinstance(roles, list) else []) if isinstance(each, str)]
        return frozenset(name.removeprefix(_ROLE) for name in names if name.startswith(_ROLE))

    async def _come(self, user: str, role: str, rules: Sequence[Command], credential: Command) -> None:
        client = {"command": "createClient", "username": user, **credential, "roles": [{"rolename": role}]}
        for answer in await self.ask([{"command": "createRole", "rolename": role, "acls": rules}, client]):
            _check(answer)

    async def _go(self, user: str, role: str) -> None:
        away = [
            {"command": "disableClient", "username": user},
            {"command": "deleteClient", "username": user},
            {"command": "deleteRole", "rolename": role},
        ]
        for answer in await self.ask(away):
            _check(answer, but=_NOT_THERE)


def camera_rules(device: str) -> list[Command]:
    """What a camera may: write below its own `up/`, read below its own `dn/` and the gateway's status."""
    return [
        _rule("publishClientSend", f"{ROOT}/{device}/up/#"),
        _rule("subscribePattern", f"{ROOT}/{device}/dn/#"),
        _rule("publishClientReceive", f"{ROOT}/{device}/dn/#"),
        _rule("subscribeLiteral", STATUS),
        _rule("publishClientReceive", STATUS),
    ]


def home_assistant_rules() -> list[Command]:
    """What Home Assistant may: hear what the gateway tells it, say that it is there, and press a camera's buttons."""
    read = ["homeassistant/#", f"{ROOT}/+/ha/#", STATUS]
    return [
        *(_rule("subscribePattern", topic) for topic in read),
        *(_rule("publishClientReceive", topic) for topic in read),
        _rule("publishClientSend", "homeassistant/status"),
        _rule("publishClientSend", f"{ROOT}/+/ha/press"),
    ]


def gateway_rules() -> list[Command]:
    """What the gateway may: hear everyone, speak to everyone, tell of itself, and manage the plugin."""
    read = [f"{ROOT}/+/up/#", f"{ROOT}/+/ha/#", RESPONSE, "$SYS/broker/log/#", "homeassistant/#"]
    write = [f"{ROOT}/+/dn/#", f"{ROOT}/+/ha/#", STATUS, TOPIC, "homeassistant/#"]
    return [
        *(_rule("subscribePattern", topic) for topic in (*read, STATUS)),
        *(_rule("publishClientReceive", topic) for topic in (*read, STATUS)),
        *(_rule("publishClientSend", topic) for topic in write),
    ]


def _rule(kind: str, topic: str) -> Command:
    return {"acltype": kind, "topic": topic, "priority": 0, "allow": True}


def _check(answer: Answer, *, but: Sequence[str] = ()) -> None:
    if answer.error and answer.error not in but:
        raise Retryable(
            f"the broker would not {answer.command}: {answer.error[:80]}", code="pairing-later", retry_ms=5_000
        )


def _answers(payload: bytes, mark: str) -> list[Answer] | None:
    try:
        value = json.loads(payload)
        responses = value["responses"]
        if responses[0].get("correlationData") != mark:
            return None
        return [
            Answer(
                command=str(each.get("command", "")),
                error=str(each.get("error", "")),
                data=each["data"] if isinstance(each.get("data"), dict) else {},
            )
            for each in responses
        ]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None  # not of the plugin
