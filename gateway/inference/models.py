"""The models that are installed in `<home>/models`, one folder each.

A file is ready when its bytes hash to what the manifest says; the receipt beside it remembers size and time of what
was hashed, so that a start does not read every model again. Workers hash once more before they load.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from gateway.entities import Provenance
from gateway.errors import ConfigError, ModelBroken, ModelMissing, NotFound
from gateway.inference.board import Board, this_board
from gateway.inference.manifest import Manifest, ModelFile, manifests_folder, read_kept, read_manifests, written
from gateway.inference.receipts import note_down, read_receipt, write_receipt

_RECEIPT = "receipt.json"
_MANIFEST = "manifest.json"
"""Beside the files of a model whose vectors are kept: after an update it can still read what is compared with them."""
_STAMP = ".changed"
_CHUNK_BYTES = 1 << 20


class State(StrEnum):
    """Whether a model can serve."""

    READY = "ready"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class LoadFile:
    """A file that a worker loads."""

    name: str
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Installed:
    """One model as it stands here."""

    manifest: Manifest
    state: State
    reason: str
    """Why it is not ready, for people; empty when it is."""
    files: tuple[LoadFile, ...]
    """What is loaded; empty unless ready."""


@dataclass(frozen=True, slots=True)
class _Expected:
    name: str
    path: Path
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a word of a person asks to be fetched."""

    chosen: tuple[Manifest, ...]
    left: tuple[tuple[Manifest, str], ...]
    """What else was meant, and why it is not fetched, for people."""


