"""Loaded kernel modules. Reads only."""

from __future__ import annotations

import os

from vfioctl.errors import VfioctlError
from vfioctl.host.model import Module
from vfioctl.host.readers import entries, parse_number, text
from vfioctl.paths import Paths


def read(paths: Paths, name: str) -> Module | None:
    """The loaded module `name`; None when it is built in or not loaded.

    Raises VfioctlError("module.malformed"): a use count that is no number must not pass for zero.
    """
    base = paths.at("sys/module", name.replace("-", "_"))
    said = text(os.path.join(base, "refcnt"))
    if said is None:
        return None
    refcount = parse_number(said)
    if refcount is None:
        raise VfioctlError("module.malformed", f"The use count of module {name} reads {said!r}.")
    return Module(
        name=os.path.basename(base),
        refcount=refcount,
        holders=entries(os.path.join(base, "holders")),
        version=text(os.path.join(base, "version")),
        parameters=parameters(base),
    )


def parameters(base: str) -> dict[str, str]:
    """The readable parameters of the module in `base`."""
    directory = os.path.join(base, "parameters")
    values = ((name, text(os.path.join(directory, name))) for name in entries(directory))
    return {name: value for name, value in values if value is not None}


def read_all(paths: Paths) -> tuple[Module, ...]:
    """Every loaded module. Reads some thousand files on a desktop: not for the hook path."""
    found = (read(paths, name) for name in entries(paths.at("sys/module")))
    return tuple(module for module in found if module)
