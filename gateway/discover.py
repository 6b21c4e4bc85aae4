"""Find what a package offers by a constant in each of its modules: steps, model families, decoders, sync targets."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Protocol, TypeVar

from gateway.errors import ConfigError


class Named(Protocol):
    """What can be discovered: anything with a name; without one it has its module's."""

    @property
    def name(self) -> str | None: ...


T = TypeVar("T", bound=Named)


def discover(package: str, attribute: str, kind: type[T]) -> dict[str, T]:
    """Every `attribute` of the modules of `package` (a dotted name), by its `name`, in the order of the names.

    A module without the attribute is a helper and is passed over. Two things of one name, or a thing that is not a
    `kind`, are a ConfigError. Importing has no other effect, so calling this twice finds the same.
    """
    root = import_module(package)
    found: dict[str, tuple[str, T]] = {}
    for module in sorted(pkgutil.iter_modules(root.__path__), key=lambda each: each.name):
        path = f"{package}.{module.name}"
        thing = getattr(import_module(path), attribute, None)
        if thing is None:
            continue
        if not isinstance(thing, kind):
            raise ConfigError(f"{attribute} is not a {kind.__name__}", where=path)
        name = thing.name or module.name
        if name in found:
            raise ConfigError(f"two modules hold a {attribute} named {name}: {found[name][0]}", where=path)
        found[name] = (path, thing)
    return {name: found[name][1] for name in sorted(found)}
