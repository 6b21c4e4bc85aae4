"""Cameras and other things that send: the door by which web and commands come in.

A viewer knows of a camera by `policy.knows_device`; what it took is read through `policy.visible` like everything.
Only an admin adds one; its owner or an admin changes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

from gateway import metrics
from gateway.entities import Device, Gap, Json, Lane, Memory, Privacy, Role, Viewer
from gateway.errors import Conflict, Forbidden, Rejected
from gateway.ingest.topics import ROOT, valid_device
from gateway.pipeline.turn import grid_of, stands
from gateway.policy import Sql, knows_device, visible
from gateway.recall.dates import day_bounds, day_of
from gateway.store import cameras, paired, reading, sight
from gateway.store import devices as rows
from gateway.store.cameras import Setting
from gateway.store.db import Connection, Database

State: TypeAlias = Literal["awake", "asleep", "look", "away"]

AWAKE_US = 120_000_000
_USUAL_TIMES = 3
_RESERVED = {"pair", "home-assistant"}
_MAX_NAME = 60
_DAY_US = 86_400_000_000
_EMPTY_MV, _FULL_MV = 3_300, 4_200
"""Of a lithium cell under the load of a camera."""
_MOST = 2**53
_MOST_GAPS = 50
_LATELY_US = _DAY_US
"""For so long it is told that a camera sees otherwise."""
_IN_A_ROW = 3
"""Pictures with the same fault, before it is the camera's."""
_SEES: Mapping[str, str] = {
    "covered": "Sees next to nothing",
    "turned": "Looks another way",
    "blurred": "Sees nothing sharply",
}
_LATE_US = 120_000_000
"""How much later than it said a camera may wake before it counts as away; or a tenth of its sleep, if that is more."""
_LONGEST_SLEEP_S = 604_800
_RSSI = ("rssi_dbm", "rssi")
_ASLEEP = ("sleep", "sleeping", "asleep")
_WAITING = ("spool_waiting", "waiting")


@dataclass(frozen=True, slots=True)
class Sight:
    """What is wrong with how a camera sees, by its own pictures."""

    what: Literal["covered", "turned", "blurred"]
    since_us: int
    uid: str
    """The memory that shows it."""


@dataclass(frozen=True, slots=True)
class DeviceCard:
    """A camera as the Devices page shows it. None: not told, which is never 0."""

    device: Device
    last_memory: Memory | None
    """The newest thing of it that the viewer may see."""
    frames_today: int
    """Of the home's day, folded or not, as far as the viewer may see them."""
    lost_today: int
    """As it says itself; always 0 on the plain lane, where losses cannot be counted."""
    lane: Lane
    state: State
    since_us: int
    """Since when it is so; for `awake` when it was last heard."""
    look: str
    """What needs a look, for people; empty when nothing does."""
    battery_percent: int | None
    mains: bool | None
    rssi_dbm: int | None
    card_fill: float | None
    """0 to 1: how full its own card is."""
    card_waiting: int | None
    """Records on its card that were not acknowledged yet."""
    clock_error_us: int | None
    firmware: str | None
    board: str | None
    last_ack_us: int | None
    """When something of it was last stored."""
    last_sequence: int | None
    clock_unknown: bool = False
    """It says itself that it does not know the time."""
    quarantined: int | None = None
    """Records on its card that were refused for ever."""
    card_faults: int | None = None
    """Failed reads and writes of its card since it started."""
    wakes_at_us: int | None = None
    """When one that sleeps means to be back, as it said before."""
    pairing: Literal["", "paired", "revoked"] = ""
    """Empty: it did not come in by a code."""
    sight: Sight | None = None
    """What is wrong with how it sees; `look` says it, too."""