class Models:
    """The manifests and what of them is installed. Its methods block for as long as hashing takes: at the first
    look at a model that was not hashed yet, milliseconds otherwise.

    `board` says which models are meant for this machine; without one the machine is asked.
    """

    def __init__(
        self, home: Path, manifests: Mapping[str, Manifest] | None = None, *, board: Board | None = None
    ) -> None:
        self.folder = home / "models"
        self.board = board or this_board()
        self.manifests = dict(manifests) if manifests is not None else read_manifests()
        self.generation = 0
        """Grows whenever models may have changed."""
        self._installed: dict[str, Installed] = {}
        self._kept: dict[str, Manifest] = {}
        """Folder → an earlier revision that is installed there."""
        self._find_kept()
        self._stamp = self._stamped()

    def refresh(self, name: str | None = None) -> None:
        """Look again at one model, or at all."""
        names = list(self.manifests) if name is None else [name]
        for each in names:
            self._installed[each] = self._look(self.manifests[each])
        self._find_kept()
        self.generation += 1

    def installed(self) -> list[Installed]:
        """All models, by name."""
        return [self.get(name) for name in sorted(self.manifests)]

    def get(self, name: str) -> Installed:
        """One model by name; NotFound for a name that no manifest has."""
        if name not in self.manifests:
            raise NotFound(f"no model is named {name}", hint=f"Known: {', '.join(sorted(self.manifests))}")
        self._notice()
        if name not in self._installed:
            self._installed[name] = self._look(self.manifests[name])
        return self._installed[name]

    def chosen(self, names: str) -> list[Manifest]:
        """The manifests meant by a word of a person: a model's name, a task, or `all`. NotFound otherwise."""
        if names == "all":
            return list(self.manifests.values())
        if names in self.manifests:
            return [self.manifests[names]]
        serving = self._serving(names)
        if not serving:
            tasks = sorted({each.task for each in self.manifests.values()})
            raise NotFound(f"no model and no task is named {names}", hint=f"Tasks: {', '.join(tasks)}")
        return serving

    def wanted(self, what: str) -> Wanted:
        """What to fetch when a person says a model's name, a task or `all`. A name is taken at its word. Of a task what
        fits this machine and can be checked, without what is optional; where only that is left, the best of it.
        NotFound for a word that says nothing."""
        found = self.chosen(what)
        if what in self.manifests:
            return Wanted(tuple(found), ())
        plain = [each for each in found if not each.optional]
        chosen = [each for each in plain if not self._kept_from(each)]
        if not chosen and what != "all":
            other = [each for each in found if each.optional and not self._kept_from(each)]
            chosen = sorted(other, key=lambda each: each.only_mirror)[:1]
        left = [(each, self._kept_from(each)) for each in plain or found]
        return Wanted(tuple(chosen), tuple((each, why) for each, why in left if why))

    def for_task(self, task: str, *, space: str = "") -> Installed:
        """The ready model that serves a task, of several the best that fits this machine; with `space`, the one whose
        vectors lie there. ModelMissing with the command that fetches one, or ModelBroken."""
        serving = [each for each in self._serving(task) if not space or each.space == space]
        earlier = [each for each in self._kept.values() if each.task == task and (not space or each.space == space)]
        looks = [self.get(manifest.name) for manifest in serving]
        if all(look.state is not State.READY for look in looks):
            looks += [self._earlier(manifest) for manifest in earlier]
        for look in looks:
            if look.state is State.READY:
                return look
        broken = next((look for look in looks if look.state is State.BROKEN), None)
        if broken is not None:
            name = broken.manifest.name
            raise ModelBroken(f"the model {name} is broken: {broken.reason}", hint=f"hearthlog models pull {name}")
        raise ModelMissing(task, hint=self._hint(task))

    def order(self, task: str) -> list[str]:
        """Names of the models that can serve a task, installed or not, the best first."""
        return [manifest.name for manifest in self._serving(task)]

    def provenance(self, task: str) -> Provenance:
        """Of the model that would answer now; raises as `for_task`."""
        return self.for_task(task).manifest.provenance

    def verify(self, name: str) -> Installed:
        """Hash a model's files whatever the receipt says."""
        receipt = self.folder / name / _RECEIPT
        kept = read_receipt(receipt)
        for entry in kept.values():
            entry["mtime_ns"] = 0
        if kept:
            write_receipt(receipt, kept)  # what turns out to be broken is not believed later either
        self._installed[name] = self._look(self.manifests[name], anew=True)
        self._find_kept()
        self.generation += 1
        return self._installed[name]

    def remember(self, manifest: Manifest, built: Mapping[str, str]) -> None:
        """Note the hashes of files that were built here (file name → sha256), and look at the model again."""
        receipt = self.folder / manifest.name / _RECEIPT
        entries = read_receipt(receipt)
        for name, sha256 in built.items():
            facts = (self.folder / manifest.name / name).stat()
            entries[name] = {
                "sha256": sha256,
                "bytes": facts.st_size,
                "mtime_ns": facts.st_mtime_ns,
                "inputs": _inputs(manifest),
            }
        write_receipt(receipt, entries)
        self.refresh(manifest.name)

    def spoilt(self, manifest: Manifest) -> list[Path]:
        """Built files with other bytes than they were built with. OSError when one cannot be read."""
        receipt = read_receipt(self._folder_of(manifest) / _RECEIPT)
        names = manifest.build.makes if manifest.build is not None else ()
        paths = {name: self._folder_of(manifest) / name for name in names}
        known = {name: receipt.get(name, {}).get("sha256") for name in names}
        return [path for name, path in paths.items() if path.exists() and file_sha256(path) != known[name]]

    def make_way(self, manifest: Manifest) -> None:
        """Before files of this revision come: keep those of an earlier one whose vectors may still be compared with."""
        folder = self.folder / manifest.name
        if manifest.name in self._kept:
            earlier = self._kept[manifest.name]
            folder.rename(self.folder / f"{manifest.name}.{hashlib.sha256(earlier.space.encode()).hexdigest()[:12]}")
            self._find_kept()

    def drop_kept(self, task: str, *, but: str) -> None:
        """Remove earlier revisions of a task's models, save the one whose vectors lie in `but`."""
        for name, manifest in list(self._kept.items()):
            if manifest.task == task and manifest.space != but and name != manifest.name:
                shutil.rmtree(self.folder / name, ignore_errors=True)
        self._find_kept()

    def quarantine(self, path: Path) -> Path:
        """Move a bad file aside, never delete it; the new place."""
        aside = self.folder / ".quarantine"
        aside.mkdir(parents=True, exist_ok=True)
        target = aside / f"{path.parent.name}-{path.name}-{time.time_ns()}"
        path.rename(target)
        return target

    def announce(self) -> None:
        """Tell other processes that look at this folder that something changed."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / _STAMP).write_text(str(time.time_ns()), encoding="utf-8")
        except OSError:
            return  # they will see it when they start again

    def _notice(self) -> None:
        """Forget what is known when another process pulled or verified. Costs one `stat`."""
        stamp = self._stamped()
        if stamp != self._stamp:
            self._stamp = stamp
            self._installed.clear()
            self._find_kept()
            self.generation += 1

    def _stamped(self) -> int:
        try:
            return (self.folder / _STAMP).stat().st_mtime_ns
        except OSError:
            return 0

    def _serving(self, task: str) -> list[Manifest]:
        found = [each for each in self.manifests.values() if each.task == task]
        return sorted(found, key=lambda each: (not self.board.fits(each), -each.prefer, each.name))

    def _kept_from(self, manifest: Manifest) -> str:
        """Why a model is fetched only where it is named; empty for the others."""
        return _not_yet(manifest) if manifest.unchecked else self.board.unfit(manifest)

    def _hint(self, task: str) -> str:
        """The command that fetches a model for a task, or why there is none."""
        serving = self._serving(task)
        if not serving:
            return "No model of this program does it"
        chosen = self.wanted(task).chosen
        if chosen:
            return chosen[0].command if chosen[0].only_mirror else f"hearthlog models pull {task}"
        return next((each.command for each in serving if each.command), "No model for it can be fetched yet")

    def _look(self, manifest: Manifest, *, anew: bool = False) -> Installed:
        """`anew`: hash the files whatever the receipt says."""
        if manifest.unchecked:
            return Installed(manifest, State.MISSING, _not_yet(manifest), ())
        receipt_path = self._folder_of(manifest) / _RECEIPT
        receipt = read_receipt(receipt_path)
        changed = False
        files: list[LoadFile] = []
        try:
            expected = self._expected(manifest, receipt)
            for each in expected:
                facts = each.path.stat()
                if facts.st_size != each.bytes:
                    return _broken(manifest, f"{each.name} has {facts.st_size} bytes, not {each.bytes}")
                known = receipt.get(each.name, {})
                if anew or known.get("sha256") != each.sha256 or known.get("mtime_ns") != facts.st_mtime_ns:
                    if file_sha256(each.path) != each.sha256:
                        return _broken(manifest, f"{each.name} is not the file that the manifest names")
                    receipt[each.name] = known | {
                        "sha256": each.sha256,
                        "bytes": facts.st_size,
                        "mtime_ns": facts.st_mtime_ns,
                    }
                    changed = True
                files.append(LoadFile(name=each.name, path=each.path, sha256=each.sha256))
        except FileNotFoundError as error:
            name = Path(str(error.filename or "")).name or "a file"
            return Installed(manifest, State.MISSING, f"{name} is not here", ())
        except OSError as error:
            return _broken(manifest, f"cannot be read: {error.strerror}")
        if changed:
            write_receipt(receipt_path, receipt)
        if manifest.program and shutil.which(manifest.program) is None:
            return Installed(manifest, State.MISSING, f"the Debian package {manifest.debian} is not installed", ())
        if self._may_be_kept(manifest):
            note_down(self.folder / manifest.name / _MANIFEST, written(manifest))
        return Installed(manifest, State.READY, "", tuple(files))

    def _expected(self, manifest: Manifest, receipt: Mapping[str, dict[str, object]]) -> list[_Expected]:
        """What must lie where. FileNotFoundError when a file was not built or its package is not installed."""
        if manifest.build is None:
            return [
                _Expected(each.name, self.path_of(manifest, each), each.sha256, each.bytes) for each in manifest.files
            ]
        expected = []
        for name in manifest.build.makes:
            entry = receipt.get(name, {})
            size = entry.get("bytes")
            if entry.get("inputs") != _inputs(manifest) or not isinstance(size, int):
                raise FileNotFoundError(2, "not built", name)
            expected.append(_Expected(name, self._folder_of(manifest) / name, str(entry.get("sha256")), size))
        return expected

    def path_of(self, manifest: Manifest, file: ModelFile) -> Path:
        """Where a file lies: beside the manifests or inside the package that carries it, else in the model's folder."""
        for source in file.sources:
            if source.shipped:
                return manifests_folder() / source.shipped
            if source.package:
                spec = find_spec(source.package)
                if spec is not None and spec.origin is not None:
                    return Path(spec.origin).parent / source.member
        return self._folder_of(manifest) / file.name

    def _may_be_kept(self, manifest: Manifest) -> bool:
        """Whether its vectors are kept, and all that it needs lies in its own folder."""
        here = any(source.is_here for each in manifest.files for source in each.sources)
        own = manifest.files and not here and self.manifests.get(manifest.name) is manifest
        return bool(own) and manifest.task.startswith("embed-")

    def _earlier(self, manifest: Manifest) -> Installed:
        key = f"{manifest.name}@{manifest.space}"
        if key not in self._installed:
            self._installed[key] = self._look(manifest)
        return self._installed[key]

    def _folder_of(self, manifest: Manifest) -> Path:
        kept = next((name for name, each in self._kept.items() if each is manifest), manifest.name)
        return self.folder / kept

    def _find_kept(self) -> None:
        """Earlier revisions that lie here: in the place of the one that is to come, until it comes, or beside it."""
        found: dict[str, Manifest] = {}
        for path in sorted(self.folder.glob(f"*/{_MANIFEST}")):
            try:
                earlier = read_kept(path)
            except (ConfigError, OSError):
                continue  # a file that cannot be read costs what it was kept for, and no more
            now = self.manifests.get(earlier.name)
            if now is not None and now.space != earlier.space and path.parent.name.partition(".")[0] == earlier.name:
                found[path.parent.name] = earlier
        if found != self._kept:
            self._installed = {name: look for name, look in self._installed.items() if "@" not in name}
        self._kept = found


def file_sha256(path: Path) -> str:
    """Lower-case hex of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _broken(manifest: Manifest, reason: str) -> Installed:
    return Installed(manifest, State.BROKEN, reason, ())


def _not_yet(manifest: Manifest) -> str:
    return f"not available yet: no hash of {manifest.unchecked} is known"


def _inputs(manifest: Manifest) -> str:
    """Names what a built file was made from and by which recipe."""
    text = "\n".join([manifest.revision, *(f"{each.name} {each.sha256}" for each in manifest.files)])
    return hashlib.sha256(text.encode()).hexdigest()
