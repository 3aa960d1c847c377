"""What belongs to an installation: directories, manifest, units and hook, and which of it is not as it is to be.

Looks; who wants a piece in its place calls its `put`.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from vfioctl import files
from vfioctl.errors import Irregular
from vfioctl.frozen import frozen
from vfioctl.host.units import literal
from vfioctl.plugin import manifest
from vfioctl.setup import shim
from vfioctl.setup.data import render, template

if TYPE_CHECKING:
    from vfioctl.compose import Composition
    from vfioctl.paths import Paths
    from vfioctl.plugin.manifest import Manifest

EXECUTABLE = 0o755
PUBLIC = 0o644
LOOKED_INTO = stat.S_IROTH | stat.S_IXOTH  # by everybody
UNIT = "vfioctl-recover.service"
WANTED_BY = "multi-user.target.wants"


@frozen
class Piece:
    """One path that is not as it is to be, and what makes it so."""

    path: str
    put: Callable[[], object]


def lacking(composition: Composition, found: Manifest, hook: str) -> Iterator[Piece]:
    """The pieces to put, in their order: the `hook`, as text, fires only when all else stands."""
    paths = composition.paths
    for path in (os.path.dirname(paths.shim), paths.guest_configs, paths.state):
        if not os.path.isdir(path):
            yield Piece(path, partial(_make, path))
    if os.path.isdir(paths.state) and os.stat(paths.state).st_mode & LOOKED_INTO != LOOKED_INTO:
        yield Piece(paths.state, partial(os.chmod, paths.state, EXECUTABLE))  # history and plan are for everybody
    if not manifest.is_written(paths, found):
        yield Piece(paths.manifest, partial(manifest.write, paths, found))
    yield from _lacking_units(composition)
    if not _is_hook(paths.shim, hook):
        yield Piece(paths.shim, partial(_put_hook, paths.shim, hook))


def present(paths: Paths) -> Iterator[str]:
    """What is removed with the hook, and is there."""
    return filter(os.path.lexists, (_wanted(paths), *_units(paths), paths.shim))


# ---------------------------------------------------------------- the hook


def _is_hook(path: str, text: str) -> bool:
    return _could_fire(path) and os.lstat(path).st_mode & 0o7777 == EXECUTABLE and shim.installed(path) == text


def _could_fire(path: str) -> bool:
    return os.path.isfile(path) and bool(os.lstat(path).st_mode & 0o100)


def _put_hook(path: str, text: str) -> None:
    """One that could fire already keeps its time: the daemon knows of it."""
    before = os.lstat(path) if _could_fire(path) else None
    files.atomic_write(path, text, mode=EXECUTABLE)
    if before:
        os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))


# ---------------------------------------------------------------- the units


def _units(paths: Paths) -> tuple[str, str]:
    return paths.rest_unit, paths.recovery_unit  # the second one names the first


def _lacking_units(composition: Composition) -> Iterator[Piece]:
    paths = composition.paths
    for path in _units(paths):
        text = _unit_text(composition, os.path.basename(path))
        if not _says(path, text):
            yield Piece(path, partial(_put_unit, path, text))
    if not os.path.lexists(_wanted(paths)):
        yield Piece(_wanted(paths), partial(_enable, _wanted(paths)))


def _unit_text(composition: Composition, name: str) -> str:
    journal = os.path.dirname(composition.paths.disk_journal("x"))
    values = {"ARGV": shlex.join(literal(composition.self_argv)), "JOURNAL": journal}
    values = {name: value.replace("%", "%%") for name, value in values.items()}  # systemd.unit(5), SPECIFIERS
    return render(template("systemd", f"{name}.in"), values)


def _says(path: str, text: str) -> bool:
    """Whether the file is there with this text; one that is masked is a link to /dev/null."""
    try:
        return files.read_text(path) == text
    except Irregular:
        return False


def _put_unit(path: str, text: str) -> None:
    _make(os.path.dirname(path))
    files.atomic_write(path, text, mode=PUBLIC)


def _wanted(paths: Paths) -> str:
    return paths.at("etc/systemd/system", WANTED_BY, UNIT)


def _enable(wanted: str) -> None:
    _make(os.path.dirname(wanted))
    os.symlink(os.path.join("..", UNIT), wanted)


# ---------------------------------------------------------------- directories


def _make(path: str) -> None:
    """Make the directory; each missing parent is made for all to read, none but the owner to write."""
    if os.path.isdir(path):
        return
    _make(os.path.dirname(path))
    os.mkdir(path)
    os.chmod(path, EXECUTABLE)  # the umask of the caller is not ours