class Devices:
    """Made once by the app; holds no state of its own."""

    def __init__(self, db: Database, *, clock: Callable[[], int], zone: str) -> None:
        self._db = db
        self._clock = clock
        self._zone = zone

    async def all(self, viewer: Viewer) -> list[DeviceCard]:
        """Every camera the viewer may know of, by name."""
        return await self._db.read(lambda c: self._cards(c, viewer, rows.all_of(c)))

    async def get(self, viewer: Viewer, device_id: str) -> DeviceCard:
        """One camera. Raises NotFound."""
        return await self._db.read(lambda c: self._cards(c, viewer, [rows.known(c, viewer, device_id)])[0])

    async def gaps(self, viewer: Viewer, device_id: str, *, days: int = 7) -> list[Gap]:
        """What a camera says it lost in the last days, the newest first. Raises NotFound."""
        now_us = self._clock()

        def read(connection: Connection) -> list[Gap]:
            rows.known(connection, viewer, device_id)
            found = rows.gaps(connection, from_us=now_us - days * _DAY_US, to_us=now_us, devices=[device_id])
            return found[::-1][:_MOST_GAPS]

        return await self._db.read(read)

    async def measure(self) -> None:
        """Bring the metrics of cameras up to date: what a camera did not tell has no sample."""
        now_us = self._clock()
        from_us, to_us = day_bounds(day_of(now_us, self._zone), self._zone)

        def read(connection: Connection) -> tuple[list[Device], list[Gap]]:
            return rows.all_of(connection), rows.gaps(connection, from_us=from_us, to_us=to_us)

        devices, gaps = await self._db.read(read)
        for gauge in metrics.OF_DEVICES:
            gauge.clear()
        for device in devices:
            told = _told(device.status)
            lost = sum(gap.last - gap.first + 1 for gap in gaps if gap.device == device.id and gap.from_us >= from_us)
            clock_us = _clock_error(told)
            for gauge, value in (
                (metrics.device_battery_ratio, _part(_battery(told))),
                (metrics.device_rssi_dbm, _whole(told, *_RSSI, low=-150, high=0)),
                (metrics.device_spool_ratio, _fill(told)),
                (metrics.device_spool_waiting, _whole(told, *_WAITING, low=0, high=_MOST)),
                (metrics.device_quarantined, _whole(told, "quarantined", low=0, high=_MOST)),
                (metrics.device_clock_error_seconds, None if clock_us is None else clock_us / 1_000_000),
                (metrics.device_lost_today, lost),
                (metrics.device_last_seen_timestamp_seconds, device.last_seen_us / 1_000_000),
            ):
                if value is not None:
                    gauge.labels(device.id).set(value)

    async def add(self, viewer: Viewer, device_id: str, *, setting: Setting, lane: Lane = Lane.PLAIN) -> DeviceCard:
        """Name a camera. One that already came is taken over.

        Raises Forbidden, Rejected (`bad-device-id`, `bad-name`), Conflict when someone added it before.
        """
        if viewer.role is not Role.ADMIN:
            raise Forbidden("only an admin adds cameras")
        if not valid_device(device_id) or device_id in _RESERVED:
            raise Rejected(
                "this is not a name a camera can have in its topic",
                code="bad-device-id",
                hint="a-z, 0-9 and -, 3 to 32 characters, and not `gateway`, `pair` or `home-assistant`",
            )
        checked = _checked(setting)

        def write(connection: Connection) -> DeviceCard:
            if not cameras.add(
                connection, device_id, lane=lane, owner=viewer.user, setting=checked, at_us=self._clock()
            ):
                raise Conflict("a camera with this name in its topic was added before", code="device-exists")
            return self._cards(connection, viewer, [rows.known(connection, viewer, device_id)])[0]

        return await self._db.write(write)

    async def change(self, viewer: Viewer, device_id: str, *, setting: Setting) -> DeviceCard:
        """Name it, say where it is, who may see what it takes and what machines may use it for.

        A narrower audience also counts for what it took before, save where a person decided on a memory; a wider
        one counts from now on. Raises NotFound, Forbidden, Rejected (`bad-name`).
        """
        checked = _checked(setting)

        def write(connection: Connection) -> DeviceCard:
            device = rows.known(connection, viewer, device_id)
            if viewer.role is not Role.ADMIN and viewer.user != device.owner:
                raise Forbidden("only its owner or an admin can change a camera")
            if checked.privacy is not None:
                if viewer.user != device.owner and _WIDTH[checked.privacy] > _WIDTH[device.privacy]:
                    raise Forbidden("only its owner can let more people see what a camera takes")
                cameras.narrow(connection, device_id, privacy=checked.privacy, at_us=self._clock())
            cameras.change(connection, device_id, setting=checked, at_us=self._clock())
            return self._cards(connection, viewer, [rows.known(connection, viewer, device_id)])[0]

        return await self._db.write(write)

    @staticmethod
    def topic_of(device_id: str) -> str:
        """Where a plain camera publishes its pictures."""
        return f"{ROOT}/{device_id}/up/jpeg"

    def _cards(self, connection: Connection, viewer: Viewer, devices: list[Device]) -> list[DeviceCard]:
        now_us = self._clock()
        seen = visible(viewer)
        from_us, to_us = day_bounds(day_of(now_us, self._zone), self._zone)
        frames = cameras.counts(connection, seen, from_us=from_us, to_us=to_us)
        refused = cameras.refusals(connection, since_us=from_us)
        gaps = [gap for gap in rows.gaps(connection, from_us=from_us, to_us=to_us) if gap.from_us >= from_us]
        pairings: dict[str, Literal["paired", "revoked"]] = {
            each.device: "revoked" if each.secret is None else "paired" for each in paired.all_of(connection)
        }
        cards = []
        for device in devices:
            if not knows_device(viewer, device):
                continue
            lost = [gap for gap in gaps if gap.device == device.id]
            sees = _sight(connection, device.id, seen, since_us=now_us - _LATELY_US)
            said = [self._of_sight(sees, now_us)] if sees else []
            said += _trouble(sum(gap.last - gap.first + 1 for gap in lost), refused.get(device.id))
            trouble = "; ".join(said)
            trouble_us = min([*(gap.from_us for gap in lost), refused.get(device.id, (0, now_us, ""))[1]])
            trouble_us = min(trouble_us, sees.since_us) if sees else trouble_us
            pause_us = cameras.usual_pause_us(connection, device.id, seen)
            state, since_us = _state(
                device, pause_us=pause_us, trouble_us=trouble_us if trouble else None, now_us=now_us
            )
            newest = reading.newest_of(connection, device.id, seen)
            record = cameras.last_record(connection, device.id)
            told = _told(device.status)
            cards.append(
                DeviceCard(
                    device=device,
                    last_memory=next(iter(reading.by_ids(connection, [newest], seen)), None) if newest else None,
                    frames_today=frames.get(device.id, 0),
                    lost_today=sum(gap.last - gap.first + 1 for gap in lost),
                    lane=device.lane,
                    state=state,
                    since_us=since_us,
                    look=trouble,
                    battery_percent=_battery(told),
                    mains=_flag(told, "mains"),
                    rssi_dbm=_whole(told, *_RSSI, low=-150, high=0),
                    card_fill=_fill(told),
                    card_waiting=_whole(told, *_WAITING, low=0, high=_MOST),
                    clock_error_us=_clock_error(told),
                    firmware=_text(told, "firmware"),
                    board=_text(told, "board"),
                    last_ack_us=record[1] if record else device.last_seen_us if newest else None,
                    last_sequence=record[0] if record else None,
                    clock_unknown="clock_err_us" in told and told["clock_err_us"] is None,
                    quarantined=_whole(told, "quarantined", low=0, high=_MOST),
                    card_faults=_whole(told, "card_faults", low=0, high=_MOST),
                    wakes_at_us=_wakes_at(device) if state == "asleep" else None,
                    pairing=pairings.get(device.id, ""),
                    sight=sees,
                )
            )
        return cards

    def _of_sight(self, sees: Sight, now_us: int) -> str:
        zone = ZoneInfo(self._zone)
        since, now = (datetime.fromtimestamp(at_us / 1e6, tz=zone) for at_us in (sees.since_us, now_us))
        day = "" if since.date() == now.date() else "yesterday "
        return f"{_SEES[sees.what]} since {day}{since:%H:%M}"


