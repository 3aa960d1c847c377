"""Installs and removes the hook, the unit and the directories below one root. Idempotent; touches no other hook."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from vfioctl import files
from vfioctl.errors import Irregular, NotRoot, Refused, VfioctlError
from vfioctl.frozen import frozen
from vfioctl.host.host import Host
from vfioctl.host.units import literal
from vfioctl.paths import Paths
from vfioctl.plugin import manifest
from vfioctl.plugin.manifest import Manifest
from vfioctl.setup import daemon, shim, trust
from vfioctl.setup.data import render, template
from vfioctl.txn.journal import open_uuids

if TYPE_CHECKING:
    from vfioctl.compose import Composition

EXECUTABLE = 0o755
PUBLIC = 0o644
UNIT = "vfioctl-recover.service"
UNIT_TEMPLATE = ("systemd", f"{UNIT}.in")
WANTED_BY = "multi-user.target.wants"
RELOAD_DEADLINE = 10.0


@frozen
class Report:
    """What was done. `changed` is empty when everything was as it should be; `restart` names the daemon to restart."""

    hook: str
    changed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    restart: str = ""
    notes: tuple[str, ...] = ()


def install(composition: Composition, search: Callable[[], Manifest] = manifest.build) -> Report:
    """Put everything in place for `composition`, with the plugins that `search` finds.

    Raises Refused("setup.writable"), NotRoot, OSError.
    """
    paths = composition.paths
    _need_write(paths)
    trust.refuse_shared(composition)
    text = shim.rendered(composition)
    replaced = _replaced(composition)
    changed = [path for path in _directories(paths) if _make(path)]
    manifest.write(paths, search())
    changed += _put_unit(composition)
    changed += [paths.shim] if _put_hook(paths.shim, text) else []  # last: it fires only when all else stands
    notes = (*replaced, *_reload(composition, changed))
    return Report(paths.shim, tuple(changed), restart=_restart_needed(composition), notes=notes)


def _replaced(composition: Composition) -> tuple[str, ...]:
    """A sentence about the other installation that the hook has called until now; nothing where there is none now."""
    path, ours = composition.paths.shim, composition.self_argv[0]
    python = shim.interpreter_of(shim.installed(path) or "") if os.path.isfile(path) else ""
    if python == ours or not os.access(python, os.X_OK):
        return ()
    return (f"{path} called another installation until now ({python}); from now on it calls this one ({ours}).",)


def uninstall(composition: Composition) -> Report:
    """Remove the hook and the unit; configuration and history stay. Raises Refused("setup.journal_open"), NotRoot."""
    paths = composition.paths
    _need_write(paths)
    if unfinished := open_uuids(paths):
        raise Refused(
            "setup.journal_open",
            f"A hand-off is not finished ({', '.join(_guests(paths, unfinished))}); without the hook its devices would "
            f"not come back.",
            state="Nothing was removed.",
            hints=("Stop the guest, or finish it with: vfioctl recover",),
        )
    gone = [path for path in (_wanted(paths), paths.recovery_unit, paths.shim) if os.path.lexists(path)]
    for path in gone:
        files.remove(path)
    kept = tuple(path for path in (paths.etc, paths.state) if os.path.isdir(path))
    return Report(paths.shim, tuple(gone), kept, notes=_reload(composition, gone))


def _guests(paths: Paths, uuids: Iterable[str]) -> Iterator[str]:
    """The guests by name; by UUID where the journal cannot be read."""
    from vfioctl.txn.journal import read_both

    for uuid in uuids:
        try:
            story = read_both(paths, uuid)
        except VfioctlError:
            story = None
        yield story.plan.subject if story else uuid


def _wanted(paths: Paths) -> str:
    return paths.at("etc/systemd/system", WANTED_BY, UNIT)


def _need_write(paths: Paths) -> None:
    """Raise NotRoot when this user cannot write where hooks live."""
    place = paths.libvirt_hooks
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    if not os.access(place, os.W_OK):
        raise NotRoot(
            "setup.not_root",
            f"{place} cannot be written by uid {os.geteuid()}: installing the hook needs root.",
            state="Nothing was changed.",
            hints=("Run it with: sudo vfioctl hook install",),
        )


def _directories(paths: Paths) -> tuple[str, ...]:
    return (os.path.dirname(paths.shim), paths.guest_configs, paths.state)


def _make(path: str) -> bool:
    """Whether `path` had to be made; each missing parent is made for all to read, none but the owner to write."""
    if os.path.isdir(path):
        return False
    _make(os.path.dirname(path))
    os.mkdir(path)
    os.chmod(path, EXECUTABLE)  # the umask of the caller is not ours
    return True


def _put_hook(path: str, text: str) -> bool:
    """Whether the hook had to be written. One that could fire already keeps its time: the daemon knows of it."""
    status = os.lstat(path) if os.path.lexists(path) else None
    fired = status is not None and bool(status.st_mode & 0o100) and os.path.isfile(path)
    if fired and status and status.st_mode & 0o7777 == EXECUTABLE and shim.installed(path) == text:
        return False
    files.atomic_write(path, text, mode=EXECUTABLE)
    if fired and status:
        os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
    return True


def _says(path: str, text: str) -> bool:
    """Whether the file is there with this text; one that is masked is a link to /dev/null."""
    try:
        return files.read_text(path) == text
    except Irregular:
        return False


def _put_unit(composition: Composition) -> list[str]:
    paths = composition.paths
    values = {"ARGV": shlex.join(literal(composition.self_argv)), "JOURNAL": os.path.dirname(paths.disk_journal("x"))}
    values = {name: value.replace("%", "%%") for name, value in values.items()}  # systemd.unit(5), SPECIFIERS
    text = render(template(*UNIT_TEMPLATE), values)
    changed = []
    if not _says(paths.recovery_unit, text):
        _make(os.path.dirname(paths.recovery_unit))
        files.atomic_write(paths.recovery_unit, text, mode=PUBLIC)
        changed.append(paths.recovery_unit)
    if not os.path.lexists(_wanted(paths)):
        _make(os.path.dirname(_wanted(paths)))
        os.symlink(os.path.join("..", UNIT), _wanted(paths))
        changed.append(_wanted(paths))
    return changed


def _reload(composition: Composition, changed: list[str]) -> tuple[str, ...]:
    """Make systemd read a changed unit. A systemd that does not answer costs a note, not the installation."""
    booted = Host(composition.paths, composition.programs).booted_with_systemd()
    if not booted or composition.paths.recovery_unit not in changed:
        return ()
    try:
        done = composition.programs.run(("systemctl", "daemon-reload"), deadline=RELOAD_DEADLINE)
    except VfioctlError as error:
        return (f"systemd does not know {UNIT} yet: {error.message}",)
    return () if done.ok else (f"systemd does not know {UNIT} yet: {done.why()}.",)


def _restart_needed(composition: Composition) -> str:
    """The command that makes a running daemon call the hook, or "" when it does so already."""
    from vfioctl.setup.presence import daemon_knows_hooks

    found = daemon.find(Host(composition.paths, composition.programs))
    return "" if found is None or daemon_knows_hooks(composition.paths, found) else found.restart
