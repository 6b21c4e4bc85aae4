"""Settings: `hearthlog.toml` in the data folder, each also as `HEARTHLOG_SECTION_KEY`. An unknown key is an error."""

from __future__ import annotations

import os
import re
import tomllib
import types
from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.errors import ConfigError

_A = {bool: "yes or no (true or false)", int: "a whole number", float: "a number", str: "text"}
_FOR_TESTS = "HEARTHLOG_TEST_"
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,32}(/[A-Za-z0-9_-]{1,32}){0,3}")
_DEVICE_ID = re.compile(r"[a-z0-9][a-z0-9-]{2,31}")


@dataclass(frozen=True, slots=True)
class MqttSource:
    """`[[mqtt.source]]`: frames from firmware that is not ours."""

    topic: str
    """A topic filter; its first `+` names the device when `device` is empty."""
    decoder: Literal["image", "audio"] = "image"
    device: str = ""
    """Device id for all of them, instead of the `+` part."""


@dataclass(frozen=True, slots=True)
class Mqtt:
    """How to reach the broker."""

    url: str = "mqtt://127.0.0.1:1883"
    """mqtt://user:password@host:port, or mqtts://…; the password may stay in `password_file`."""
    password_file: str = ""
    ca_file: str = ""
    """PEM of the authority that signed the broker's certificate; empty: the system's."""
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    client_id: str = "hearthlog-gateway"
    unknown_devices: Literal["auto", "accept", "refuse"] = "auto"
    """What to do with a frame of a device nobody added. auto: accept from a loopback broker until the first camera is
    paired, else refuse."""
    control: Literal["auto", "off"] = "auto"
    """Whether the gateway gives cameras their credentials, by Mosquitto's dynamic security where the broker has it."""
    device_url: str = ""
    """Where paired cameras find the broker: mqtts://host:8883. Empty: this box's address, port 8883, TLS."""
    credit: int = 8
    """Most records a device may have in flight."""
    receive_maximum: int = 4
    session_expiry_s: int = 86_400
    source: tuple[MqttSource, ...] = ()


@dataclass(frozen=True, slots=True)
class Http:
    """Where the dashboard and the API listen."""

    host: str = "127.0.0.1"
    """Loopback speaks plain HTTP; any other address speaks HTTPS with the gateway's own certificate."""
    port: int = 8480
    names: tuple[str, ...] = ()
    """Host names besides localhost and this machine's own under which a browser may ask."""
    demo_user: str = ""
    """Loopback visitors are signed in as this person. Only for `hearthlog demo`."""


@dataclass(frozen=True, slots=True)
class Models:
    """Where models come from."""

    mirror: str = ""
    """A folder with model files, looked into before any host is asked."""
    tier: Literal["auto", "pi4", "pi5", "jetson", "x86"] = "auto"
    """What machine this counts as, where it is not told rightly by what it says of itself."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What this box may use."""

    memory_mb: int = 1_000
    """For all workers together."""
    worker_threads: int = 1
    """Processor threads of one model run."""
    accelerator: Literal["auto", "tensorrt", "cuda", "cpu"] = "auto"
    """What may run models, where the installed runtime has it; the processor does what nothing else can."""
    temperature_c: int = 0
    """Above it the backlog waits; 0: as suits the board."""
    temperature_most_c: int = 0
    """Above it what cameras send waits as well; 0: as suits the board."""


@dataclass(frozen=True, slots=True)
class Storage:
    """What is kept, and for how long."""

    free_floor_mb: int = 1_024
    """Below this much free space the oldest unpinned originals go; below a quarter of it nothing is taken in."""
    keep_days: int = 0
    """Originals older than this go; 0: never by age."""
    keep_gb: float = 0.0
    """Originals beyond this total go, oldest first; 0: never by size."""
    still_days: int = 0
    """Originals of folded still scenes older than this go; 0: like any other."""
    bin_days: int = 30
    """How long a deleted memory can be brought back."""


