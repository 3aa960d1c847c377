"""Whether somebody else could change what the hook runs as root. Looks, never changes a mode or an owner."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from vfioctl.config.load import managed_guests
from vfioctl.errors import Refused
from vfioctl.frozen import frozen
from vfioctl.ownership import culprit, culprit_below, is_own, mended, state_places
from vfioctl.plugin.manifest import site_dirs
from vfioctl.setup.data import PACKAGE
from vfioctl.setup.shim import entry_file
from vfioctl.shell import word

if TYPE_CHECKING:
    from vfioctl.compose import Composition

NESTED = ("site-packages", "dist-packages")  # those in a standard library are another environment's, or in sys.path
PROPERLY = (
    "Install it where only root can write: python3 -m venv /opt/vfioctl",
    "Then, from the checkout: /opt/vfioctl/bin/pip install --require-hashes -r contrib/requirements.txt",
    "Then: /opt/vfioctl/bin/pip install --no-index --no-deps --no-build-isolation . ./plugins/*",
    "Then: /opt/vfioctl/bin/vfioctl hook install",
)


def code_places(composition: Composition) -> tuple[str, ...]:
    """What runs as root when the hook fires: the interpreter, what it imports from, and vfioctl itself."""
    return tuple(dict.fromkeys((composition.self_argv[0], *libraries(), *sys.path, entry_file(composition))))


def libraries() -> tuple[str, ...]:
    """The directories whose every file may be imported."""
    found = sysconfig.get_paths()
    places = (found["stdlib"], found["purelib"], found["platlib"], *site_dirs(), PACKAGE, *_added())
    return tuple(place for place in dict.fromkeys(places) if os.path.isdir(place))


def _added() -> tuple[str, ...]:
    """What .pth files add to sys.path: all of it but where the program lies, or where it was called."""
    return tuple(sys.path if sys.flags.safe_path else sys.path[1:])


def obeyed_places(composition: Composition) -> Iterator[str]:
    """What root obeys besides code: hook and units, settings, our state, which says what is run, the programs' PATH."""
    paths = composition.paths
    yield from (paths.shim, paths.recovery_unit, paths.rest_unit, paths.host_config, paths.guest_configs)
    yield from map(paths.guest_config, managed_guests(paths))
    yield from (*state_places(paths), *paths.programs.split(":"))


@frozen
class Shared:
    """What somebody else could change: why, in words, and what to do about it."""

    why: str
    hints: tuple[str, ...]


def problem(composition: Composition) -> Shared | None:
    """Why this installation must not run as root, or None. Every file counts, not only its directory."""
    for place in code_places(composition):
        if found := culprit(place, "/"):
            return _shared(found)
    for place in obeyed_places(composition):
        if found := culprit(place, composition.paths.root):
            return Shared(found[1], (mended(found[0]),))
    for place in libraries():
        if found := _below(place):
            return _shared(found, place)
    return None


def _shared(found: tuple[str, str], tree: str = "") -> Shared:
    """What is said of code; root's own may only be open by its modes, as a umask of 002 leaves a whole `tree`."""
    file, why = found
    if not is_own(file):
        return Shared(why, PROPERLY)
    closed = f"Take the write permission away: chmod -R go-w {word(tree)}" if tree else mended(file)
    return Shared(why, (closed, *PROPERLY))


@cache  # thousands of files, which one command need not look at twice
def _below(place: str) -> tuple[str, str] | None:
    return culprit_below(place, without=NESTED)


def refuse_shared(composition: Composition) -> None:
    """Raise Refused("setup.writable") when others could change what root would run."""
    if found := problem(composition):
        raise Refused(
            "setup.writable",
            f"The hook would let others run code as root: {found.why}.",
            state="Nothing was installed.",
            hints=found.hints,
        )
