"""Whether somebody else could change what the hook runs as root. Looks, never changes a mode or an owner."""

from __future__ import annotations

import os
import sysconfig
from typing import TYPE_CHECKING

from vfioctl.config.ownership import writable_by_others
from vfioctl.errors import Refused
from vfioctl.setup.data import PACKAGE
from vfioctl.setup.shim import entry_file

if TYPE_CHECKING:
    from vfioctl.compose import Composition

PROPERLY = (
    "Install it where only root can write: python3 -m venv /opt/vfioctl",
    "Then, from the checkout: /opt/vfioctl/bin/pip install . ./plugins/*",
    "Then: /opt/vfioctl/bin/vfioctl hook install",
)


def code_places(composition: Composition) -> tuple[str, ...]:
    """What runs as root when the hook fires: the interpreter, what it imports from, and vfioctl itself."""
    libraries = sysconfig.get_paths()
    places = (composition.self_argv[0], libraries["stdlib"], libraries["purelib"], libraries["platlib"], PACKAGE)
    return tuple(dict.fromkeys((*places, entry_file(composition))))


def obeyed_places(composition: Composition) -> tuple[str, ...]:
    """What root obeys besides code: the hook, the settings, and our own state, whose journals say what is run."""
    paths = composition.paths
    return (paths.shim, paths.host_config, paths.guest_configs, paths.state, os.path.dirname(paths.disk_journal("x")),
            paths.run)  # fmt: skip


def problem(composition: Composition) -> str | None:
    """Why this installation must not run as root, or None. Every file of our package counts, not only its directory."""
    for place in code_places(composition):
        if found := writable_by_others(place, "/"):
            return found
    for place in obeyed_places(composition):
        if found := writable_by_others(place, composition.paths.root):
            return found
    return next((found for path in _files(PACKAGE) if (found := writable_by_others(path, PACKAGE))), None)


def _files(top: str) -> tuple[str, ...]:
    found: list[str] = []
    for directory, _, names in os.walk(top):
        found += [directory, *(os.path.join(directory, name) for name in names if name.endswith(".py"))]
    return tuple(found)


def refuse_shared(composition: Composition) -> None:
    """Raise Refused("setup.writable") when others could change what root would run."""
    if found := problem(composition):
        raise Refused(
            "setup.writable",
            f"The hook would let others run code as root: {found}.",
            state="Nothing was installed.",
            hints=PROPERLY,
        )