@dataclass(frozen=True, slots=True)
class Clock:
    """This box's own clock."""

    zone: str = ""
    """IANA name of the home's time zone; empty: the system's."""
    trust: Literal["auto", "yes", "no"] = "auto"
    """Whether cameras may be given the time. auto: when the system says that it is synchronised."""


@dataclass(frozen=True, slots=True)
class HomeAssistant:
    """Cameras as devices there."""

    discovery: bool = False
    """Announce the cameras that are shared with the circle, with their newest picture, at the same broker."""
    prefix: str = "homeassistant"
    """The discovery prefix that is set in Home Assistant."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set, and where the data is."""

    home: Path
    mqtt: Mqtt = field(default_factory=Mqtt)
    http: Http = field(default_factory=Http)
    models: Models = field(default_factory=Models)
    limits: Limits = field(default_factory=Limits)
    storage: Storage = field(default_factory=Storage)
    clock: Clock = field(default_factory=Clock)
    home_assistant: HomeAssistant = field(default_factory=HomeAssistant)


RANGES: dict[str, tuple[int, int]] = {
    "mqtt.credit": (1, 256),
    "mqtt.receive_maximum": (1, 1_000),
    "mqtt.session_expiry_s": (0, 4_294_967_295),
    "http.port": (0, 65_535),
    "limits.memory_mb": (128, 1_000_000),
    "limits.worker_threads": (1, 64),
    "limits.temperature_c": (0, 120),
    "limits.temperature_most_c": (0, 120),
    "storage.free_floor_mb": (0, 100_000_000),
    "storage.keep_days": (0, 36_500),
    "storage.keep_gb": (0, 1_000_000),
    "storage.still_days": (0, 36_500),
    "storage.bin_days": (0, 3_650),
}
"""Of every setting that is a number, the least and the most. One that is not here cannot be set at all."""

_SECTIONS: dict[str, type] = {
    "mqtt": Mqtt,
    "http": Http,
    "models": Models,
    "limits": Limits,
    "storage": Storage,
    "clock": Clock,
    "home_assistant": HomeAssistant,
}


