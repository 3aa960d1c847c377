"""Loaded kernel modules. Reads only."""

from __future__ import annotations

import os

from vfioctl.errors import VfioctlError
from vfioctl.host.model import Module
from vfioctl.host.readers import entries, parse_number, raw, table, text
from vfioctl.paths import Paths

MOST_PARAMETERS = 256
LONGEST_LIST = 8 << 20  # bytes; modules.dep of Debian has less than one MiB
LONGEST_PARAMETER = 256  # bytes; what is longer is a table that the driver prints, not a setting


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
    )


def parameters(paths: Paths, name: str) -> dict[str, str]:
    """The settings of the module `name` that can be read and are short. No device lock is in the way of these reads."""
    directory = paths.at("sys/module", name.replace("-", "_"), "parameters")
    shown = entries(directory)[:MOST_PARAMETERS]
    values = ((each, raw(os.path.join(directory, each), LONGEST_PARAMETER + 1)) for each in shown)
    return {
        each: value.decode("utf-8", "replace").strip() for each, value in values
        if value is not None and len(value) <= LONGEST_PARAMETER
    }  # fmt: skip


def read_all(paths: Paths) -> tuple[Module, ...]:
    """Every loaded module. Reads some thousand files on a desktop: not for the hook path."""
    found = (read(paths, name) for name in entries(paths.at("sys/module")))
    return tuple(module for module in found if module)


def listed(paths: Paths, release: str, name: str) -> bool | None:
    """Whether the kernel `release` has the module `name`, as depmod listed it (modules.dep(5)); None without a list."""
    lists = [table(paths.at("lib/modules", release, f"modules.{what}"), LONGEST_LIST) for what in ("dep", "builtin")]
    if None in lists:
        return None
    lines = b"\n".join(each for each in lists if each).decode("utf-8", "replace").splitlines()
    names = {os.path.basename(line.partition(":")[0]).partition(".ko")[0] for line in lines}
    return name.replace("-", "_") in {each.replace("-", "_") for each in names}
