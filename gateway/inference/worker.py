"""A worker process: `python -m gateway.inference.worker`. Loads a family when it is first asked for and keeps it.

A request is `{model: {key, family, files: {name: [path, sha256]}, threads, options, accelerator, kept,
graphs: {name: [inputs, outputs]}}, blob: map | null, params}`; its reply is the family's answer under `data`, and under
`runs_on` [provider, why not a better one].
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from gateway.child import serve
from gateway.entities import BlobRef, Json
from gateway.errors import ModelBroken
from gateway.inference.contract import Graph
from gateway.inference.family import Family, Options, Request, Runner
from gateway.inference.models import file_sha256
from gateway.inference.providers import CPU, How, RunsOn, loading


def blob_to_map(blob: BlobRef) -> Json:
    """A blob reference as it travels to a worker."""
    return {
        "path": blob.path,
        "key": blob.key,
        "sha256": blob.sha256,
        "body_bytes": blob.body_bytes,
        "media_type": blob.media_type,
    }


def family_of(name: str) -> Family:
    """The family of a manifest, whose module has its name. ModelBroken when there is none."""
    try:
        module = import_module(f"gateway.inference.families.{name}")
    except ModuleNotFoundError as error:
        raise ModelBroken(f"no model family is named {name}") from error
    family = getattr(module, "FAMILY", None)
    if not isinstance(family, Family) or family.name != name:
        raise ModelBroken(f"no model family is named {name}")
    return family


@dataclass(slots=True)
class Worker:
    """The models that one process holds."""

    _runners: dict[str, Runner] = field(default_factory=dict)
    _runs_on: dict[str, RunsOn] = field(default_factory=dict)

    def handle(self, request: Json) -> Json:
        """Load if needed, run, answer. Raises the errors of the family and of `read_blob`."""
        model = request["model"]
        key = str(model["key"])
        if key not in self._runners:
            self._runners[key], self._runs_on[key] = _load(model)
        blob = BlobRef(**request["blob"]) if request["blob"] is not None else None
        data = dict(self._runners[key](Request(blob=blob, params=request["params"])))
        on = self._runs_on[key]
        return {"data": data, "runs_on": [on.provider, on.instead]}


def _load(model: Json) -> tuple[Runner, RunsOn]:
    """A model, and what runs it: the least of its graphs decides."""
    files: dict[str, Path] = {}
    hashes: dict[Path, str] = {}
    for name, (path, sha256) in model["files"].items():
        files[name] = Path(path)
        try:
            actual = file_sha256(files[name])
        except OSError as error:
            raise ModelBroken(f"{name} cannot be read: {error.strerror}", hint="hearthlog models verify") from error
        if actual != sha256:
            raise ModelBroken(f"{name} is not the file that the manifest names", hint="hearthlog models verify")
        hashes[files[name]] = actual
    graphs = {
        files[name]: Graph(name, tuple(inputs), tuple(outputs))
        for name, (inputs, outputs) in model["graphs"].items()
        if name in files
    }
    how = How(accelerator=str(model["accelerator"]), kept=Path(model["kept"]), hashes=hashes, graphs=graphs)
    with loading(how) as loaded:
        runner = family_of(model["family"]).load(files, Options(threads=int(model["threads"]), table=model["options"]))
    return runner, max(loaded, key=lambda each: (each.provider == CPU, bool(each.instead)), default=RunsOn())


if __name__ == "__main__":
    serve(Worker().handle)