def data_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """`HEARTHLOG_HOME`, else `~/.local/share/hearthlog`."""
    given = environ.get("HEARTHLOG_HOME", "")
    return Path(given) if given else Path("~/.local/share/hearthlog").expanduser()


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings. Raises ConfigError that names the key, the value's fault and what is allowed; PermissionError
    in a folder of somebody else.
    """
    home = data_folder(environ)
    there = next((each for each in (home, *home.parents) if os.path.lexists(each)), home)
    if os.path.lexists(there) and not there.is_dir():
        raise ConfigError("HEARTHLOG_HOME must be a folder, and this is none", where=str(there))
    path = home / "hearthlog.toml"
    try:
        table = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    except PermissionError:
        raise  # of whoever may not look at all; it names the file
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read the settings: {error}", where=str(path)) from error
    sections: dict[str, Any] = {}  # Any: TOML values, checked one by one in _section
    for name in table:
        if name not in _SECTIONS:
            raise ConfigError(f"unknown section [{name}]", where=str(path), hint=_allowed(_SECTIONS, name))
    given = _from_environment(environ)
    for name, kind in _SECTIONS.items():
        values = {**_mapping(table.get(name, {}), f"[{name}]"), **given.get(name, {})}
        sections[name] = _section(name, kind, values)
    settings = Settings(home=home, **sections)
    _check(settings)
    return settings


def _from_environment(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:  # Any: as _parse gives them
    """section → key → value. Raises ConfigError for a variable that looks like a setting and is none."""
    known = {
        f"HEARTHLOG_{section}_{key}".upper(): (section, key, hint)
        for section, kind in _SECTIONS.items()
        for key, hint in get_type_hints(kind).items()
    }
    found: dict[str, dict[str, Any]] = {}
    for variable, text in environ.items():
        if not variable.startswith("HEARTHLOG_") or variable == "HEARTHLOG_HOME" or variable.startswith(_FOR_TESTS):
            continue
        if variable not in known:
            near = _nearest(variable, known)
            raise ConfigError(f"unknown setting {variable}", hint=f"{near}docs/settings.md lists all of them")
        section, key, hint = known[variable]
        found.setdefault(section, {})[key] = _parse(hint, text, variable)
    return found


def _parse(kind: Any, text: str, where: str) -> Any:  # Any: a type object in, that type's value out
    try:
        if kind is bool:
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]
        if kind in (int, float):
            return kind(text)
    except (KeyError, ValueError) as error:
        raise ConfigError(f"{text!r} is not {_A[kind]}", where=where) from error
    if get_origin(kind) is tuple:
        if get_args(kind)[0] is not str:
            raise ConfigError("this setting can only be made in hearthlog.toml", where=where)
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _section(name: str, kind: type, values: Mapping[str, Any]) -> Any:
    hints = get_type_hints(kind)
    known = {item.name: item for item in fields(kind)}
    made: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise ConfigError(f"unknown setting {name}.{key}", hint=_allowed(known, key))
        made[key] = _value(hints[key], value, f"{name}.{key}")
    for key, item in known.items():
        if key not in made and item.default is MISSING and item.default_factory is MISSING:
            raise ConfigError(f"{name}.{key} must be set")
    return kind(**made)


def _value(kind: Any, value: Any, where: str) -> Any:
    origin = get_origin(kind)
    if origin is Literal:
        if value not in get_args(kind):
            raise ConfigError(f"{where} cannot be {value!r}", hint=_allowed(get_args(kind)))
        return value
    if origin is tuple:
        inner = get_args(kind)[0]
        if not isinstance(value, list):
            raise ConfigError(f"{where} must be a list")
        return tuple(
            _value(inner, item, where) if inner is str else _section(where, inner, _mapping(item, where))
            for item in value
        )
    if origin in (Union, types.UnionType):
        raise ConfigError(f"{where} has no single type")
    takes = (int, float) if kind is float else kind
    if not isinstance(value, takes) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{where} must be {_A[kind]}, not {value!r}")
    if kind in (int, float):
        low, high = RANGES[where]
        if not low <= value <= high:  # of nan neither is true
            raise ConfigError(f"{where} must be between {low} and {high}, not {str(value)[:40]}")
    return kind(value)


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where} must be a table")
    return value


def _allowed(names: Collection[object], given: str = "") -> str:
    return _nearest(given, names) + "Allowed: " + ", ".join(str(name) for name in names)


def _nearest(given: str, names: Collection[object]) -> str:
    near = get_close_matches(given, [str(name) for name in names], n=1, cutoff=0.75)
    return f"Did you mean {near[0]}? " if near else ""


def _check(settings: Settings) -> None:
    if not _PREFIX.fullmatch(settings.home_assistant.prefix):
        raise ConfigError(
            f"home_assistant.prefix {settings.home_assistant.prefix!r} is not the beginning of a topic",
            hint="letters, digits, _ and -, with / between",
        )
    for source in settings.mqtt.source:
        if source.device and not _DEVICE_ID.fullmatch(source.device):
            raise ConfigError(
                f"mqtt.source.device {source.device!r} is not a device id", hint="a-z, 0-9 and -, 3 to 32"
            )
        if not source.device and "+" not in source.topic:
            raise ConfigError(
                f"mqtt.source {source.topic!r} names no device", hint="set device, or use a + in the topic"
            )
    if settings.clock.zone:
        try:
            ZoneInfo(settings.clock.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ConfigError(f"clock.zone {settings.clock.zone!r} is not a time zone") from error


def zone_name(settings: Settings) -> str:
    """The home's IANA zone: as set, else the system's, else UTC."""
    if settings.clock.zone:
        return settings.clock.zone
    try:
        target = str(Path("/etc/localtime").resolve(strict=True))
    except OSError:
        return "UTC"
    name = target.rpartition("/zoneinfo/")[2]
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return "UTC"
    return name or "UTC"