_WIDTH = {Privacy.PRIVATE: 0, Privacy.CIRCLE: 1, Privacy.PUBLIC: 2}


def _checked(setting: Setting) -> Setting:
    def name(value: str | None, what: str) -> str | None:
        if value is None:
            return None
        text = " ".join(value.split())
        if not 1 <= len(text) <= _MAX_NAME or not text.isprintable():
            raise Rejected(f"a {what} has 1 to {_MAX_NAME} printable characters", code="bad-name")
        return text

    return Setting(name(setting.name, "name"), name(setting.room, "room"), setting.privacy, setting.ai_usage)


def _state(device: Device, *, pause_us: int, trouble_us: int | None, now_us: int) -> tuple[State, int]:
    """Away when it has been silent for three of its usual pauses (two minutes at least) and did not say it sleeps, or
    when it sleeps longer than it said.
    """
    said = str(device.status.get("state", ""))
    wakes_us = _wakes_at(device)
    late_us = 0 if wakes_us is None else max(_LATE_US, (wakes_us - device.last_seen_us) // 10)
    sleeps = said in _ASLEEP and (wakes_us is None or now_us < wakes_us + late_us)
    heard = now_us - device.last_seen_us < max(AWAKE_US, _USUAL_TIMES * pause_us) and said != "offline"
    if not heard and not sleeps:
        return "away", device.last_seen_us
    if trouble_us is not None:
        return "look", trouble_us
    return ("asleep" if sleeps else "awake"), device.last_seen_us


def _wakes_at(device: Device) -> int | None:
    """When a camera that said it sleeps means to be back; None when it said no such thing."""
    if device.status.get("state") not in _ASLEEP:
        return None
    sleep_s = _whole(device.status, "wakes_in_s", low=1, high=_LONGEST_SLEEP_S)
    return None if sleep_s is None else device.last_seen_us + sleep_s * 1_000_000


def _sight(connection: Connection, device: str, seen: Sql, *, since_us: int) -> Sight | None:
    """What is wrong now, and since when. One picture is no fault of the camera; one turned back is as it was."""
    last = sight.newest(connection, device, seen, since_us=since_us, limit=_IN_A_ROW)
    faults = {each.fault for each in last} if len(last) == _IN_A_ROW else set()
    if faults == {"covered"}:
        return _faulty(connection, device, seen, "covered", since_us=since_us)
    turns = sight.turns(connection, device, seen, since_us=since_us)
    if turns and not _turned_back(connection, turns[0], last[:1] if len(turns) > 1 else [], seen):
        return Sight("turned", turns[-1].at_us, turns[-1].uid)
    return _faulty(connection, device, seen, "blurred", since_us=since_us) if faults == {"blurred"} else None


def _faulty(
    connection: Connection, device: str, seen: Sql, fault: Literal["covered", "blurred"], *, since_us: int
) -> Sight | None:
    first = sight.first_of(connection, device, seen, fault=fault, since_us=since_us)
    return None if first is None else Sight(fault, first.at_us, first.uid)


def _turned_back(connection: Connection, turn: sight.Turn, last: Sequence[sight.Judged], seen: Sql) -> bool:
    before = sight.one(connection, turn.before, seen)
    grids = [grid_of({"grid": each.grid}) for each in (before, *last) if each is not None and each.grid]
    return len(grids) == 2 and stands(*grids)


def _trouble(lost: int, refused: tuple[int, int, str] | None) -> list[str]:
    parts = []
    if lost:
        parts.append(f"{lost} frame{'' if lost == 1 else 's'} lost today")
    if refused:
        parts.append(f"{refused[0]} refused today: {refused[2]}")
    return parts


def _told(status: Json) -> Mapping[str, Any]:  # Any: JSON of a device, each key is checked where it is read
    """What a device told of itself: its telemetry records, and over them its status."""
    telemetry = status.get("telemetry", {})
    return {**(telemetry if isinstance(telemetry, Mapping) else {}), **status}


def _whole(told: Mapping[str, Any], *names: str, low: int, high: int) -> int | None:
    for name in names:
        value = told.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return round(value)
    return None


def _share(told: Mapping[str, Any], *names: str) -> float | None:
    for name in names:
        value = told.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
            return float(value)
    return None


def _fill(told: Mapping[str, Any]) -> float | None:
    share = _share(told, "spool_fill", "card_fill")
    if share is not None:
        return share
    permille = _whole(told, "spool_fill_permille", low=0, high=1_000)
    return None if permille is None else permille / 1_000


def _clock_error(told: Mapping[str, Any]) -> int | None:
    return _whole(told, "clock_err_us", "utc_err_us", "clock_error_us", low=0, high=10 * 366 * _DAY_US)


def _part(percent: int | None) -> float | None:
    return None if percent is None else percent / 100


def _battery(told: Mapping[str, Any]) -> int | None:
    percent = _whole(told, "battery_percent", "battery", low=0, high=100)
    if percent is not None:
        return percent
    millivolts = _whole(told, "battery_mv", low=1_000, high=6_000)
    if millivolts is None:
        return None
    return max(0, min(100, round(100 * (millivolts - _EMPTY_MV) / (_FULL_MV - _EMPTY_MV))))


def _flag(told: Mapping[str, Any], name: str) -> bool | None:
    value = told.get(name)
    return value if isinstance(value, bool) else None


def _text(told: Mapping[str, Any], name: str) -> str | None:
    value = told.get(name)
    return value[:120] if isinstance(value, str) and value else None
